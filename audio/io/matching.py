"""Join a device that runs on its own crystal to a thread that runs on the monotonic clock.

    capture   ring ─▶ resample (+ correction) ─▶ 20 ms a tick, at the call's rate
    playout   20 ms a tick, at any rate ─▶ resample (+ correction) ─▶ ring
                        ▲
              ReserveControl: how much lies between thread and device at each tick

The thread never waits for the device. What lies ready at the tick is the reserve: too little and sound breaks up,
too much and it comes late. A ring only tells whole blocks; with the time since the last callback the reserve becomes
a smooth figure, whose drift is met by resampling a few ppm faster or slower. A pile (a source that was idle hands
over all it had stored) is thrown away, and each break-up asks for a little more reserve.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from audio.core import FRAME_MS, SAMPLE_RATE, Samples, frame_rate, frame_samples
from audio.io.reserve import FIRST_MARGIN_MS, ReserveControl
from audio.stream.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.ring import FrameRing

_STALLED_S = 0.050
_BLOCK_MS = 10.0
_TICK_S = FRAME_MS / 1000
_NOTHING: Samples = np.zeros(0, dtype=np.int16)


class CaptureSource(Protocol):
    """Where a :class:`CaptureEnd` takes sound from."""

    @property
    def ring(self) -> FrameRing:
        """What has come."""
        ...

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def piece_ms(self) -> float:
        """How much comes at once, at most."""
        ...

    @property
    def first_margin_ms(self) -> float:
        """The reserve to begin with, beyond a piece."""
        ...

    def pump(self) -> None:
        """Put what has come in the ring, if nobody else does; never waits."""
        ...

    def begin(self) -> None:
        """Nothing has been read for a while, and now will be."""
        ...

    def reserve(self) -> float | None:
        """What was spoken and not yet read, just after a read; ``None`` where that is not known now."""
        ...


class PlayoutTarget(Protocol):
    """Where a :class:`PlayoutEnd` puts sound."""

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def piece_ms(self) -> float:
        """How much of the reserve the device takes out at once before it is due, at most."""
        ...

    @property
    def first_margin_ms(self) -> float:
        """The reserve to begin with, beyond a piece."""
        ...

    @property
    def fill(self) -> int:
        """Samples waiting to be played."""
        ...

    @property
    def underruns(self) -> int:
        """Samples ever wanted and not there."""
        ...

    def begin(self) -> None:
        """Nothing has been written for a while, and now will be."""
        ...

    def write(self, samples: bytes) -> object:
        """Append; never waits."""
        ...

    def flush(self) -> bool:
        """Throw away all that waits to be played; false where only the device can."""
        ...

    def pump(self) -> None:
        """Learn how far the device is, if nobody else does; never waits."""
        ...

    def reserve(self) -> float | None:
        """What is waiting, just before a write; ``None`` where that is not known now."""
        ...


class CallbackCapture:
    """A ring that a device's callback fills. ``since_callback`` tells seconds."""

    first_margin_ms = FIRST_MARGIN_MS
    piece_ms = _BLOCK_MS
    """A block arrives when its last sample was spoken: until then its first ones are missing from the ring."""

    def __init__(self, ring: FrameRing, rate: int, since_callback: Callable[[], float]) -> None:
        self.ring = ring
        self.rate = rate
        self._since_callback = since_callback

    def pump(self) -> None:
        """The callback does it."""

    def begin(self) -> None:
        """The callback knows no pauses."""

    def reserve(self) -> float | None:
        """The ring's, and what has entered the device since the callback."""
        since_s = self._since_callback()
        return self.ring.fill + since_s * self.rate if since_s < _STALLED_S else None


class CallbackPlayout:
    """A ring that a device's callback empties."""

    first_margin_ms = FIRST_MARGIN_MS
    piece_ms = 0.0

    def __init__(self, ring: FrameRing, rate: int, since_callback: Callable[[], float]) -> None:
        self.rate = rate
        self._ring = ring
        self._since_callback = since_callback
        self.write = ring.write

    @property
    def fill(self) -> int:
        """The ring's."""
        return self._ring.fill

    @property
    def underruns(self) -> int:
        """The ring's."""
        return self._ring.underruns

    def begin(self) -> None:
        """The callback has fed the device silence meanwhile."""

    def flush(self) -> bool:
        """The reader's end of the ring is not ours to move: a pile shrinks by what is not added to it."""
        return False

    def pump(self) -> None:
        """The callback does it."""

    def reserve(self) -> float | None:
        """The ring's, less what has left the device since the callback."""
        since_s = self._since_callback()
        return self._ring.fill - since_s * self.rate if since_s < _STALLED_S else None


