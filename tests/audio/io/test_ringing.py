"""What the user hears beside the far end, in real calls on loopback: and that none of it is ever sent.

one ── microphone ▶ RTP ▶ other's earpiece          keys, beep, bell ▶ one's earpiece, and nowhere else
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.core import SAMPLE_RATE, DtmfReceived, Samples
from audio.engine import AudioDeviceLost, AudioDeviceRestored, AudioProblem, AudioSettings, Channel, Role, ToneKind
from audio.io.backend import DeviceFailure, FailureKind
from tests.audio.calling import Phone, connect, until, write_wave
from tests.audio.io.fake_backend import FakeBackend, FakeStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from audio.engine import AudioEvent
    from audio.io.backend import DeviceBackend

HEARING = AudioSettings(input="none", output="synthetic", ring="synthetic")
GONE = DeviceFailure(FailureKind.NOT_FOUND, "There is no sound device called 'Desk'.")


@asynccontextmanager
async def running(settings: AudioSettings = HEARING, backend: DeviceBackend | None = None) -> AsyncIterator[Phone]:
    phone = Phone(settings, backend)
    await phone.engine.start()
    try:
        yield phone
    finally:
        await phone.engine.stop()


def earpiece(phone: Phone) -> Samples:
    speaker = phone.engine.synthetic_speaker
    assert speaker is not None
    return speaker.heard()


async def hear(phone: Phone, seconds: float) -> Samples:
    """What is heard from now on."""
    begin = len(earpiece(phone))
    await until(lambda: len(earpiece(phone)) >= begin + seconds * SAMPLE_RATE, "heard", seconds + 10)
    return earpiece(phone)[begin:]


def share(sound: Samples, *frequencies: float) -> float:
    """How much of the power lies at these frequencies."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    at = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    near = np.any([np.abs(at - frequency) < 15 for frequency in frequencies], axis=0)
    return float(spectrum[near].sum() / max(spectrum.sum(), 1e-9))


def loudest(sound: Samples) -> int:
    return int(np.abs(sound.astype(np.int32)).max()) if len(sound) else 0


@pytest.fixture
def bells(tmp_path: Path) -> dict[str, str]:
    """Two ring files, told apart by their pitch; one is stereo-rate, one wideband."""
    files = {}
    for name, pitch, rate in (("ring_file", 700.0, 48000), ("ring_file_internal", 1100.0, 16000)):
        sound = (8000 * np.sin(2 * np.pi * pitch * np.arange(2 * rate) / rate)).astype(np.int16)
        write_wave(tmp_path / f"{name}.wav", sound, rate)
        files[name] = str(tmp_path / f"{name}.wav")
    return files


def test_a_key_is_heard_here_and_its_tone_is_never_sent() -> None:
    """RFC 4733 §2.1: the far end gets the event, and no audio beside it."""

    async def test() -> None:
        async with running() as one, running() as other:
            await connect(one, other)
            await hear(other, 0.2)
            assert one.engine.send_dtmf("call", "5")
            one.engine.ringing.press("5")
            await until(lambda: any(isinstance(event, DtmfReceived) for event in other.media_events()), "5 received")
            await hear(other, 0.5)
            mine = earpiece(one)
            loud = np.flatnonzero(np.abs(mine.astype(np.int32)) > 500)
            tone = mine[loud[0] : loud[-1]]
            assert 0.095 <= len(tone) / SAMPLE_RATE <= 0.105
            assert share(tone, 770.0, 1336.0) > 0.9
            assert loudest(earpiece(other)) < 30

    asyncio.run(test())


def test_key_tones_can_be_switched_off_in_the_midst_of_a_call() -> None:
    async def test() -> None:
        async with running() as one, running() as other:
            await connect(one, other)
            await one.engine.ringing.use(replace(HEARING, key_tones=False))
            one.engine.ringing.press("5")
            assert loudest(await hear(one, 0.3)) < 30
            await one.engine.ringing.use(HEARING)
            one.engine.ringing.press("5")
            assert loudest(await hear(one, 0.3)) > 3000

    asyncio.run(test())


@pytest.mark.parametrize("ending", ["hung up", "put on hold"])
def test_keys_that_were_not_sent_any_more_are_not_heard_any_more(ending: str) -> None:
    """The far end is gone, or hears no digits: what was still to come is dropped on both sides."""

    async def test() -> None:
        async with running() as one, running() as other:
            await connect(one, other)
            one.engine.ringing.press("5" * 60)
            assert share(await hear(one, 0.3), 770.0, 1336.0) > 0.9
            if ending == "hung up":
                one.engine.close_call("call")
            else:
                one.engine.activate(None)
            one.engine.ringing.play(Channel.PROGRESS, ToneKind.BUSY)
            await hear(one, 0.1)
            assert share(await hear(one, 0.5), 770.0, 1336.0) < 0.1

    asyncio.run(test())


