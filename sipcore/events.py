"""Everything :class:`sipcore.stack.Stack` tells its owner: typed events, and effects to carry out.

Events are facts in the past tense. Effects are requests for what the core cannot do itself; each is
answered by a verb of the stack (``flow_opened``, ``flow_failed``, ``flow_closed``, ``flow_pong``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.config import ServerAddress
    from sipcore.media import MediaParameters

FlowId = int
CallId = str

# --- effects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenFlow:
    """Connect to ``server``; answered by ``flow_opened`` or ``flow_failed`` within ``timeout_s``."""

    flow: FlowId
    server: ServerAddress
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send one whole SIP message, or a CRLF keep-alive, on a flow."""

    flow: FlowId
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PingFlow:
    """Send a WebSocket ping; any later inbound byte is reported as life."""

    flow: FlowId


@dataclass(frozen=True, slots=True)
class CloseFlow:
    """Close a flow for good; the stack has forgotten it and wants no answer."""

    flow: FlowId
    reason: str


@dataclass(frozen=True, slots=True)
class ProbeServer:
    """Look whether ``server`` accepts connections at all; answered by ``probe_result``."""

    server: ServerAddress
    timeout_s: float
    deep: bool = False
    """Whether TLS and the WebSocket have to open too: a proxy accepts connections for a PBX that is down."""


Effect = OpenFlow | Transmit | PingFlow | CloseFlow | ProbeServer

# --- transport and registration ----------------------------------------------------------------------------


class TransportState(enum.Enum):
    """What the user is shown of the transport supervisor."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class TransportChanged:
    """The transport supervisor entered ``state``; ``reason`` says why it left CONNECTED."""

    state: TransportState
    server: ServerAddress | None = None
    reason: str = ""


class RegistrationState(enum.Enum):
    """What the user is shown of the registration; ``REGISTERING`` includes the waits between attempts."""

    UNREGISTERED = "unregistered"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """The registration entered ``state``."""

    state: RegistrationState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Registered:
    """A 200 to REGISTER; ``expires_s`` is the granted lifetime. ``refresh`` marks one that was never lost."""

    expires_s: int
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The binding is gone: asked for, or lost with its flow."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class RegistrationAttempt:
    """REGISTER ``attempt`` of ``maximum`` is being sent."""

    attempt: int
    maximum: int


@dataclass(frozen=True, slots=True)
class RegistrationRefused:
    """One attempt was answered by a final response of 300 or more, or timed out (``status`` 408)."""

    attempt: int
    maximum: int
    status: int
    reason: str
    credentials_refused: bool = False
    """Our response to a fresh challenge was refused: retrying with the same password is useless."""


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The next attempt follows after ``wait_s``; ``what`` is ``registration`` or ``transport``."""

    what: str
    attempt: int
    maximum: int
    wait_s: float
    reason: str = ""
    """Why the last attempt failed, one sentence; empty where none has failed yet."""


@dataclass(frozen=True, slots=True)
class ReconnectionAttempting:
    """Connection attempt ``attempt`` of ``maximum`` starts now."""

    attempt: int
    maximum: int


@dataclass(frozen=True, slots=True)
class ReconnectionSuccess:
    """Registered again; ``elapsed_s`` since the loss."""

    elapsed_s: float
    attempts: int


@dataclass(frozen=True, slots=True)
class ReconnectionFailed:
    """All attempts of R1 or R2 are used up. A quiet background retry may go on."""

    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class NetworkOnline:
    """The local link is usable again."""


@dataclass(frozen=True, slots=True)
class NetworkOffline:
    """The local link is down; no attempts are used up until it is back."""


