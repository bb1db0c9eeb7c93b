"""A device's crystal against the monotonic clock, on virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from audio.core import FRAME_SAMPLES, Samples
from audio.io.matching import CallbackCapture, CallbackPlayout, CaptureEnd, PlayoutEnd
from audio.io.ring import FrameRing
from audio.stream.resample import convert
from tests.audio.sound import likeness, local_likeness, speech

RATE = 48000
BLOCK = 480
TICK_S = 0.020


@dataclass
class Device:
    """Calls back for blocks of 10 ms by a clock ``ppm`` fast, each up to ``jitter_s`` late."""

    ppm: float = 0.0
    jitter_s: float = 0.0
    offset_s: float = 0.0
    draw: random.Random = field(default_factory=lambda: random.Random(1))
    done: int = 0
    late_s: float = 0.0
    last: float = 0.0
    now: float = 0.0

    def since_callback(self) -> float:
        """For the media thread's end."""
        return self.now - self.last

    def due(self, now: float) -> int:
        """How many callbacks have come by ``now`` since last asked."""
        count = 0
        self.now = now
        while (when := (self.done + 1) * (BLOCK / RATE) / (1 + self.ppm * 1e-6) + self.offset_s + self.late_s) <= now:
            self.last = when
            self.done += 1
            count += 1
            self.late_s = self.draw.uniform(0.0, self.jitter_s)
        return count


