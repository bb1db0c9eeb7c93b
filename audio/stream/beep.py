"""The beep that says a call is recorded: 1400 Hz for 0.2 s, the tone of the US beep-tone rule (FCC Docket 6787).

▏▊▊▏ ── pause ── ▏▊▊▏      at the start, and again after every pause where one is given
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FREQUENCY_HZ = 1400.0
LENGTH_S = 0.2
REPEAT_S = 15.0
"""How often it is heard where the law wants it to be repeated."""

_AMPLITUDE = 0.1
_EDGE_S = 0.005
_BLOCK_S = 0.020
_BLOCKS = round(LENGTH_S / _BLOCK_S)


class RecordingBeep:
    """A beep, and another each ``every_s`` seconds after it where that is given."""

    def __init__(self, every_s: float | None = None) -> None:
        self._period = None if every_s is None else round(every_s / _BLOCK_S)
        self._place = 0
        self._sounds: dict[int, Samples] = {}

    def read(self, rate: int = 8000) -> Samples | None:
        """The next 20 ms at ``rate`` Hz, or ``None`` in a pause."""
        place = self._place
        if self._period is None and place >= _BLOCKS:
            return None
        self._place = place + 1 if self._period is None else (place + 1) % self._period
        if place >= _BLOCKS:
            return None
        if rate not in self._sounds:
            self._sounds[rate] = _beep(rate)
        block: Samples = self._sounds[rate][place]
        return block


def _beep(rate: int) -> Samples:
    """All of it, 20 ms a row."""
    places = np.arange(round(LENGTH_S * rate)) / rate
    edge = np.clip(np.minimum(places, LENGTH_S - places) / _EDGE_S, 0.0, 1.0)
    sound = np.sin(2 * np.pi * FREQUENCY_HZ * places) * edge * _AMPLITUDE
    return np.rint(sound * 32767).astype(np.int16).reshape(_BLOCKS, -1)
