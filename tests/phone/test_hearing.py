"""What the user hears of a call that is only beginning, or came to nothing: a real phone at the demo's PBX."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from audio.core import SAMPLE_RATE, Samples
from audio.io.settings import AudioSettings
from phone.protocol import commands as cmd
from phone.protocol.commands import CommandRefused
from phone.verbs import Verbs
from tests.audio.calling import until
from tests.phone.test_calls import Desk, at_the_desk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

HEARING = AudioSettings(input="none", output="synthetic", ring="synthetic", country="us")


def unused(*_: Any) -> Any:
    raise AssertionError("not asked for here")


def verbs(desk: Desk) -> Verbs:
    return Verbs(
        desk.phone,
        username="1001",
        stored_password=unused,
        remember_password=unused,
        set_verbose=unused,
        settings=unused,  # type: ignore[arg-type]
        sound_test=unused,  # type: ignore[arg-type]
        log_file=unused,  # type: ignore[arg-type]
        shutdown=unused,
        restart=unused,
        about={},
    )


async def hear(desk: Desk, seconds: float) -> Samples:
    speaker = desk.phone.audio.synthetic_speaker
    assert speaker is not None
    begin = len(speaker.heard())
    await until(lambda: len(speaker.heard()) >= begin + seconds * SAMPLE_RATE, "heard")
    return speaker.heard()[begin:]


def loudest(sound: Samples) -> int:
    return int(np.abs(sound.astype(np.int32)).max())


def tones_in(sound: Samples, *frequencies: float) -> bool:
    """Whether nearly all of what is loud are these."""
    loud = sound[np.abs(sound.astype(np.int32)) > 0]
    spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud)))) ** 2
    at = np.fft.rfftfreq(len(loud), 1 / SAMPLE_RATE)
    near = np.any([np.abs(at - frequency) < 15 for frequency in frequencies], axis=0)
    return bool(spectrum[near].sum() > 0.9 * spectrum.sum())


def hearing(tmp_path: Path, body: Callable[[Desk], Awaitable[None]]) -> None:
    at_the_desk(tmp_path, body, HEARING)


def test_ringback_until_we_give_up(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.phone.calls.dial("604")
        assert tones_in(await hear(desk, 0.6), 440, 480)
        await desk.phone.calls.hang_up()
        await desk.until(lambda: not desk.phone.state.calls)
        speaker = desk.phone.audio.synthetic_speaker
        assert speaker is not None
        length = len(speaker.heard())
        await asyncio.sleep(0.1)
        assert len(speaker.heard()) - length <= 2 * 160  # nothing is played at all

    hearing(tmp_path, body)


def test_no_ringback_once_it_is_answered(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.phone.calls.dial("600")
        await desk.until(lambda: [call.state for call in desk.phone.state.calls] == ["active"])
        await hear(desk, 0.1)
        assert loudest(await hear(desk, 0.3)) < 50

    hearing(tmp_path, body)


def test_busy_ends_with_whatever_the_user_does(tmp_path: Path) -> None:
    """Hanging up then is no mistake: what it ends is the tone. Asking for something does not end it."""

    async def body(desk: Desk) -> None:
        do = verbs(desk).execute
        await do(cmd.Dial("603"))
        await desk.until(lambda: not desk.phone.state.calls)
        await do(cmd.Calls())
        assert tones_in(await hear(desk, 0.3), 480, 620)
        assert await do(cmd.Hangup()) is None
        assert not desk.phone.hush()
        with pytest.raises(CommandRefused, match="There is no call"):
            await do(cmd.Hangup())

    hearing(tmp_path, body)


def test_another_failure_is_told_apart(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.phone.calls.dial("699")
        await desk.until(lambda: not desk.phone.state.calls)
        sound = await hear(desk, 0.9)
        loud = np.abs(sound[: len(sound) // 400 * 400].reshape(-1, 400).astype(np.int32)).max(axis=1) > 500
        assert 3 <= np.count_nonzero(np.diff(loud.astype(int))) <= 4  # 0.25 s on, 0.25 s off

    hearing(tmp_path, body)


def test_digits_are_heard_whichever_way_they_are_sent(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        await desk.phone.calls.dial("600")
        await desk.until(lambda: [call.state for call in desk.phone.state.calls] == ["active"])
        await hear(desk, 0.1)
        await desk.phone.calls.dtmf("5")
        assert tones_in(await hear(desk, 0.25), 770, 1336)
        call = desk.phone.calls.lines.current
        assert call is not None
        desk.phone.calls._give_microphone(None)  # as while it is on hold
        await desk.phone.calls.dtmf("5", call)
        assert loudest(await hear(desk, 0.25)) < 50

    hearing(tmp_path, body)
