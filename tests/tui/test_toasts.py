"""Which events become toasts, and how: the table of the product's description, row by row."""

from __future__ import annotations

import pytest

from phone.protocol import events as ev
from phone.protocol.snapshots import HistoryEntry
from tui.toasts import Toast, toast_for

NETWORK_LOST = ev.NetworkOffline(at=1)
NETWORK_BACK = ev.NetworkOnline(at=1)
ATTEMPT_1 = ev.ReconnectionAttempting(at=1, attempt=1, max=10)
ATTEMPT_2 = ev.ReconnectionAttempting(at=1, attempt=2, max=10)
BACK = ev.ReconnectionSuccess(at=1, elapsed_s=2.345, attempts=2)
GIVEN_UP = ev.ReconnectionFailed(at=1, attempts=10, reason="connection refused")
WRONG_PASSWORD = ev.RegistrationFailed(
    at=1, attempt=1, max=3, status=401, reason="Unauthorized", credentials_refused=True
)
TIMED_OUT = ev.RegistrationFailed(at=1, attempt=1, max=3, status=408, reason="Request Timeout")
MISSED = ev.CallEnded(at=1, call="a", by="remote", outcome="missed", peer="1007")
BUSY = ev.CallEnded(at=1, call="a", by="remote", outcome="busy", peer="1007", status=486, reason="Busy Here")
HEADSET = ev.AudioProblem(at=1, problem="output", detail="The headset was unplugged; using Speakers.")
DEAF = ev.MicrophoneSilent(at=1, call="a", device="USB Headset")
TAPE_FULL = ev.RecordingEnded(at=1, call="a", file="/a.wav", problem="The disk is full.")
EVENTS: tuple[ev.Event, ...] = (
    NETWORK_LOST,
    NETWORK_BACK,
    ATTEMPT_1,
    ATTEMPT_2,
    BACK,
    GIVEN_UP,
    WRONG_PASSWORD,
    TIMED_OUT,
    ev.AudioRestored(at=1),
    ev.VerbFailed(at=1, call="a", verb="hold", status=488, reason="-"),
)


@pytest.mark.parametrize(
    ("event", "title", "severity", "seconds", "topic"),
    [
        (ATTEMPT_1, "Reconnecting...", "warning", 10, "connection"),
        (BACK, "Reconnected", "success", 5, "connection"),
        (GIVEN_UP, "Reconnection Failed", "error", 8, "connection"),
        (NETWORK_BACK, "Network Restored", "information", 5, "network"),
        (NETWORK_LOST, "Network Offline", "warning", 8, "network"),
        (WRONG_PASSWORD, "Registration refused", "error", 8, "connection"),
        (HEADSET, "Headset", "warning", 8, "sound"),
        (ev.AudioRestored(at=1), "Sound is back", "success", 5, "sound"),
        (DEAF, "Microphone silent", "warning", 10, "microphone"),
        (TAPE_FULL, "Recording ended", "warning", 8, "recording"),
        (MISSED, "Missed call", "information", 5, "call"),
        (BUSY, "Call failed", "warning", 8, "call"),
    ],
)
def test_the_table(event: ev.Event, title: str, severity: str, seconds: float, topic: str) -> None:
    toast = toast_for(event)
    assert toast is not None
    assert (toast.title, toast.severity, toast.seconds, toast.topic) == (title, severity, seconds, topic)


def test_a_silent_microphone_is_told_once_a_call_and_a_recording_that_was_ended_not_at_all() -> None:
    assert toast_for(ev.MicrophoneSilent(at=1, call="a", device="USB Headset", again=True)) is None
    assert toast_for(ev.MicrophoneHeard(at=1, call="a")) is None
    assert toast_for(ev.RecordingEnded(at=1, call="a", file="/a.wav")) is None


def messages(*events: ev.Event) -> list[str]:
    return [toast.message if (toast := toast_for(event)) else "" for event in events]


def test_one_fact_is_one_toast() -> None:
    """The second attempt is in the banner; a time-out of one attempt is no refusal."""
    assert toast_for(ATTEMPT_2) is None
    assert toast_for(TIMED_OUT) is None
    assert toast_for(ev.Registered(at=1, account="1001@pbx", expires_s=600)) is None
    assert toast_for(ev.HistoryAdded(at=1, entry=_entry())) is None


def test_the_words_say_what_to_do() -> None:
    attempt, back, given_up, refused = messages(ATTEMPT_1, BACK, GIVEN_UP, WRONG_PASSWORD)
    assert attempt == "Connection lost, trying again (1 of 10)"
    assert back == "Registered again after 2.3 s"
    assert given_up == "After 10 attempts: connection refused. Ctrl+R tries again now."
    assert refused == "The PBX says 401 Unauthorized. Check the password in Settings."


def test_what_a_user_caused_is_not_told() -> None:
    for outcome in ("answered", "cancelled", "rejected", "elsewhere"):
        assert toast_for(ev.CallEnded(at=1, call="a", by="local", outcome=outcome, peer="1")) is None


def test_words_from_the_network_are_cleaned() -> None:
    hostile = "\x1b]0;pwn\x07[red]x[/]\u202e" + "y" * 500
    toast = toast_for(ev.CallEnded(at=1, call="a", by="remote", outcome="failed", peer=hostile, reason=hostile))
    assert isinstance(toast, Toast)
    assert not {"\x1b", "\x07", "\u202e"} & set(toast.message)
    assert len(toast.message) < 200


def _entry() -> HistoryEntry:
    return HistoryEntry(id=1, direction="in", outcome="missed", peer="1", started_at=1)
