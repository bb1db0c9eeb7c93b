"""Sample rate conversion: length, delay, pass band, images, drift correction."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audio.stream.resample import RateConverter, Resampler, convert

Samples = NDArray[np.int16]
RATES = [(8000, 16000), (8000, 48000), (16000, 8000), (48000, 8000), (16000, 48000), (48000, 16000), (44100, 8000)]


def tone(frequency: float, rate: int, seconds: float = 0.5) -> Samples:
    return np.asarray(np.rint(10_000 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)), np.int16)


def level(sound: Samples) -> float:
    return float(np.sqrt((sound.astype(np.float64) ** 2).mean()))


def fitted_error(sound: Samples, frequency: float, rate: int) -> tuple[float, float]:
    """Amplitude of ``frequency`` in ``sound``, and RMS of all else."""
    time = np.arange(len(sound)) / rate
    basis = np.stack([np.cos(2 * np.pi * frequency * time), np.sin(2 * np.pi * frequency * time)], axis=1)
    factors, *_ = np.linalg.lstsq(basis, sound.astype(np.float64), rcond=None)
    rest = sound - basis @ factors
    return float(np.hypot(*factors)), float(np.sqrt((rest**2).mean()))


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_speech_frequencies_pass_clean(in_rate: int, out_rate: int, frequency: int) -> None:
    resampler = Resampler(in_rate, out_rate)
    out = resampler.process(tone(frequency, in_rate))[200:]
    amplitude, rest = fitted_error(out, frequency, out_rate)
    assert amplitude == pytest.approx(10_000, rel=0.06)
    assert rest < 10_000 * 0.015


@pytest.mark.parametrize("frequency", [5200, 7000, 12_000, 20_000])
def test_what_would_alias_is_taken_out(frequency: int) -> None:
    out = Resampler(48000, 8000).process(tone(frequency, 48000))[200:]
    assert level(out) < level(tone(1000, 8000)) * 0.01


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_blocks_of_any_size_give_the_same_stream(in_rate: int, out_rate: int) -> None:
    draw = np.random.default_rng(1)
    sound = draw.normal(0, 3000, in_rate // 4).astype(np.int16)
    whole = Resampler(in_rate, out_rate).process(sound)
    parts, resampler, place = [], Resampler(in_rate, out_rate), 0
    while place < len(sound):
        size = int(draw.integers(1, 500))
        parts.append(resampler.process(sound[place : place + size]))
        place += size
    joined = np.concatenate(parts)
    assert len(joined) == len(whole)
    assert np.abs(joined.astype(np.int32) - whole).max() <= 1


@pytest.mark.parametrize(("in_rate", "out_rate"), [*RATES, (8000, 8000), (48000, 48000)])
def test_the_delay_is_the_stated_millisecond_or_so(in_rate: int, out_rate: int) -> None:
    resampler = Resampler(in_rate, out_rate)
    impulse = np.zeros(in_rate // 10, dtype=np.int16)
    impulse[in_rate // 20] = 20_000
    out = resampler.process(impulse)
    assert int(np.argmax(np.abs(out))) / out_rate - 0.05 == pytest.approx(resampler.delay_s, abs=1.5 / out_rate)
    assert resampler.delay_s <= 0.0014


@pytest.mark.parametrize("ppm", [-300.0, -20.0, 20.0, 300.0])
@pytest.mark.parametrize(("in_rate", "out_rate"), [(8000, 48000), (48000, 8000), (8000, 8000), (16000, 8000)])
def test_the_correction_changes_the_amount_and_keeps_the_sound(in_rate: int, out_rate: int, ppm: float) -> None:
    """Never further from where it should be than an input sample, never faster or slower by more than 3.2 permille."""
    resampler = Resampler(in_rate, out_rate)
    resampler.correction_ppm = ppm
    sound = tone(1000, in_rate, 8.0)
    out = np.concatenate([resampler.process(sound[n : n + in_rate // 50]) for n in range(0, len(sound), in_rate // 50)])
    assert len(out) == pytest.approx(8 * out_rate * (1 - ppm * 1e-6), abs=2 + out_rate / in_rate)
    block = out_rate // 200
    time = np.arange(block) / out_rate
    blocks = out[block : len(out) // block * block].reshape(-1, block)
    factors = blocks @ np.exp(-2j * np.pi * 1000 * time) * 2 / block
    assert np.abs(factors) == pytest.approx(10_000, rel=0.03)
    rest = blocks - np.real(factors[:, None] * np.exp(2j * np.pi * 1000 * time))
    assert np.sqrt((rest**2).mean(axis=1)).max() < 10_000 * 0.03
    cycles = np.unwrap(np.angle(factors)) / (2 * np.pi)
    assert np.abs(np.diff(cycles)).max() < 5 * 3.2e-3
    gone = np.arange(len(cycles)) * block / out_rate * 1000 * ppm * 1e-6
    assert np.ptp(cycles - gone) < 1.05 * 1000 / in_rate


def test_between_corrections_equal_rates_change_nothing() -> None:
    resampler = Resampler(8000, 8000)
    resampler.correction_ppm = 50.0
    draw = np.random.default_rng(2)
    sound = draw.integers(-32768, 32768, 8000 * 4, dtype=np.int16)
    out = np.concatenate([resampler.process(sound[n : n + 160]) for n in range(0, len(sound), 160)])
    assert np.array_equal(out[10:19_800], sound[: 19_800 - 10])
    assert np.array_equal(out[21_000:], sound[21_000 - 9 : -10])
    assert len(out) == len(sound) - 1


def test_turning_the_correction_on_and_off_is_not_heard() -> None:
    resampler = Resampler(8000, 48000)
    sound = tone(500, 8000, 1.0)
    out = []
    for number in range(50):
        # Each time enough for a whole sample, which is when anything moves.
        resampler.correction_ppm = [0.0, 2000.0, -2000.0][number // 5 % 3]
        out.append(resampler.process(sound[number * 160 : number * 160 + 160]))
    lengths = [len(block) for block in out[1:]]
    assert min(lengths) < 960 < max(lengths)
    steps = np.abs(np.diff(np.concatenate(out)[200:].astype(np.int32)))
    assert steps.max() < 10_000 * 2 * np.pi * 500 / 48000 * 1.1


def test_rates_are_positive() -> None:
    with pytest.raises(ValueError):
        Resampler(0, 8000)


@given(st.integers(0, 3000), st.sampled_from(RATES))
def test_converting_a_whole_recording_keeps_its_length_and_its_timing(count: int, rates: tuple[int, int]) -> None:
    in_rate, out_rate = rates
    out = convert(np.ones(count, dtype=np.int16), in_rate, out_rate)
    assert len(out) == round(count * out_rate / in_rate)


def test_converting_there_and_back_is_the_same_sound() -> None:
    sound = tone(700, 8000, 0.3)
    back = convert(convert(sound, 8000, 48000), 48000, 8000)
    middle = slice(100, -100)
    assert np.abs(back[middle].astype(np.int32) - sound[middle]).max() < 200


def test_a_long_recording_takes_no_more_memory_at_once_than_a_short_one() -> None:
    """An hour at 44.1 kHz is a plain file for ``wav:``; a window for each output would take 10 GB."""
    spent = []
    for seconds in (5, 20):
        recording = np.zeros(44_100 * seconds, dtype=np.int16)
        convert(recording[:100], 44_100, 8000)  # the filter itself, once
        tracemalloc.start()
        convert(recording, 44_100, 8000)
        spent.append(tracemalloc.get_traced_memory()[1] - 2 * recording.nbytes)
        tracemalloc.stop()
    assert spent[1] < 1.5 * spent[0]


@pytest.mark.parametrize(
    "rates", [(16000, 8000, 16000), (8000, 16000, 48000), (16000, 48000, 44100), (8000, 16000, 8000)]
)
def test_a_change_of_rates_makes_no_hole(rates: tuple[int, int, int]) -> None:
    """A tone whose own rate changes, then the one that is wanted: the first millisecond of every block has it."""
    converter = RateConverter()
    before, after, wanted = rates
    for place in range(30):
        rate = before if place < 10 else after
        block = tone(1000, rate, 0.6)[place * rate // 50 : (place + 1) * rate // 50]
        out_rate = 16000 if place < 20 else wanted
        made = converter.convert(block, rate, out_rate)
        assert len(made) == out_rate // 50
        assert np.abs(made[: out_rate // 1000]).max() > 9000 or place == 0