def test_the_call_waiting_beep_is_heard_over_a_voice_and_not_at_the_far_end() -> None:
    async def test() -> None:
        async with (
            running(replace(HEARING, country="us")) as one,
            running(replace(HEARING, input="synthetic")) as other,
        ):
            await connect(one, other)
            await hear(one, 0.5)
            one.engine.ringing.play(Channel.WAITING, ToneKind.CALL_WAITING)
            beep = (await hear(one, 0.4))[: round(0.3 * SAMPLE_RATE)]
            amplitude = (
                2 * abs(np.dot(beep, np.exp(-2j * np.pi * 440 * np.arange(len(beep)) / SAMPLE_RATE))) / len(beep)
            )
            assert 0.04 < amplitude / 32768 < 0.12
            assert loudest(await hear(one, 0.5)) > 1000  # the voice goes on
            one.engine.ringing.play(Channel.WAITING, None)
            await hear(other, 0.3)
            assert loudest(earpiece(other)) < 30

    asyncio.run(test())


def test_tones_of_different_kinds_sound_together() -> None:
    async def test() -> None:
        async with running(replace(HEARING, country="us")) as phone:
            phone.engine.ringing.play(Channel.PROGRESS, ToneKind.RINGBACK)
            phone.engine.ringing.play(Channel.WAITING, ToneKind.CALL_WAITING)
            phone.engine.ringing.press("1")
            await until(lambda: len(earpiece(phone)) > 4000, "heard")
            first = earpiece(phone)[:1600]
            for frequency in (480.0, 697.0, 1209.0):
                assert share(first, frequency) > 0.05

    asyncio.run(test())


def test_our_own_voice_is_never_in_our_ear() -> None:
    """Side tone is off: in a headset it would come as late as the sound card is."""

    async def test() -> None:
        async with running(replace(HEARING, input="synthetic")) as one, running() as other:
            await connect(one, other)
            await hear(other, 1.0)
            assert loudest(earpiece(other)) > 3000
            assert loudest(earpiece(one)) < 30

    asyncio.run(test())


def test_colleagues_have_their_own_bell(bells: dict[str, str]) -> None:
    async def test() -> None:
        async with running(
            replace(HEARING, ring_file=bells["ring_file"], ring_file_internal=bells["ring_file_internal"])
        ) as phone:
            await phone.engine.ringing.load()
            for kind, pitch in ((ToneKind.RING, 700.0), (ToneKind.RING_INTERNAL, 1100.0)):
                phone.engine.ringing.play(Channel.BELL, kind)
                await hear(phone, 0.1)
                assert share(await hear(phone, 0.5), pitch) > 0.95
            await phone.engine.ringing.use(replace(HEARING, ring_file=bells["ring_file"]))
            await hear(phone, 0.1)
            assert share(await hear(phone, 0.5), 700.0) > 0.95
            await phone.engine.ringing.use(HEARING)
            await hear(phone, 0.1)
            assert share(await hear(phone, 0.5), 1318.5, 1661.2, 1975.5) > 0.95

    asyncio.run(test())


