"""Make sound a period shorter or longer without changing its pitch: how a playout buffer gains and loses delay unheard.

shorten   a b c  ─▶  a⤳b c        lengthen   a b c  ─▶  a b⤳a b c        (a, b: neighbouring periods that look alike)

Lengths that name no rate are of 8 kHz; ``scale`` says how many times that the sound has (2: 16 kHz).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio.stream.pitch import best_lag

Samples = NDArray[np.int16]

_TEMPLATE = 80
SHORTEST = 20
LONGEST = 120
"""Samples of 8 kHz sound that can go or come at once."""

NEEDED = _TEMPLATE + LONGEST
"""Samples of 8 kHz sound a block must have."""

_ALIKE = 0.75
FAINT_RMS = 130.0
"""-48 dBFS: whatever is done down there is not heard."""


def is_faint(block: Samples, rms: float = FAINT_RMS) -> bool:
    """Whether the block is fainter than ``rms``."""
    signal = block.astype(np.float32)
    return float(signal.dot(signal)) < rms**2 * len(signal)


def _period(block: Samples, longest: int, faint_rms: float, scale: int) -> int | None:
    """The lag at which the block's end repeats what precedes it, or ``None`` when a change would be heard."""
    if is_faint(block, faint_rms):
        return longest
    signal = block.astype(np.float32)
    lag, likeness = best_lag(signal, _TEMPLATE * scale, SHORTEST * scale, longest)
    return lag if likeness >= _ALIKE else None


def shorten(
    block: Samples, longest: int, *, fixed: int = 0, faint_rms: float = FAINT_RMS, scale: int = 1
) -> Samples | None:
    """``block`` without one period of at most ``longest`` of its samples near its end; ``None`` when it would be heard.

    The first ``fixed`` samples stay as they are.
    """
    # One period goes, its neighbour is faded: both lie behind the fixed part.
    template = _TEMPLATE * scale
    longest = min(longest, LONGEST * scale, len(block) - fixed - template, (len(block) - fixed) // 2)
    if longest < SHORTEST * scale or len(block) < NEEDED * scale:
        return None
    period = _period(block, longest, faint_rms, scale)
    if period is None:
        return None
    cut = len(block) - max(template, period)
    # From cut - period on, fade into what comes one period later.
    before, after = block[cut - period : cut], block[cut : cut + period]
    return np.concatenate([block[: cut - period], _fade(before, after), block[cut + period :]])


def lengthen(block: Samples, longest: int, *, faint_rms: float = FAINT_RMS, scale: int = 1) -> Samples | None:
    """``block`` with one period of at most ``longest`` of its samples repeated near its end.

    ``None`` when it would be heard. All but the last :data:`LONGEST` samples (of 8 kHz) stay as they are.
    """
    longest = min(longest, LONGEST * scale)
    if longest < SHORTEST * scale or len(block) < NEEDED * scale:
        return None
    period = _period(block, longest, faint_rms, scale)
    if period is None:
        return None
    cut = len(block) - max(_TEMPLATE * scale, period)
    before, after = block[cut - period : cut], block[cut : cut + period]
    return np.concatenate([block[:cut], _fade(after, before), block[cut:]])


def _fade(old: Samples, new: Samples) -> Samples:
    weight = (np.arange(len(old), dtype=np.float32) + 1) / (len(old) + 1)
    return np.rint(old + (new.astype(np.float32) - old) * weight).astype(np.int16)
