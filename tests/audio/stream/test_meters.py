"""Level meter and E-model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.stream.level import FLOOR_DBFS, LevelMeter
from audio.stream.mos import from_r, mos


def test_levels_of_known_signals() -> None:
    meter = LevelMeter()
    assert meter.rms_dbfs == FLOOR_DBFS
    square = np.where(np.arange(160) % 20 < 10, 32767, -32767).astype(np.int16)
    for _ in range(200):
        meter.add(square)
    assert meter.rms_dbfs == pytest.approx(0.0, abs=0.01)
    sine = (16384 * np.sin(2 * np.pi * np.arange(160) / 16)).astype(np.int16)
    for _ in range(200):
        meter.add(sine)
    assert meter.rms_dbfs == pytest.approx(-9.03, abs=0.1)


def test_the_meter_falls_in_its_own_time() -> None:
    meter = LevelMeter()
    for _ in range(100):
        meter.add(np.full(160, 10_000, dtype=np.int16))
    before = meter.rms_dbfs
    for _ in range(15):
        meter.add(np.zeros(160, dtype=np.int16))
    assert before - meter.rms_dbfs == pytest.approx(4.34, abs=0.1)  # one time constant
    before = meter.rms_dbfs
    meter.add(np.zeros(0, dtype=np.int16))
    assert meter.rms_dbfs == before


@given(st.lists(st.tuples(st.sampled_from([0, 80, 160, 320]), st.integers(0, 32767)), max_size=60))
def test_blocks_metered_together_count_as_if_one_by_one(blocks: list[tuple[int, int]]) -> None:
    """Of any lengths, none included, as after a change of the rate."""
    together, singly = LevelMeter(), LevelMeter()
    for size, level in blocks:
        block = np.full(size, level, dtype=np.int16)
        together.add(block)
        singly.add(block)
        assert singly.rms_dbfs >= FLOOR_DBFS
    assert together.rms_dbfs == pytest.approx(singly.rms_dbfs, abs=0.01)


def test_mos_of_a_perfect_line_and_the_ends_of_the_scale() -> None:
    """G.107: R 93.2 is MOS 4.41; annex B clamps at 1 and 4.5."""
    assert mos(delay_ms=0, loss=0.0) == pytest.approx(4.41, abs=0.005)
    assert from_r(-1) == 1.0
    assert from_r(101) == 4.5
    assert from_r(50) == pytest.approx(2.575)
    assert mos(delay_ms=2000, loss=1.0) == 1.0


def test_mos_at_known_impairments() -> None:
    """G.113 appendix I: Bpl 25.1 with concealment, 4.3 without; G.107: delay hurts more beyond 177.3 ms."""
    assert mos(delay_ms=100, loss=0.01) == pytest.approx(from_r(93.2 - 2.4 - 95 / 26.1))
    assert mos(delay_ms=277.3, loss=0.0) == pytest.approx(from_r(93.2 - 0.024 * 277.3 - 11.0))
    assert mos(delay_ms=100, loss=0.03, concealed=False) < mos(delay_ms=100, loss=0.03) - 0.5
    assert mos(delay_ms=100, loss=0.03, burst_ratio=2.0) < mos(delay_ms=100, loss=0.03)


@given(st.floats(0, 1000), st.floats(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_more_delay_or_loss_never_sounds_better(delay: float, more_delay: float, loss: float, more_loss: float) -> None:
    here = mos(delay_ms=delay, loss=loss)
    assert 1.0 <= here <= 4.5
    assert mos(delay_ms=delay + more_delay, loss=loss) <= here + 1e-9
    assert mos(delay_ms=delay, loss=min(loss + more_loss, 1.0)) <= here + 1e-9