class KeepAliveResult(enum.Enum):
    """Outcome of one OPTIONS keep-alive."""

    SENT = "sent"
    ANSWERED = "answered"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A keep-alive was sent, answered (with its round trip) or missed."""

    result: KeepAliveResult
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class KeepAliveStarted:
    """Keep-alive runs from now on, every ``interval_s``."""

    interval_s: float


@dataclass(frozen=True, slots=True)
class KeepAliveStopped:
    """Keep-alive stands still: disconnected, unregistered or shut down."""


# --- calls -------------------------------------------------------------------------------------------------


class CallState(enum.Enum):
    """States of a call as users see them."""

    CALLING = "calling"
    RINGING = "ringing"
    EARLY = "early"
    ACTIVE = "active"
    ENDING = "ending"


class AlertSource(enum.Enum):
    """Whether a colleague calls or somebody from outside, by the PBX's word."""

    INTERNAL = "internal"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall:
    """An INVITE arrived; answer, ring or reject it. Strings are as the network sent them: untrusted."""

    call: CallId
    peer: str
    """User part, or the whole URI where there is none."""

    peer_uri: str
    display_name: str
    called: str
    headers: tuple[tuple[str, str], ...] = ()
    """Alert-Info, Call-Info, Answer-Mode, Diversion, History-Info, P-Asserted-Identity as received."""

    source: AlertSource | None = None
    """Whether the caller is a colleague, where Alert-Info tells."""

    replaces: CallId | None = None


@dataclass(frozen=True, slots=True)
class CallStateChanged:
    """A call entered ``state``; ``status`` and ``reason`` are of the response that caused it, else 0 and empty."""

    call: CallId
    state: CallState
    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallRinging:
    """A far end said 180: once for each call, whatever it has sent before or sends beside it."""

    call: CallId


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The media of a call of ours was refused (415, 488, 606): it waits for ``offer_again``."""

    call: CallId


@dataclass(frozen=True, slots=True)
class MediaNegotiated:
    """Offer and answer are complete (again); audio follows ``parameters`` from now on."""

    call: CallId
    parameters: MediaParameters


@dataclass(frozen=True, slots=True)
class HoldChanged:
    """Who holds whom: ``local`` is our own hold, confirmed; ``remote`` that of the far end."""

    call: CallId
    local: bool
    remote: bool


@dataclass(frozen=True, slots=True)
class SignallingChanged:
    """The far end of a call that is up can be told nothing now, or can again; its sound is another matter."""

    call: CallId
    up: bool


@dataclass(frozen=True, slots=True)
class LocalAddressChanged:
    """We are at ``address`` now: media sockets have to move there."""

    address: str


@dataclass(frozen=True, slots=True)
class VerbFailed:
    """A hold, resume, transfer or INFO was refused; the call goes on as it was (RFC 3261 §14.1)."""

    call: CallId
    verb: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DtmfInfoReceived:
    """A digit arrived by SIP INFO."""

    call: CallId
    digit: str
    duration_ms: int


class EndedBy(enum.Enum):
    """Who or what ended a call."""

    LOCAL = "local"
    REMOTE = "remote"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The last event of a call; nothing of it is left in the stack afterwards but retransmission absorbers."""

    call: CallId
    by: EndedBy
    status: int = 0
    """Final response that ended the attempt, or with ERROR the answered call; else 0."""

    reason: str = ""
    answered: bool = False
    answered_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """A REFER of ours: ``status`` is that of the last sipfrag, ``done`` once the subscription is over."""

    call: CallId
    status: int
    reason: str
    done: bool


@dataclass(frozen=True, slots=True)
class MessageWaiting:
    """Voicemail indication (RFC 3842); counts are None where the PBX sent none."""

    waiting: bool
    account: str = ""
    new: int | None = None
    old: int | None = None


Event = (
    TransportChanged
    | RegistrationChanged
    | Registered
    | Unregistered
    | RegistrationAttempt
    | RegistrationRefused
    | RetryScheduled
    | ReconnectionAttempting
    | ReconnectionSuccess
    | ReconnectionFailed
    | NetworkOnline
    | NetworkOffline
    | KeepAlive
    | KeepAliveStarted
    | KeepAliveStopped
    | IncomingCall
    | CallStateChanged
    | CallRinging
    | OfferRefused
    | MediaNegotiated
    | HoldChanged
    | SignallingChanged
    | LocalAddressChanged
    | VerbFailed
    | DtmfInfoReceived
    | CallEnded
    | TransferProgress
    | MessageWaiting
)
