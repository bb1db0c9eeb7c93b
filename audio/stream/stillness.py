"""Whether a microphone is dead: muted at the headset, unplugged behind a sound card, or taken by another program.

    level varies ──▶ alive        digital zero, or one constant level ──▶ still ── patience ──▶ dead

A microphone that works has noise of some steps at least, however quiet the room. One that has been heard may be still
for good reason: noise suppression gives digital zero between words, and who listens is quiet for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATIENCE_S = 5.0
"""Of a microphone that has given nothing yet: the time of a greeting and a look at the screen."""

PATIENCE_AFTER_SPEECH_S = 20.0
"""Of one that worked: longer than people mostly listen without a sound of their own."""

_BLOCK_S = 0.020
_STEPS = 2
"""A level varies when its steps span more than this: converters dither by one."""


class Stillness:
    """Watches 20 ms after 20 ms of one microphone, at whatever rate."""

    def __init__(self) -> None:
        self._begun = False
        self._heard = False
        self._lowest = self._highest = 0
        self._count = 0

    def add(self, block: NDArray[np.int16]) -> None:
        """What the microphone gave."""
        if self._heard and abs(int(block[0]) - int(block[len(block) // 2])) > _STEPS:
            self._count = 0  # two samples tell, mostly, and the whole block need not be looked at
            return
        lowest, highest = int(block.min()), int(block.max())
        if self._count:
            lowest, highest = min(lowest, self._lowest), max(highest, self._highest)
        # The very first block may hold the step from silence to a constant level.
        first, self._begun = not self._begun, True
        if highest - lowest > _STEPS:
            self._heard = self._heard or not first
            self._count = 0
            return
        self._lowest, self._highest = lowest, highest
        self._count += 1

    def reset(self) -> None:
        """Another microphone, or another time."""
        self._begun = self._heard = False
        self._count = 0

    @property
    def dead(self) -> bool:
        """Whether it has not varied for longer than its patience."""
        return self._count * _BLOCK_S >= (PATIENCE_AFTER_SPEECH_S if self._heard else PATIENCE_S)
