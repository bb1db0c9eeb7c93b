"""What the transaction layer tells its users (RFC 3261 §17), and how flows are described to it."""

from dataclasses import dataclass

from sipcore.events import FlowId
from sipcore.message.message import Request, Response

TransactionId = int
"""Unique within one layer, never used again."""


@dataclass(frozen=True, slots=True)
class ViaTemplate:
    """What every Via written on a flow holds besides its branch (RFC 3261 §18.1.1)."""

    transport: str
    """UDP, TCP, TLS, WS or WSS."""

    sent_by: str
    """``host`` or ``host:port``; a random ``.invalid`` name on WebSockets (RFC 7118 §5.2)."""

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits by itself (RFC 3261 §17)."""
        return self.transport.upper() != "UDP"

    def value(self, branch: str) -> str:
        """The Via header's value."""
        # RFC 3581 §3: rport lets responses find their way back through a NAT. RFC 7118 §5.2 has no use for it.
        rport = "" if self.transport.upper() in ("WS", "WSS") else ";rport"
        return f"SIP/2.0/{self.transport} {self.sent_by};branch={branch}{rport}"


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request other than ACK; it wants ``respond`` (RFC 3261 §8.2)."""

    transaction: TransactionId
    request: Request
    flow: FlowId
    cancels: TransactionId | None = None
    """For CANCEL: the INVITE transaction it means, None where there is none (§9.2)."""


@dataclass(frozen=True, slots=True)
class AckReceived:
    """An ACK of a 2xx, perhaps one of many copies (§13.3.1.4)."""

    request: Request
    flow: FlowId


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request of ours. 2xx to INVITE come once for every copy (RFC 6026 §7.2)."""

    transaction: TransactionId
    response: Response


@dataclass(frozen=True, slots=True)
class TransactionTimedOut:
    """No final response came in time (to be treated as a 408, §8.1.3.1), or no ACK for our 300 to 699."""

    transaction: TransactionId


@dataclass(frozen=True, slots=True)
class TransactionTransportFailed:
    """The flow broke before a final response; to be treated as a 503 (§8.1.3.1), but nobody sent one."""

    transaction: TransactionId


TransactionEvent = RequestReceived | AckReceived | ResponseReceived | TransactionTimedOut | TransactionTransportFailed
