"""The phone as one frozen value: the engine reduces events into it, clients receive it and its changed slices.

    Event ──reduce──▶ PhoneState ──changes──▶ {slice: value} ── socket ──▶ apply ──▶ the client's copy

Everything here is pure. Only the engine reduces; a client replaces slices and never computes state by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, assert_never

from phone.protocol import events as ev
from phone.protocol.codec import Json, ProtocolError, from_json, to_json
from phone.protocol.snapshots import (
    AudioSlice,
    CallSlice,
    HistoryEntry,
    Reconnect,
    RegistrationSlice,
    TransportSlice,
    VoicemailSlice,
)

RECENT_CALLS = 50
"""How many calls that are over the state carries; the store has the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneState:
    """All a client needs to draw the phone."""

    registration: RegistrationSlice = field(default_factory=RegistrationSlice)
    transport: TransportSlice = field(default_factory=TransportSlice)
    calls: tuple[CallSlice, ...] = ()
    """In the order they began."""

    voicemail: VoicemailSlice = field(default_factory=VoicemailSlice)
    audio: AudioSlice = field(default_factory=AudioSlice)
    recent: tuple[HistoryEntry, ...] = ()
    """Newest first."""

    def call(self, call: str) -> CallSlice | None:
        """The call with this id."""
        return next((item for item in self.calls if item.id == call), None)


# --- reducing ----------------------------------------------------------------------------------------------

if TYPE_CHECKING:  # at run time a client would load every event for them
    _Transport = (
        ev.TransportConnecting
        | ev.TransportConnected
        | ev.TransportDisconnected
        | ev.NetworkOnline
        | ev.NetworkOffline
        | ev.KeepAlive
        | ev.KeepAliveStarted
        | ev.KeepAliveStopped
    )
    _Registration = (
        ev.RegistrationChanged
        | ev.RegistrationAttempt
        | ev.Registered
        | ev.Unregistered
        | ev.RegistrationFailed
        | ev.RetryScheduled
        | ev.ReconnectionAttempting
        | ev.ReconnectionSuccess
        | ev.ReconnectionFailed
    )
    _Call = (
        ev.CallStateChanged
        | ev.MediaNegotiated
        | ev.HoldChanged
        | ev.SignallingChanged
        | ev.MuteChanged
        | ev.MediaSilent
        | ev.MediaResumed
        | ev.MicrophoneSilent
        | ev.MicrophoneHeard
        | ev.RecordingStarted
        | ev.RecordingEnded
        | ev.MediaMeasured
    )
    _Rest = (
        ev.MessageWaiting
        | ev.AudioChanged
        | ev.VolumeChanged
        | ev.AudioProblem
        | ev.AudioRestored
        | ev.HistoryAdded
        | ev.VerbFailed
        | ev.DtmfReceived
        | ev.DtmfSent
        | ev.TransferProgress
        | ev.EngineStopping
    )


def reduce(state: PhoneState, event: ev.Event) -> PhoneState:
    """The state after ``event``; the same object when nothing changed."""
    match event:
        case (
            ev.TransportConnecting()
            | ev.TransportConnected()
            | ev.TransportDisconnected()
            | ev.NetworkOnline()
            | ev.NetworkOffline()
            | ev.KeepAlive()
            | ev.KeepAliveStarted()
            | ev.KeepAliveStopped()
        ):
            return replace(state, transport=_transport(state.transport, event))
        case (
            ev.RegistrationChanged()
            | ev.RegistrationAttempt()
            | ev.Registered()
            | ev.Unregistered()
            | ev.RegistrationFailed()
            | ev.RetryScheduled()
            | ev.ReconnectionAttempting()
            | ev.ReconnectionSuccess()
            | ev.ReconnectionFailed()
        ):
            return replace(state, registration=_registration(state.registration, event))
        case (
            ev.CallStateChanged()
            | ev.MediaNegotiated()
            | ev.HoldChanged()
            | ev.SignallingChanged()
            | ev.MuteChanged()
            | ev.MediaSilent()
            | ev.MediaResumed()
            | ev.MicrophoneSilent()
            | ev.MicrophoneHeard()
            | ev.RecordingStarted()
            | ev.RecordingEnded()
            | ev.MediaMeasured()
        ):
            return _with_call(state, event)
        case ev.IncomingCall() | ev.OutgoingCall():
            return replace(state, calls=(*state.calls, _new_call(event)))
        case ev.CallEnded():
            return replace(state, calls=tuple(call for call in state.calls if call.id != event.call))
        case _:
            return _rest(state, event)


