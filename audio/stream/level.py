"""Level meter: RMS in dBFS, 0 dBFS being a full-scale square wave."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR_DBFS = -96.0
_FULL_SCALE = 32768.0
_AT_ONCE = 25
"""Blocks that wait to be metered together: it is looked at twice a second, and one by one they cost more."""


class LevelMeter:
    """Smooths over ``window_s`` seconds: rises and falls as an exponential mean of the power does."""

    def __init__(self, sample_rate: int = 8000, window_s: float = 0.3) -> None:
        self.sample_rate = sample_rate
        self._window_s = window_s
        self._power = 0.0
        self._waiting: list[NDArray[np.int16]] = []
        self._size = 0  # of those that wait

    def add(self, samples: NDArray[np.int16]) -> None:
        """Meter a block, which must stay as it is."""
        if len(samples) != self._size:
            self._meter()
            self._size = len(samples)
        self._waiting.append(samples)
        if len(self._waiting) >= _AT_ONCE:
            self._meter()

    def _meter(self) -> None:
        count, size = len(self._waiting), self._size
        if count and size:
            blocks = np.concatenate(self._waiting).astype(np.float32).reshape(count, size)
            kept = math.exp(-size / self.sample_rate / self._window_s)
            for power in (np.einsum("ij,ij->i", blocks, blocks) / size).tolist():
                self._power = power + (self._power - power) * kept
        self._waiting.clear()

    @property
    def rms_dbfs(self) -> float:
        """RMS level, -96 at least."""
        self._meter()
        return decibels(math.sqrt(self._power))


def decibels(amplitude: float) -> float:
    """dBFS of a 16-bit amplitude, -96 at least."""
    if amplitude <= 0.0:
        return FLOOR_DBFS
    return max(20.0 * math.log10(amplitude / _FULL_SCALE), FLOOR_DBFS)