def test_a_call_that_rings_before_its_bell_is_read_goes_on_with_it(bells: dict[str, str]) -> None:
    async def test() -> None:
        async with running(replace(HEARING, ring_file=bells["ring_file"])) as phone:
            phone.engine.ringing.play(Channel.BELL, ToneKind.RING)
            await until(lambda: phone.engine.synthetic_speaker, "it rings")
            await hear(phone, 0.25)
            await until(lambda: share(earpiece(phone)[-SAMPLE_RATE // 4 :], 700.0) > 0.95, "the bell of one's own")

    asyncio.run(test())


def test_a_ring_file_that_cannot_be_played_is_told_once_and_the_built_in_bell_rings(tmp_path: Path) -> None:
    async def test() -> None:
        absent = str(tmp_path / "absent.wav")
        async with running(replace(HEARING, ring_file=absent, ring_file_internal=absent)) as phone:
            await until(lambda: phone.of(AudioProblem), "told")
            phone.engine.ringing.play(Channel.BELL, ToneKind.RING_INTERNAL)
            assert share(await hear(phone, 0.5), 1318.5, 1661.2, 1975.5) > 0.95
            await phone.engine.ringing.load()
            (problem,) = phone.of(AudioProblem)
            assert isinstance(problem, AudioProblem)
            assert problem.role is Role.RINGER
            assert "absent.wav cannot be used: there is no such file" in problem.sentence
            assert problem.sentence.endswith("Until then the built-in bell rings.")

    asyncio.run(test())


def test_another_country_is_heard_at_once() -> None:
    async def test() -> None:
        async with running(replace(HEARING, country="us")) as phone:
            phone.engine.ringing.play(Channel.PROGRESS, ToneKind.RINGBACK)
            assert share(await hear(phone, 0.5), 440.0, 480.0) > 0.95
            await phone.engine.ringing.use(replace(HEARING, country="jp"))
            await hear(phone, 0.1)
            assert share(await hear(phone, 0.5), 384.0, 400.0, 416.0) > 0.95

    asyncio.run(test())


# --- the ring device ----------------------------------------------------------------------------------------------


def pull(stream: FakeStream, blocks: int = 1) -> int:
    """Be the device for some 10 ms blocks; the loudest sample."""
    peak = 0
    for _ in range(blocks):
        block = memoryview(bytearray(960))
        stream.ring.read_into(block)
        stream.last_callback += 0.01
        peak = max(peak, loudest(np.frombuffer(block, dtype=np.int16)))
    return peak


def of_ringer(phone: Phone, kind: type[AudioEvent]) -> list[AudioEvent]:
    return [event for event in phone.of(kind) if getattr(event, "role", None) is Role.RINGER]


def test_a_ring_device_that_is_pulled_leaves_the_bell_to_the_speaker_until_it_is_back() -> None:
    async def test() -> None:
        backend = FakeBackend()
        async with running(AudioSettings(input="none", ring="Desk"), backend) as phone:
            phone.engine.ringing.play(Channel.BELL, ToneKind.RING)
            await until(lambda: backend.streams, "ring device open")
            assert [role for role, _ in backend.streams] == [Role.RINGER]
            backend.absent[Role.RINGER] = GONE
            backend.newest(Role.RINGER).vanish()
            await until(lambda: any(role is Role.SPEAKER for role, _ in backend.streams), "speaker open")
            speaker = backend.newest(Role.SPEAKER)
            await until(lambda: pull(speaker) > 1000, "rings on the speaker")
            (lost,) = of_ringer(phone, AudioDeviceLost)
            assert isinstance(lost, AudioDeviceLost)
            assert lost.sentence == "The ring device Desk is gone; until it is back calls ring on the speaker."
            del backend.absent[Role.RINGER]
            await until(lambda: of_ringer(phone, AudioDeviceRestored), "back")
            desk = backend.newest(Role.RINGER)
            await until(lambda: pull(desk) > 1000, "rings on its device again")
            assert of_ringer(phone, AudioProblem) == []
            phone.engine.ringing.play(Channel.BELL, None)
            await until(speaker.closed.is_set, "speaker given back", 10.0)

    asyncio.run(test())


def test_a_ring_device_that_is_not_there_is_told_once_and_the_speaker_rings() -> None:
    async def test() -> None:
        backend = FakeBackend()
        backend.absent[Role.RINGER] = GONE
        async with running(AudioSettings(input="none", ring="Desk"), backend) as phone:
            await until(lambda: of_ringer(phone, AudioProblem), "told at the start")
            assert backend.streams == []
            for _ in range(2):
                phone.engine.ringing.play(Channel.BELL, ToneKind.RING)
                await until(lambda: any(role is Role.SPEAKER for role, _ in backend.streams), "speaker open")
                speaker = backend.newest(Role.SPEAKER)
                await until(lambda: pull(speaker) > 1000, "rings on the speaker")  # noqa: B023 - within this turn
                phone.engine.ringing.play(Channel.BELL, None)
                await asyncio.sleep(0)
            (problem,) = of_ringer(phone, AudioProblem)
            assert isinstance(problem, AudioProblem)
            assert problem.sentence == f"{GONE.sentence} Until then calls ring on the speaker."

    asyncio.run(test())


def test_a_call_is_not_moved_by_what_happens_to_the_ring_device() -> None:
    async def test() -> None:
        backend = FakeBackend()
        async with running(AudioSettings(input="none", ring="Desk"), backend) as phone, running() as other:
            await connect(phone, other)
            phone.engine.ringing.play(Channel.BELL, ToneKind.RING)
            await until(lambda: len(backend.streams) == 2, "speaker and ring device open")
            speaker = backend.newest(Role.SPEAKER)
            backend.absent[Role.RINGER] = GONE
            backend.newest(Role.RINGER).vanish()
            await until(lambda: of_ringer(phone, AudioDeviceLost), "told")
            phone.engine.ringing.play(Channel.BELL, None)
            assert not speaker.closed.is_set()
            assert len([role for role, _ in backend.streams if role is Role.SPEAKER]) == 1

    asyncio.run(test())
