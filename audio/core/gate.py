"""Which packets on the media socket are ours: probation of sources and symmetric RTP (RFC 3550 §6.2.1, A.1; RFC 4961).

    expected (SDP) ──2 packets in sequence──▶ current
    any other address, while there is no current ──4 in sequence──▶ current
    current, new SSRC ──2 in sequence while the old one is still──▶ current
    current's SSRC from a new address ──2 that go on from its sequence, while the old one is still──▶ current
    a stranger beside a live source ──▶ dropped and counted

Packets wait while their source is on probation, so none is lost to it. What authenticates (SRTP) may come from
anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audio.rtp.reception import MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL

if TYPE_CHECKING:
    from audio.core.ports import Address
    from audio.rtp.packet import RtpPacket

STRANGER_SEQUENTIAL = 4
RELATCH_AFTER_S = 5.0
"""Silence of the current source after which another port of its host may take its place."""

MOVED_AFTER_S = 0.2
"""Silence that says the source before a renegotiation has stopped, or a source on probation has gone."""


@dataclass(slots=True)
class _Candidate:
    source: Address
    ssrc: int
    sequential: int = 0
    last_sequence: int = 0
    held: list[tuple[RtpPacket, float]] = field(default_factory=list)


class SourceGate:
    """Admits packets of one source at a time and says where that source really is."""

    def __init__(self) -> None:
        self.strangers = 0
        self.ssrc: int | None = None
        self._source: Address | None = None
        self._latched: Address | None = None
        self._expected: Address | None = None
        self._awaiting = False  # the SDP named a new address, and the present source is from before
        self._last_at = 0.0
        self._last_sequence = 0
        self._candidate: _Candidate | None = None

    @property
    def remote(self) -> Address | None:
        """Where to send: to the source once there is one, else where the SDP says."""
        return self._latched or self._expected

    def expect(self, address: Address) -> None:
        """The SDP's address after a negotiation. A new one takes effect at once, an unchanged one keeps what was
        learnt.
        """
        if address == self._expected:
            return
        self._expected, self._latched = address, None
        self._awaiting = self._source not in (None, address)

    def admit(
        self, packet: RtpPacket, source: Address, now: float, *, authentic: bool
    ) -> list[tuple[RtpPacket, float]]:
        """The packets to use now with their arrival times: this one, those held before it, or none."""
        candidate = self._candidate
        if packet.ssrc == self.ssrc and source == self._source:
            # While the present source speaks nobody takes its place, except the one the SDP has named since.
            if candidate and not (self._awaiting and candidate.source == self._expected):
                self._drop_candidate()
            self._note(packet, now)
            return [(packet, now)]
        needed = self._needed(packet, source, now, authentic)
        if needed is None or self._is_crowding(source, now):
            self.strangers += 1
            return []
        candidate = self._candidate_for(packet, source)
        if candidate.sequential and packet.sequence == (candidate.last_sequence + 1) & 0xFFFF:
            candidate.sequential += 1
        else:
            self.strangers += len(candidate.held)
            candidate.held.clear()
            candidate.sequential = 1
        candidate.last_sequence = packet.sequence
        candidate.held.append((packet, now))
        if candidate.sequential < needed:
            return []
        self._candidate = None
        self._source = self._latched = source
        self._awaiting = False
        self.ssrc = packet.ssrc
        self._note(packet, now)
        return candidate.held

    def _needed(self, packet: RtpPacket, source: Address, now: float, authentic: bool) -> int | None:
        """Packets in sequence this source must show, or ``None`` for a stranger."""
        if packet.ssrc == self.ssrc and self.ssrc is not None:
            # The same stream from elsewhere (a NAT forgot its binding): a stranger would have to guess both numbers.
            advance = (packet.sequence - self._last_sequence) & 0xFFFF
            follows = advance < MAX_DROPOUT or advance > 0x10000 - MAX_MISORDER
            if authentic:
                return 1
            return MIN_SEQUENTIAL if follows or source == self._expected else None
        if authentic or source in (self._expected, self._source):
            return MIN_SEQUENTIAL
        if self._source is None:
            host_agrees = self._expected is not None and source[0] == self._expected[0]
            return MIN_SEQUENTIAL if host_agrees else STRANGER_SEQUENTIAL
        silent_s = now - self._last_at
        if self._awaiting and silent_s >= MOVED_AFTER_S:
            return STRANGER_SEQUENTIAL
        if source[0] == self._source[0] and silent_s >= RELATCH_AFTER_S:
            return STRANGER_SEQUENTIAL
        return None

    def _is_crowding(self, source: Address, now: float) -> bool:
        """Whether the SDP's own address is on probation just now, and this is somebody else."""
        candidate = self._candidate
        if candidate is None or candidate.source != self._expected or source == self._expected:
            return False
        return now - candidate.held[-1][1] < MOVED_AFTER_S

    def _candidate_for(self, packet: RtpPacket, source: Address) -> _Candidate:
        candidate = self._candidate
        if candidate and candidate.source == source and candidate.ssrc == packet.ssrc:
            return candidate
        self._drop_candidate()
        self._candidate = _Candidate(source, packet.ssrc)
        return self._candidate

    def _drop_candidate(self) -> None:
        if self._candidate:
            self.strangers += len(self._candidate.held)
            self._candidate = None

    def _note(self, packet: RtpPacket, now: float) -> None:
        self._last_at = now
        self._last_sequence = packet.sequence
