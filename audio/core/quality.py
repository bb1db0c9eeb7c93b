"""Fractions over the last ten seconds, from counters that only grow, and the quality estimate drawn from them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from audio.stream.mos import mos

WINDOW_S = 10
_FIXED_DELAY_MS = 60.0
"""Packet time, coding and both sound devices: what no counter here sees."""


@dataclass(frozen=True, slots=True)
class Counters:
    """A reading: packets expected, lost and late; samples played and concealed."""

    expected: int = 0
    lost: int = 0
    late: int = 0
    played: int = 0
    concealed: int = 0


class QualityWindow:
    """Takes a reading every second and answers for the time since the oldest kept."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, Counters]] = deque([(float("-inf"), Counters())], maxlen=WINDOW_S + 1)

    @property
    def due(self) -> float:
        """When the next reading is wanted."""
        return self._readings[-1][0] + 1.0

    def add(self, now: float, counters: Counters) -> None:
        """Keep a reading."""
        self._readings.append((now, counters))

    def loss(self, now: Counters) -> float:
        """Fraction of packets that never came."""
        before = self._readings[0][1]
        return _fraction(now.lost - before.lost, now.expected - before.expected)

    def concealed(self, now: Counters) -> float:
        """Fraction of the sound that was made up."""
        before = self._readings[0][1]
        return _fraction(now.concealed - before.concealed, now.played - before.played)

    def mos(self, now: Counters, *, buffer_ms: float, rtt_ms: float | None) -> float:
        """G.107 estimate; a packet that came too late counts as lost."""
        before = self._readings[0][1]
        missed = now.lost + now.late - before.lost - before.late
        delay_ms = _FIXED_DELAY_MS + buffer_ms + (rtt_ms or 0.0) / 2
        return mos(delay_ms=delay_ms, loss=_fraction(missed, now.expected - before.expected))


def _fraction(part: int, whole: int) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 0.0