def _rest(state: PhoneState, event: _Rest) -> PhoneState:
    match event:
        case ev.MessageWaiting():
            return replace(state, voicemail=VoicemailSlice(waiting=event.waiting, new=event.new, old=event.old))
        case ev.AudioChanged():
            return replace(state, audio=replace(state.audio, input=event.input, output=event.output, ring=event.ring))
        case ev.VolumeChanged():
            audio = replace(state.audio, volume=event.volume, ring_volume=event.ring_volume)
            return replace(state, audio=audio)
        case ev.AudioProblem(problem="security"):
            return state  # it has ended its call, and is over with it
        case ev.AudioProblem():
            return replace(state, audio=replace(state.audio, problem=event.problem, detail=event.detail))
        case ev.AudioRestored():
            return replace(state, audio=replace(state.audio, problem=None, detail=""))
        case ev.HistoryAdded():
            return replace(state, recent=(event.entry, *state.recent)[:RECENT_CALLS])
        case ev.VerbFailed() | ev.DtmfReceived() | ev.DtmfSent() | ev.TransferProgress() | ev.EngineStopping():
            return state  # told once, as a toast: nothing of it lasts
        case _:
            assert_never(event)


def _transport(before: TransportSlice, event: _Transport) -> TransportSlice:
    match event:
        case ev.TransportConnecting():
            return replace(before, state="connecting", server=event.server)
        case ev.TransportConnected():
            return replace(before, state="connected", server=event.server, reason="")
        case ev.TransportDisconnected():
            return replace(before, state="disconnected", server=event.server, reason=event.reason, rtt_ms=None)
        case ev.NetworkOnline():
            return replace(before, network="online")
        case ev.NetworkOffline():
            return replace(before, network="offline")
        case ev.KeepAlive():
            return before if event.rtt_ms is None else replace(before, rtt_ms=event.rtt_ms)
        case ev.KeepAliveStarted():
            return replace(before, keep_alive_s=event.interval_s)
        case ev.KeepAliveStopped():
            return replace(before, keep_alive_s=None)
        case _:
            assert_never(event)


def _registration(before: RegistrationSlice, event: _Registration) -> RegistrationSlice:
    match event:
        case ev.RegistrationChanged():
            idle = event.state in ("registered", "unregistered")
            return replace(
                before,
                state=event.state,
                reason=event.reason or ("" if idle else before.reason),
                reconnect=None if idle else before.reconnect,
            )
        case ev.Registered():
            return RegistrationSlice(state="registered", account=event.account, expires_at=event.at + event.expires_s)
        case ev.Unregistered():
            return replace(before, expires_at=None, reason=event.reason or before.reason)
        case ev.RegistrationFailed():
            return replace(
                before,
                status=event.status,
                reason=event.reason,
                credentials_refused=event.credentials_refused,
            )
        case ev.RegistrationAttempt():
            if event.attempt == 1 and before.reconnect is None:
                return before  # the first attempt of a quiet phone is no reconnection
            return replace(
                before,
                reconnect=Reconnect(what="registration", attempt=event.attempt, max=event.max, next_at=event.at),
            )
        case ev.ReconnectionAttempting():
            return replace(
                before, reconnect=Reconnect(what="transport", attempt=event.attempt, max=event.max, next_at=event.at)
            )
        case ev.RetryScheduled():
            waited = Reconnect(what=event.what, attempt=event.attempt, max=event.max, next_at=event.at + event.wait_s)
            return replace(before, reconnect=waited)
        case ev.ReconnectionSuccess():
            return replace(before, reconnect=None)
        case ev.ReconnectionFailed():
            return replace(before, reconnect=None, reason=event.reason or before.reason)
        case _:
            assert_never(event)


def _new_call(event: ev.IncomingCall | ev.OutgoingCall) -> CallSlice:
    match event:
        case ev.IncomingCall():
            return CallSlice(
                id=event.call,
                direction="in",
                state="ringing",
                peer=event.peer,
                peer_uri=event.peer_uri,
                display_name=event.display_name,
                called=event.called,
                internal=event.internal,
                started_at=event.at,
            )
        case ev.OutgoingCall():
            return CallSlice(
                id=event.call,
                direction="out",
                state="calling",
                peer=event.peer,
                peer_uri=event.peer_uri,
                started_at=event.at,
            )
        case _:
            assert_never(event)


def _with_call(state: PhoneState, event: _Call) -> PhoneState:
    before = state.call(event.call)
    if before is None:
        return state  # figures of a call that has just ended
    after = _call(before, event)
    return replace(state, calls=tuple(after if item is before else item for item in state.calls))


