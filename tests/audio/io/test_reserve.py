"""The reserve between thread and device: what is steered, and what is cut."""

from __future__ import annotations

import pytest

from audio.io.reserve import ReserveControl

RATE = 48000
BLOCK = 480


@pytest.mark.parametrize("phase_ms", [0.0, 2.5, 5.0, 9.9])
def test_without_drift_nothing_is_bent(phase_ms: float) -> None:
    """A steady device leaves the resampler at its plain ratio, whatever the phase of its blocks."""
    control = ReserveControl(RATE)
    reserve = control.wanted + RATE * 0.009
    for _ in range(2000):
        reserve -= control.observe(round(reserve + phase_ms / 1000 * RATE), reserve)
        assert abs(control.correction_ppm) < 50.0
    assert abs(reserve - control.wanted) < RATE * 0.003


def test_reserve_grows_with_break_ups_and_only_so_far() -> None:
    control = ReserveControl(RATE)
    margins = []
    for _ in range(100):
        control.broke_up(BLOCK)
        margins.append(control.wanted)
    assert margins == sorted(margins)
    assert margins[-1] == RATE * 120 // 1000


@pytest.mark.parametrize("again", [True, False])
def test_sound_that_begins_again_is_cut_to_measure_at_once(again: bool) -> None:
    """In the midst of a call ten milliseconds too many are not worth a cut; a new call does not inherit them."""
    control = ReserveControl(RATE)
    for _ in range(500):
        assert control.observe(control.wanted, float(control.wanted)) == 0
    if again:
        control.begin()
    late = control.wanted + RATE * 0.010
    cuts = [cut for _ in range(50) if (cut := control.observe(control.wanted, late))]
    assert [cut / RATE for cut in cuts[:1]] == ([pytest.approx(0.010, abs=0.001)] if again else [])
