"""Files that calls are recorded to: the earpiece of a call with ``wav:FILE`` as its output, and both sides on request.

    Recordings ── Record, RecordBoth ──▶ MediaThread ══ 20 ms each tick ══▶ WaveWriter ─▶ file

A file on request is new, for its owner alone, and open before anybody is told that the call is recorded. Left is what
we say, right what the far end says; a beep at its start is heard by both.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO

from audio.io.commands import Record, RecordBoth
from audio.io.events import AudioEvent, AudioProblem, RecordingFailed
from audio.io.settings import Role
from audio.io.wave import WaveSpeaker, WaveWriter
from audio.stream.recorder import numbered_path
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audio.core import Samples
    from audio.io.thread import MediaThread
    from audio.stream.beep import RecordingBeep

_MOST_OF_ONE_NAME = 1000


class CallRecorder:
    """Both sides of one call: a :class:`~audio.session.Recorder`."""

    def __init__(
        self, file: BinaryIO, path: str, on_failure: Callable[[OSError], None], beep: RecordingBeep | None
    ) -> None:
        self.path = path
        self._beep = beep
        self._writer = WaveWriter(lambda: file, on_failure, channels=2)
        self.close = self._writer.close
        self.finished = self._writer.finished

    def beep(self, rate: int) -> Samples | None:
        """20 ms at ``rate`` of what tells both sides that the call is recorded, if it is to be heard now."""
        return None if self._beep is None else self._beep.read(rate)

    def write(self, spoken: Samples, heard: Samples) -> None:
        """Queue 20 ms of each side."""
        self._writer.put(spoken, heard)


class Recordings:
    """For the loop. ``report`` may be called on any thread."""

    def __init__(self, thread: MediaThread, report: Callable[[AudioEvent], None]) -> None:
        self._thread = thread
        self._report = report
        self._unfinished: list[WaveSpeaker | CallRecorder] = []
        self.count = 0
        """How many calls had a file as their earpiece, which the next ones must not overwrite."""

    def hear_with(self, call: str, path: str) -> None:
        """A file, numbered from the second call on, is the call's earpiece."""
        self.count += 1
        numbered = numbered_path(path, self.count)
        speaker = WaveSpeaker(numbered, lambda text: self._report(AudioProblem(text, Role.SPEAKER)))
        self._note(speaker)
        self._thread.send(Record(call, speaker, numbered))

    async def start(self, call: str, directory: Path, name: str, beep: RecordingBeep | None) -> str:
        """Record both sides of a call to a new file ``name`` in ``directory``; the file's path. Raises OSError."""
        file, path = await asyncio.to_thread(_make_file, directory, name)

        def fail(error: OSError) -> None:
            why = Phrase(
                "The recording {path} cannot be written: {why}; the call goes on without it.",
                path=path,
                why=error.strerror or str(error),
            )
            self._report(RecordingFailed(call, path, why))

        recorder = CallRecorder(file, path, fail, beep)
        self._note(recorder)
        self._thread.send(RecordBoth(call, recorder))
        return path

    def _note(self, recording: WaveSpeaker | CallRecorder) -> None:
        """Remember a recording until its file is complete."""
        self._unfinished = [one for one in self._unfinished if not one.finished(0.0)]
        self._unfinished.append(recording)

    def stop(self, call: str) -> None:
        """Finish the file of :meth:`start`; the end of the call does that too."""
        self._thread.send(RecordBoth(call, None))

    async def finished(self, timeout_s: float = 5.0) -> bool:
        """Whether the files of all calls that ended are complete, waiting up to ``timeout_s``."""
        waiting, self._unfinished = self._unfinished, []
        for recording in waiting:
            if not await asyncio.to_thread(recording.finished, timeout_s):
                self._unfinished.append(recording)
        return not self._unfinished


def _make_file(directory: Path, name: str) -> tuple[BinaryIO, str]:
    """A file that was not there: ``name.wav``, else ``name-2.wav`` and so on."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(1, _MOST_OF_ONE_NAME):
        path = directory / (numbered_path(name, number) + ".wav")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        return os.fdopen(descriptor, "wb"), str(path)
    raise FileExistsError(0, f"{_MOST_OF_ONE_NAME} recordings have this name", str(directory / name))
