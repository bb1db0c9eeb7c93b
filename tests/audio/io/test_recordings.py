"""Recordings on request: their files, their two channels, their end."""

from __future__ import annotations

import asyncio
import stat
import wave
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from audio.engine import AudioSettings
from audio.io.recordings import CallRecorder, Recordings
from audio.io.thread import MediaThread
from audio.stream.beep import RecordingBeep
from tests.audio.calling import Phone, connect, until, write_wave
from tests.audio.sound import likeness, local_likeness, speech
from tests.audio.test_engine import running

if TYPE_CHECKING:
    from audio.core import Samples

QUIET = AudioSettings(input="none", output="none", ring="none")


def both(path: str) -> tuple[Samples, Samples]:
    """Left and right."""
    with wave.open(path, "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
    return samples[::2], samples[1::2]


def test_left_is_said_and_right_is_heard(tmp_path: Path) -> None:
    spoken = {name: speech(2.5, seed=seed) for seed, name in enumerate(("one", "other"), 1)}
    for name, samples in spoken.items():
        write_wave(tmp_path / f"{name}.wav", samples)
    files: list[str] = []

    async def test() -> None:
        one = replace(QUIET, input=f"wav:{tmp_path}/one.wav")
        other = replace(QUIET, input=f"wav:{tmp_path}/other.wav")
        async with running(one) as here, running(other) as there:
            await here.engine.open("call", "127.0.0.1")
            files.append(await here.engine.recordings.start("call", tmp_path / "deep/er", "name", RecordingBeep()))
            here.engine.close_call("call")
            await connect(here, there, "second")
            files.append(await here.engine.recordings.start("second", tmp_path / "deep/er", "name", None))
            await until(lambda: sent(here, "second") >= 175, "three seconds and a half")
            here.engine.close_call("second")
            assert await here.engine.recordings.finished()

    asyncio.run(test())
    assert files == [f"{tmp_path}/deep/er/name.wav", f"{tmp_path}/deep/er/name-2.wav"]
    assert stat.S_IMODE((tmp_path / "deep/er").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep/er/name.wav").stat().st_mode) == 0o600
    left, right = both(files[1])
    assert len(left) == len(right)
    # The speech has begun with the call, a moment before.
    said, heard = spoken["one"][4000:], spoken["other"][4000:]
    assert likeness(said, left)[0] > 0.99
    # What is heard may be stretched where a busy machine came late; never may it be on the other side.
    assert local_likeness(heard, right, block=2000) > 0.85
    assert likeness(heard, left)[0] < 0.3
    assert likeness(said, right)[0] < 0.3


def sent(phone: Phone, call: str) -> int:
    """How many packets a call has sent."""
    statistics = phone.engine.statistics(call)
    return statistics.packets_sent if statistics is not None else 0


def test_a_recording_can_end_before_its_call_and_begin_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(QUIET) as here, running(QUIET) as there:
            await connect(here, there)
            first = await here.engine.recordings.start("call", tmp_path, "a", None)
            await until(lambda: sent(here, "call") >= 20, "packets")
            here.engine.recordings.stop("call")
            assert await here.engine.recordings.finished()
            length = len(both(first)[0])
            second = await here.engine.recordings.start("call", tmp_path, "a", None)
            await until(lambda: sent(here, "call") >= 40, "packets")
            here.engine.close_call("call")
            assert await here.engine.recordings.finished()
            assert len(both(first)[0]) == length > 0
            assert len(both(second)[0]) > 0

    asyncio.run(test())


def test_nothing_is_ever_overwritten_nor_followed(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("mine")
    (tmp_path / "a-2.wav").symlink_to(tmp_path / "elsewhere")

    async def test() -> str:
        recordings = Recordings(MediaThread(lambda _: None), lambda _: None)
        return await recordings.start("call", tmp_path, "a", None)

    assert asyncio.run(test()) == f"{tmp_path}/a-3.wav"
    assert (tmp_path / "a.wav").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_cannot_be_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def test() -> None:
        recordings = Recordings(MediaThread(lambda _: None), lambda _: None)
        await recordings.start("call", tmp_path / "file", "a", None)

    with pytest.raises(OSError, match="File exists"):
        asyncio.run(test())


def test_a_full_disk_is_told_once_and_the_call_goes_on() -> None:
    """/dev/full takes nothing; the file behind the name is of no matter to who writes."""
    told: list[OSError] = []
    with Path("/dev/full").open("wb") as full:
        recorder = CallRecorder(full, "full.wav", told.append, None)
        for _ in range(10_000):
            recorder.write(np.zeros(160, dtype=np.int16), np.zeros(160, dtype=np.int16))
        recorder.close()
        assert recorder.finished(5.0)
    assert [error.strerror for error in told] == ["No space left on device"]


def test_a_file_has_the_rate_its_call_began_with(tmp_path: Path) -> None:
    """A call that changes to telephone sound goes on at the rate of its file."""
    told: list[OSError] = []
    recorder = CallRecorder((tmp_path / "a.wav").open("wb"), "a.wav", told.append, None)
    wide, narrow = speech(1.0, rate=16000), speech(1.0)
    for start in range(0, len(wide), 320):
        recorder.write(wide[start : start + 320], wide[start : start + 320])
    for start in range(0, len(narrow), 160):
        recorder.write(narrow[start : start + 160], narrow[start : start + 160])
    recorder.close()
    assert recorder.finished(5.0)
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 16000)
        assert file.getnframes() == 2 * 16000
    assert told == []


def test_an_engine_that_runs_for_weeks_does_not_hold_every_recording(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(QUIET) as phone:
            seen: list[weakref.ref[Any]] = []
            for number in range(4):
                await phone.engine.recordings.start(f"gone {number}", tmp_path, "name", None)
                recorder = phone.engine.recordings._unfinished[-1]
                seen.append(weakref.ref(recorder))
                await asyncio.to_thread(recorder.finished, 5.0)
                del recorder
            await until(lambda: sum(one() is not None for one in seen) <= 1, "those before are let go")

    asyncio.run(test())
