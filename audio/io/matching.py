"""Join a device that runs on its own crystal to a thread that runs on the monotonic clock.

    capture   ring ─▶ resample (+ correction) ─▶ 160 samples a tick
    playout   160 samples a tick ─▶ resample (+ correction) ─▶ ring
                        ▲
              ReserveControl: how much lies in the ring at each tick

The thread never waits for the device. What lies in the ring at the tick is the reserve: too little and sound breaks up,
too much and it comes late. A slow drift is met by resampling a few hundred ppm faster or slower, a pile (a source that was
idle hands over all it had stored) is thrown away at once, and each break-up asks for a little more reserve.
"""

from __future__ import annotations

import math

import numpy as np

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples
from audio.io.ring import FrameRing
from audio.stream.resample import Resampler

_TICKS_PER_SECOND = 50
_WINDOW_TICKS = 50
_FIRST_MARGIN_MS = 5.0
_MARGIN_STEP_MS = 2.5
_MARGIN_MAX_MS = 120.0
_MARGIN_DECAY_MS = 0.1  # per window without a break-up
_PILE_MS = 60.0
_CORRECTION_S = 5.0
_CORRECTION_MAX_PPM = 4000.0


class ReserveControl:
    """Decides how to steer from the reserve (device samples) seen at every tick."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._margin_ms = _FIRST_MARGIN_MS
        self._lowest: int | None = None
        self._ticks = 0
        self._broke = False
        self.surplus_ppm = 0.0
        """How much faster than nominal the reserve has to shrink; negative: grow."""

    @property
    def margin(self) -> int:
        """The reserve steered to, in samples: what the lowest point of the last second should be."""
        return self._samples(self._margin_ms)

    @property
    def ceiling(self) -> int:
        """A reserve above this is a pile and not jitter."""
        return self._samples(self._margin_ms + _PILE_MS)

    def broke_up(self) -> None:
        """Sound was missing at this tick."""
        self._broke = True
        self._margin_ms = min(self._margin_ms + _MARGIN_STEP_MS, _MARGIN_MAX_MS)

    def observe(self, reserve: int) -> int:
        """Take the reserve of one tick; says how many samples to throw away now: 0, or all above the margin."""
        if reserve > self.ceiling:
            self._start_window()
            return reserve - self.margin
        self._lowest = reserve if self._lowest is None else min(self._lowest, reserve)
        self._ticks += 1
        if self._ticks >= _WINDOW_TICKS:
            self._steer(self._lowest)
        return 0

    def _steer(self, lowest: int) -> None:
        excess_s = (lowest - self.margin) / self._rate
        ppm = excess_s / _CORRECTION_S * 1e6
        self.surplus_ppm = min(max(ppm, -_CORRECTION_MAX_PPM), _CORRECTION_MAX_PPM)
        if not self._broke:
            self._margin_ms = max(self._margin_ms - _MARGIN_DECAY_MS, _FIRST_MARGIN_MS)
        self._start_window()

    def _start_window(self) -> None:
        self._lowest = None
        self._ticks = 0
        self._broke = False

    def _samples(self, milliseconds: float) -> int:
        return round(milliseconds * self._rate / 1000)


class CaptureEnd:
    """The media thread's end of a capture ring: a :class:`~audio.session.Microphone`."""

    def __init__(self, ring: FrameRing, rate: int) -> None:
        self._ring = ring
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._ratio = rate / SAMPLE_RATE
        self._control = ReserveControl(rate)
        self._pending = np.zeros(0, dtype=np.int16)
        self._primed = False
        self.breaks = 0
        """Ticks without sound since it first flowed."""

        self.drained = 0
        """Samples thrown away because they had piled up."""

    def read(self) -> Samples | None:
        """20 ms, or ``None`` while the device has not delivered that much."""
        if not self._primed and not self._prime():
            return None
        while len(self._pending) < FRAME_SAMPLES:
            missing = FRAME_SAMPLES - len(self._pending)
            data = self._ring.read(max(1, math.ceil(missing * self._ratio)))
            if data is None:
                self.breaks += 1
                self._control.broke_up()
                self._control.observe(0)
                return None
            block = self._resampler.process(np.frombuffer(data, dtype=np.int16))
            self._pending = np.concatenate([self._pending, block])
        frame, self._pending = self._pending[:FRAME_SAMPLES].copy(), self._pending[FRAME_SAMPLES:]
        self.drained += self._ring.skip(self._control.observe(self._ring.fill))
        self._resampler.correction_ppm = self._control.surplus_ppm
        return frame

    def pause(self) -> None:
        """Start afresh at the next read."""
        self._primed = False
        self._pending = self._pending[:0]

    def _prime(self) -> bool:
        """What was stored before the call is nobody's to hear: start with one frame and the margin."""
        wanted = round(FRAME_SAMPLES * self._ratio) + self._control.margin
        surplus = self._ring.fill - wanted
        if surplus < 0:
            return False
        self.drained += self._ring.skip(surplus)
        self._primed = True
        return True


class PlayoutEnd:
    """The media thread's end of a playout ring: a :class:`~audio.session.Speaker`."""

    def __init__(self, ring: FrameRing, rate: int) -> None:
        self._ring = ring
        self._resampler = Resampler(SAMPLE_RATE, rate)
        self._control = ReserveControl(rate)
        self._underruns: int | None = None
        self.breaks = 0
        """Ticks since whose last one the device found too little sound."""

        self.drained = 0
        """Samples not played because too many were waiting."""

    def write(self, frame: Samples) -> None:
        """Queue 20 ms for the device."""
        reserve = self._ring.fill
        if self._underruns is None:
            # Until now the device was fed silence by its own callback; sound starts with the margin in front of it.
            self._underruns = self._ring.underruns
            self._ring.write(bytes(2 * max(0, self._control.margin - reserve)))
            reserve = self._control.margin
        elif self._ring.underruns != self._underruns:
            self._underruns = self._ring.underruns
            self.breaks += 1
            self._control.broke_up()
        surplus = self._control.observe(reserve)
        # The reader's end of the ring is not ours to move: a pile shrinks by what is not added to it.
        self._resampler.correction_ppm = self._control.surplus_ppm
        block = self._resampler.process(frame)
        if surplus:
            self.drained += len(block)
            return
        self._ring.write(block.tobytes())

    def pause(self) -> None:
        """Nothing will be written for a while: silence until then is no break-up."""
        self._underruns = None

    def close(self) -> None:
        """The stream behind the ring is closed by whoever opened it."""
