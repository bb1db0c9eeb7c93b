"""The timer values of RFC 3261 Table 4 and RFC 6026, and the queue that keeps deadlines.

    set(key, at) ──▶ heap ──▶ due(now) ──▶ the keys whose time has come, oldest first

A deadline is a moment on the clock the caller owns; setting a key again replaces its deadline.
"""

import heapq
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

T1 = 0.5
"""Round-trip estimate, in seconds."""

T2 = 4.0
"""Longest gap between two retransmissions of a non-INVITE request or an INVITE response."""

T4 = 5.0
"""Longest time a message stays in the network."""

TIMEOUT = 64 * T1
"""Timers B, F, H, J, L and M."""

TIMER_D_UNRELIABLE = 32.0
"""§17.1.1.2: "at least 32 seconds for unreliable transports"; zero for reliable ones."""

TRYING_DELAY = 0.2
"""§17.2.1: a 100 is due "unless it knows that the TU will generate a provisional or final response within 200 ms"."""

_K = TypeVar("_K", bound=Hashable)


class TimerQueue(Generic[_K]):
    """Deadlines by key; a cancelled or replaced one costs nothing until it is swept past."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _K]] = []
        self._current: dict[_K, tuple[float, int]] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: _K, at: float) -> None:
        """Let ``key`` be due at ``at``, whatever it was before."""
        self._order += 1
        self._current[key] = (at, self._order)
        heapq.heappush(self._heap, (at, self._order, key))

    def cancel(self, key: _K) -> None:
        """Forget ``key``, if it is there."""
        self._current.pop(key, None)

    def is_set(self, key: _K) -> bool:
        """Whether ``key`` has a deadline."""
        return key in self._current

    def deadline(self, key: _K) -> float | None:
        """When ``key`` is due, or None."""
        entry = self._current.get(key)
        return None if entry is None else entry[0]

    def next(self) -> float | None:
        """The earliest deadline, or None."""
        self._sweep()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[_K]:
        """Take out and yield each key due at ``now``, including ones set while iterating."""
        while True:
            self._sweep()
            if not self._heap or self._heap[0][0] > now:
                return
            _, _, key = heapq.heappop(self._heap)
            del self._current[key]
            yield key

    def shift(self, gap_s: float, keep: Callable[[_K], bool] = lambda _: False) -> None:
        """Put every deadline off by ``gap_s``, the length of a sleep, but those of keys that ``keep`` theirs."""
        self._current = {key: (at if keep(key) else at + gap_s, order) for key, (at, order) in self._current.items()}
        self._heap = [(at, order, key) for key, (at, order) in self._current.items()]
        heapq.heapify(self._heap)

    def _sweep(self) -> None:
        while self._heap:
            at, order, key = self._heap[0]
            if self._current.get(key) == (at, order):
                return
            heapq.heappop(self._heap)
