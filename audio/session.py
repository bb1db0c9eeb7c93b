"""One call in the media thread: its core, and whatever it alone speaks into and is heard by. Sans-I/O.

shared microphone ─┐                               ┌─▶ shared speaker
                   ├─ (active call) ▶ MediaCore ▶ ─┤
wav: file ─────────┘                               └─▶ wav: recorder
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from audio.core import FRAME_SAMPLES, MediaCore, Samples
from sipcore.media import MediaParameters


class Microphone(Protocol):
    """Where 20 ms at a time come from."""

    def read(self) -> Samples | None:
        """The next 160 samples, or ``None`` when there are none now. Never blocks."""
        ...

    def pause(self) -> None:
        """Nobody will read for a while; what was stored until then is stale."""
        ...


class Speaker(Protocol):
    """Where 20 ms at a time go."""

    def write(self, frame: Samples) -> None:
        """Take 160 samples. Never blocks, never raises."""
        ...

    def pause(self) -> None:
        """Nothing will be written for a while."""
        ...

    def close(self) -> None:
        """No more will come. Never blocks."""
        ...


def silence() -> Samples:
    """20 ms of nothing."""
    return np.zeros(FRAME_SAMPLES, dtype=np.int16)


def mix(one: Samples, other: Samples) -> Samples:
    """The sum of two frames, clipped as a converter clips."""
    total = one.astype(np.int32) + other
    mixed: Samples = np.clip(total, -32768, 32767).astype(np.int16)
    return mixed


class MediaSession:
    """The media of one call between :meth:`configure` and :meth:`close`.

    ``microphone`` and ``speaker`` are this call's own (a file each); without them the shared device serves the active call.
    """

    def __init__(
        self, call: str, core: MediaCore, *, microphone: Microphone | None = None, speaker: Speaker | None = None
    ) -> None:
        self.call = call
        self.core = core
        self.speaker = speaker
        self._microphone = microphone
        self._negotiation = -1

    @property
    def configured(self) -> bool:
        """Whether an offer was answered: from then on every tick counts."""
        return self._negotiation >= 0

    def configure(self, parameters: MediaParameters, now: float) -> bool:
        """Apply an offer/answer round; false, and nothing done, when a later one was applied before."""
        if parameters.negotiation < self._negotiation:
            return False
        self._negotiation = parameters.negotiation
        self.core.configure(parameters, now)
        return True

    def tick(self, now: float, microphone: Samples | None, *, active: bool, tone: Samples | None = None) -> Samples:
        """20 ms each way. Only the active call hears the microphone and is heard, with ``tone`` in its own recording.

        A file as the microphone starts with the call's first tick as the active one.
        """
        if active and self._microphone is not None:
            microphone = self._microphone.read()
        playout = self.core.tick(now, microphone if active else None)
        if self.speaker is not None:
            heard = playout if active else silence()
            self.speaker.write(heard if tone is None else mix(heard, tone))
        return playout

    def close(self, now: float) -> None:
        """RTCP BYE is queued in the core's transmits; the recording is finished."""
        self.core.close(now)
        if self.speaker is not None:
            self.speaker.close()
            self.speaker = None
