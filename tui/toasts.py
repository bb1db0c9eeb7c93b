"""Which event becomes which toast: one table, one toast a fact.

Only what a user did not cause is told. Two toasts never contradict: they have a topic, the newest of a topic takes the
place of the older one, and a fact also ends those of other topics that are not true any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from phone.protocol import events as ev
from tui.actions import keys_of
from tui.i18n import _
from tui.text import clean
from tui.told import told

TIMEOUT_STATUS = 408
Severity = Literal["information", "success", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """What to show; texts are final, translated and clean."""

    title: str
    message: str
    severity: Severity
    seconds: float
    topic: str
    """Toasts of one topic replace each other: the newest fact wins."""

    ends: tuple[str, ...] = ()
    """Other topics whose toasts are no longer true."""


def toast_for(event: ev.Event) -> Toast | None:
    """The toast of ``event``; None for what the screen shows anyway."""
    match event:
        case ev.NetworkOnline():
            return _toast("information", 5, "network", _("Network Restored"), _("Reconnecting"))
        case ev.NetworkOffline():
            text = _("Will reconnect when it is back")
            return _toast("warning", 8, "network", _("Network Offline"), text, ends=("connection",))
        case ev.AudioProblem():
            return _toast("warning", 8, "sound", _sound_title(event.problem), told(event.detail, 160))
        case ev.AudioRestored():
            return _toast("success", 5, "sound", _("Sound is back"), _("All devices work"))
        case ev.MicrophoneSilent():
            return None if event.again else _microphone_toast(event)
        case ev.RecordingEnded() if event.problem:
            return _toast("warning", 8, "recording", _("Recording ended"), told(event.problem, 160))
        case ev.VerbFailed():
            words = _("The far end refused: {status} {reason}")
            text = words.format(status=event.status, reason=told(event.reason, 80))
            return _toast("warning", 8, "call", _("Not done"), text)
        case ev.CallEnded():
            return _call_toast(event)
        case ev.ReconnectionAttempting() | ev.ReconnectionSuccess() | ev.ReconnectionFailed() | ev.RegistrationFailed():
            return _connection_toast(event)
        case _:
            return None


def _microphone_toast(event: ev.MicrophoneSilent) -> Toast:
    text = _("Nothing is heard from {device}. Look for a mute switch on it, or choose another in Settings.")
    return _toast("warning", 10, "microphone", _("Microphone silent"), text.format(device=clean(event.device, 40)))


def _sound_title(problem: str) -> str:
    """Which part of the sound it is about; the engine's sentence follows."""
    titles = {"input": _("Microphone"), "output": _("Headset"), "ring": _("Ringing")}
    return titles.get(problem, _("No sound"))


def _connection_toast(
    event: ev.ReconnectionAttempting | ev.ReconnectionSuccess | ev.ReconnectionFailed | ev.RegistrationFailed,
) -> Toast | None:
    match event:
        case ev.ReconnectionAttempting():
            if event.attempt > 1:
                return None  # the banner counts on; the fact was told
            text = _("Connection lost, trying again ({n} of {max})").format(n=event.attempt, max=event.max)
            return _toast("warning", 10, "connection", _("Reconnecting..."), text)
        case ev.ReconnectionSuccess():
            text = _("Registered again after {seconds} s").format(seconds=f"{event.elapsed_s:.1f}")
            return _toast("success", 5, "connection", _("Reconnected"), text, ends=("network",))
        case ev.ReconnectionFailed():
            text = _("After {n} attempts: {why}").format(n=event.attempts, why=_ended(told(event.reason, 120)))
            hint = _("{key} tries again now.").format(key=keys_of("conn.retry"))
            return _toast("error", 8, "connection", _("Reconnection Failed"), f"{text} {hint}", ends=("network",))
        case ev.RegistrationFailed():
            if event.status == TIMEOUT_STATUS:
                return None  # nobody refused anything
            text = _("The PBX says {status} {reason}.").format(status=event.status, reason=told(event.reason, 80))
            if event.credentials_refused:
                text += " " + _("Check the password in Settings.")
            return _toast("error", 8, "connection", _("Registration refused"), text, ends=("network",))
        case _:
            assert_never(event)


def _call_toast(event: ev.CallEnded) -> Toast | None:
    who = clean(event.peer, 60)
    if event.outcome == "missed":
        return _toast("information", 5, "call", _("Missed call"), who)
    if event.outcome in ("busy", "failed"):
        text = f"{who}: {event.status} {told(event.reason, 80)}" if event.status else f"{who}: {told(event.reason, 80)}"
        return _toast("warning", 8, "call", _("Call failed"), text)
    return None


def _ended(sentence: str) -> str:
    """Closed by a full stop, so that another sentence can follow."""
    return sentence if sentence.endswith((".", "!", "?", "⟧")) else sentence + "."


def _toast(
    severity: Severity, seconds: float, topic: str, title: str, message: str, *, ends: tuple[str, ...] = ()
) -> Toast:
    return Toast(title=title, message=message, severity=severity, seconds=seconds, topic=topic, ends=ends)
