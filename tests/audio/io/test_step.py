"""When to tick, by when packets come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio.io.step import shift_s
from audio.io.thread import TICK_S

TIMES = st.floats(0.0, 1e6)


@given(TIMES, TIMES)
def test_ticks_come_soon_after_packets_and_move_as_little_as_that_takes(next_tick: float, arrival: float) -> None:
    shift = shift_s(next_tick, arrival, TICK_S)
    assert abs(shift) <= TICK_S / 2 + 1e-9
    phase = (next_tick + shift - arrival) % TICK_S
    assert abs(phase - 0.006) < 1e-6


def test_ticks_that_are_in_step_stay() -> None:
    assert abs(shift_s(100.006, 99.98, TICK_S)) < 1e-9
