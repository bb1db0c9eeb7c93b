"""One call as the media thread keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audio.io.breakups import BreakUps

if TYPE_CHECKING:
    from audio.core.statistics import MediaStatistics
    from audio.io.sockets import MediaSockets
    from audio.session import MediaSession


@dataclass(slots=True)
class MediaCall:
    """A session, its sockets, and what the thread knows of both."""

    session: MediaSession
    sockets: MediaSockets
    stamped: bool = False
    """Whether the kernel notes when its datagrams come."""

    rests: bool = False
    """Whether RTP waits for the tick, and wakes nobody."""

    recording: str | None = None
    microphone_dead: bool = False
    breakups: BreakUps = field(default_factory=BreakUps)

    def statistics(self, now: float) -> MediaStatistics:
        """The session's, and what the devices had."""
        devices = self.breakups
        return self.session.statistics(now, underruns=devices.underruns, overruns=devices.overruns)
