"""DTMF as RTP events, RFC 4733 §2.1, §2.3, §2.5."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rtp.packet import RtpPacket
from audio.rtp.sending import SenderState
from audio.rtp.telephone_event import DIGITS, MAXIMUM_QUEUE, DtmfReceiver, DtmfSender, Suppression
from sipcore.errors import LocalProtocolError
from sipcore.ids import IdSource


def play(digits: str, ticks: int, **options: int) -> list[tuple[Suppression, RtpPacket | None, str | None]]:
    sender, dtmf = SenderState(IdSource(random.Random(1))), DtmfSender()
    dtmf.send(digits, **options)
    steps = []
    for _ in range(ticks):
        steps.append(dtmf.tick(sender, 101, 160))
        sender.advance(160)
    assert not dtmf.active
    return steps


def packets_of(digits: str, ticks: int = 400, **options: int) -> list[RtpPacket]:
    return [packet for _, packet, _ in play(digits, ticks, **options) if packet]


def test_a_digit_of_100_ms_is_seven_packets() -> None:
    """§2.5.1: one timestamp, a growing duration, the marker on the first, the end three times, volume 10."""
    packets = packets_of("5")
    assert len({packet.timestamp for packet in packets}) == 1
    assert [packet.marker for packet in packets] == [True] + [False] * 6
    assert [packet.payload.hex() for packet in packets] == [
        "050a00a0",
        "050a0140",
        "050a01e0",
        "050a0280",
        "058a0320",
        "058a0320",
        "058a0320",
    ]
    numbers = [packet.sequence for packet in packets]
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)] == [1] * 6


def test_a_gap_of_silence_lies_between_digits() -> None:
    """RFC 7874 §3: default tone 100 ms, gap 70 ms; nothing of the microphone is heard in either."""
    steps = play("12", 40)
    starts = [number for number, (_, packet, _) in enumerate(steps) if packet and packet.marker]
    assert (starts[1] - starts[0]) * 20 - 100 in (70, 80)
    assert {how for how, _, _ in steps[: starts[1]]} == {Suppression.SKIP, Suppression.SILENCE}
    assert [digit for _, _, digit in steps if digit] == ["1", "2"]


def test_all_digits_have_their_event_codes() -> None:
    """§3.2 table 7: 0 to 9, *, #, A to D, and 16 for a flash."""
    codes = [packet.payload[0] for packet in packets_of(DIGITS.lower()) if packet.marker]
    assert codes == list(range(17))


def test_a_comma_is_a_second_in_which_one_can_speak() -> None:
    steps = play("1,2", 100)
    starts = [number for number, (_, packet, _) in enumerate(steps) if packet and packet.marker]
    assert 50 <= starts[1] - starts[0] - 9 <= 51
    assert [how for how, _, _ in steps].count(Suppression.NONE) >= 50


@pytest.mark.parametrize(("asked", "units"), [(1, 320), (60, 480), (110, 880), (99_999, 64_000)])
def test_durations_keep_within_the_allowed_ones(asked: int, units: int) -> None:
    assert int.from_bytes(packets_of("1", 500, duration_ms=asked)[-1].payload[2:]) == units


def test_what_is_no_digit_is_refused_as_a_whole() -> None:
    dtmf = DtmfSender()
    with pytest.raises(LocalProtocolError):
        dtmf.send("12x")
    with pytest.raises(LocalProtocolError):
        dtmf.send("1" * (MAXIMUM_QUEUE + 1))
    assert not dtmf.active
    dtmf.send("1" * MAXIMUM_QUEUE)
    dtmf.clear()
    assert not dtmf.active


def received(packets: list[RtpPacket], *, interval: float = 0.02) -> list[tuple[str, int]]:
    receiver = DtmfReceiver()
    digits = []
    now = 0.0
    for packet in packets:
        digits += receiver.receive(packet, now)
        now += interval
    for step in range(30):
        digits += receiver.expire(now + step * 0.02)
    return [(digit.digit, digit.duration) for digit in digits]


@given(st.text(DIGITS, min_size=1, max_size=8), st.data())
def test_each_digit_is_heard_once_whatever_is_lost_or_doubled(digits: str, data: st.DataObject) -> None:
    """§2.5.2: as long as one packet of an event comes, it is one event."""
    events: dict[int, list[RtpPacket]] = {}
    for packet in packets_of(digits):
        events.setdefault(packet.timestamp, []).append(packet)
    arriving: list[RtpPacket] = []
    for packets in events.values():
        kept = data.draw(st.lists(st.sampled_from(range(len(packets))), min_size=1, max_size=10).map(sorted))
        arriving += [packets[index] for index in kept]
    assert "".join(digit for digit, _ in received(arriving)) == digits


def test_the_duration_is_that_of_the_end_or_the_last_seen() -> None:
    packets = packets_of("7")
    assert received(packets) == [("7", 800)]
    assert received(packets[:3]) == [("7", 480)]


def test_late_packets_of_an_earlier_event_are_ignored() -> None:
    packets = packets_of("12")
    first, second = packets[:7], packets[7:]
    assert received([*first[:6], *second[:2], first[6], first[2], *second[2:]]) == [("1", 800), ("2", 800)]


def test_an_event_longer_than_16_bits_goes_on_in_a_new_segment() -> None:
    """§2.5.1.3: the next segment starts where the duration ran full, without a marker."""

    def packet(timestamp: int, duration: int, *, end: bool = False, marker: bool = False) -> RtpPacket:
        payload = bytes([5, 0x8A if end else 0x0A]) + duration.to_bytes(2)
        return RtpPacket(101, 0, timestamp, 1, payload, marker)

    packets = [packet(1000, 160, marker=True), packet(1000, 0xFFFF), packet(66535, 160), packet(66535, 8000, end=True)]
    assert received(packets) == [("5", 0xFFFF + 8000)]


@pytest.mark.parametrize("payload", [b"", b"\x05\x8a\x00", b"\x11\x8a\x03\x20", b"\xff\x8a\x03\x20"])
def test_malformed_and_unknown_events_are_ignored(payload: bytes) -> None:
    assert received([RtpPacket(101, 0, 0, 1, payload)]) == []
