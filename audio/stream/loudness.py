"""How loud: gain that changes without a click, and sums and gains that never clip hard.

sample ─▶ × gain, a ramp of one block where it changes ─▶ knee ─▶ 16 bit
            below -3 dBFS: the sample itself      above: knee + room · tanh((x - knee) / room), never over full scale
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_FULL_SCALE = 32767
KNEE = round(_FULL_SCALE * 10 ** (-3.0 / 20.0))
"""Up to here nothing is changed, to the bit."""

_ROOM = float(_FULL_SCALE - KNEE)
_UNITY = 1.0


def soft_clip(block: NDArray[np.int32] | NDArray[np.float32]) -> Samples:
    """``block``, at 16-bit scale but of any height, as 16 bit: rounded off above the knee in place of cut off."""
    magnitudes = np.abs(block)
    # argmax is several times cheaper than max on a block this short.
    if magnitudes[magnitudes.argmax()] <= KNEE:
        return np.rint(block).astype(np.int16)
    bent = KNEE + _ROOM * np.tanh((magnitudes - KNEE) / _ROOM)
    return np.rint(np.where(magnitudes > KNEE, np.copysign(bent, block), block)).astype(np.int16)


def mix(one: Samples, other: Samples) -> Samples:
    """The sum of two blocks; the pauses of a tone leave the other as it is."""
    if not other.any():
        return one
    return soft_clip(one.astype(np.int32) + other)


class Gain:
    """A factor on block after block. A new one is reached within the next block: a step would click."""

    def __init__(self, factor: float = _UNITY) -> None:
        self.factor = factor
        """What is wanted; 1 leaves everything as it is."""

        self._reached = factor

    def apply(self, block: Samples) -> Samples:
        """The block made louder or quieter; at a factor of 1 it is the very same."""
        before, self._reached = self._reached, self.factor
        if before == self.factor == _UNITY:
            return block
        if before == self.factor:
            factors: NDArray[np.float32] | np.float32 = np.float32(before)
        else:
            factors = np.linspace(before, self.factor, len(block) + 1, dtype=np.float32)[1:]
        return soft_clip(block * factors)


def factor_of(decibels: float) -> float:
    """The factor of a gain in dB."""
    return float(10.0 ** (decibels / 20.0))
