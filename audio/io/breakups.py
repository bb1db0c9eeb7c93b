"""How often a call's sound broke up at the devices: counted at each end since it was opened, told for the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.io.matching import CaptureEnd, PlayoutEnd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audio.session import Microphone, Speaker


class BreakUps:
    """What the devices' ends have counted while one call had them."""

    def __init__(self) -> None:
        self.underruns = 0
        """Times a device had less sound ready, or left to play, than was due."""

        self.overruns = 0
        """Times so much had piled up that it was thrown away."""

        self._ends: list[tuple[CaptureEnd | PlayoutEnd, int, int]] = []

    def look(self, ends: Iterable[Microphone | Speaker]) -> None:
        """Count what is new at these ends; what an end counted before its first look is of no call's."""
        seen = {id(end): (breaks, piles) for end, breaks, piles in self._ends}
        self._ends = []  # holds the ends: as long as one is listed here its identity is nobody else's
        for end in ends:
            match end:
                case CaptureEnd() | PlayoutEnd():
                    breaks, piles = seen.get(id(end), (end.breaks, end.piles))
                    self.underruns += end.breaks - breaks
                    self.overruns += end.piles - piles
                    self._ends.append((end, end.breaks, end.piles))
                case _:
                    pass  # a file, or one made of arithmetic: neither breaks up
