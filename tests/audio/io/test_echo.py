"""Echo cancelling on a synthetic loop, and what happens without its library."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio.engine import AudioEngine, AudioEvent, AudioProblem, AudioSettings
from audio.io import devices, echo
from audio.io.echo import CleanMicrophone, EchoCanceller, EchoPath, HeardSpeaker
from audio.io.matching import CallbackCapture, CallbackPlayout, CaptureEnd, PlayoutEnd
from audio.io.ring import FrameRing
from audio.stream.resample import convert
from tests.audio.sound import likeness, speech

PROJECT = Path(__file__).resolve().parents[3]
DELAY_S = 0.08
needs_aec = pytest.mark.skipif(not echo.installed(), reason="needs the extra: pip install 'offhook[aec]'")


def _decibels(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    powers = [float((sound.astype(np.float64) ** 2).mean()) for sound in (one, other)]
    return float(10 * np.log10(powers[0] / max(powers[1], 1e-9)))


@needs_aec
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_speaker_is_taken_out_of_the_microphone_and_the_speaker_at_the_desk_is_not(rate: int) -> None:
    """At least 20 dB less echo from the second second on; then both talk at once."""
    far, near = (convert(speech(14.0, seed=seed), 8000, rate) for seed in (1, 7))
    near = near.copy()
    near[: 10 * rate] = 0
    room = np.concatenate([np.zeros(round(DELAY_S * rate)), 0.4 * far.astype(np.float64)])[: len(far)]
    microphone = np.clip(room + 0.8 * near, -32768, 32767).astype(np.int16)
    canceller, frame = EchoCanceller(), rate // 50
    cleaned = []
    for place in range(0, len(far), frame):
        cleaned.append(canceller.cleaned(microphone[place : place + frame], DELAY_S))
        canceller.heard(far[place : place + frame])
    sent = np.concatenate(cleaned)
    alone, both = slice(rate, 10 * rate), slice(11 * rate, None)
    enhancement = _decibels(microphone[alone], sent[alone])
    kept, _ = likeness(near[both], sent[both])
    level = _decibels(sent[both], 0.8 * near[both])
    print(f"{rate} Hz: {enhancement:.1f} dB less echo; both at once: likeness {kept:.2f}, level {level:+.1f} dB")
    assert enhancement >= 20
    assert kept > 0.6
    assert level > -6
    assert not canceller.failed


@needs_aec
def test_it_is_loaded_where_it_is_asked_for_and_nowhere_else() -> None:
    """30 MB and threads of its own: the engine of everybody else has none of it."""
    code = """
import asyncio, sys, threading
from audio.engine import AudioEngine, AudioSettings
async def main():
    settings = AudioSettings(input="none", output="none", ring="none", echo_cancelling={wanted})
    engine = AudioEngine(settings, on_event=print)
    await engine.start()
    await engine.open("a", "127.0.0.1")
    await engine._devices.load_echo_canceller()
    print("livekit" in sys.modules, "google.protobuf" in sys.modules)
    await engine.stop()
asyncio.run(main())
"""
    for wanted, loaded in ((False, "False False"), (True, "True True")):
        command = [sys.executable, "-c", code.format(wanted=wanted)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=18, check=True)
        assert done.stdout.split("\n")[0] == loaded, done.stderr


async def _problems(settings: AudioSettings) -> list[str]:
    told: list[AudioEvent] = []
    engine = AudioEngine(settings, on_event=told.append)
    await engine.start()
    try:
        await engine._devices.load_echo_canceller()
        await engine._devices.load_echo_canceller()
    finally:
        await engine.stop()
    return [event.sentence for event in told if isinstance(event, AudioProblem)]


WANTED = AudioSettings(input="none", output="none", ring="none", echo_cancelling=True)


def test_without_the_extra_one_sentence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "installed", lambda: False)
    (sentence, *_) = asyncio.run(_problems(WANTED))
    assert "pip install 'offhook[aec]'" in sentence


def test_a_library_that_cannot_be_loaded_costs_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "installed", lambda: True)
    for name in list(sys.modules):
        if name.partition(".")[0] == "livekit":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "livekit", None)
    (sentence, *_) = asyncio.run(_problems(WANTED))
    assert sentence.startswith("Echo cancelling cannot be used: ")
    assert sentence.endswith("Calls go on without.")


class Broken:
    """A canceller of which every call fails, as the real one reports it."""

    failed = False

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.frames = 0

    def heard(self, frame: np.ndarray[Any, Any]) -> None:
        self.frames += 1

    def cleaned(self, frame: np.ndarray[Any, Any], delay_s: float) -> np.ndarray[Any, Any]:
        self.delays.append(delay_s)
        return frame


def test_the_path_knows_the_delay_of_both_devices_and_survives_a_failure() -> None:
    rings = FrameRing(16000), FrameRing(16000)
    path = EchoPath()
    microphone = CleanMicrophone(CaptureEnd(CallbackCapture(rings[0], 16000, lambda: 0.005)), path)
    speaker = HeardSpeaker(PlayoutEnd(CallbackPlayout(rings[1], 16000, lambda: 0.005)), path)
    frame = np.ones(320, dtype=np.int16)
    canceller = Broken()
    path.canceller = canceller  # type: ignore[assignment]
    speaker.write(frame)
    assert canceller.frames == 0, "nothing to compare with while the microphone is silent"
    for _ in range(4):
        rings[0].write(bytes(2 * 320))
        microphone.read(16000)
        speaker.write(frame)
    assert canceller.frames >= 2
    # A frame, both reserves (6 ms each, and a block of 10 ms of capture), both filters.
    assert canceller.delays[-1] == pytest.approx(0.020 + 0.006 + 0.016 + 2 * 0.000625, abs=0.004)
    canceller.failed = True
    rings[0].write(bytes(2 * 320))
    assert microphone.read(16000) is not None
    assert path.canceller is None