def _capture(device: Device, seconds: float, sound: Samples) -> tuple[CaptureEnd, FrameRing, list[Samples | None]]:
    """What the media thread hears of ``sound`` (48 kHz)."""
    ring = FrameRing(RATE // 2)
    end = CaptureEnd(CallbackCapture(ring, RATE, device.since_callback))
    frames: list[Samples | None] = []
    place = 0
    for tick in range(round(seconds / TICK_S)):
        for _ in range(device.due(tick * TICK_S)):
            ring.write(np.resize(sound[place : place + BLOCK], BLOCK).astype(np.int16).tobytes())
            place = (place + BLOCK) % (len(sound) - BLOCK)
        frames.append(end.read(8000))
    return end, ring, frames


def _play(device: Device, seconds: float, sound: Samples) -> tuple[PlayoutEnd, FrameRing, Samples]:
    """What the device plays of ``sound`` (8 kHz)."""
    ring = FrameRing(RATE // 2)
    end = PlayoutEnd(CallbackPlayout(ring, RATE, device.since_callback))
    played: list[bytes] = []
    for tick in range(round(seconds / TICK_S)):
        for _ in range(device.due(tick * TICK_S)):
            block = bytearray(2 * BLOCK)
            ring.read_into(memoryview(block))
            played.append(bytes(block))
        start = tick * FRAME_SAMPLES % (len(sound) - FRAME_SAMPLES)
        end.write(sound[start : start + FRAME_SAMPLES])
    return end, ring, np.frombuffer(b"".join(played), dtype=np.int16)


def _heard(frames: list[Samples | None]) -> Samples:
    empty = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    return np.concatenate([empty if frame is None else frame for frame in frames])


def test_what_is_spoken_is_heard_whole_and_soon() -> None:
    spoken = speech(4.5, rate=RATE)
    end, ring, frames = _capture(Device(offset_s=0.003), 4.0, spoken)
    # The first third of a second goes by until the reserve is trimmed.
    sent, heard = convert(spoken, RATE, 8000)[4000:28000], _heard(frames)[4000:]
    assert local_likeness(sent, heard) > 0.85
    assert likeness(sent, heard)[1] <= 8 * 45  # ms
    assert (end.breaks, ring.overruns) == (0, 0)


def test_what_is_played_is_played_whole_and_soon() -> None:
    sound = speech(5.0)
    end, ring, played = _play(Device(offset_s=0.003), 4.0, sound)
    sent, heard = sound[4000:28000], convert(played, RATE, 8000)[4000:]
    assert local_likeness(sent, heard) > 0.85
    assert likeness(sent, heard)[1] <= 8 * 45
    assert (end.breaks, ring.overruns) == (0, 0)


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_drift_is_absorbed_in_capture_without_a_gap(ppm: float) -> None:
    """Eighty seconds at 200 ppm are 16 ms: without correction the ring would run dry or grow by as much."""
    spoken = speech(10.0, rate=RATE)
    end, ring, frames = _capture(Device(ppm, jitter_s=0.002), 80.0, spoken)
    assert end.breaks <= 1
    assert ring.fill < RATE * 0.040
    assert end.drained < RATE * 0.030
    last = _heard(frames[-500:])
    assert local_likeness(last[8000:56000], convert(np.tile(spoken, 4), RATE, 8000)) > 0.8


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_drift_is_absorbed_in_playout_without_a_gap(ppm: float) -> None:
    end, ring, _ = _play(Device(ppm, jitter_s=0.002), 80.0, speech(10.0))
    assert end.breaks <= 1
    assert ring.fill < RATE * 0.060
    assert end.drained < RATE * 0.030


def test_a_backlog_is_drained_at_once() -> None:
    """A source found idle hands over all it had stored: nobody wants to hear it half a second late."""
    ring = FrameRing(RATE)
    end = CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.005))
    ring.write(bytes(2 * RATE * 458 // 1000))
    frame = end.read(8000)
    assert frame is not None
    assert ring.fill <= RATE * 0.020
    assert end.drained > RATE * 0.400
    # Later on the same: a stall of the server, then all of it together.
    ring.write(bytes(2 * RATE * 300 // 1000))
    end.read(8000)
    assert ring.fill <= RATE * 0.030


def test_a_speaker_that_pauses_does_not_pile_up_delay() -> None:
    """A null sink found idle takes its first blocks and then pauses for two seconds."""
    ring = FrameRing(RATE // 2)
    end = PlayoutEnd(CallbackPlayout(ring, RATE, lambda: 0.005))
    frame = np.ones(FRAME_SAMPLES, dtype=np.int16)
    for _ in range(100):
        end.write(frame)
    assert ring.fill <= RATE * 0.100
    assert ring.overruns == 0
    block = memoryview(bytearray(2 * BLOCK))
    for _ in range(100):
        ring.read_into(block)
        ring.read_into(block)
        end.write(frame)
    assert ring.fill <= RATE * 0.040


def test_a_late_block_is_bridged_by_no_more_than_what_is_missing() -> None:
    ring = FrameRing(RATE)
    end = CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.005))
    tone = (1000 * np.ones(BLOCK, dtype=np.int16)).tobytes()
    for _ in range(3):
        ring.write(tone)
    frames = [end.read(8000)]
    for tick in range(50):
        for _ in range(1 if tick == 10 else 3 if tick == 11 else 2):
            ring.write(tone)
        frames.append(end.read(8000))
    silent_samples = int((np.abs(_heard(frames)[300:]) < 100).sum())
    assert silent_samples <= 80
    assert end.breaks <= 1


def test_a_device_that_is_dead_gives_nothing_and_costs_no_reserve() -> None:
    ring = FrameRing(RATE)
    end = CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.005))
    for _ in range(4):
        ring.write(bytes(2 * BLOCK))
    assert end.read(8000) is not None
    end.read(8000)
    assert [end.read(8000) for _ in range(100)] == [None] * 100
    assert end.breaks == 1


def test_after_a_pause_the_microphone_starts_with_the_present() -> None:
    ring = FrameRing(RATE)
    end = CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.005))
    ring.write((7000 * np.ones(4 * BLOCK, dtype=np.int16)).tobytes())
    assert end.read(8000) is not None
    end.pause()
    ring.write((7000 * np.ones(10 * BLOCK, dtype=np.int16)).tobytes())
    ring.write(bytes(2 * 4 * BLOCK))
    frame = end.read(8000)
    assert frame is not None
    assert np.abs(frame[40:]).max() < 200
