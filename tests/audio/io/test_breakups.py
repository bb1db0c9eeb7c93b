"""What counts as a break of a call's sound at a device, and as whose."""

from __future__ import annotations

import numpy as np
import pytest

from audio.core import FRAME_SAMPLES
from audio.io.breakups import BreakUps
from audio.io.echo import CleanMicrophone, EchoPath, HeardSpeaker
from audio.io.matching import CallbackCapture, CallbackPlayout, CaptureEnd, PlayoutEnd
from audio.io.mixer import Mixer
from audio.io.ring import FrameRing
from audio.io.settings import Role
from audio.io.wave import WaveMicrophone

RATE = 8000
FRAME = bytes(2 * FRAME_SAMPLES)


@pytest.fixture
def microphone() -> tuple[CaptureEnd, FrameRing]:
    ring = FrameRing(RATE)
    return CaptureEnd(CallbackCapture(ring, RATE, lambda: 0.0)), ring


@pytest.fixture
def speaker() -> tuple[PlayoutEnd, FrameRing]:
    ring = FrameRing(RATE)
    return PlayoutEnd(CallbackPlayout(ring, RATE, lambda: 0.0)), ring


def test_a_microphone_that_stops_counts_once(microphone: tuple[CaptureEnd, FrameRing]) -> None:
    end, ring = microphone
    breaks = BreakUps()
    breaks.look((end,))
    for _ in range(5):
        ring.write(FRAME)
        end.read(RATE)
    for _ in range(10):
        end.read(RATE)
    breaks.look((end,))
    breaks.look((end,))
    assert (breaks.underruns, breaks.overruns) == (1, 0)


def test_a_backlog_counts_as_too_much(microphone: tuple[CaptureEnd, FrameRing]) -> None:
    end, ring = microphone
    breaks = BreakUps()
    for _ in range(5):
        ring.write(FRAME)
        end.read(RATE)
    breaks.look((end,))
    ring.write(FRAME * 25)
    end.read(RATE)
    breaks.look((end,))
    assert (breaks.underruns, breaks.overruns) == (0, 1)


def test_a_speaker_that_runs_dry_counts(speaker: tuple[PlayoutEnd, FrameRing]) -> None:
    end, ring = speaker
    breaks = BreakUps()
    breaks.look((end,))
    end.write(np.zeros(FRAME_SAMPLES, dtype=np.int16))
    ring.read_into(memoryview(bytearray(2 * RATE)))
    end.write(np.zeros(FRAME_SAMPLES, dtype=np.int16))
    breaks.look((end,))
    assert (breaks.underruns, breaks.overruns) == (1, 0)


def test_what_was_before_the_call_is_not_its(microphone: tuple[CaptureEnd, FrameRing]) -> None:
    end, ring = microphone
    for _ in range(5):
        ring.write(FRAME)
        end.read(RATE)
    end.read(RATE)
    end.read(RATE)
    assert end.breaks == 1
    breaks = BreakUps()
    breaks.look((end,))
    assert (breaks.underruns, breaks.overruns) == (0, 0)


def test_an_end_that_was_replaced_starts_anew(microphone: tuple[CaptureEnd, FrameRing]) -> None:
    """Another device's counters are not compared with those of the one before."""
    end, _ = microphone
    other = CaptureEnd(CallbackCapture(FrameRing(RATE), RATE, lambda: 0.0))
    other.breaks = 7
    breaks = BreakUps()
    breaks.look((end,))
    breaks.look((other,))
    other.breaks = 9
    breaks.look((other,))
    assert breaks.underruns == 2


@pytest.mark.parametrize("cleaned", [False, True], ids=["plain", "without echo"])
def test_a_break_counts_once_whoever_the_device_serves(
    microphone: tuple[CaptureEnd, FrameRing], speaker: tuple[PlayoutEnd, FrameRing], cleaned: bool
) -> None:
    """A speaker plays calls and rings, and the canceller of echoes stands before both devices."""
    path = EchoPath()
    capture = CleanMicrophone(microphone[0], path) if cleaned else microphone[0]
    playout = HeardSpeaker(speaker[0], path) if cleaned else speaker[0]
    mixer = Mixer(lambda _: None)
    mixer.attach_microphone(capture)
    mixer.attach_speaker(Role.SPEAKER, playout)
    mixer.attach_speaker(Role.RINGER, playout)
    breaks = BreakUps()
    breaks.look(mixer.ends)
    playout.write(np.zeros(FRAME_SAMPLES, dtype=np.int16))
    speaker[1].read_into(memoryview(bytearray(2 * RATE)))
    playout.write(np.zeros(FRAME_SAMPLES, dtype=np.int16))
    breaks.look(mixer.ends)
    assert (breaks.underruns, breaks.overruns) == (1, 0)
    for _ in range(5):
        microphone[1].write(FRAME)
        capture.read(RATE)
    capture.read(RATE)
    capture.read(RATE)
    breaks.look(mixer.ends)
    assert (breaks.underruns, breaks.overruns) == (2, 0)


def test_files_do_not_break() -> None:
    breaks = BreakUps()
    breaks.look((WaveMicrophone(np.zeros(RATE, dtype=np.int16)),))
    assert (breaks.underruns, breaks.overruns) == (0, 0)
