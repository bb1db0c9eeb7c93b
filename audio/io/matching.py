"""Join a device that runs on its own crystal to a thread that runs on the monotonic clock.

    capture   ring ─▶ resample (+ correction) ─▶ 160 samples a tick
    playout   160 samples a tick ─▶ resample (+ correction) ─▶ ring
                        ▲
              ReserveControl: how much lies in the ring at each tick

The thread never waits for the device. What lies in the ring at the tick is the reserve: too little and sound breaks
up, too much and it comes late. A drift of clocks is met by resampling a little faster or slower, but only outside a
dead zone, so that without drift nothing is bent; a pile (a source that was idle hands over all it had stored) is thrown
away; and each break-up asks for a little more reserve.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples
from audio.stream.resample import Resampler

if TYPE_CHECKING:
    from audio.io.ring import FrameRing

_WINDOW_TICKS = 50
_FIRST_WINDOW_TICKS = 15
_FIRST_MARGIN_MS = 8.0
_MARGIN_MIN_MS = 5.0
_MARGIN_STEP_MIN_MS = 1.0
_MARGIN_STEP_MAX_MS = 10.0
_MARGIN_MAX_MS = 120.0
_MARGIN_DECAY_MS = 0.1  # per window without a break-up
_PILE_MS = 60.0
_SURPLUS_MS = 12.0
_FIRST_SURPLUS_MS = 2.0
_DEAD_ZONE_MS = (-1.0, 5.0)
_PPM_PER_MS = 100.0
_PPM_PER_MS_WINDOW = 2.0
_CORRECTION_MAX_PPM = 500.0


class ReserveControl:
    """Decides how to steer from the reserve (device samples) seen at every tick."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._margin_ms = _FIRST_MARGIN_MS
        self._lowest: int | None = None
        self._ticks_left = _FIRST_WINDOW_TICKS
        self._broke = False
        self._settling = True
        self._drift_ppm = 0.0
        self.correction_ppm = 0.0
        """How much faster than nominal the reserve has to shrink; negative: grow."""

    @property
    def margin(self) -> int:
        """The reserve steered to, in samples: what the lowest point of a second should be."""
        return self._samples(self._margin_ms)

    @property
    def ceiling(self) -> int:
        """A reserve above this is a pile and not jitter."""
        return self._samples(self._margin_ms + _PILE_MS)

    def broke_up(self, missing: int) -> None:
        """So many samples were wanted and not there: from now on keep half as many more."""
        self._broke = True
        step_ms = min(max(missing * 500 / self._rate, _MARGIN_STEP_MIN_MS), _MARGIN_STEP_MAX_MS)
        self._margin_ms = min(self._margin_ms + step_ms, _MARGIN_MAX_MS)

    def observe(self, reserve: int) -> int:
        """Take the reserve of one tick; says how many samples to throw away now, mostly 0."""
        if reserve > self.ceiling:
            self._settling = True
            self._start_window(_FIRST_WINDOW_TICKS)
            return reserve - self.margin
        self._lowest = reserve if self._lowest is None else min(self._lowest, reserve)
        self._ticks_left -= 1
        return self._steer(self._lowest) if self._ticks_left <= 0 else 0

    def _steer(self, lowest: int) -> int:
        """At the end of a window whose lowest reserve was ``lowest``."""
        if not self._broke:
            self._margin_ms = max(self._margin_ms - _MARGIN_DECAY_MS, _MARGIN_MIN_MS)
        self._start_window(_WINDOW_TICKS)
        excess_ms = (lowest - self.margin) * 1000 / self._rate
        # Where sound has only just begun nobody hears a cut; later one has to be worth it.
        surplus_ms = _FIRST_SURPLUS_MS if self._settling else _SURPLUS_MS
        self._settling = False
        if excess_ms > surplus_ms:
            return lowest - self.margin
        outside_ms = excess_ms - min(max(excess_ms, _DEAD_ZONE_MS[0]), _DEAD_ZONE_MS[1])
        self._drift_ppm = _limited(self._drift_ppm + outside_ms * _PPM_PER_MS_WINDOW)
        self.correction_ppm = _limited(self._drift_ppm + outside_ms * _PPM_PER_MS)
        return 0

    def _start_window(self, ticks: int) -> None:
        self._lowest = None
        self._ticks_left = ticks
        self._broke = False

    def _samples(self, milliseconds: float) -> int:
        return round(milliseconds * self._rate / 1000)


def _limited(ppm: float) -> float:
    return min(max(ppm, -_CORRECTION_MAX_PPM), _CORRECTION_MAX_PPM)


class CaptureEnd:
    """The media thread's end of a capture ring: a :class:`~audio.session.Microphone`."""

    def __init__(self, ring: FrameRing, rate: int) -> None:
        self._ring = ring
        self._resampler = Resampler(rate, SAMPLE_RATE)
        self._ratio = rate / SAMPLE_RATE
        self._control = ReserveControl(rate)
        self._pending = np.zeros(0, dtype=np.int16)
        self._primed = False
        self._starved = False
        self.breaks = 0
        """Gaps in the sound since it first flowed."""

        self.drained = 0
        """Samples thrown away because they had piled up."""

    def read(self) -> Samples | None:
        """20 ms, or ``None`` while the device delivers nothing. A gap is bridged with silence just as long."""
        if not self._primed and not self._prime():
            return None
        while (short := FRAME_SAMPLES - len(self._pending)) > 0:
            wanted = max(1, math.ceil(short * self._ratio))
            data = self._ring.read(min(wanted, self._ring.fill) or wanted)
            if data is None:
                return self._bridge(short)
            block = self._resampler.process(np.frombuffer(data, dtype=np.int16))
            self._pending = np.concatenate([self._pending, block])
        self._starved = False
        frame, self._pending = self._pending[:FRAME_SAMPLES].copy(), self._pending[FRAME_SAMPLES:]
        self.drained += self._ring.skip(self._control.observe(self._ring.fill))
        self._resampler.correction_ppm = self._control.correction_ppm
        return frame

    def _bridge(self, short: int) -> Samples | None:
        """The ring is empty with ``short`` samples of the frame missing."""
        if not self._starved:
            # A device that has stopped altogether says nothing about how much reserve a running one needs.
            self._starved = True
            self.breaks += 1
            self._control.broke_up(round(short * self._ratio))
            self._control.observe(0)
        rest, self._pending = self._pending, self._pending[:0]
        return np.pad(rest, (0, short)) if len(rest) else None

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
        self._too_many = 0
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
            missing, self._underruns = self._ring.underruns - self._underruns, self._ring.underruns
            self.breaks += 1
            self._control.broke_up(missing)
        # The reader's end of the ring is not ours to move: a pile shrinks by what is not added to it.
        if not self._too_many:
            self._too_many = self._control.observe(reserve)
        self._resampler.correction_ppm = self._control.correction_ppm
        block = self._resampler.process(frame)
        dropped = min(self._too_many, len(block))
        self._too_many -= dropped
        self.drained += dropped
        self._ring.write(block[dropped:].tobytes())

    def pause(self) -> None:
        """Nothing will be written for a while: silence until then is no break-up."""
        self._underruns = None
        self._too_many = 0

    def close(self) -> None:
        """The stream behind the ring is closed by whoever opened it."""
