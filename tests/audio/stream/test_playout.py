"""Time scaling, comfort noise and the playout that uses both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.codec.g711 import PCMU
from audio.rtp.packet import RtpPacket
from audio.stream import noise, timescale
from audio.stream.jitter import JitterBuffer
from audio.stream.playout import Playout
from tests.audio.sound import likeness, speech

Samples = NDArray[np.int16]


def voiced(count: int, period: int = 64) -> Samples:
    time = np.arange(count) / period
    return np.asarray(np.rint(5000 * np.sin(2 * np.pi * time) + 2500 * np.sin(4 * np.pi * time + 1)), dtype=np.int16)


def largest_step(sound: Samples) -> int:
    return int(np.abs(np.diff(sound.astype(np.int32))).max())


@pytest.mark.parametrize("period", [25, 40, 64, 100])
def test_voiced_sound_loses_and_gains_whole_periods_without_a_step(period: int) -> None:
    sound = voiced(400, period)
    shorter, longer = timescale.shorten(sound, 120), timescale.lengthen(sound, 120)
    assert shorter is not None
    assert longer is not None
    assert (len(sound) - len(shorter)) % period == (len(longer) - len(sound)) % period == 0
    for changed in (shorter, longer):
        assert largest_step(changed) <= largest_step(sound) * 1.05
        assert np.array_equal(changed[:100], sound[:100])
        assert np.array_equal(changed[-20:], sound[-20:])


def test_the_change_keeps_to_what_is_asked_and_to_its_place() -> None:
    sound = voiced(400, 40)
    shorter = timescale.shorten(sound, 50, fixed=160)
    assert shorter is not None
    assert len(sound) - len(shorter) == 40
    assert np.array_equal(shorter[:160], sound[:160])
    assert timescale.shorten(sound, timescale.SHORTEST - 1) is None
    assert timescale.shorten(sound[:150], 120) is None


def test_noise_and_changing_speech_are_left_alone_and_faint_sound_is_not() -> None:
    draw = np.random.default_rng(1)
    hiss = draw.normal(0, 3000, 400).astype(np.int16)
    assert timescale.shorten(hiss, 120) is None
    assert timescale.lengthen(hiss, 120) is None
    faint = draw.normal(0, 20, 400).astype(np.int16)
    assert timescale.shorten(faint, 120) is not None


def test_comfort_noise_has_the_level_it_says() -> None:
    """RFC 3389 §3.1: the level is in -dBov; 0 is "a square wave with values +/- 8031" of 14 bits."""
    for level in (30, 45, 60):
        sound = noise.ComfortNoise().read(8000, bytes([level])).astype(np.float64)
        rms = np.sqrt((sound**2).mean())
        assert 20 * np.log10(rms / (8031 * 4)) == pytest.approx(-level, abs=0.5)
    assert noise.encode(-52.4) == b"\x34"
    assert noise.encode(12.0) == b"\x00"
    assert noise.encode(-200.0) == b"\x7f"


def test_comfort_noise_takes_the_described_colour() -> None:
    """A first reflection coefficient near -1 is low-pass noise, near +1 high-pass."""
    for octet, low in ((20, True), (235, False)):
        spectrum = np.abs(np.fft.rfft(noise.ComfortNoise().read(8000, bytes([40, octet])))) ** 2
        assert bool(spectrum[:2000].sum() > spectrum[2000:].sum()) is low


@given(st.binary(max_size=40), st.integers(1, 480))
def test_any_comfort_noise_payload_is_bearable(payload: bytes, count: int) -> None:
    sound = noise.ComfortNoise().read(count, payload)
    assert len(sound) == count
    assert np.abs(sound.astype(np.int32)).max() < 32767


class Line:
    """A G.711 stream of ``sound`` through a playout; ``delays`` per packet, ``None`` for a lost one."""

    def __init__(self, sound: Samples) -> None:
        self.sound = sound
        self.playout = Playout(JitterBuffer(), lambda _, payload: PCMU.decode(payload))
        self.heard: list[Samples] = []

    def run(self, delay: list[float | None], *, receiver_ppm: float = 0.0) -> Samples:
        arrivals = sorted(
            (100.0 + number * 0.02 + late, number) for number, late in enumerate(delay) if late is not None
        )
        ticks = int(len(delay) * (1 - receiver_ppm * 1e-6))
        for tick in range(ticks):
            now = 100.008 + tick * 0.02 * (1 + receiver_ppm * 1e-6)
            while arrivals and arrivals[0][0] <= now:
                arrival, number = arrivals.pop(0)
                payload = PCMU.encode(self.sound[number * 160 : number * 160 + 160])
                packet = RtpPacket(0, number & 0xFFFF, number * 160, 1, payload)
                self.playout.jitter.put(packet, 160, arrival)
            block = self.playout.read(now, 160)
            assert len(block) == 160
            self.heard.append(block)
        return np.concatenate(self.heard)


def test_sound_comes_through_as_it_was_coded() -> None:
    sound = speech(4.0)
    heard = Line(sound).run([0.01] * 200)
    coded = PCMU.decode(PCMU.encode(sound))
    _, delay = likeness(coded, heard)
    assert delay <= 480
    assert np.array_equal(heard[delay:], coded[: len(heard) - delay])


def test_delay_learnt_from_a_burst_of_jitter_is_given_back() -> None:
    """Issue: back near the quiet value soon after the jitter ends, by shortening what is periodic or faint."""
    draw = np.random.default_rng(5)
    quiet, shaken = [0.010] * 200, [0.010 + float(x) for x in draw.uniform(0, 0.1, 200)]
    line = Line(speech(30.0, seed=9))
    line.run([*quiet, *shaken, *[0.010] * 1000])
    end = 100.008 + 1400 * 0.02
    assert line.playout.shortened > 400
    assert line.playout.delay_s(end) < 0.060


@pytest.mark.parametrize("ppm", [600.0, -600.0])
def test_clock_drift_is_absorbed(ppm: float) -> None:
    """40 s at 600 ppm are 24 ms: nothing is lost or late, hardly anything made up, the delay stays bounded."""
    line = Line(speech(40.0, seed=4))
    line.run([0.010] * 2000, receiver_ppm=ppm)
    assert line.playout.jitter.statistics.late == 0
    assert line.playout.concealed <= 320
    assert line.playout.delay_s(100.008 + 2000 * 0.02) < 0.070


def test_a_hole_of_announced_silence_is_filled_with_noise_only() -> None:
    line = Line(speech(1.0))
    line.run([0.010] * 50)
    packet = RtpPacket(13, 50, 50 * 160, 1, b"\x30")
    line.playout.jitter.put_silence(packet, 101.01)
    for tick in range(50, 100):
        line.heard.append(line.playout.read(100.008 + tick * 0.02, 160))
    tail = np.concatenate(line.heard[60:]).astype(np.float64)
    assert line.playout.concealed <= 160
    assert 20 * np.log10(np.sqrt((tail**2).mean()) / (8031 * 4)) == pytest.approx(-48, abs=1)
