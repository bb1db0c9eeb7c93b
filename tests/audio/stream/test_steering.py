"""When the delay changes: at once where it must, in a pause where it can wait."""

from __future__ import annotations

import pytest

from audio.stream.steering import Steering

BLOCK = 160


def first_wish(left_over: int, excess: int, *, pause_from: int = 1_000_000, ticks: int = 300) -> tuple[int, int]:
    """The first change wanted and the tick (from 1) it is wanted in; (0, 0) if there is none."""
    steering = Steering()
    tick = 0

    def pauses() -> bool:
        return tick >= pause_from

    for tick in range(1, ticks + 1):
        if wanted := steering.wanted(left_over, excess, BLOCK, pauses):
            return wanted, tick
    return 0, 0


def test_a_delay_that_is_right_is_left_alone() -> None:
    for excess in range(0, BLOCK, 10):
        assert first_wish(0, excess, pause_from=1) == (0, 0)


def test_a_packet_that_was_nearly_late_makes_it_longer_at_once() -> None:
    assert first_wish(0, -40) == (BLOCK, 6)


def test_the_margin_is_built_up_again_in_a_pause_only() -> None:
    assert first_wish(0, -20) == (0, 0)
    assert first_wish(100, -20, pause_from=50) == (60, 50)


@pytest.mark.parametrize(("left_over", "excess", "surplus"), [(100, 50, 100), (0, 210, 160), (30, 240, 190)])
def test_a_little_too_long_waits_for_a_pause_and_not_for_ever(left_over: int, excess: int, surplus: int) -> None:
    assert first_wish(left_over, excess, pause_from=50) == (-surplus, 50)
    wanted, tick = first_wish(left_over, excess)
    assert wanted == -surplus
    assert 200 < tick < 220


def test_much_too_long_waits_for_nothing() -> None:
    assert first_wish(0, 400) == (-320, 6)


def test_one_tick_that_needs_the_delay_is_enough_to_keep_it() -> None:
    """Packets that are no block long make the figures swing: the least of six counts."""
    steering = Steering()
    wishes = [steering.wanted(0, 400 if tick % 5 else 60, BLOCK, lambda: True) for tick in range(50)]
    assert not any(wishes)


def test_after_a_change_it_looks_again_before_the_next() -> None:
    steering = Steering()
    changes = []
    for tick in range(1, 31):
        if steering.wanted(0, 500, BLOCK, lambda: True):
            steering.changed()
            changes.append(tick)
    assert changes == [6, 12, 18, 24, 30]