class CaptureEnd:
    """The media thread's end of a capture ring: a :class:`~audio.session.Microphone`."""

    def __init__(self, source: CaptureSource) -> None:
        self._source = source
        self._ring = source.ring
        self._tune(SAMPLE_RATE)
        self._control = ReserveControl(source.rate, base_ms=source.piece_ms, first_margin_ms=source.first_margin_ms)
        self._primed = False
        self._starved = False
        self.breaks = 0
        """Gaps in the sound since it first flowed."""

        self.piles = 0
        """Times so much lay ready that it was no jitter any more and was thrown away."""

        self.drained = 0
        """Samples thrown away because they had piled up."""

    def _tune(self, rate: int) -> None:
        """From now on give sound at ``rate``."""
        self._resampler = Resampler(self._source.rate, rate)
        self._ratio = self._source.rate / rate
        self._frame = frame_samples(rate)
        self._pending = _NOTHING

    def read(self, rate: int) -> Samples | None:
        """20 ms, or ``None`` while the device delivers nothing. A gap is bridged with silence just as long."""
        if rate != self._resampler.out_rate:
            self._tune(rate)
        self._source.pump()
        if not self._primed and not self._prime():
            return None
        pending, self._pending = self._pending, _NOTHING
        while (short := self._frame - len(pending)) > 0:
            data = self._ring.read(math.ceil(short * self._ratio))
            if not data:
                return self._bridge(pending, short)
            block = self._resampler.process(np.frombuffer(data, dtype=np.int16))
            pending = np.concatenate([pending, block]) if len(pending) else block
        self._starved = False
        frame = pending
        if short < 0:
            frame, self._pending = pending[: self._frame], pending[self._frame :]
        surplus = self._control.observe(self._ring.fill, self._source.reserve())
        if surplus > 0:
            self.piles += surplus > self._control.pile
            self.drained += self._ring.skip(surplus)
        elif surplus < 0:
            self._pending = np.pad(self._pending, (0, round(-surplus / self._ratio)))
        self._resampler.correction_ppm = self._control.correction_ppm
        return frame

    @property
    def delay_s(self) -> float:
        """From speaking the first sample of a frame to reading it, as far as it is known here."""
        reserve = self._control.wanted / self._source.rate
        return reserve + self._resampler.delay_s + len(self._pending) / self._resampler.out_rate + _TICK_S

    def _bridge(self, rest: Samples, short: int) -> Samples | None:
        """The ring is empty with ``short`` samples of the frame missing beside the ``rest``."""
        if not self._starved:
            # A device that has stopped altogether says nothing about how much reserve a running one needs.
            self._starved = True
            self.breaks += 1
            self._control.broke_up(round(short * self._ratio))
        return np.pad(rest, (0, short)) if len(rest) else None

    def pause(self) -> None:
        """Start afresh at the next read; what comes until then is nobody's to hear."""
        self._source.pump()
        self._ring.skip(self._ring.fill)
        self._source.reserve()
        self._primed = False
        self._pending = _NOTHING

    def _prime(self) -> bool:
        """What was stored before the call is nobody's to hear: start with one frame and the margin."""
        wanted = round(self._frame * self._ratio) + self._control.wanted
        surplus = self._ring.fill - wanted
        if surplus < 0:
            return False
        self.drained += self._ring.skip(surplus)
        self._primed = True
        self._source.begin()
        self._control.begin()
        return True


class PlayoutEnd:
    """The media thread's end of a playout ring: a :class:`~audio.session.Speaker`."""

    def __init__(self, target: PlayoutTarget) -> None:
        self._target = target
        self._resampler = Resampler(SAMPLE_RATE, target.rate)
        self._control = ReserveControl(target.rate, base_ms=target.piece_ms, first_margin_ms=target.first_margin_ms)
        self._underruns: int | None = None
        self._too_many = 0
        self.breaks = 0
        """Ticks since whose last one the device found too little sound."""

        self.piles = 0
        """Times so much was waiting that it was no jitter any more and was not played."""

        self.drained = 0
        """Samples not played because too many were waiting."""

    def write(self, frame: Samples) -> None:
        """Queue 20 ms for the device."""
        self._target.pump()
        if self._underruns is not None:
            self._observe(self._underruns)
        if self._underruns is None:
            # Until now the device was fed silence; sound starts with the reserve in front of it.
            self._target.begin()
            self._control.begin()
            self._underruns = self._target.underruns
            self._target.write(bytes(2 * max(0, self._control.wanted - self._target.fill)))
        if (rate := frame_rate(frame)) != self._resampler.in_rate:
            self._resampler = Resampler(rate, self._target.rate)
        self._resampler.correction_ppm = self._control.correction_ppm
        block = self._resampler.process(frame)
        dropped = min(self._too_many, len(block))
        self._too_many -= dropped
        self.drained += dropped
        self._target.write(block[dropped:].tobytes())

    @property
    def delay_s(self) -> float:
        """From writing a frame to hearing its first sample, as far as it is known here."""
        return self._control.wanted / self._target.rate + self._resampler.delay_s

    def _observe(self, underruns: int) -> None:
        missing = self._target.underruns - underruns
        if missing:
            self._underruns = self._target.underruns
            self.breaks += 1
            self._control.broke_up(missing)
        if self._too_many:
            self._target.reserve()  # it was seen before the cut
            return
        surplus = self._control.observe(self._target.fill, self._target.reserve())
        if surplus == 0:
            return
        self.piles += surplus > self._control.pile
        if surplus > self._control.pile and self._target.flush():
            self.drained += surplus
            self._underruns = None
        else:
            self._too_many = max(0, surplus)
            self._target.write(bytes(2 * max(0, -surplus)))

    def pause(self) -> None:
        """Nothing will be written for a while: silence until then is no break-up."""
        self._target.pump()
        self._target.reserve()
        self._underruns = None
        self._too_many = 0

    def close(self) -> None:
        """The stream behind the ring is closed by whoever opened it."""
