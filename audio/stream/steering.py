"""When the playout delay is to change, and by how much: in a pause if one comes, in the midst of speech if it must.

    too short ──────────▶ longer, at once; a little before that in a pause
    too long, by much ──▶ shorter, at once
    too long, a little ─▶ shorter in the next pause, or when none has come for a while

A packet is taken at a tick or at the next one, so the delay follows a clock that drifts in blocks; what a block is more
than was needed is worked off, or built up, in pieces. Samples are those of 8 kHz, which the RTP clock counts too.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from audio.stream.timescale import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable

_SLACK = 40
"""Samples a packet stays in hand when a block is saved, so that the delay does not swing to and fro."""

_MARGIN = 32
"""Samples a frame may be taken too early: the jitter buffer's own margin is not worth a change that might be heard."""

_OBSERVED_TICKS = 6
"""Ticks with a frame looked at before, and so at least between, two changes of length."""

_PATIENCE_TICKS = 200
"""Ticks a pause is waited for."""

_SHORTEST_VOICED = 60
"""Samples a voiced piece is lengthened by at least: shorter periods than that are rarely found."""


class Steering:
    """Told the state of every tick that takes a frame; says what to change."""

    def __init__(self) -> None:
        self._left_over: deque[int] = deque(maxlen=_OBSERVED_TICKS)
        self._excess: deque[int] = deque(maxlen=_OBSERVED_TICKS)
        self._waited = 0

    def forget(self) -> None:
        """Something else changed the delay, or is about to."""
        self._left_over.clear()
        self._excess.clear()

    def changed(self) -> None:
        """What was asked for has been done."""
        self.forget()
        self._waited = 0

    def wanted(self, left_over: int, excess: int, count: int, pauses: Callable[[], bool]) -> int:
        """Samples to add (positive) or take away (negative), at most so many at once, or 0. For ticks with a frame.

        ``left_over`` were in the queue before the tick: delay without use. By ``excess`` the frame was taken later
        than it had to be; beyond ``left_over`` only blocks of ``count`` can be saved. Packets that are no block long
        make both swing, so the least of some ticks counts. Where sound ``pauses`` a change is not heard; that is asked
        where it decides.
        """
        self._left_over.append(left_over)
        self._excess.append(excess)
        if len(self._excess) < _OBSERVED_TICKS:
            return 0
        left_over, excess = min(self._left_over), min(self._excess)
        if excess < 0:
            pause = pauses()
            if pause or excess < -_MARGIN:
                return max(count - left_over, SHORTEST if pause else _SHORTEST_VOICED)
        surplus = left_over
        if excess >= count + _SLACK:
            surplus += excess // count * count
        elif excess < _SLACK:
            surplus = 0
        if surplus < SHORTEST:
            self._waited = 0
            return 0
        self._waited += 1
        if pauses() or excess >= 2 * count + _SLACK or self._waited > _PATIENCE_TICKS:
            return -surplus
        return 0
