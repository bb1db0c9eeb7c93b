"""From packets to continuous sound: jitter buffer, decoder, concealment, comfort noise and the steering of the delay.

JitterBuffer ─ Frame ──▶ decode ─▶ blend in ─┐
             ─ Missing ▶ conceal ────────────┼─▶ queue ─▶ shorten / lengthen when the delay is off ─▶ 20 ms blocks
             ─ Silence ▶ comfort noise ──────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from audio.stream import timescale
from audio.stream.jitter import Frame, Item, JitterBuffer, Missing, Silence
from audio.stream.noise import ComfortNoise
from audio.stream.plc import PacketLossConcealer

Samples = NDArray[np.int16]
Decoder = Callable[[int, bytes], Samples]
"""``(payload type, payload)`` to 8 kHz sound."""

_SLACK = 40
"""Samples a packet stays in hand when a block is saved, so that the delay does not swing to and fro."""

_OBSERVED_TICKS = 6
"""Ticks looked at before, and so at least between, two changes of length."""


class Playout:
    """Serves one stream of 8 kHz sound in blocks of the caller's size."""

    def __init__(self, jitter: JitterBuffer, decode: Decoder) -> None:
        self.jitter = jitter
        self._decode = decode
        self._plc = PacketLossConcealer()
        self._noise = ComfortNoise()
        self._queue: Samples = np.zeros(0, dtype=np.int16)
        self._past: Samples = np.zeros(0, dtype=np.int16)
        self._recent: deque[tuple[int, int]] = deque(maxlen=_OBSERVED_TICKS)
        self.played = 0
        """Samples handed out while a stream was running."""

        self.concealed = 0
        """Of those, made up in place of missing packets, as far as concealment reaches."""

        self.stretched = 0
        self.shortened = 0
        """Samples added and taken away to steer the delay."""

    def delay_s(self, now: float) -> float:
        """From the arrival of the fastest packets to the next block."""
        return self.jitter.delay_s(now, len(self._queue))

    def read(self, now: float, count: int) -> Samples:
        """The next ``count`` samples, due at ``now``. The array is the caller's."""
        left_over = len(self._queue)
        self._fill(now, count)
        self._steer(now, count, left_over)
        block, self._queue = self._queue[:count], self._queue[count:]
        self._past = block
        return block.copy()

    def _fill(self, now: float, count: int) -> None:
        while len(self._queue) < count:
            missing = count - len(self._queue)
            self._take(self.jitter.get(now, missing))

    def _take(self, item: Item) -> None:
        match item:
            case Frame(payload_type=payload_type, payload=payload, skip=skip):
                sound = self._plc.good(self._decode(payload_type, payload)[skip:])
            case Missing(duration=duration):
                if not self._plc.silent:
                    self.concealed += duration
                sound = self._plc.conceal(duration)
            case Silence(duration=duration, noise=noise):
                # Noise is kept out of the concealer's history, except to end a hole: speech is never continued with it.
                sound = self._noise.read(duration, noise)
                if self._plc.active:
                    sound = self._plc.good(sound)
            case _:
                assert_never(item)
        self.played += len(sound)
        self._queue = sound if len(self._queue) == 0 else np.concatenate([self._queue, sound])

    def _steer(self, now: float, count: int, left_over: int) -> None:
        """Work off a delay that is too long or too short, where sound is there to be worked on.

        What is always left over in the queue is delay without use; beyond it whole blocks can be saved. Packets that
        are no block long make both swing, so the least of some ticks counts.
        """
        if self.jitter.quiet or self._plc.active:
            self._recent.clear()
            return
        self._recent.append((left_over, self.jitter.excess))
        if len(self._recent) < _OBSERVED_TICKS:
            return
        left_over = min(item[0] for item in self._recent)
        excess = min(item[1] for item in self._recent)
        if excess < 0:
            changed = self._lengthen()
        elif excess >= count + _SLACK:
            changed = self._shorten(now, count, left_over + excess // count * count)
        elif excess >= _SLACK:
            changed = self._shorten(now, count, left_over)
        else:
            return
        if changed is not None:
            self._queue = changed
            self._recent.clear()

    def _shorten(self, now: float, count: int, surplus: int) -> Samples | None:
        if surplus < timescale.SHORTEST:
            return None
        known, queue = self._past, self._queue
        shorter = timescale.shorten(np.concatenate([known, queue]), surplus, fixed=len(known))
        if shorter is None:
            return None
        self.shortened += len(known) + len(queue) - len(shorter)
        self._queue = shorter[len(known) :]
        self._fill(now, count)
        return self._queue

    def _lengthen(self) -> Samples | None:
        # The block before gives the period search something to compare with; only the queue is changed.
        known = len(self._past)
        both = np.concatenate([self._past, self._queue])
        longer = timescale.lengthen(both, timescale.LONGEST)
        if longer is None:
            return None
        self.stretched += len(longer) - len(both)
        return longer[known:]
