"""Which packets on the media socket are ours: probation of sources and symmetric RTP (RFC 3550 §6.2.1, A.1; RFC 4961).

    expected (SDP) ──2 packets in sequence──▶ current ──same source, new SSRC──▶ 2 in sequence while the old one is still
                                                      ──same SSRC, new address─▶ the same, going on from the sequence
    any other address, before there is a current source ──4 in sequence──▶ current
    a stranger beside a live source ──▶ dropped and counted

Packets wait while their source is on probation, so none is lost to it. What authenticates (SRTP) may come from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from audio.core.ports import Address
from audio.rtp.packet import RtpPacket
from audio.rtp.reception import MAX_DROPOUT, MAX_MISORDER, MIN_SEQUENTIAL

STRANGER_SEQUENTIAL = 4
RELATCH_AFTER_S = 5.0
"""Silence of the current source after which another port of its host may take its place."""

_MAXIMUM_HELD = 8


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
        self.source: Address | None = None
        self._expected: Address | None = None
        self._last_at = 0.0
        self._last_sequence = 0
        self._candidate: _Candidate | None = None

    @property
    def remote(self) -> Address | None:
        """Where to send: the source if there is one, else where the SDP says."""
        return self.source or self._expected

    def expect(self, address: Address) -> None:
        """The SDP's address after a negotiation. A new one takes effect at once, an unchanged one keeps what was learnt."""
        if address == self._expected:
            return
        self._expected = address
        if self.source != address:
            self.source = None

    def admit(self, packet: RtpPacket, source: Address, now: float, *, authentic: bool) -> list[tuple[RtpPacket, float]]:
        """The packets to use now with their arrival times: this one, those held before it, or none."""
        if packet.ssrc == self.ssrc and source == self.source:
            # While the present source speaks nobody takes its place.
            if self._candidate:
                self._drop_candidate()
            self._note(packet, now)
            return [(packet, now)]
        needed = 1 if authentic and packet.ssrc == self.ssrc else self._needed(packet, source, now, authentic)
        if needed is None:
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
            del candidate.held[:-_MAXIMUM_HELD]
            return []
        self._candidate = None
        self.source, self.ssrc = source, packet.ssrc
        self._note(packet, now)
        return candidate.held

    def _needed(self, packet: RtpPacket, source: Address, now: float, authentic: bool) -> int | None:
        """Packets in sequence this source must show, or ``None`` for a stranger."""
        if authentic or source in (self._expected, self.source):
            return MIN_SEQUENTIAL
        if packet.ssrc == self.ssrc and self.ssrc is not None:
            # The same stream from elsewhere (a NAT forgot its binding): a stranger would have to guess both numbers.
            advance = (packet.sequence - self._last_sequence) & 0xFFFF
            follows = advance < MAX_DROPOUT or advance > 0x10000 - MAX_MISORDER
            return MIN_SEQUENTIAL if follows else None
        if self.ssrc is None or self.source is None:
            host_agrees = self._expected is not None and source[0] == self._expected[0]
            return MIN_SEQUENTIAL if host_agrees else STRANGER_SEQUENTIAL
        if source[0] == self.source[0] and now - self._last_at >= RELATCH_AFTER_S:
            return STRANGER_SEQUENTIAL
        return None

    def _candidate_for(self, packet: RtpPacket, source: Address) -> _Candidate:
        candidate = self._candidate
        if candidate and candidate.source == source and candidate.ssrc == packet.ssrc:
            return candidate
        # The SDP's own address is not pushed aside by somebody else's flood.
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
