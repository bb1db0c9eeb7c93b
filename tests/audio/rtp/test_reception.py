"""Sequence numbers, loss, jitter and round trip: RFC 3550 A.1, A.3, A.8, §6.4.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rtp import ntp
from audio.rtp.reception import MAX_DROPOUT, ReceiverStatistics, round_trip_s
from audio.rtp.rtcp import ReportBlock, SenderInfo


def fed(sequences: list[int], *, start: int | None = None) -> ReceiverStatistics:
    statistics = ReceiverStatistics(1, sequences[0] if start is None else start)
    for number, sequence in enumerate(sequences):
        statistics.update(sequence & 0xFFFF, number * 160, number * 0.02)
    return statistics


def test_a_source_is_valid_after_two_packets_in_sequence() -> None:
    """A.1: MIN_SEQUENTIAL is 2; counting starts with the packet that ends probation."""
    statistics = ReceiverStatistics(1, 10)
    assert not statistics.update(10, 0, 0.0)
    assert not statistics.update(20, 160, 0.02)
    assert not statistics.valid
    assert statistics.update(21, 320, 0.04)
    assert (statistics.received, statistics.expected, statistics.lost) == (1, 1, 0)


@given(st.integers(0, 0xFFFF), st.integers(1, 70000))
def test_the_sequence_wraps_without_loss(start: int, count: int) -> None:
    step = max(1, count // 50)
    statistics = ReceiverStatistics(1, start)
    for sequence in (start, start + 1, *range(start + 2, start + count, min(step, MAX_DROPOUT - 1))):
        statistics.update(sequence & 0xFFFF, 0, 0.0)
    last = max([start + 1, *range(start + 2, start + count, min(step, MAX_DROPOUT - 1))])
    assert statistics.expected == last - start
    assert statistics.extended_maximum & 0xFFFF == last & 0xFFFF


def test_loss_is_expected_less_received() -> None:
    statistics = fed([1, 2, 3, 5, 6, 9])
    assert (statistics.expected, statistics.received, statistics.lost) == (8, 5, 3)


def test_reordered_packets_are_not_lost_and_duplicates_make_loss_negative() -> None:
    assert fed([1, 2, 4, 3, 5]).lost == 0
    assert fed([1, 2, 3, 3, 3]).lost == -2


def test_a_wild_sequence_number_is_ignored_and_two_in_a_row_start_over() -> None:
    """A.1: "Two sequential packets -- assume that the other side restarted without telling us"."""
    statistics = fed([1, 2, 3])
    assert not statistics.update(30000, 0, 0.1)
    assert statistics.extended_maximum == 3
    assert statistics.update(4, 0, 0.12)
    assert not statistics.update(40000, 0, 0.14)
    assert statistics.update(40001, 0, 0.16)
    assert (statistics.extended_maximum, statistics.expected, statistics.lost) == (40001, 1, 0)


def test_the_fraction_lost_is_that_of_the_interval() -> None:
    """A.3, in 1/256."""
    statistics = fed([0, 1, 2, 3, 4])
    assert statistics.report_block(1.0).fraction_lost == 0
    for sequence in (5, 7, 9, 11, 12):
        statistics.update(sequence, 0, 1.0)
    block = statistics.report_block(2.0)
    assert (block.fraction_lost, block.cumulative_lost) == (3 * 256 // 8, 3)
    assert statistics.report_block(3.0).fraction_lost == 0


def test_jitter_is_the_smoothed_difference_of_transit() -> None:
    """A.8: J += (|D| - J) / 16."""
    statistics = ReceiverStatistics(1, 0)
    expected = 0.0
    previous = None
    for number, delay in enumerate([0.0, 0.0, 0.010, 0.0, 0.025, 0.005]):
        counted = statistics.update(number, number * 160, number * 0.02 + delay)
        if counted and previous is not None:
            expected += (abs(delay - previous) * 8000 - expected) / 16
        if counted:
            previous = delay
    assert statistics.jitter == pytest.approx(expected)
    assert statistics.jitter_ms == pytest.approx(expected / 8)


def test_jitter_survives_the_wrap_and_a_jump_of_the_timestamp() -> None:
    statistics = ReceiverStatistics(1, 0)
    start = (1 << 32) - 800
    for number in range(20):
        statistics.update(number, (start + number * 160) % (1 << 32), 5.0 + number * 0.02)
    assert statistics.jitter == pytest.approx(0.0, abs=1e-3)
    for number in range(20, 40):
        statistics.update(number, (1_000_000 + number * 160) % (1 << 32), 5.0 + number * 0.02)
    assert statistics.jitter == pytest.approx(0.0, abs=1e-3)


def test_lsr_and_dlsr_come_from_the_last_sender_report() -> None:
    """§6.4.1: the middle 32 bits of its NTP timestamp, and the delay in 1/65536 s."""
    statistics = fed([1, 2, 3])
    assert statistics.report_block(1.0).last_sr == 0
    statistics.sender_report(SenderInfo(ntp=0x1122334455667788, rtp_timestamp=0, packet_count=0, octet_count=0), 2.0)
    block = statistics.report_block(3.5)
    assert (block.last_sr, block.delay_since_last_sr) == (0x33445566, 98304)


def test_round_trip_of_the_rfc_example() -> None:
    """Figure 2 of §6.4.1: A 0xb710:8000, LSR 0xb705:2000, DLSR 0x0005:4000 give 6.125 s."""
    block = ReportBlock(
        ssrc=1,
        fraction_lost=0,
        cumulative_lost=0,
        highest_sequence=0,
        jitter=0,
        last_sr=0xB7052000,
        delay_since_last_sr=0x00054000,
    )
    assert round_trip_s(block, 0xB710_8000 << 16) == 6.125


@pytest.mark.parametrize(("last_sr", "delay"), [(0, 0), (1, 0), (0xB7108000, 0x10000), (0xB7108000, 0xFFFFFFFF)])
def test_a_round_trip_that_makes_no_sense_is_none(last_sr: int, delay: int) -> None:
    block = ReportBlock(
        ssrc=1,
        fraction_lost=0,
        cumulative_lost=0,
        highest_sequence=0,
        jitter=0,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )
    assert round_trip_s(block, 0xB710_8000 << 16) is None


@given(st.floats(0, 2.08e9))
def test_ntp_keeps_unix_time_to_a_microsecond(unix_s: float) -> None:
    """Era 0 ends in 2036."""
    assert ntp.to_unix(ntp.from_unix(unix_s)) == pytest.approx(unix_s, abs=2e-6)


def test_ntp_epoch_and_limits() -> None:
    assert ntp.from_unix(0.0) == 2_208_988_800 << 32
    assert ntp.middle(ntp.from_unix(0.5)) == (2_208_988_800 & 0xFFFF) << 16 | 0x8000
    assert ntp.units_from_seconds(-1.0) == 0
    assert ntp.units_from_seconds(1e9) == 0xFFFFFFFF
    assert ntp.seconds_between(0x00000001, 0xFFFFFFFF) == 2 / 65536
