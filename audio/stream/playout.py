"""From packets to continuous sound: jitter buffer, decoder, concealment, comfort noise and the steering of the delay.

JitterBuffer ─ Frame ──▶ decode ─▶ blend in ─┐
             ─ Missing ▶ conceal ────────────┼─▶ queue ─▶ shorten / lengthen when the delay is off ─▶ 20 ms blocks
             ─ Silence ▶ comfort noise ──────┘

The jitter buffer counts units of the RTP clock, 8000 a second for wideband too (RFC 3551 §4.5.2); sound has one sample
or two for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from audio.stream import timescale
from audio.stream.jitter import Frame, Item, JitterBuffer, Missing, Silence
from audio.stream.noise import ComfortNoise
from audio.stream.plc import PacketLossConcealer
from audio.stream.resample import convert
from audio.stream.steering import Steering

Samples = NDArray[np.int16]
Decoder = Callable[[int, bytes], Samples]
"""``(payload type, payload)`` to sound at the playout's rate."""

Preview = Callable[[int, bytes], Samples | None]
"""The same for a packet that will be decoded again in its turn; ``None`` where decoding it twice would do harm."""

_UNITS_PER_SECOND = 8000
_FAINT = 0.04  # of the loudness of late: -28 dB
_PAUSE_TICKS = 4  # the closure of a plosive is shorter
_NOTHING: Samples = np.zeros(0, dtype=np.int16)
_LOUDNESS_TICKS = 4
_FORGET_LOUDNESS = 0.988  # each time: to a quarter in ten seconds


