"""A call as the simulated PBX knows it, and how PBXs differ.

CALLING ─200─▶ UP      RINGING ─answered─▶ UP
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.message.message import Request
    from tests.sim.world import Connection


class Phase(enum.Enum):
    """Where a call is, as the PBX sees it."""

    CALLING = enum.auto()  # we rang the phone
    RINGING = enum.auto()  # the phone called, nobody has answered
    UP = enum.auto()


@dataclass(slots=True)
class Call:
    """A call the PBX takes part in; ``connection`` is where its requests go."""

    account: str
    connection: Connection
    invite: Request
    by_phone: bool
    phase: Phase
    tag: str
    born_at: float
    peer_tag: str = ""
    target: str = ""
    """The phone's Contact."""

    cseq: int = 1
    peer_cseq: int = 0
    """The highest number of the phone's requests."""

    unacked: set[int] = field(default_factory=set)
    """CSeq numbers of the INVITEs whose 2xx waits for its ACK."""

    sdp: bytes = b""
    """The phone's last description."""

    up_at: float = 0.0
    expires_at: float | None = None
    inviting: bool = False
    """A re-INVITE of ours is unanswered."""

    rung: bool = False
    lost: Counter[str] = field(default_factory=Counter)
    """What got lost on the way, how often."""

    @property
    def call_id(self) -> str:
        """What the dialog is known by here."""
        return self.invite.call_id

    @property
    def address(self) -> str:
        """Where our sound goes."""
        return _of(self.sdp, rb"c=IN IP4 (\S+)")

    @property
    def direction(self) -> str:
        """What the phone does with the stream; sendonly is its hold."""
        return _of(self.sdp, rb"a=(sendrecv|sendonly|recvonly|inactive)") or "sendrecv"


@dataclass(slots=True)
class Manner:
    """How this PBX differs from others."""

    cancels_on_close: bool = True
    """What is being set up on a connection ends with it, as far as the PBX notices."""

    session_expires: int = 0
    challenges_dialogs: bool = False
    outbound: str = ""
    """``ob`` or ``gruu``: it confirms RFC 5626, and in the second case names phones as RFC 5627 does."""

    loses: float = 0.0
    """Which part of 2xx and ACKs gets lost on a hop behind our connection, where UDP runs; none is lost three times."""

    answers: dict[str, float] = field(default_factory=lambda: {"600": 1.0, "601": 15.0})
    """Seconds until an extension answers; others never do."""


def _of(sdp: bytes, pattern: bytes) -> str:
    found = re.search(pattern, sdp)
    return found[1].decode() if found else ""
