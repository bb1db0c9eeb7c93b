"""What is kept of calls so that another process can go on with them: frozen values of plain text, and no secret.

    Calls ── snapshot ──▶ journal ── restore_call, restore_farewell ──▶ Calls

CSeq numbers are kept ahead of those used, so that what is kept changes with the dialog and not with each request.
Deadlines are on the clock of ``now``, which another process of the same boot shares.
"""

from dataclasses import dataclass

from sipcore.errors import ParseError
from sipcore.events import CallId
from sipcore.sdp.snapshot import NegotiationSnapshot

RESERVED_CSEQS = 100
_CSEQS = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogSnapshot:
    """One dialog (RFC 3261 §12): its identity, and how it is routed."""

    call_id: str
    local: str
    """Our name-addr with tag."""

    remote: str
    remote_target: str
    route_set: tuple[str, ...] = ()
    local_cseq: int
    """At least as high as any number sent; see :func:`reserved`."""

    invite_cseq: int = 0
    """Number of our last INVITE, whose 2xx or ACK may have been lost; 0 before one."""

    remote_cseq: int | None = None
    remote_allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSnapshot:
    """A call that was answered."""

    id: CallId
    outgoing: bool
    dialog: DialogSnapshot
    negotiation: NegotiationSnapshot
    holding: bool = False
    session_interval: int = 0
    """RFC 4028, in seconds; 0: none."""

    we_refresh: bool = False
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarewellSnapshot:
    """A dialog that is to be ended, or whose BYE nobody has confirmed yet."""

    dialog: DialogSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsSnapshot:
    """Everything a peer believes to have with us."""

    calls: tuple[CallSnapshot, ...] = ()
    farewells: tuple[FarewellSnapshot, ...] = ()


def reserved(cseq: int) -> int:
    """The number to keep while ``cseq`` was the last one sent: above it, and the same for the next many."""
    return (cseq // RESERVED_CSEQS + 1) * RESERVED_CSEQS


def checked_cseq(number: int, *, spare: int = 0) -> int:
    """``number`` if it can be a CSeq (§8.1.1.5: "less than 2**31") with ``spare`` above it; raises ParseError."""
    if not 0 <= number < _CSEQS - spare:
        raise ParseError("a CSeq number out of range")
    return number
