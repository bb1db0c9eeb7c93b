"""RTCP timing, RFC 3550 §6.2, §6.3 and A.7."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from audio.rtp.schedule import RtcpSchedule
from sipcore.ids import IdSource


def report_times(seed: int, reports: int, size: int = 100) -> list[float]:
    schedule = RtcpSchedule(IdSource(random.Random(seed)), now=0.0)
    times: list[float] = []
    now = 0.0
    while len(times) < reports:
        now = max(schedule.due, now)
        if schedule.expired(now):
            schedule.sent(size, now)
            times.append(now)
    return times


@given(st.integers(0, 10_000))
def test_intervals_keep_within_half_to_one_and_a_half_of_the_minimum(seed: int) -> None:
    """§6.2: 5 s at least before randomisation, half of it before the first report; §6.3.1: [0.5, 1.5] / 1.21828."""
    times = report_times(seed, 6)
    assert 1.25 / 1.21828 <= times[0] <= 3.75 / 1.21828
    for earlier, later in itertools.pairwise(times):
        assert 2.5 / 1.21828 <= later - earlier <= 7.5 / 1.21828 + 1e-9


def test_reconsideration_leaves_an_average_of_about_five_seconds() -> None:
    """§6.3.1: the division by e - 3/2 compensates for reconsideration, so the mean is the intended one."""
    times = report_times(1, 2000)
    mean = (times[-1] - times[0]) / (len(times) - 1)
    assert 4.7 < mean < 5.3


def test_nothing_is_sent_before_it_is_due() -> None:
    schedule = RtcpSchedule(IdSource(random.Random(1)), now=100.0)
    assert schedule.due > 101.0
    assert not schedule.expired(schedule.due - 0.001)


def test_large_reports_on_a_narrow_session_come_less_often() -> None:
    """§6.2: RTCP keeps to 5 % of the session bandwidth."""
    schedule = RtcpSchedule(IdSource(random.Random(1)), now=0.0, session_bandwidth=2_000)
    for _ in range(40):
        schedule.received(400)
    schedule.sent(400, 0.0)
    assert schedule.due > 20
