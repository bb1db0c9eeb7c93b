"""How much sound lies between the media thread and a device, and what to do about it, on no clock but the ticks told.

reserve at each tick ─▶ mean of a window ─┬─ too much or too little as sound begins ─▶ a cut, or silence
                                          ├─ broke up with less than wanted ─────────▶ silence, once
                                          └─ else ─▶ correction: resample some ppm faster or slower
"""

from __future__ import annotations

_WINDOW_TICKS = 50
_FIRST_WINDOW_TICKS = 15
_SETTLING_WINDOWS = 6
FIRST_MARGIN_MS = 6.0
_MARGIN_MIN_MS = 5.0
_MARGIN_STEP_MIN_MS = 1.0
_MARGIN_STEP_MAX_MS = 10.0
_MARGIN_MAX_MS = 120.0
_MARGIN_DECAY_MS = 0.05  # per window without a break-up
_PILE_MS = 60.0
_SURPLUS_MS = 15.0
_FIRST_SURPLUS_MS = 2.0
_DEAD_ZONE_MS = (-0.5, 1.5)
_PPM_PER_MS = 140.0
_PPM_PER_MS_WINDOW = 10.0
_CORRECTION_MAX_PPM = 2000.0
"""A crystal needs a tenth. PulseAudio's null sinks needed up to some 760."""


class ReserveControl:
    """Decides how to steer from the reserve (device samples) seen at the ticks. ``base_ms`` of it is never free."""

    def __init__(self, rate: int, *, base_ms: float = 0.0, first_margin_ms: float = FIRST_MARGIN_MS) -> None:
        self._rate = rate
        self._base_ms = base_ms
        self._margin_ms = first_margin_ms
        self.wanted = self._samples(base_ms + first_margin_ms)
        """The reserve steered to, in samples."""

        self.pile = self._samples(_PILE_MS)
        """So much more than wanted is a pile and not jitter."""

        self._sum = 0.0
        self._count = 0
        self._ticks_left = _FIRST_WINDOW_TICKS
        self._broke = False
        self._short = False
        self._settling = _SETTLING_WINDOWS
        self._drift_ppm = 0.0
        self.correction_ppm = 0.0
        """How much faster than nominal the reserve has to shrink; negative: grow."""

    def broke_up(self, missing: int) -> None:
        """So many samples were needed and not there: from now on keep half as many more.

        Unless there was less than wanted already: then that is what is to be seen to, and soon.
        """
        self._broke = True
        if self._short:
            self._ticks_left = min(self._ticks_left, _FIRST_WINDOW_TICKS)
            return
        step_ms = min(max(missing * 500 / self._rate, _MARGIN_STEP_MIN_MS), _MARGIN_STEP_MAX_MS)
        self._keep(min(self._margin_ms + step_ms, _MARGIN_MAX_MS))

    def observe(self, fill: int, reserve: float | None) -> int:
        """Take one tick's ``fill``, in whole blocks, and the smooth ``reserve`` if it is known just now.

        Says how many samples to throw away now; negative: how much silence to put in; mostly 0.
        """
        if fill - self.wanted > self.pile:
            self.begin()
            return fill - self.wanted
        if reserve is not None:
            self._sum += reserve
            self._count += 1
        self._ticks_left -= 1
        return self._steer() if self._ticks_left <= 0 else 0

    def begin(self) -> None:
        """Sound begins, or begins again: what was learnt holds, and cuts are not heard yet."""
        self._settling = _SETTLING_WINDOWS
        self._start_window(_FIRST_WINDOW_TICKS)

    def _steer(self) -> int:
        """At the end of a window."""
        broke_short = self._broke and self._short
        if not self._broke:
            self._keep(max(self._margin_ms - _MARGIN_DECAY_MS, _MARGIN_MIN_MS))
        reserve = self._sum / self._count if self._count else None
        self._start_window(_WINDOW_TICKS)
        if reserve is None:
            return 0
        excess_ms = (reserve - self.wanted) * 1000 / self._rate
        # Where sound has only just begun nobody hears a cut; later one has to be worth it.
        settling = self._settling > 0
        self._settling -= settling
        # Nor is a little more silence heard where sound breaks up; without it it would break up again and again.
        self._short = excess_ms < -_FIRST_SURPLUS_MS
        if excess_ms > (_FIRST_SURPLUS_MS if settling else _SURPLUS_MS) or (self._short and (settling or broke_short)):
            self._short = False
            if settling:
                self._start_window(_FIRST_WINDOW_TICKS)
            return self._samples(excess_ms)
        self._settling = 0
        outside_ms = excess_ms - min(max(excess_ms, _DEAD_ZONE_MS[0]), _DEAD_ZONE_MS[1])
        self._drift_ppm = _limited(self._drift_ppm + outside_ms * _PPM_PER_MS_WINDOW)
        self.correction_ppm = _limited(self._drift_ppm + outside_ms * _PPM_PER_MS)
        return 0

    def _keep(self, margin_ms: float) -> None:
        self._margin_ms = margin_ms
        self.wanted = self._samples(self._base_ms + margin_ms)

    def _start_window(self, ticks: int) -> None:
        self._sum = 0.0
        self._count = 0
        self._ticks_left = ticks
        self._broke = False

    def _samples(self, milliseconds: float) -> int:
        return round(milliseconds * self._rate / 1000)


def _limited(ppm: float) -> float:
    return min(max(ppm, -_CORRECTION_MAX_PPM), _CORRECTION_MAX_PPM)
