"""Record and play back through the real media thread: what the synthetic microphone says comes out of the speaker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.engine import AudioEngine
from audio.io.settings import AudioSettings
from phone.sound_test import Parrot, SoundTest
from tests.audio.wideband import HIGH_HZ, RATE, needs_g722, tone
from tests.lab import signals

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_spoken_is_heard_after_the_recording() -> None:
    async def scenario() -> None:
        engine = AudioEngine(AudioSettings(input="synthetic", output="synthetic", ring="none"), on_event=lambda _: None)
        await engine.start()
        test = SoundTest(engine, record_s=0.8)
        try:
            assert test.report()["phase"] == "off"
            await test.start()
            phases: dict[str, list[dict[str, float]]] = {"recording": [], "playing": []}
            async with asyncio.timeout(10):
                while (report := test.report())["phase"] != "off":
                    phases[report["phase"]].append(report)
                    await asyncio.sleep(0.05)
            assert max(report["input_dbfs"] for report in phases["recording"]) > -50
            assert max(report["output_dbfs"] for report in phases["recording"]) < -80, "nothing howls"
            assert max(report["output_dbfs"] for report in phases["playing"]) > -50
        finally:
            await test.stop()
            await engine.stop()

    asyncio.run(scenario())


@needs_g722
def test_one_hears_oneself_in_wideband(tmp_path: Path) -> None:
    """A tone that no telephone sound carries comes back, and not as a thump."""
    microphone, earpiece = tmp_path / "microphone.wav", tmp_path / "earpiece.wav"
    signals.write_wav(microphone, tone(3.0) / 32768, RATE)

    async def scenario() -> None:
        settings = AudioSettings(input=f"wav:{microphone}", output=f"wav:{earpiece}", ring="none")
        engine = AudioEngine(settings, on_event=lambda _: None)
        await engine.start()
        test = SoundTest(engine, record_s=1.2)
        try:
            await test.start()
            phases = []
            async with asyncio.timeout(10):
                while (phase := test.report()["phase"]) != "off":
                    phases.append(phase)
                    await asyncio.sleep(0.05)
            assert set(phases) == {"recording", "playing"}
            assert await engine.recordings.finished()
        finally:
            await engine.stop()

    asyncio.run(scenario())
    heard, rate = signals.read_wav(earpiece)
    assert rate == RATE
    loud = heard[np.abs(heard) > 0.01]
    assert 0.5 * RATE < len(loud) < 1.5 * RATE
    first = int(np.flatnonzero(np.abs(heard) > 0.01)[0])
    assert signals.tone_share(heard[first + 1600 : first + 9600], RATE, HIGH_HZ) > 0.95
    assert np.abs(heard).max() < 1.5 * 8000 / 32768


def test_a_test_can_be_stopped_and_started_again() -> None:
    async def scenario() -> None:
        engine = AudioEngine(AudioSettings(input="none", output="none", ring="none"), on_event=lambda _: None)
        await engine.start()
        test = SoundTest(engine, record_s=5)
        try:
            await test.start()
            await test.start()
            assert test.report()["phase"] == "recording"
            await test.stop()
            assert test.report()["phase"] == "off"
            await test.stop()
        finally:
            await engine.stop()

    asyncio.run(scenario())


def test_the_parrot_repeats_at_the_pace_it_heard_and_nothing_that_came_later() -> None:
    class Ear(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.heard: list[bytes] = []

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.heard.append(data)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        transport, ear = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
        _, parrot = await loop.create_datagram_endpoint(Parrot, local_addr=("127.0.0.1", 0))
        for packet in (b"\x80\x00one", b"\x80\xc8report", b"\x80\x00two"):
            parrot.datagram_received(packet, ("127.0.0.1", 1))
            await asyncio.sleep(0.03)
        length = parrot.play(transport.get_extra_info("sockname"))
        parrot.datagram_received(b"\x80\x00late", ("127.0.0.1", 1))
        assert length == pytest.approx(0.06, abs=0.05)
        await asyncio.sleep(length + 0.1)
        assert ear.heard == [b"\x80\x00one", b"\x80\x00two"]
        parrot.close()
        transport.close()

    asyncio.run(scenario())
