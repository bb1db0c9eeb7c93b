"""WAV files as the microphone and as the recorder of a call's earpiece.

    load_wave ─▶ WaveMicrophone ─▶ one call, once, then silence          load_ring ─▶ the bell
    one call's playout ─▶ WaveSpeaker ─▶ WaveWriter, a thread of its own ─▶ FILE, FILE-2, FILE-3 …

The media thread never touches the disk: a file is loaded before the call starts and written by a thread of its
own.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from audio.core import SAMPLE_RATE, Samples, frame_rate, frame_samples
from audio.io.settings import WaveFile
from audio.stream.recorder import WavRecorder
from audio.stream.resample import RateConverter
from audio.stream.wavfile import read_wav
from sipcore.errors import ParseError, Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.settings import Choice

_QUEUE_FRAMES = 50 * 60
"""How far the disk may lag behind: a minute."""


MAX_RING_S = 30
_MAX_RING_BYTES = 12_000_000
"""Half a minute of stereo at 48 kHz and 32 bit."""


class WaveProblem(Exception):
    """A file cannot serve; the text is one sentence with the next step."""


def load_wave(path: str, rate: int = SAMPLE_RATE) -> Samples:
    """The file's sound, mono at ``rate``. Blocks on the disk. Raises :class:`WaveProblem`."""
    try:
        with Path(path).expanduser().open("rb") as file:
            return read_wav(file, rate)
    except ParseError as error:
        raise WaveProblem(
            Phrase(
                "The sound file {path} cannot be used: {why}; convert it to a plain WAV file.",
                path=str(path),
                why=str(error),
            )
        ) from error
    except OSError as error:
        raise WaveProblem(
            Phrase(
                "The sound file {path} cannot be read: {why}; check its name.", path=str(path), why=str(error.strerror)
            )
        ) from error


def load_ring(path: str) -> Samples:
    """A ring file's sound, mono at 8 kHz. Blocks on the disk. Raises :class:`WaveProblem`."""
    file = Path(path).expanduser()
    try:
        if not file.is_file():
            raise ParseError(Phrase("there is no such file"))
        if file.stat().st_size > _MAX_RING_BYTES:
            raise ParseError(Phrase("it is larger than {n} MB", n=_MAX_RING_BYTES // 1_000_000))
        with file.open("rb") as opened:
            sound = read_wav(opened, SAMPLE_RATE, longest_s=MAX_RING_S)
        if not sound.any():
            raise ParseError(Phrase("it is silent"))
    except (ParseError, OSError) as error:
        why = str(error) if isinstance(error, ParseError) else str(error.strerror)
        raise WaveProblem(
            Phrase(
                "The ring file {path} cannot be used: {why}; choose a plain WAV file of at most {n} seconds.",
                path=str(path),
                why=why,
                n=MAX_RING_S,
            )
        ) from error
    return sound


class WaveMicrophone:
    """Plays samples once: a :class:`~audio.session.Microphone`."""

    def __init__(self, samples: Samples, rate: int = SAMPLE_RATE) -> None:
        self._samples = samples
        self._rate = rate
        self._place = 0
        self._converter = RateConverter()

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms, the last of them filled up with silence; ``None`` after the end."""
        count = frame_samples(self._rate)
        frame = self._samples[self._place : self._place + count]
        if len(frame) == 0:
            return None
        self._place += count
        return self._converter.convert(np.pad(frame, (0, count - len(frame))), self._rate, rate)

    def pause(self) -> None:
        """A file waits."""


class WaveWriter:
    """Writes blocks of one or more channels to a file by a thread of its own, which also makes the file. Why it cannot
    is told to ``on_failure``, once; the file's header is right once :meth:`finished`. Its rate is that of the first
    block.
    """

    def __init__(
        self, open_file: Callable[[], BinaryIO], on_failure: Callable[[OSError], None], *, channels: int = 1
    ) -> None:
        self.dropped = 0
        """Frames the disk was too slow for."""

        self._open_file = open_file
        self._on_failure = on_failure
        self._channels = channels
        self._queue: queue.Queue[tuple[Samples, ...] | None] = queue.Queue(_QUEUE_FRAMES)
        self._thread = threading.Thread(target=self._run, name="wave-writer", daemon=True)
        self._thread.start()

    def put(self, *channels: Samples) -> None:
        """Queue 20 ms of each channel. Never blocks."""
        try:
            self._queue.put_nowait(channels)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Let the thread finish the file; :meth:`finished` waits for that."""
        while True:
            try:
                self._queue.put_nowait(None)
                return
            except queue.Full:
                self._queue.get_nowait()

    def finished(self, timeout_s: float) -> bool:
        """Whether the file is complete and closed, waiting up to ``timeout_s`` after :meth:`close`."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._open_file() as file:
                block = self._queue.get()
                rate = SAMPLE_RATE if block is None else frame_rate(block[0])
                recorder = WavRecorder(file, rate, self._channels)
                converters = [RateConverter() for _ in range(self._channels)]
                while block is not None:
                    fitting = zip(converters, block, strict=True)
                    recorder.write(*(converter.convert(one, frame_rate(one), rate) for converter, one in fitting))
                    block = self._queue.get()
                recorder.close()
        except OSError as error:
            self._on_failure(error)


class WaveSpeaker:
    """Writes what one call's earpiece would play to a file: a :class:`~audio.session.Speaker`. ``on_problem`` is told
    in one sentence, on the writer's thread, why that fails.
    """

    def __init__(self, path: str, on_problem: Callable[[str], None]) -> None:
        self.path = path
        self._on_problem = on_problem
        self._writer = WaveWriter(lambda: Path(path).expanduser().open("wb"), self._fail)
        self.write: Callable[[Samples], None] = self._writer.put
        self.close = self._writer.close
        self.finished = self._writer.finished

    @property
    def dropped(self) -> int:
        """Frames the disk was too slow for."""
        return self._writer.dropped

    def pause(self) -> None:
        """A recording has no gaps to bridge."""

    def _fail(self, error: OSError) -> None:
        self._on_problem(
            Phrase(
                "The sound file {path} cannot be written: {why}; choose another.",
                path=str(self.path),
                why=str(error.strerror),
            )
        )


async def wave_microphone(choice: Choice, rate: int) -> WaveMicrophone | None:
    """A call's own microphone at ``rate`` where the user chose a file, read off the loop. Raises WaveProblem."""
    match choice:
        case WaveFile(path):
            return WaveMicrophone(await asyncio.to_thread(load_wave, path, rate), rate)
        case _:
            return None
