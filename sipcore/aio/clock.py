"""The clock of the SIP core: it goes on while the machine sleeps, and it tells that the machine slept.

CLOCK_BOOTTIME ─────────────────▶ now
      minus CLOCK_MONOTONIC ────▶ grows by the length of each sleep
"""

from __future__ import annotations

import time
from typing import Protocol

_LEAST_SLEEP_S = 1.0


class Clock(Protocol):
    """Two readings of the same seconds."""

    def boot_time(self) -> float:
        """Seconds since boot, sleep included."""
        ...

    def awake_time(self) -> float:
        """Seconds since boot, sleep not included; the event loop's timers run on it."""
        ...


class SystemClock:
    """The machine's clocks. Where the system has no boot time (macOS, Windows), sleep cannot be told apart."""

    def boot_time(self) -> float:
        """Seconds since boot, sleep included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def awake_time(self) -> float:
        """Seconds since boot, sleep not included."""
        return time.monotonic()


class SleepDetector:
    """Reads a clock and notices when it jumped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._drift = clock.boot_time() - clock.awake_time()

    def read(self) -> tuple[float, float]:
        """Now, and for how long the machine slept since the last reading (0.0: not at all)."""
        now = self._clock.boot_time()
        drift = now - self._clock.awake_time()
        slept, self._drift = drift - self._drift, drift
        return now, slept if slept >= _LEAST_SLEEP_S else 0.0