class Playout:
    """Serves one stream of sound at ``rate``, a multiple of 8 kHz, in blocks of the caller's size."""

    def __init__(
        self, jitter: JitterBuffer, decode: Decoder, preview: Preview | None = None, *, rate: int = _UNITS_PER_SECOND
    ) -> None:
        self.jitter = jitter
        self.rate = rate
        self._scale = rate // _UNITS_PER_SECOND
        self._decode = decode
        self._preview = preview
        self._shown: bytes | None = None  # the payload concealment was last led over to
        self._plc = PacketLossConcealer(rate)
        self._noise = ComfortNoise()
        self._queue: Samples = _NOTHING
        self._past: Samples = _NOTHING
        self._steering = Steering()
        self._loudness = 0.0
        self._frame_ticks = 0  # ticks that took a frame
        self._asked_tick = 0
        self._faint_ticks = 0
        self._frames = 0  # taken in this tick
        self.played = 0
        """Units handed out while a stream was running."""

        self.concealed = 0
        """Of those, made up in place of missing packets, as far as concealment reaches."""

        self.stretched = 0
        self.shortened = 0
        """Samples added and taken away to steer the delay."""

    def change_rate(self, rate: int) -> None:
        """From the next block on; what is queued is kept, the figures go on."""
        if rate == self.rate:
            return
        self._queue, self._past = convert(self._queue, self.rate, rate), convert(self._past, self.rate, rate)
        self.rate = rate
        self._scale = rate // _UNITS_PER_SECOND
        self._plc = PacketLossConcealer(rate)
        self._steering.forget()

    def delay_s(self, now: float) -> float:
        """From the arrival of the fastest packets to the next block."""
        return self.jitter.delay_s(now, len(self._queue) // self._scale)

    def read(self, now: float, count: int) -> Samples:
        """The next ``count`` samples, due at ``now``. The array must stay as it is."""
        left_over = len(self._queue)
        self._frames = 0
        self._fill(now, count)
        if self._frames:
            self._steer(now, count, left_over)
        block = self._queue
        self._queue = _NOTHING
        if len(block) > count:
            block, self._queue = block[:count], block[count:]
        self._past = block
        return block

    def _fill(self, now: float, count: int) -> None:
        while len(self._queue) < count:
            missing = count - len(self._queue)
            self._take(self.jitter.get(now, -(-missing // self._scale)))

    def _take(self, item: Item) -> None:
        match item:
            case Frame(payload_type=payload_type, payload=payload, skip=skip):
                joined = payload is self._shown and skip == 0
                self._shown = None
                self._frames += 1
                sound = self._plc.good(self._decode(payload_type, payload)[skip * self._scale :], joined=joined)
            case Missing(duration=duration):
                if not self._plc.silent:
                    self.concealed += duration
                sound = self._conceal(item)
            case Silence(duration=duration, noise=noise):
                # Noise is kept out of the concealer's history, except to end a hole: speech is never continued with it.
                sound = self._noise.read(duration * self._scale, noise)
                if self._plc.active:
                    sound = self._plc.good(sound)
            case _:
                assert_never(item)
        self.played += len(sound) // self._scale
        self._queue = sound if len(self._queue) == 0 else np.concatenate([self._queue, sound])

    def _conceal(self, hole: Missing) -> Samples:
        """Made-up sound, led over to what follows the hole where that is here already."""
        count = hole.duration * self._scale
        sounds = self._previews(hole.following) if hole.distance >= hole.duration else []
        if not sounds:
            return self._plc.conceal(count)
        payload = hole.following[0].payload
        if self._shown is not None and payload is not self._shown:
            self._plc.turn()
        self._shown = payload
        following = sounds[0] if len(sounds) == 1 else np.concatenate(sounds)
        return self._plc.conceal(count, following, hole.distance * self._scale)

    def _previews(self, frames: tuple[Frame, ...]) -> list[Samples]:
        sounds: list[Samples] = []
        for frame in frames:
            sound = self._preview(frame.payload_type, frame.payload) if self._preview else None
            if sound is None:
                break
            sounds.append(sound)
        return sounds

    def _steer(self, now: float, count: int, left_over: int) -> None:
        """Work off a delay that is too long or too short, where sound is there to be worked on."""
        if self.jitter.quiet or self._plc.active:
            self._steering.forget()
            return
        self._frame_ticks += 1
        if self._frame_ticks % _LOUDNESS_TICKS == 0:
            block = self._queue.astype(np.float32)
            rms = math.sqrt(float(block.dot(block)) / len(block))
            self._loudness = max(rms, self._loudness * _FORGET_LOUDNESS)
        scale = self._scale
        wanted = scale * self._steering.wanted(left_over // scale, self.jitter.excess, count // scale, self._pauses)
        if wanted == 0:
            return
        if self._lengthen(wanted) if wanted > 0 else self._shorten(now, count, -wanted):
            self._steering.changed()

    @property
    def _faint_rms(self) -> float:
        """What is not heard beside the speech of late."""
        return max(timescale.FAINT_RMS, self._loudness * _FAINT)

    def _pauses(self) -> bool:
        """Whether this tick and those before it, for which it was asked too, are a pause."""
        if self._asked_tick != self._frame_ticks - 1:
            self._faint_ticks = 0
        self._asked_tick = self._frame_ticks
        faint = timescale.is_faint(self._queue, self._faint_rms) and timescale.is_faint(self._past, self._faint_rms)
        self._faint_ticks = self._faint_ticks + 1 if faint else 0
        return self._faint_ticks >= _PAUSE_TICKS

    def _shorten(self, now: float, count: int, surplus: int) -> bool:
        known, queue = self._past, self._queue
        both = np.concatenate([known, queue])
        shorter = timescale.shorten(both, surplus, fixed=len(known), faint_rms=self._faint_rms, scale=self._scale)
        if shorter is None:
            return False
        self.shortened += len(known) + len(queue) - len(shorter)
        self._queue = shorter[len(known) :]
        self._fill(now, count)
        return True

    def _lengthen(self, wanted: int) -> bool:
        # The block before gives the period search something to compare with; only the queue is changed.
        known = len(self._past)
        both = np.concatenate([self._past, self._queue])
        longer = timescale.lengthen(both, wanted, faint_rms=self._faint_rms, scale=self._scale)
        if longer is None:
            return False
        self.stretched += len(longer) - len(both)
        self._queue = longer[known:]
        return True
