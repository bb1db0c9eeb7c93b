"""From what the stack and the sound engine say to what clients and scripts are told: names, times, clean strings.

    sipcore.events ─┐
                    ├─▶ phone.protocol.events, with our call ids
    audio.io.events ┘

Strings from the network are cut to size and lose their control characters here, once, before anybody shows them;
sentences of the cores keep their ids and parameters.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from audio.core import events as media
from audio.io import events as sound
from phone.protocol import events as ev
from phone.protocol.phrases import Phrase
from sipcore import errors
from sipcore import events as sip
from sipcore.sdp.policy import security_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from phone.protocol.snapshots import Outcome
    from sipcore.media import MediaParameters

_log = logging.getLogger(__name__)

MAX_TEXT = 256
_BUSY_STATUSES = frozenset({486, 600})
_DECLINED_STATUS = 603


def clean_untrusted(text: str) -> str:
    """``text`` fit to be shown: at most 256 printable characters."""
    text = text[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in text).strip()


def worded(text: str) -> str:
    """What a core says of itself, as clients get it: its phrases as ours, all else cleaned as from the network."""
    if not isinstance(text, errors.Phrase | Phrase):
        return clean_untrusted(text)
    parameters = {name: worded(value) if isinstance(value, str) else value for name, value in text.parameters.items()}
    return Phrase(text.template, **parameters)


class Translator:
    """Remembers the transport's state, because the stack tells states and scripts want changes."""

    def __init__(self, *, account: str, call_name: Callable[[sip.CallId], str | None]) -> None:
        """``call_name`` gives our id of a call of the stack, or None for one we refused."""
        self._account = account
        self._call_name = call_name
        self._server = ""
        self._transport = sip.TransportState.DISCONNECTED

    def from_stack(self, event: sip.Event, at: float) -> list[ev.Event]:
        """What ``event`` means to clients; calls are announced and ended by the phone itself."""
        match event:
            case sip.TransportChanged():
                return self._transport_changed(event, at)
            case (
                sip.RegistrationChanged()
                | sip.Registered()
                | sip.Unregistered()
                | sip.RegistrationAttempt()
                | sip.RegistrationRefused()
                | sip.RetryScheduled()
                | sip.ReconnectionAttempting()
                | sip.ReconnectionSuccess()
                | sip.ReconnectionFailed()
            ):
                return [self._registration(event, at)]
            case sip.NetworkOnline():
                return [ev.NetworkOnline(at=at)]
            case sip.NetworkOffline():
                return [ev.NetworkOffline(at=at)]
            case sip.KeepAlive():
                return [ev.KeepAlive(at=at, result=event.result.value, rtt_ms=_rounded(event.rtt_ms))]
            case sip.KeepAliveStarted():
                return [ev.KeepAliveStarted(at=at, interval_s=event.interval_s)]
            case sip.KeepAliveStopped():
                return [ev.KeepAliveStopped(at=at)]
            case sip.MessageWaiting():
                return [ev.MessageWaiting(at=at, waiting=event.waiting, new=event.new, old=event.old)]
            case (
                sip.IncomingCall()
                | sip.CallEnded()
                | sip.CallRinging()
                | sip.OfferRefused()
                | sip.LocalAddressChanged()
            ):
                return []
            case _:
                call = self._call_name(event.call)
                return [] if call is None else [_call_event(event, call, at)]

    def _transport_changed(self, event: sip.TransportChanged, at: float) -> list[ev.Event]:
        before, self._transport = self._transport, event.state
        if event.server is not None:
            self._server = str(event.server).partition("?")[0]
        reason = worded(event.reason)
        lost = ev.TransportDisconnected(at=at, server=self._server, reason=reason)
        match event.state:
            case sip.TransportState.CONNECTED:
                return [ev.TransportConnected(at=at, server=self._server)]
            case sip.TransportState.DISCONNECTED:
                return [lost]
            case sip.TransportState.CONNECTING:
                connecting = ev.TransportConnecting(at=at, server=self._server)
                return [lost, connecting] if before is sip.TransportState.CONNECTED else [connecting]

    def _registration(
        self,
        event: sip.RegistrationChanged
        | sip.Registered
        | sip.Unregistered
        | sip.RegistrationAttempt
        | sip.RegistrationRefused
        | sip.RetryScheduled
        | sip.ReconnectionAttempting
        | sip.ReconnectionSuccess
        | sip.ReconnectionFailed,
        at: float,
    ) -> ev.Event:
        match event:
            case sip.RegistrationChanged():
                return ev.RegistrationChanged(at=at, state=event.state.value, reason=worded(event.reason))
            case sip.Registered():
                return ev.Registered(at=at, account=self._account, expires_s=event.expires_s, refresh=event.refresh)
            case sip.Unregistered():
                return ev.Unregistered(at=at, reason=worded(event.reason))
            case sip.RegistrationAttempt():
                return ev.RegistrationAttempt(at=at, attempt=event.attempt, max=event.maximum)
            case sip.RegistrationRefused():
                return ev.RegistrationFailed(
                    at=at,
                    attempt=event.attempt,
                    max=event.maximum,
                    status=event.status,
                    reason=worded(event.reason),
                    credentials_refused=event.credentials_refused,
                )
            case sip.RetryScheduled():
                return _retry_scheduled(event, at)
            case sip.ReconnectionAttempting():
                return ev.ReconnectionAttempting(at=at, attempt=event.attempt, max=event.maximum)
            case sip.ReconnectionSuccess():
                return ev.ReconnectionSuccess(at=at, elapsed_s=round(event.elapsed_s, 3), attempts=event.attempts)
            case sip.ReconnectionFailed():
                return ev.ReconnectionFailed(at=at, attempts=event.attempts, reason=worded(event.reason))
            case _:
                assert_never(event)

    def from_sound(self, event: sound.AudioEvent, at: float) -> list[ev.Event]:
        """What an event of the sound engine means to clients; its calls carry our ids already."""
        match event:
            case sound.AudioProblem():
                problem = "sound" if event.role is None else event.role.value
                return [ev.AudioProblem(at=at, problem=problem, detail=worded(event.sentence))]
            case sound.AudioDeviceLost():
                return [ev.AudioProblem(at=at, problem=event.role.value, detail=worded(event.sentence))]
            case sound.AudioDeviceRestored():
                return [ev.AudioRestored(at=at)]
            case sound.CallMediaEvent():
                return _media_event(event.call, event.event, at)
            case sound.CallMediaEnded() | sound.MicrophoneDead() | sound.MicrophoneAlive() | sound.RecordingFailed():
                return []  # the phone tells of these itself
            case _:
                assert_never(event)


