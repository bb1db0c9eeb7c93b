"""Real sound devices: PulseAudio's null sinks, by its own protocol and through PortAudio, the engine in a process of
its own.

paplay ─▶ sink mic ─▶ engine ══ RTP ══▶ far end ─▶ file          file ─▶ far end ══ RTP ══▶ engine ─▶ sink spk ─▶ parec
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from audio.engine import AudioSettings
from audio.io.probe import probe_devices
from sipcore.media import LocalMedia
from tests.audio.calling import Phone, parameters, read_wave, until, write_wave
from tests.audio.sound import local_likeness, speech
from tests.lab import signals
from tests.lab.sound import RATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from audio.core import Samples
    from tests.lab.sound import SoundServer

pytestmark = pytest.mark.audio

LOOPBACK = "127.0.0.1"
_FINE_RATE = 32000
_OPENING_S = 1.0


@dataclass
class Subject:
    """The engine's process, as seen from outside."""

    process: asyncio.subprocess.Process
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def read(self) -> None:
        """Collect what it says until its end."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.messages.append(json.loads(line))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What it told of one kind."""
        return [message for message in self.messages if message.get("event") == kind]


@asynccontextmanager
async def calling(
    pulse: SoundServer,
    tmp_path: Path,
    *,
    device_in: str = "default",
    device_out: str = "default",
    far_in: str = "none",
    by: str = "",
) -> AsyncIterator[tuple[Subject, Phone]]:
    """A call between the engine on ``pulse`` and a far end that records to ``far.wav``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.audio.device_engine", device_in, device_out, by),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=pulse.client_environment(),
    )
    subject = Subject(process)
    reading = asyncio.create_task(subject.read())
    far = Phone(AudioSettings(input=far_in, output=f"wav:{tmp_path / 'far.wav'}", ring="none"))
    await far.engine.start()
    try:
        await until(lambda: subject.messages, "the engine's ports")
        there = LocalMedia(address=LOOPBACK, **subject.messages[0])
        here = await far.engine.open("call", LOOPBACK)
        assert process.stdin is not None
        process.stdin.write(json.dumps({"rtp_port": here.rtp_port, "rtcp_port": here.rtcp_port}).encode() + b"\n")
        far.engine.configure("call", parameters(there))
        yield subject, far
        process.stdin.close()
        await asyncio.wait_for(reading, 10)
    finally:
        reading.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
        await far.engine.stop()


async def _received_for(far: Phone, seconds: float) -> int:
    """How many packets come within some seconds."""

    def received() -> int:
        statistics = far.engine.statistics("call")
        return statistics.packets_received if statistics is not None else 0

    await until(lambda: received() > 0, "packets")
    before = received()
    await asyncio.sleep(seconds)
    return received() - before


async def _both_ways(pulse: SoundServer, tmp_path: Path, by: str) -> tuple[float, float]:
    """How alike speech is to what the far end heard of it, and to what the earpiece played of it."""
    spoken = _two_files(tmp_path, _OPENING_S)
    earpiece = pulse.record("spk.monitor")
    async with calling(pulse, tmp_path, far_in=f"wav:{tmp_path / 'later.wav'}", by=by) as (subject, far):
        await until(lambda: subject.events("open"), "devices open")
        await asyncio.sleep(_OPENING_S)
        with pulse.play(tmp_path / "spoken.wav") as playing:
            await asyncio.to_thread(playing.wait, 20)
        await asyncio.sleep(1.0)
        far.engine.close_call("call")
        await far.engine.recordings.finished()
        assert subject.events("lost") == []
        assert subject.events("problem") == []
    far_heard = read_wave(tmp_path / "far.wav") / 32768
    return _alike(spoken, far_heard, 8000), _alike(spoken, earpiece.stop(), RATE)


def _two_files(tmp_path: Path, pause_s: float) -> Samples:
    """Speech as `spoken.wav`, and the same in `later.wav` after the time a sink may take until it runs."""
    spoken = speech(5.0)
    write_wave(tmp_path / "spoken.wav", spoken)
    write_wave(tmp_path / "later.wav", np.concatenate([np.zeros(round(pause_s * 8000), dtype=np.int16), spoken]))
    return spoken


def _alike(spoken: Samples, heard: signals.Samples, rate: int) -> float:
    """How well each half second of speech (8 kHz) is found again, at four times its rate: half a sample counts."""
    fine = signals.resample(spoken / 32768, 8000, _FINE_RATE), signals.resample(heard, rate, _FINE_RATE)
    sent, found = ((samples * 32767).astype(np.int16) for samples in fine)
    return local_likeness(sent, found, block=_FINE_RATE // 2, reach=_FINE_RATE // 4)


@pytest.mark.parametrize("by", ["the server's protocol", "portaudio"])
def test_speech_goes_through_the_devices_both_ways(pulse: SoundServer, tmp_path: Path, by: str) -> None:
    """The median of three runs; two that agree need no third."""
    runs: list[bool] = []
    while max(runs.count(True), runs.count(False)) < 2:
        far, earpiece = asyncio.run(_both_ways(pulse, tmp_path, by))
        print(f"likeness: microphone to far end {far:.3f}, far end to earpiece {earpiece:.3f}")
        runs.append(min(far, earpiece) >= 0.9)
    assert runs[-1]


def test_devices_are_chosen_by_the_name_of_a_sink_or_source(pulse: SoundServer, tmp_path: Path) -> None:
    """Its speech is heard in the sink called `ring`, the median of three runs, and never in the default one."""

    async def test() -> float:
        spoken = _two_files(tmp_path, _OPENING_S)
        ring, default = pulse.record("ring.monitor"), pulse.record("spk.monitor")
        wav = f"wav:{tmp_path / 'later.wav'}"
        async with calling(pulse, tmp_path, device_in="mic.monitor", device_out="ring", far_in=wav) as (subject, _):
            await until(lambda: subject.events("open"), "devices open")
            await asyncio.sleep(_OPENING_S + 5.5)
            assert subject.events("problem") == []
        assert np.abs(default.stop()).max() < 0.003
        return _alike(spoken, ring.stop(), RATE)

    runs: list[bool] = []
    while max(runs.count(True), runs.count(False)) < 2:
        alike = asyncio.run(test())
        print(f"likeness in the sink chosen: {alike:.3f}")
        runs.append(alike > 0.8)
    assert runs[-1]


def test_an_unknown_device_is_one_sentence_with_the_choices(pulse: SoundServer, tmp_path: Path) -> None:
    async def test() -> None:
        async with calling(pulse, tmp_path, device_in="none", device_out="No Such Headset") as (subject, far):
            await until(lambda: subject.events("problem"), "told")
            sentence = subject.events("problem")[0]["sentence"]
            assert "'No Such Headset'" in sentence
            assert "pulse" in sentence
            assert await _received_for(far, 1.0) >= 40

    asyncio.run(test())


def test_a_speaker_plugged_in_during_a_call_is_found(sleepy: SoundServer, tmp_path: Path) -> None:
    """PortAudio's list of devices is as old as its start, and the microphone's stream is in the way of another."""

    async def test() -> None:
        # One that flows from the start: PortAudio waits for the first block of a null source, at times ten seconds.
        sleepy.pactl("load-module", "module-sine-source", "source_name=only")
        for sink in ("spk", "mic", "ring"):
            sleepy.unplug(sink)
        async with calling(sleepy, tmp_path) as (subject, far):
            await until(lambda: subject.events("open") and subject.events("problem"), "a microphone and no speaker")
            assert "speaker" in subject.events("problem")[0]["sentence"]
            await asyncio.to_thread(sleepy.plug, "spk")
            await until(lambda: subject.events("restored"), "speaker found", 15.0)
            assert subject.events("restored")[0]["role"] == "output"
            assert subject.events("lost") == []
            assert await _received_for(far, 1.0) >= 40

    asyncio.run(test())


def test_a_killed_sound_server_costs_no_packet_and_sound_returns_with_it(sleepy: SoundServer, tmp_path: Path) -> None:
    async def test() -> None:
        async with calling(sleepy, tmp_path) as (subject, far):
            await until(lambda: subject.events("open"), "devices open")
            await asyncio.sleep(1.0)
            sleepy.kill()
            await until(lambda: len(subject.events("lost")) == 2, "both losses told", 5.0)
            assert await _received_for(far, 2.0) >= 90
            await asyncio.to_thread(sleepy.start)
            began = time.monotonic()
            await until(lambda: len(subject.events("restored")) == 2, "sound is back", 15.0)
            print(f"sound returned {time.monotonic() - began:.2f} s after the server")
            assert subject.events("problem") == []
            assert await _received_for(far, 1.0) >= 40

    asyncio.run(test())


def test_a_frozen_sound_server_is_noticed_and_the_call_goes_on(sleepy: SoundServer, tmp_path: Path) -> None:
    async def test() -> None:
        async with calling(sleepy, tmp_path) as (subject, far):
            await until(lambda: subject.events("open"), "devices open")
            # The watchdog allows a device three seconds to start.
            await asyncio.sleep(4.0)
            sleepy.freeze()
            began = time.monotonic()
            try:
                await until(lambda: len(subject.events("lost")) == 2, "both told", 5.0)
                print(f"freeze told after {subject.events('lost')[0]['at'] - began:.2f} s")
                assert await _received_for(far, 3.0) >= 140
            finally:
                sleepy.thaw()
            await until(lambda: len(subject.events("restored")) == 2, "sound is back", 20.0)
            assert await _received_for(far, 1.0) >= 40

    asyncio.run(test())


def test_the_probe_lists_portaudio_and_the_sound_server(pulse: SoundServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pulse.client_environment().items():
        monkeypatch.setenv(name, value)
    found = asyncio.run(probe_devices())
    assert found.problem is None
    listed = {(device.system, device.role, device.name) for device in found.devices}
    assert {("portaudio", "input", "pulse"), ("portaudio", "output", "pulse")} <= listed
    assert {("pulse", "output", "spk"), ("pulse", "output", "ring"), ("pulse", "input", "mic.monitor")} <= listed
    assert [device.name for device in found.devices if device.default] == ["pulse", "pulse"]
