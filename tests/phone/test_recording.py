"""Recording of calls with a real phone at the demo's PBX: who may ask, what is told, what the file is called."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.io.events import RecordingFailed
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.recording import _name
from tests.phone.test_calls import Desk, at_the_desk


async def talking(desk: Desk, directory: Path) -> str:
    """An answered call; recordings go to ``directory``."""
    settings = dataclasses.replace(desk.phone.audio.settings, recordings=str(directory))
    desk.phone.set_levels(settings)
    call = await desk.phone.calls.dial("600")
    await desk.until(lambda: desk.held() == {call: False})
    return call


def test_a_call_is_recorded_on_request_alone_and_until_its_end(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        with pytest.raises(CommandRefused, match="no call to record"):
            await desk.phone.recorder.start()
        call = await talking(desk, tmp_path / "tapes")
        assert not (tmp_path / "tapes").exists()
        file = await desk.phone.recorder.start()
        assert desk.phone.state.calls[0].recording == file
        with pytest.raises(CommandRefused, match="recorded already"):
            await desk.phone.recorder.start(call)
        await desk.phone.calls.hang_up()
        await desk.until(lambda: not desk.phone.state.calls)
        told = [event for event in desk.events if isinstance(event, ev.RecordingStarted | ev.RecordingEnded)]
        assert [type(event) for event in told] == [ev.RecordingStarted, ev.RecordingEnded]
        assert {event.file for event in told} == {file}
        ended = [type(event) for event in desk.events if isinstance(event, ev.RecordingEnded | ev.CallEnded)]
        assert ended == [ev.RecordingEnded, ev.CallEnded]

    at_the_desk(tmp_path, body)


def test_stopping_means_the_call_that_is_recorded_whichever_has_the_microphone(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        first = await talking(desk, tmp_path)
        file = await desk.phone.recorder.start()
        second = await desk.phone.calls.dial("600")
        await desk.until(lambda: desk.held() == {first: True, second: False})
        with pytest.raises(CommandRefused, match="is not recorded"):
            desk.phone.recorder.stop(second)
        assert desk.phone.recorder.stop() == file
        with pytest.raises(CommandRefused, match="is not recorded"):
            desk.phone.recorder.stop()

    at_the_desk(tmp_path, body)


def test_what_the_disk_refuses_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        call = await talking(desk, tmp_path)
        file = await desk.phone.recorder.start()
        desk.phone.recorder.failed(RecordingFailed(call, "another file", "of a recording before"))
        assert desk.phone.state.calls[0].recording == file
        desk.phone.recorder.failed(RecordingFailed(call, file, "The disk is full."))
        (ended,) = [event for event in desk.events if isinstance(event, ev.RecordingEnded)]
        assert ended.problem == "The disk is full."
        assert [slice_.recording for slice_ in desk.phone.state.calls] == [""]

    at_the_desk(tmp_path, body)


def test_a_volume_is_told_once_and_only_when_it_changed(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        for volume in (100, 80, 80):
            desk.phone.set_levels(dataclasses.replace(desk.phone.audio.settings, volume=volume))
        told = [event for event in desk.events if isinstance(event, ev.VolumeChanged)]
        assert [(event.volume, event.ring_volume) for event in told] == [(80, 100)]
        assert desk.phone.state.audio.volume == 80
        await asyncio.sleep(0)

    at_the_desk(tmp_path, body)


@given(st.text(max_size=300))
def test_a_peer_cannot_name_a_file_of_its_own(peer: str) -> None:
    """Nor a place: what is left is one component of a path, short and plain."""
    name = _name(peer, 1_795_000_000.0)
    assert Path(name).name == name
    assert name.isascii()
    assert name.isprintable()
    assert len(name) < 64
    assert " " not in name


def test_a_file_is_named_by_time_and_peer() -> None:
    assert _name("+44 20/7946", 0.0).endswith("_+44_20_7946")
    assert _name("../../etc", 0.0).endswith("_etc")
    assert _name("...", 0.0).endswith("_unknown")


def test_a_key_pressed_twice_makes_one_recording(tmp_path: Path) -> None:
    """The second press comes while the file of the first is being made."""

    async def body(desk: Desk) -> None:
        await talking(desk, tmp_path / "tapes")
        answers = await asyncio.gather(desk.phone.recorder.start(), desk.phone.recorder.start(), return_exceptions=True)
        (refused,) = [answer for answer in answers if isinstance(answer, CommandRefused)]
        assert "recorded already" in refused.sentence
        (file,) = (tmp_path / "tapes").iterdir()
        assert desk.phone.state.calls[0].recording == str(file)

    at_the_desk(tmp_path, body)


def test_a_call_that_ends_while_its_file_is_made_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(desk: Desk) -> None:
        await talking(desk, tmp_path / "tapes")
        made, go_on = asyncio.Event(), asyncio.Event()
        start = desk.phone.audio.recordings.start

        async def slow(*arguments: Any) -> str:
            file = await start(*arguments)
            made.set()
            await go_on.wait()
            return file

        monkeypatch.setattr(desk.phone.audio.recordings, "start", slow)
        starting = asyncio.create_task(desk.phone.recorder.start())
        await made.wait()
        await desk.phone.calls.hang_up()
        await desk.until(lambda: not desk.phone.state.calls)
        go_on.set()
        with pytest.raises(CommandRefused, match="ended meanwhile"):
            await starting
        told = [event for event in desk.events if isinstance(event, ev.RecordingStarted | ev.RecordingEnded)]
        assert told == []
        assert await desk.phone.audio.recordings.finished(5.0)
        assert list((tmp_path / "tapes").iterdir()) == []

    at_the_desk(tmp_path, body)