def _call(before: CallSlice, event: _Call) -> CallSlice:
    match event:
        case ev.CallStateChanged():
            answered_at = before.answered_at
            if event.state == "active" and answered_at is None:
                answered_at = event.at
            return replace(before, state=event.state, answered_at=answered_at, status=event.status, reason=event.reason)
        case ev.MediaNegotiated():
            return replace(before, codec=event.codec, security=event.security)
        case ev.HoldChanged():
            return replace(before, held=event.local, held_by_peer=event.remote)
        case ev.SignallingChanged():
            return replace(before, signalling_lost=not event.up)
        case ev.MuteChanged():
            return replace(before, muted=event.muted)
        case ev.MediaSilent():
            return replace(before, media_silent=True)
        case ev.MediaResumed():
            return replace(before, media_silent=False)
        case ev.MicrophoneSilent():
            return replace(before, microphone_silent=True, microphone_warned=True)
        case ev.MicrophoneHeard():
            return replace(before, microphone_silent=False)
        case ev.RecordingStarted():
            return replace(before, recording=event.file)
        case ev.RecordingEnded():
            return replace(before, recording="")
        case ev.MediaMeasured():
            return replace(before, media=event.media)
        case _:
            assert_never(event)


# --- crossing the socket -----------------------------------------------------------------------------------

_PARTS: dict[str, type[Any]] = {
    "registration": RegistrationSlice,
    "transport": TransportSlice,
    "voicemail": VoicemailSlice,
    "audio": AudioSlice,
}


def state_to_json(state: PhoneState) -> Json:
    """The whole state, as ``attach`` answers it."""
    whole: Json = to_json(state)
    return whole


def state_from_json(data: Any) -> PhoneState:
    """Read what :func:`state_to_json` wrote; raises ProtocolError."""
    return from_json(PhoneState, data)


def changes(before: PhoneState, after: PhoneState) -> Json:
    """Whole slices that differ, as a ``state`` notification carries them; ``calls`` maps an id to a call or to null."""
    slices: Json = {
        name: to_json(getattr(after, name)) for name in _PARTS if getattr(after, name) != getattr(before, name)
    }
    old = {call.id: call for call in before.calls}
    new = {call.id: call for call in after.calls}
    calls: Json = {call: to_json(new[call]) for call in new if new[call] != old.get(call)}
    calls.update({call: None for call in old if call not in new})
    if calls:
        slices["calls"] = calls
    if after.recent != before.recent:
        slices["recent"] = to_json(after.recent)
    return slices


def apply(state: PhoneState, slices: Any) -> PhoneState:
    """The state with the slices of a notification replaced; unknown slices are skipped. Raises ProtocolError."""
    if not isinstance(slices, dict):
        raise ProtocolError("slices must be an object")
    parts: dict[str, Any] = {name: from_json(cls, slices[name]) for name, cls in _PARTS.items() if name in slices}
    if "calls" in slices:
        parts["calls"] = _apply_calls(state.calls, slices["calls"])
    if "recent" in slices:
        parts["recent"] = tuple(from_json(HistoryEntry, entry) for entry in slices["recent"])
    return replace(state, **parts)


def _apply_calls(calls: tuple[CallSlice, ...], changed: Any) -> tuple[CallSlice, ...]:
    if not isinstance(changed, dict):
        raise ProtocolError("calls must be an object")
    after = {call.id: call for call in calls}
    for call, value in changed.items():
        if value is None:
            after.pop(call, None)
        else:
            after[call] = from_json(CallSlice, value)
    return tuple(after.values())


# --- for scripts -------------------------------------------------------------------------------------------


def status_json(state: PhoneState, now: float) -> Json:
    """What ``ctl status --json`` prints; its members are a contract with users' scripts."""
    registration, transport = state.registration, state.transport
    reconnect = registration.reconnect
    return {
        "registration": registration.state,
        "transport": transport.state,
        "account": registration.account,
        "server": transport.server,
        "reason": registration.reason or transport.reason,
        "status": registration.status,
        "expires_in_s": None if registration.expires_at is None else _until(registration.expires_at, now),
        "network": transport.network,
        "rtt_ms": transport.rtt_ms,
        "calls": calls_json(state, now),
        "reconnect": None
        if reconnect is None
        else {
            "what": reconnect.what,
            "attempt": reconnect.attempt,
            "max": reconnect.max,
            "next_in_s": _until(reconnect.next_at, now),
        },
        "audio": to_json(state.audio),
        "voicemail": to_json(state.voicemail),
    }


def calls_json(state: PhoneState, now: float) -> list[Json]:
    """The calls of :func:`status_json`."""
    return [
        {
            **to_json(call),
            "duration_s": 0 if call.answered_at is None else round(max(0.0, now - call.answered_at), 1),
        }
        for call in state.calls
    ]


def _until(deadline: float, now: float) -> float:
    return round(max(0.0, deadline - now), 1)
