"""What happened, as ``ctl events`` and ``run --events`` print it and as :func:`phone.state.reduce` takes it.

Each class carries its name in ``event`` and its time in ``at`` (Unix time). The names of the resilience events are a
contract with users' scripts. Strings from the network are cut to size and free of control characters.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from phone.protocol.codec import Json, ProtocolError, from_json, to_json
from phone.protocol.snapshots import (  # noqa: TC001 - the codec resolves annotations at run time
    CallMedia,
    CallStateName,
    HistoryEntry,
    Outcome,
    RegistrationName,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    at: float


# --- transport ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConnecting(_Event):
    """A connection attempt began."""

    event: ClassVar[str] = "transportConnecting"
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConnected(_Event):
    """The connection to ``server`` is up."""

    event: ClassVar[str] = "transportConnected"
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportDisconnected(_Event):
    """The connection is gone, or an attempt failed for ``reason``."""

    event: ClassVar[str] = "transportDisconnected"
    server: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOnline(_Event):
    """The local link is back."""

    event: ClassVar[str] = "networkOnline"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOffline(_Event):
    """The local link is down."""

    event: ClassVar[str] = "networkOffline"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive(_Event):
    """One OPTIONS keep-alive was sent, answered (with its round trip) or missed."""

    event: ClassVar[str] = "keepAlive"
    result: Literal["sent", "answered", "missed"]
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveStarted(_Event):
    """Keep-alive runs."""

    event: ClassVar[str] = "keepAliveStarted"
    interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveStopped(_Event):
    """Keep-alive stands still."""

    event: ClassVar[str] = "keepAliveStopped"


# --- registration ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationChanged(_Event):
    """The registration entered ``state``."""

    event: ClassVar[str] = "registrationChanged"
    state: RegistrationName
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationAttempt(_Event):
    """A REGISTER of a series is being sent."""

    event: ClassVar[str] = "registrationAttempt"
    attempt: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(_Event):
    """The PBX accepted the registration for ``expires_s``; ``refresh`` marks one that was never lost."""

    event: ClassVar[str] = "registered"
    account: str
    expires_s: int
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered(_Event):
    """The registration is gone: taken back, or lost with its connection."""

    event: ClassVar[str] = "unregistered"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed(_Event):
    """One attempt was refused, or timed out (``status`` 408)."""

    event: ClassVar[str] = "registrationFailed"
    attempt: int
    max: int
    status: int
    reason: str
    credentials_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(_Event):
    """The next attempt follows after ``wait_s``."""

    event: ClassVar[str] = "retryScheduled"
    what: Literal["registration", "transport"]
    attempt: int
    max: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionAttempting(_Event):
    """Connection attempt ``attempt`` of ``max`` starts."""

    event: ClassVar[str] = "reconnectionAttempting"
    attempt: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionSuccess(_Event):
    """Registered again, ``elapsed_s`` after the loss."""

    event: ClassVar[str] = "reconnectionSuccess"
    elapsed_s: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionFailed(_Event):
    """Every promised attempt is used up; a quiet retry may go on."""

    event: ClassVar[str] = "reconnectionFailed"
    attempts: int
    reason: str


# --- calls -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall(_Event):
    """Somebody calls; ``internal``: a colleague, by the PBX's word."""

    event: ClassVar[str] = "incomingCall"
    call: str
    peer: str
    peer_uri: str = ""
    display_name: str = ""
    called: str = ""
    internal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall(_Event):
    """We call somebody: the INVITE is on its way."""

    event: ClassVar[str] = "outgoingCall"
    call: str
    peer: str
    peer_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStateChanged(_Event):
    """A call entered ``state``; ``status`` and ``reason`` are of the response that caused it, else 0 and empty."""

    event: ClassVar[str] = "callStateChanged"
    call: str
    state: CallStateName
    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(_Event):
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
class MediaNegotiated(_Event):
    """Both sides agreed on the sound of a call, for the first time or again."""

    event: ClassVar[str] = "mediaNegotiated"
    call: str
    codec: str
    direction: str
    security: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChanged(_Event):
    """Who holds whom: ``local`` is our own hold, confirmed."""

    event: ClassVar[str] = "holdChanged"
    call: str
    local: bool
    remote: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignallingChanged(_Event):
    """Whether the far end of a call that is up can be told anything; its sound is another matter."""

    event: ClassVar[str] = "signallingChanged"
    call: str
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteChanged(_Event):
    """The microphone was taken from a call, or given back."""

    event: ClassVar[str] = "muteChanged"
    call: str
    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbFailed(_Event):
    """The far end refused a hold, resume, transfer or INFO; the call goes on as it was."""

    event: ClassVar[str] = "verbFailed"
    call: str
    verb: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(_Event):
    """The far end pressed a key."""

    event: ClassVar[str] = "dtmfReceived"
    call: str
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfSent(_Event):
    """A digit of ours has left."""

    event: ClassVar[str] = "dtmfSent"
    call: str
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgress(_Event):
    """What the far end tells about a transfer of ours."""

    event: ClassVar[str] = "transferProgress"
    call: str
    status: int
    reason: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSilent(_Event):
    """Nothing was heard from the far end for ``silent_s``."""

    event: ClassVar[str] = "mediaSilent"
    call: str
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaResumed(_Event):
    """The far end is heard again."""

    event: ClassVar[str] = "mediaResumed"
    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaMeasured(_Event):
    """New figures of a call; not printed, there is one a second."""

    event: ClassVar[str] = "mediaMeasured"
    call: str
    media: CallMedia


# --- the rest ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWaiting(_Event):
    """The voice mailbox changed."""

    event: ClassVar[str] = "messageWaiting"
    waiting: bool
    new: int | None = None
    old: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChanged(_Event):
    """The sound moved to these devices."""

    event: ClassVar[str] = "audioChanged"
    input: str
    output: str
    ring: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioProblem(_Event):
    """Sound fails for ``problem`` (a machine word); calls go on without it.

    ``security`` alone ends its call: what should have been encrypted could not be, or not with the right far end.
    """

    event: ClassVar[str] = "audioProblem"
    problem: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRestored(_Event):
    """Sound works again."""

    event: ClassVar[str] = "audioRestored"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAdded(_Event):
    """A call that is over was written down."""

    event: ClassVar[str] = "historyAdded"
    entry: HistoryEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStopping(_Event):
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
    | MediaMeasured
    | MessageWaiting
    | AudioChanged
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