def _retry_scheduled(event: sip.RetryScheduled, at: float) -> ev.RetryScheduled:
    return ev.RetryScheduled(
        at=at,
        what="transport" if event.what == "transport" else "registration",
        attempt=event.attempt,
        max=event.maximum,
        wait_s=round(event.wait_s, 3),
    )


def _call_event(
    event: sip.CallStateChanged
    | sip.MediaNegotiated
    | sip.HoldChanged
    | sip.SignallingChanged
    | sip.VerbFailed
    | sip.DtmfInfoReceived
    | sip.TransferProgress,
    call: str,
    at: float,
) -> ev.Event:
    match event:
        case sip.CallStateChanged():
            return ev.CallStateChanged(
                at=at, call=call, state=event.state.value, status=event.status, reason=worded(event.reason)
            )
        case sip.MediaNegotiated():
            return ev.MediaNegotiated(
                at=at,
                call=call,
                codec=codec_name(event.parameters),
                direction=event.parameters.direction.value,
                security=security_label(event.parameters),
            )
        case sip.HoldChanged():
            return ev.HoldChanged(at=at, call=call, local=event.local, remote=event.remote)
        case sip.SignallingChanged():
            return ev.SignallingChanged(at=at, call=call, up=event.up)
        case sip.VerbFailed():
            return ev.VerbFailed(at=at, call=call, verb=event.verb, status=event.status, reason=worded(event.reason))
        case sip.DtmfInfoReceived():
            return ev.DtmfReceived(at=at, call=call, digit=event.digit, duration_ms=event.duration_ms)
        case sip.TransferProgress():
            return ev.TransferProgress(
                at=at, call=call, status=event.status, reason=worded(event.reason), done=event.done
            )
        case _:
            assert_never(event)


def _media_event(call: str, event: media.MediaEvent, at: float) -> list[ev.Event]:
    match event:
        case media.DtmfReceived():
            return [ev.DtmfReceived(at=at, call=call, digit=event.digit, duration_ms=event.duration_ms)]
        case media.DtmfSent():
            return [ev.DtmfSent(at=at, call=call, digit=event.digit)]
        case media.MediaSilent():
            return [ev.MediaSilent(at=at, call=call, silent_s=round(event.silent_s, 1))]
        case media.MediaResumed():
            return [ev.MediaResumed(at=at, call=call)]
        case media.MediaSecurityFailed():
            return [ev.AudioProblem(at=at, problem="security", detail=worded(event.sentence))]
        case (
            media.FirstPacketReceived()
            | media.MediaSecured()
            | media.RemoteSsrcChanged()
            | media.RemoteAddressChanged()
            | media.RemoteByeReceived()
        ):
            _log.debug("= call %s: %s", call, event)
            return []
        case _:
            assert_never(event)


def codec_name(parameters: MediaParameters) -> str:
    """The codec a user knows, such as ``PCMU``."""
    return parameters.send_codec.encoding.upper()


def outcome_of(event: sip.CallEnded, *, incoming: bool) -> Outcome:
    """How a call went, from the point of view of whoever sits at this phone."""
    if event.answered:
        return "answered"
    if event.answered_elsewhere:
        return "elsewhere"
    if incoming:
        return "rejected" if event.by is sip.EndedBy.LOCAL else "missed"
    if event.by is sip.EndedBy.LOCAL:
        return "cancelled"
    if event.status in _BUSY_STATUSES:
        return "busy"
    return "rejected" if event.status == _DECLINED_STATUS else "failed"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
