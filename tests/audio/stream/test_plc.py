"""Concealment: what replaces lost sound is closer to it than nothing or a plain repetition, joins smoothly, and
fades.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.stream.plc import PacketLossConcealer
from tests.audio.sound import speech

Samples = NDArray[np.int16]


def conceal_every(sound: Samples, lost: set[int], *, block: int = 160) -> Samples:
    plc = PacketLossConcealer()
    out = []
    for number in range(len(sound) // block):
        piece = sound[number * block : (number + 1) * block]
        out.append(plc.conceal(block) if number in lost else plc.good(piece))
    return np.concatenate(out)


def periodic(count: int, frequency: float = 125.0) -> Samples:
    time = np.arange(count) / 8000
    wave = sum(np.sin(2 * np.pi * frequency * k * time + k) / k for k in range(1, 12))
    return np.asarray(np.rint(4000 * wave), dtype=np.int16)


def test_good_sound_passes_unchanged() -> None:
    sound = speech(2.0)
    assert np.array_equal(conceal_every(sound, set()), sound)


def envelope_distance(sound: Samples, heard: Samples) -> float:
    """How far apart two sounds are to an ear that does not care for phase: RMS of the difference of their spectra in
    dB.
    """

    def spectra(signal: Samples) -> NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64), 256)[::80] * np.hanning(256)
        power = np.abs(np.fft.rfft(frames)) ** 2
        bands = power[:, :128].reshape(len(frames), 16, 8).sum(axis=2)
        return np.asarray(10 * np.log10(bands + 1e6), dtype=np.float64)

    difference = spectra(sound[: len(heard)]) - spectra(heard)
    return float(np.sqrt((difference**2).mean()))


@pytest.mark.parametrize("frequency", [65.0, 100.0, 130.0, 210.0])
def test_a_voiced_sound_goes_on_through_a_lost_packet(frequency: float) -> None:
    """A steady tone is continued in phase, only softer and softer."""
    sound = periodic(1600, frequency)
    heard = conceal_every(sound, {5})
    said, made = sound[800:960].astype(np.float64), heard[800:960].astype(np.float64)
    assert said @ made / np.sqrt((said @ said) * (made @ made)) > 0.95
    assert 0.6 < np.sqrt((made @ made) / (said @ said)) < 0.95


def test_speech_with_losses_sounds_nearer_to_the_original_than_silence_or_repetition() -> None:
    draw = np.random.default_rng(7)
    sound = speech(30.0, seed=3)
    blocks = len(sound) // 160
    lost = {int(n) for n in draw.choice(np.arange(3, blocks), blocks // 10, replace=False)}
    concealed = conceal_every(sound, lost)
    silent, repeated = sound.copy(), sound.copy()
    for number in sorted(lost):
        here = slice(number * 160, number * 160 + 160)
        silent[here] = 0
        repeated[here] = repeated[number * 160 - 160 : number * 160] // 2
    distance = envelope_distance(sound, concealed)
    assert distance < 0.75 * envelope_distance(sound, silent)
    assert distance < envelope_distance(sound, repeated)


def test_the_joints_are_smooth() -> None:
    """No step at either end of a hole is much larger than the steps of the sound itself."""
    sound = periodic(3200, 110.0)
    heard = conceal_every(sound, {6, 13}).astype(np.int32)
    largest = np.abs(np.diff(sound.astype(np.int32))).max()
    assert np.abs(np.diff(heard)).max() <= 1.5 * largest


def bridged(sound: Samples, first: int, holes: int, *, shown: int = 160) -> Samples:
    """``holes`` blocks from ``first`` on are lost, and what follows them is known from the start."""
    plc = PacketLossConcealer()
    out = []
    for number in range(len(sound) // 160):
        piece = sound[number * 160 : number * 160 + 160]
        if first <= number < first + holes:
            after = (first + holes) * 160
            out.append(plc.conceal(160, sound[after : after + shown], after - number * 160))
        else:
            out.append(plc.good(piece, joined=number == first + holes))
    return np.concatenate(out)


@pytest.mark.parametrize("holes", [1, 2, 3])
def test_a_hole_is_led_over_to_what_follows_it(holes: int) -> None:
    """Nearer to what was said than without a view of what follows, and what follows is not touched."""
    draw = np.random.default_rng(3)
    sound = speech(20.0, seed=5)
    blind, seeing = [], []
    for place in draw.choice(np.arange(5, len(sound) // 160 - 10), 60, replace=False):
        near = slice((place - 4) * 160, (place + holes + 4) * 160)
        lost = set(range(place, place + holes))
        blind.append(envelope_distance(sound[near], conceal_every(sound, lost)[near]))
        heard = bridged(sound, int(place), holes)
        seeing.append(envelope_distance(sound[near], heard[near]))
        assert np.array_equal(heard[(place + holes) * 160 :], sound[(place + holes) * 160 : len(heard)])
    assert np.mean(seeing) < 0.85 * np.mean(blind)


@pytest.mark.parametrize("frequency", [80.0, 110.0, 190.0])
def test_the_way_over_has_no_step(frequency: float) -> None:
    sound = periodic(3200, frequency)
    largest = np.abs(np.diff(sound.astype(np.int32))).max()
    for holes in (1, 2):
        heard = bridged(sound, 7, holes).astype(np.int32)
        assert np.abs(np.diff(heard)).max() <= 1.5 * largest


def test_another_packet_than_the_one_led_over_to_is_blended_in() -> None:
    """The late packet came after all: the sound goes on from what was heard, without a step."""
    sound = periodic(3200, 110.0)
    plc = PacketLossConcealer()
    heard = [plc.good(sound[:960]), plc.conceal(160, sound[1120:1280], 160)]
    heard += [plc.good(sound[960:1120]), plc.good(sound[1120:1280])]
    steps = np.abs(np.diff(np.concatenate(heard).astype(np.int32)))
    assert steps.max() <= 2 * np.abs(np.diff(sound.astype(np.int32))).max()


def test_what_follows_may_change_in_the_midst_of_a_hole() -> None:
    sound = periodic(4800, 110.0)
    plc = PacketLossConcealer()
    heard = [plc.good(sound[:960]), plc.conceal(160, sound[1440:1600], 480)]
    plc.turn()
    heard += [plc.conceal(160, sound[1280:1440], 160), plc.good(sound[1280:1440], joined=True)]
    steps = np.abs(np.diff(np.concatenate(heard).astype(np.int32)))
    assert steps.max() <= 2 * np.abs(np.diff(sound.astype(np.int32))).max()


def test_too_little_of_what_follows_is_as_good_as_nothing() -> None:
    sound = speech(1.0)
    assert np.array_equal(bridged(sound, 9, 1, shown=40)[: 10 * 160], conceal_every(sound, {9})[: 10 * 160])


def test_a_long_hole_fades_to_silence() -> None:
    """Never louder than 20 ms before, and silent from 160 ms on."""
    sound = periodic(4800)
    heard = conceal_every(sound, set(range(5, 18)))
    rms = [float(np.sqrt((heard[n * 160 : n * 160 + 160].astype(float) ** 2).mean())) for n in range(4, 18)]
    assert all(later < earlier for earlier, later in itertools.pairwise(rms[:9]))
    assert rms[9:] == [0.0] * 5


def test_sound_after_a_long_hole_fades_in() -> None:
    sound = periodic(4800)
    heard = conceal_every(sound, set(range(5, 15)))
    back = heard[15 * 160 : 15 * 160 + 80].astype(np.int32)
    assert abs(int(back[0])) <= 200
    assert np.array_equal(heard[15 * 160 + 80 : 16 * 160], sound[15 * 160 + 80 : 16 * 160])


@pytest.mark.parametrize("sizes", [(1, 7, 80, 160, 33, 200), (160, 160, 1, 1, 1)])
def test_holes_of_any_size_at_any_time(sizes: tuple[int, ...]) -> None:
    plc = PacketLossConcealer()
    for size in sizes:
        assert len(plc.conceal(size)) == size
        assert len(plc.good(np.full(size, 20_000, dtype=np.int16))) == size
        assert len(plc.good(np.zeros(0, dtype=np.int16))) == 0


def test_full_scale_sound_does_not_wrap() -> None:
    square = np.where(np.arange(1600) % 80 < 40, 32767, -32768).astype(np.int16)
    heard = conceal_every(square, {6, 7})
    assert heard.dtype == np.int16
    assert abs(int(heard[6 * 160 : 7 * 160].astype(np.int32).mean())) < 6000
