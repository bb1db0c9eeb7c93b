"""Recording of calls, on request alone: both sides in a file, a beep to both, and everybody told.

    start ─▶ a new file ─▶ RecordingStarted ─▶ 20 ms a tick ─▶ stop, the call's end, a full disk ─▶ RecordingEnded

A call outlives its recording: what the disk refuses is a sentence. The next engine goes on in a file of its own.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from audio.stream.beep import REPEAT_S, RecordingBeep
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.translate import worded

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.engine import AudioEngine
    from audio.io.events import RecordingFailed
    from phone.lines import Lines
    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState

_log = logging.getLogger(__name__)

_UNFIT = re.compile(r"[^A-Za-z0-9+._-]+")
_MAX_PEER = 40


class Recorder:
    """For all calls of the phone; verbs raise CommandRefused with a sentence where they do not fit."""

    def __init__(
        self,
        lines: Lines,
        audio: AudioEngine,
        *,
        state: Callable[[], PhoneState],
        emit: Callable[[ev.Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._lines = lines
        self._audio = audio
        self._state = state
        self._emit = emit
        self._clock = clock
        self._starting: set[str] = set()
        """Calls whose file is being made."""

    async def start(self, name: str | None = None) -> str:
        """Record a call from now on; returns the file."""
        line, call = self._lines.choose(self._state(), "record", name)
        if call.recording or line.id in self._starting:
            raise CommandRefused("call_state", Phrase("Call {call} is recorded already.", call=line.id))
        self._starting.add(line.id)
        try:
            file = await self._begin(call)
        finally:
            self._starting.discard(line.id)
        if self._state().call(line.id) is None:
            await asyncio.to_thread(Path(file).unlink, missing_ok=True)  # its moment of sound is of no use to anybody
            raise CommandRefused("no_such_call", Phrase("The call ended meanwhile."))
        self._emit(ev.RecordingStarted(at=self._clock(), call=line.id, file=file))
        return file

    async def _begin(self, call: CallSlice) -> str:
        directory, name = Path(self._audio.settings.recordings), _name(call.peer, self._clock())
        try:
            return await self._audio.recordings.start(call.id, directory, name, self._beep())
        except OSError as error:
            why = Phrase(
                "No recording can be made in {directory}: {why}; choose another directory in the settings.",
                directory=str(directory),
                why=error.strerror or str(error),
            )
            raise CommandRefused("recording", why) from None

    def stop(self, name: str | None = None) -> str:
        """Finish a call's recording; returns the file."""
        recorded = [call.id for call in self._state().calls if call.recording]
        if name is None and len(recorded) == 1:
            (name,) = recorded  # whichever call that is
        line, call = self._lines.choose(self._state(), "record", name)
        if not call.recording:
            raise CommandRefused("call_state", Phrase("Call {call} is not recorded.", call=line.id))
        self.finish(line.id)
        return call.recording

    def finish(self, name: str | None) -> None:
        """A call ends, or its recording does; for one that is not recorded nothing happens."""
        call = None if name is None else self._state().call(name)
        if call is not None and call.recording:
            self._audio.recordings.stop(call.id)
            self._emit(ev.RecordingEnded(at=self._clock(), call=call.id, file=call.recording))

    def failed(self, event: RecordingFailed) -> None:
        """The disk takes no more of it."""
        call = self._state().call(event.call)
        if call is not None and call.recording == event.path:
            self._audio.recordings.stop(call.id)
            sentence = worded(event.sentence)
            self._emit(ev.RecordingEnded(at=self._clock(), call=call.id, file=event.path, problem=sentence))

    async def resume(self) -> None:
        """Go on with what an engine before this one recorded, in new files."""
        for call in self._state().calls:
            if not call.recording:
                continue
            self._emit(ev.RecordingEnded(at=self._clock(), call=call.id, file=call.recording))
            try:
                await self.start(call.id)
            except CommandRefused as refused:
                _log.warning("! %s", refused.sentence)
                self._emit(
                    ev.RecordingEnded(at=self._clock(), call=call.id, file=call.recording, problem=refused.sentence)
                )

    def _beep(self) -> RecordingBeep | None:
        match self._audio.settings.recording_beep:
            case "never":
                return None
            case "repeat":
                return RecordingBeep(REPEAT_S)
            case _:
                return RecordingBeep()


def _name(peer: str, at: float) -> str:
    """When and with whom, as part of a file name whatever the network called the peer."""
    when = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(at))
    who = _UNFIT.sub("_", peer)[:_MAX_PEER].strip("._")
    return f"{when}_{who or 'unknown'}"
