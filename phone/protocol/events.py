"""What happened, as ``ctl events`` and ``run --events`` print it and as :func:`phone.state.reduce` takes it.

Each class carries its name in ``event`` and its time in ``at`` (Unix time). The names of the resilience events are a
contract with users' scripts. Strings from the network are cut to size and free of control characters.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from phone.protocol.codec import Json, ProtocolError, from_json, to_json
from phone.protocol.event_base import EventBase
from phone.protocol.snapshots import (  # noqa: TC001 - the codec resolves annotations at run time
    CallMedia,
    CallStateName,
    HistoryEntry,
    Outcome,
    RegistrationName,
)
from phone.protocol.sound_events import AudioChanged as AudioChanged
from phone.protocol.sound_events import AudioProblem as AudioProblem
from phone.protocol.sound_events import AudioRestored as AudioRestored
from phone.protocol.sound_events import MicrophoneHeard as MicrophoneHeard
from phone.protocol.sound_events import MicrophoneSilent as MicrophoneSilent
from phone.protocol.sound_events import RecordingEnded as RecordingEnded
from phone.protocol.sound_events import RecordingStarted as RecordingStarted
from phone.protocol.sound_events import VolumeChanged as VolumeChanged

# --- transport ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConnecting(EventBase):
    """A connection attempt began."""

    event: ClassVar[str] = "transportConnecting"
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConnected(EventBase):
    """The connection to ``server`` is up."""

    event: ClassVar[str] = "transportConnected"
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportDisconnected(EventBase):
    """The connection is gone, or an attempt failed for ``reason``."""

    event: ClassVar[str] = "transportDisconnected"
    server: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOnline(EventBase):
    """The local link is back."""

    event: ClassVar[str] = "networkOnline"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOffline(EventBase):
    """The local link is down."""

    event: ClassVar[str] = "networkOffline"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive(EventBase):
    """One OPTIONS keep-alive was sent, answered (with its round trip) or missed."""

    event: ClassVar[str] = "keepAlive"
    result: Literal["sent", "answered", "missed"]
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveStarted(EventBase):
    """Keep-alive runs."""

    event: ClassVar[str] = "keepAliveStarted"
    interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveStopped(EventBase):
    """Keep-alive stands still."""

    event: ClassVar[str] = "keepAliveStopped"


# --- registration ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationChanged(EventBase):
    """The registration entered ``state``."""

    event: ClassVar[str] = "registrationChanged"
    state: RegistrationName
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationAttempt(EventBase):
    """A REGISTER of a series is being sent."""

    event: ClassVar[str] = "registrationAttempt"
    attempt: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(EventBase):
    """The PBX accepted the registration for ``expires_s``; ``refresh`` marks one that was never lost."""

    event: ClassVar[str] = "registered"
    account: str
    expires_s: int
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered(EventBase):
    """The registration is gone: taken back, or lost with its connection."""

    event: ClassVar[str] = "unregistered"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed(EventBase):
    """One attempt was refused, or timed out (``status`` 408)."""

    event: ClassVar[str] = "registrationFailed"
    attempt: int
    max: int
    status: int
    reason: str
    credentials_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(EventBase):
    """The next attempt follows after ``wait_s``."""

    event: ClassVar[str] = "retryScheduled"
    what: Literal["registration", "transport"]
    attempt: int
    max: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionAttempting(EventBase):
    """Connection attempt ``attempt`` of ``max`` starts."""

    event: ClassVar[str] = "reconnectionAttempting"
    attempt: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionSuccess(EventBase):
    """Registered again, ``elapsed_s`` after the loss."""

    event: ClassVar[str] = "reconnectionSuccess"
    elapsed_s: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionFailed(EventBase):
    """Every promised attempt is used up; a quiet retry may go on."""

    event: ClassVar[str] = "reconnectionFailed"
    attempts: int
    reason: str


# --- calls -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall(EventBase):
    """Somebody calls."""

    event: ClassVar[str] = "incomingCall"
    call: str
    peer: str
    peer_uri: str = ""
    display_name: str = ""
    called: str = ""
    internal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall(EventBase):
    """We call somebody: the INVITE is on its way."""

    event: ClassVar[str] = "outgoingCall"
    call: str
    peer: str
    peer_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStateChanged(EventBase):
    """A call entered ``state``; ``status`` and ``reason`` are of the response that caused it, else 0 and empty."""

    event: ClassVar[str] = "callStateChanged"
    call: str
    state: CallStateName
    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(EventBase):
    """The last event of a call."""

    event: ClassVar[str] = "callEnded"
    call: str
    by: Literal["local", "remote", "error"]
    outcome: Outcome
    peer: str = ""
    status: int = 0
    reason: str = ""
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaNegotiated(EventBase):
    """Both sides agreed on the sound of a call, for the first time or again."""

    event: ClassVar[str] = "mediaNegotiated"
    call: str
    codec: str
    direction: str
    security: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChanged(EventBase):
    """Who holds whom: ``local`` is our own hold, confirmed."""

    event: ClassVar[str] = "holdChanged"
    call: str
    local: bool
    remote: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingChanged(EventBase):
    """Whether the far end of a call that is up can be told anything; its sound is another matter."""

    event: ClassVar[str] = "signallingChanged"
    call: str
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteChanged(EventBase):
    """The microphone was taken from a call, or given back."""

    event: ClassVar[str] = "muteChanged"
    call: str
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbFailed(EventBase):
    """The far end refused a hold, resume, transfer or INFO; the call goes on as it was."""

    event: ClassVar[str] = "verbFailed"
    call: str
    verb: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(EventBase):
    """The far end pressed a key."""

    event: ClassVar[str] = "dtmfReceived"
    call: str
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfSent(EventBase):
    """A digit of ours has left."""

    event: ClassVar[str] = "dtmfSent"
    call: str
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgress(EventBase):
    """What the far end tells about a transfer of ours."""

    event: ClassVar[str] = "transferProgress"
    call: str
    status: int
    reason: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSilent(EventBase):
    """Nothing was heard from the far end for ``silent_s``."""

    event: ClassVar[str] = "mediaSilent"
    call: str
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaResumed(EventBase):
    """The far end is heard again."""

    event: ClassVar[str] = "mediaResumed"
    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaMeasured(EventBase):
    """New figures of a call; not printed, there is one a second."""

    event: ClassVar[str] = "mediaMeasured"
    call: str
    media: CallMedia


# --- the rest ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWaiting(EventBase):
    """The voice mailbox changed."""

    event: ClassVar[str] = "messageWaiting"
    waiting: bool
    new: int | None = None
    old: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAdded(EventBase):
    """A call that is over was written down."""

    event: ClassVar[str] = "historyAdded"
    entry: HistoryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStopping(EventBase):
    """The engine ends: the last event of all."""

    event: ClassVar[str] = "engineStopping"


Event = (
    TransportConnecting
    | TransportConnected
    | TransportDisconnected
    | NetworkOnline
    | NetworkOffline
    | KeepAlive
    | KeepAliveStarted
    | KeepAliveStopped
    | RegistrationChanged
    | RegistrationAttempt
    | Registered
    | Unregistered
    | RegistrationFailed
    | RetryScheduled
    | ReconnectionAttempting
    | ReconnectionSuccess
    | ReconnectionFailed
    | IncomingCall
    | OutgoingCall
    | CallStateChanged
    | CallEnded
    | MediaNegotiated
    | HoldChanged
    | SignallingChanged
    | MuteChanged
    | VerbFailed
    | DtmfReceived
    | DtmfSent
    | TransferProgress
    | MediaSilent
    | MediaResumed
    | MicrophoneSilent
    | MicrophoneHeard
    | RecordingStarted
    | RecordingEnded
    | MediaMeasured
    | MessageWaiting
    | AudioChanged
    | VolumeChanged
    | AudioProblem
    | AudioRestored
    | HistoryAdded
    | EngineStopping
)
EVENTS: dict[str, type[Event]] = {event.event: event for event in typing.get_args(Event)}
UNPUBLISHED: frozenset[str] = frozenset({MediaMeasured.event})
"""Reduced into the state, but not printed and not sent as ``event`` notifications."""


def event_to_json(event: Event) -> Json:
    """``{"event": NAME, "at": TIME, ...}``."""
    return {"event": event.event, **to_json(event)}


def event_from_json(data: Any) -> Event:
    """Read what :func:`event_to_json` wrote; raises ProtocolError."""
    if not isinstance(data, dict) or data.get("event") not in EVENTS:
        raise ProtocolError("not an event of this protocol version")
    return from_json(EVENTS[data["event"]], data)
