"""Echo cancelling and noise suppression by WebRTC's audio processing: the extra ``offhook[aec]``.

    media thread ─▶ EchoPath.speaker ─▶ device ─▶ the room
                        │ the same sound                │
    media thread ◀─ EchoPath.microphone ◀─ device ◀─────┘

The library brings some 30 MB and threads of its own: it is loaded when it is first asked for, off every loop.
"""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from audio.core import Samples, frame_rate, frame_samples

if TYPE_CHECKING:
    from types import ModuleType

    from audio.io.matching import CaptureEnd, PlayoutEnd

_log = logging.getLogger(__name__)

_HALVES = 2
"""The library takes 10 ms at a time."""

_FIRST_RATE = 16000
_LONGEST_DELAY_MS = 500
_TOLERATED_FAILURES = 5


def installed() -> bool:
    """Whether the extra is there, as far as can be told without loading it."""
    try:
        return find_spec("livekit.rtc") is not None
    except ImportError:
        return False


class NoEchoCanceller(Exception):
    """The library cannot be loaded, or does not do its work."""


class EchoCanceller:
    """One microphone beside one speaker, 20 ms at a time. Loads the library, which may take a second; raises
    :class:`NoEchoCanceller`.
    """

    def __init__(self) -> None:
        began = time.monotonic()
        try:
            from livekit.rtc import apm, audio_frame

            self._frames: ModuleType = audio_frame
            # Its gain control makes a user who is silent louder, and with that what is left of the echo.
            self._module: Any = apm.AudioProcessingModule(
                echo_cancellation=True, noise_suppression=True, high_pass_filter=True, auto_gain_control=False
            )
            self._process(np.zeros(frame_samples(_FIRST_RATE), dtype=np.int16), self._module.process_stream)
        except Exception as error:
            raise NoEchoCanceller(str(error) or type(error).__name__) from error
        self._failures = 0
        _log.info("= echo cancelling is ready after %.0f ms", (time.monotonic() - began) * 1000)

    @property
    def failed(self) -> bool:
        """Whether it fails again and again, and is to be left out."""
        return self._failures >= _TOLERATED_FAILURES

    def heard(self, frame: Samples) -> None:
        """The speaker was given this."""
        self._guarded(frame, self._module.process_reverse_stream)

    def cleaned(self, frame: Samples, delay_s: float) -> Samples:
        """What was spoken, without what the speaker said ``delay_s`` ago: from giving it a frame to reading
        the echo of that from the microphone.
        """
        delay_ms = min(max(round(delay_s * 1000), 0), _LONGEST_DELAY_MS)
        return self._guarded(frame, self._module.process_stream, delay_ms)

    def _guarded(self, frame: Samples, process: Any, delay_ms: int | None = None) -> Samples:
        try:
            if delay_ms is not None:
                self._module.set_stream_delay_ms(delay_ms)
            return self._process(frame, process)
        except Exception:  # noqa: BLE001 - a supervisor: the sound goes on as it was
            self._failures += 1
            _log.warning("! echo cancelling failed", exc_info=True)
            return frame

    def _process(self, frame: Samples, process: Any) -> Samples:
        count = len(frame) // _HALVES
        data = bytearray(frame.tobytes())
        view = memoryview(data)
        for half in range(_HALVES):
            part = self._frames.AudioFrame(view[half * 2 * count : (half + 1) * 2 * count], frame_rate(frame), 1, count)
            process(part)
            view[half * 2 * count : (half + 1) * 2 * count] = bytes(part.data)
        return np.frombuffer(data, dtype=np.int16)


class EchoPath:
    """Joins the ends of the devices to a canceller, for the media thread; without one yet, sound passes as it is."""

    def __init__(self) -> None:
        self.canceller: EchoCanceller | None = None
        """Set once it is loaded, from any thread."""

        self.playout_delay_s = 0.0
        self.listening = False
        """Whether the microphone gives sound just now: only then is what is played compared with it."""

    @property
    def working(self) -> EchoCanceller | None:
        """The canceller, while it does its work."""
        canceller = self.canceller
        if canceller is not None and canceller.failed:
            _log.error("! echo cancelling fails again and again; calls go on without it")
            canceller = self.canceller = None
        return canceller


class CleanMicrophone:
    """A device's microphone without echo: a :class:`~audio.session.Microphone`."""

    def __init__(self, end: CaptureEnd, path: EchoPath) -> None:
        self.end = end
        self.given: Samples | None = None
        """What the device gave at the last read, before anything was taken out of it."""

        self._path = path

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms."""
        frame, path = self.end.read(rate), self._path
        self.given = frame
        path.listening = frame is not None
        canceller = path.working
        if frame is None or canceller is None:
            return frame
        return canceller.cleaned(frame, self.end.delay_s + path.playout_delay_s)

    def pause(self) -> None:
        """Nobody will read for a while."""
        self._path.listening = False
        self.end.pause()


class HeardSpeaker:
    """A device's speaker whose sound the microphone may pick up: a :class:`~audio.session.Speaker`."""

    def __init__(self, end: PlayoutEnd, path: EchoPath) -> None:
        self.end = end
        self._path = path

    def write(self, frame: Samples) -> None:
        """Play 20 ms."""
        path = self._path
        if path.listening and (canceller := path.working) is not None:
            path.playout_delay_s = self.end.delay_s
            canceller.heard(frame)
        self.end.write(frame)

    def pause(self) -> None:
        """Nothing will be written for a while."""
        self.end.pause()

    def close(self) -> None:
        """No more will come."""
        self.end.close()
