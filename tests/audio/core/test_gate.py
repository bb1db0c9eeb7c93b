"""Who is listened to: probation, symmetric RTP, strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.core.gate import SourceGate
from audio.rtp.packet import RtpPacket

if TYPE_CHECKING:
    from audio.core.ports import Address

PEER: Address = ("198.51.100.1", 4000)
NAT: Address = ("203.0.113.9", 61000)
THIEF: Address = ("192.0.2.66", 9)


class Bench:
    def __init__(self, expected: Address | None = PEER) -> None:
        self.gate = SourceGate()
        self.now = 10.0
        if expected:
            self.gate.expect(expected)

    def send(
        self, source: Address, ssrc: int, *sequences: int, authentic: bool = False, after: float = 0.02
    ) -> list[int]:
        """Sequence numbers admitted."""
        admitted: list[int] = []
        for sequence in sequences:
            packet = RtpPacket(0, sequence & 0xFFFF, 0, ssrc, b"")
            admitted += [p.sequence for p, _ in self.gate.admit(packet, source, self.now, authentic=authentic)]
            self.now += after
        return admitted


def test_two_packets_in_sequence_admit_a_source_and_none_is_lost_to_probation() -> None:
    """RFC 3550 A.1 with the held packets delivered."""
    bench = Bench()
    assert bench.send(PEER, 1, 10) == []
    assert bench.send(PEER, 1, 11) == [10, 11]
    assert bench.send(PEER, 1, 12, 14, 13) == [12, 14, 13]
    assert bench.gate.remote == PEER


def test_a_wrap_is_in_sequence() -> None:
    assert Bench().send(PEER, 1, 65535, 65536, 65537) == [65535, 0, 1]


def test_packets_out_of_sequence_start_probation_again() -> None:
    bench = Bench()
    assert bench.send(PEER, 1, 10, 20, 30) == []
    assert bench.send(PEER, 1, 31) == [30, 31]
    assert bench.gate.strangers == 2


def test_sending_follows_a_source_behind_nat() -> None:
    """RFC 4961: answers go where packets come from; a host the SDP does not name needs four in sequence."""
    bench = Bench()
    assert bench.gate.remote == PEER
    assert bench.send(NAT, 1, 10, 11, 12) == []
    assert bench.gate.remote == PEER
    assert bench.send(NAT, 1, 13) == [10, 11, 12, 13]
    assert bench.gate.remote == NAT


def test_another_port_of_the_expected_host_needs_two() -> None:
    assert Bench().send((PEER[0], 4444), 1, 10, 11) == [10, 11]


def test_a_stranger_beside_a_live_source_is_dropped_and_moves_nothing() -> None:
    """Neither guessing ("RTP bleed") nor a flood of well-numbered packets takes the stream over."""
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    for number in range(50):
        assert bench.send(THIEF, 7, number, after=0.005) == []
        assert bench.send(PEER, 1, 12 + number, after=0.015) == [12 + number]
    assert bench.gate.remote == PEER
    assert bench.gate.strangers == 50


def test_a_stranger_is_dropped_even_while_the_source_is_silent() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    bench.now += 60
    assert bench.send(THIEF, 7, *range(100)) == []


def test_the_expected_source_is_not_crowded_out_while_on_probation() -> None:
    bench = Bench()
    assert bench.send(PEER, 1, 10) == []
    assert bench.send(THIEF, 7, 1, 2, 3, after=0.004) == []
    assert bench.send(PEER, 1, 11) == [10, 11]


def test_a_new_stream_of_the_same_source_is_taken_when_the_old_one_is_still() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    assert bench.send(PEER, 2, 500) == []
    assert bench.send(PEER, 1, 12) == [12]
    assert bench.send(PEER, 2, 501) == []
    assert bench.send(PEER, 2, 502) == [501, 502]
    assert bench.gate.ssrc == 2


def test_the_same_stream_from_a_new_address_is_followed() -> None:
    """A NAT forgot its binding: SSRC and sequence go on, from another port."""
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    assert bench.send(NAT, 1, 12, 13) == [12, 13]
    assert bench.gate.remote == NAT


def test_the_ssrc_alone_is_not_enough_to_move_the_stream() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    assert bench.send(THIEF, 1, 30000, 30001, 30002) == []
    assert bench.send(THIEF, 1, 12, after=0.001) == []
    assert bench.send(PEER, 1, 12) == [12]
    assert bench.send(THIEF, 1, 13, after=0.001) == []
    assert bench.gate.remote == PEER


def test_another_port_of_a_silent_host_is_taken_after_five_seconds() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    other = (PEER[0], 4002)
    assert bench.send(other, 5, 1, 2, 3, 4) == []
    bench.now += 5
    assert bench.send(other, 5, 5, 6, 7, 8) == [5, 6, 7, 8]
    assert bench.gate.remote == other


def test_a_renegotiated_address_takes_effect_at_once_and_its_source_soon() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    moved = ("198.51.100.2", 7000)
    bench.gate.expect(moved)
    assert bench.gate.remote == moved
    assert bench.send(PEER, 1, 12) == [12]  # still under way
    assert bench.send(moved, 9, 100) == []
    assert bench.send(PEER, 1, 13) == [13]
    assert bench.send(moved, 9, 101) == [100, 101]
    assert bench.gate.remote == moved


def test_after_a_renegotiation_a_source_behind_nat_is_found_once_the_old_one_is_still() -> None:
    bench = Bench()
    bench.send(PEER, 1, 10, 11)
    bench.gate.expect(("10.0.0.5", 7000))
    assert bench.send(NAT, 9, 100) == []
    bench.now += 0.3
    assert bench.send(NAT, 9, 101, 102, 103, 104) == [101, 102, 103, 104]
    assert bench.gate.remote == NAT


def test_the_same_address_again_keeps_what_was_learnt() -> None:
    """A re-INVITE repeats the private address of a peer behind NAT: no reason to send there again."""
    bench = Bench()
    bench.send(NAT, 1, 10, 11, 12, 13)
    bench.gate.expect(PEER)
    assert bench.gate.remote == NAT


def test_authentic_packets_may_come_from_anywhere() -> None:
    """SRTP has proved who sends."""
    bench = Bench()
    bench.send(PEER, 1, 10, 11, authentic=True)
    assert bench.send(NAT, 1, 12, authentic=True) == [12]
    assert bench.send(NAT, 1, 13, authentic=True) == [13]
    assert bench.send(THIEF, 2, 1, 2, authentic=True) == [1, 2]
