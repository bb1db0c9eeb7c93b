"""Gain and mixing, in figures: what is left alone, what is rounded off, and what a change sounds like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.stream.loudness import KNEE, Gain, factor_of, mix, soft_clip
from audio.stream.stillness import PATIENCE_AFTER_SPEECH_S, PATIENCE_S, Stillness

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

RATE = 8000
BLOCK = 160


def sine(peak: float, frequency: float = 437.5, seconds: float = 0.4) -> NDArray[np.float64]:
    """A tone with a whole number of periods in 0.4 s, at any height."""
    places = np.arange(round(RATE * seconds))
    return peak * np.sin(2 * np.pi * frequency * places / RATE)


def distortion_db(samples: NDArray[Any], frequency: float = 437.5, *, above: float = 0.0) -> float:
    """Power beside the tone and above a frequency, relative to the tone's, in dB."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    places = np.fft.rfftfreq(len(samples), 1 / RATE)
    tone = np.abs(places - frequency) < 3.0
    return float(10 * np.log10(spectrum[~tone & (places > above)].sum() / spectrum[tone].sum()))


def test_below_the_knee_not_a_bit_changes() -> None:
    everything = np.arange(-KNEE, KNEE + 1, dtype=np.int32)
    assert (soft_clip(everything) == everything).all()
    assert 20 * np.log10(KNEE / 32767) == pytest.approx(-3.0, abs=0.01)


def test_above_the_knee_it_rises_evenly_and_never_over_full_scale() -> None:
    everything = np.arange(-4 * 32768, 4 * 32768, dtype=np.int32)
    bent = soft_clip(everything).astype(np.int32)
    steps = np.diff(bent)
    assert steps.min() >= 0
    assert steps.max() <= 1
    assert (bent.min(), bent.max()) == (-32767, 32767)
    assert (bent[1:] == -bent[:0:-1]).all()


@pytest.mark.parametrize(("over_db", "better_db"), [(1.0, 12.0), (3.0, 7.0), (6.0, 4.0)])
def test_it_sounds_less_harsh_than_hard_clipping(over_db: float, better_db: float) -> None:
    """A tone as low as a voice: all distortion together is as before, what lies above 2 kHz of it is much less."""
    loud = sine(32767 * 10 ** (over_db / 20), 187.5)
    soft, hard = soft_clip(loud.astype(np.float32)), np.clip(np.rint(loud), -32768, 32767)
    harsh = [distortion_db(samples, 187.5, above=2000.0) for samples in (soft, hard)]
    total = [distortion_db(samples, 187.5) for samples in (soft, hard)]
    print(f"+{over_db:g} dB: above 2 kHz soft {harsh[0]:.1f} dB, hard {harsh[1]:.1f} dB; "
          f"in all soft {total[0]:.1f} dB, hard {total[1]:.1f} dB")  # fmt: skip
    assert harsh[0] <= harsh[1] - better_db
    assert total[0] <= total[1] + 2.0
    assert np.abs(soft).max() <= 32767


def test_a_quiet_sum_is_exact_and_a_loud_one_is_bent() -> None:
    one, other = sine(9000).astype(np.int16), sine(9000, 700.0).astype(np.int16)
    assert (mix(one, other) == one + other).all()
    assert mix(np.array([30000], dtype=np.int16), np.array([30000], dtype=np.int16))[0] == pytest.approx(32767, abs=20)


def test_silence_changes_nothing_however_loud_the_other_is() -> None:
    loud = np.array([-32768, 32767, 30000, 12], dtype=np.int16)
    assert (mix(loud, np.zeros(4, dtype=np.int16)) == loud).all()


def test_unity_is_the_very_same_block() -> None:
    block = sine(20000).astype(np.int16)[:BLOCK]
    assert Gain().apply(block) is block


def test_half_is_six_decibels_less() -> None:
    gain = Gain(0.5)
    tone = sine(20000).astype(np.int16)
    heard = np.concatenate([gain.apply(tone[start : start + BLOCK]) for start in range(0, len(tone), BLOCK)])
    ratio = np.sqrt((heard.astype(float) ** 2).mean() / (tone.astype(float) ** 2).mean())
    assert 20 * np.log10(ratio) == pytest.approx(-6.02, abs=0.02)
    assert factor_of(6.0206) == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.5), (0.5, 1.0), (1.0, 0.0), (0.0, 1.5)])
def test_a_change_does_not_click(before: float, after: float) -> None:
    """What lies beyond 1 kHz of a 437.5 Hz tone while the volume changes: 25 dB below what a step would leave."""
    gain = Gain(before)
    tone = sine(12000).astype(np.int16)
    blocks = []
    for number, start in enumerate(range(0, len(tone), BLOCK)):
        gain.factor = before if number < 10 else after
        blocks.append(gain.apply(tone[start : start + BLOCK]))
    heard = np.concatenate(blocks)
    stepped = tone * np.where(np.arange(len(tone)) < 10 * BLOCK + 5, before, after)  # in the midst of a wave
    ramped, cut = click_db(heard), click_db(stepped)
    print(f"{before:g} to {after:g}: {ramped:.1f} dB, a step {cut:.1f} dB")
    assert ramped <= cut - 25.0
    assert (blocks[11] == np.rint(tone[11 * BLOCK : 12 * BLOCK] * np.float32(after)).astype(np.int16)).all()


def click_db(samples: NDArray[Any]) -> float:
    """Power beyond 1 kHz relative to full scale, under a window that hides the ends."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64) / 32768 * np.blackman(len(samples)))) ** 2
    beyond = np.fft.rfftfreq(len(samples), 1 / RATE) > 1000.0
    return float(10 * np.log10(spectrum[beyond].sum() / len(samples)))


# ------------------------------------------------------------------------------------------------- dead microphones


def feed(watch: Stillness, level: int, seconds: float, *, noise: int = 0) -> None:
    """One level, with noise of some steps to either side."""
    draw = np.random.default_rng(1)
    for _ in range(round(seconds * RATE / BLOCK)):
        watch.add((level + draw.integers(-noise, noise + 1, BLOCK)).astype(np.int16))


@pytest.mark.parametrize(("level", "noise"), [(0, 0), (-311, 0), (40, 1)])
def test_one_level_for_five_seconds_is_a_dead_microphone(level: int, noise: int) -> None:
    watch = Stillness()
    feed(watch, level, PATIENCE_S - 0.02, noise=noise)
    before = watch.dead
    feed(watch, level, 0.02, noise=noise)
    assert (before, watch.dead) == (False, True)


def test_a_quiet_room_is_no_dead_microphone() -> None:
    """Noise of two steps: some -85 dBFS."""
    watch = Stillness()
    feed(watch, 0, 60.0, noise=2)
    assert not watch.dead


def test_a_level_that_creeps_is_no_dead_microphone() -> None:
    watch = Stillness()
    for level in range(20):
        feed(watch, level, 1.0)
        assert not watch.dead


def test_sound_ends_it_and_noise_suppression_is_given_longer() -> None:
    watch = Stillness()
    told = []
    for seconds, noise in ((PATIENCE_S, 0), (0.02, 500), (PATIENCE_AFTER_SPEECH_S - 0.02, 0), (0.02, 0)):
        feed(watch, 0, seconds, noise=noise)
        told.append(watch.dead)
    assert told == [True, False, False, True]


def test_a_step_from_silence_to_a_level_is_no_sound() -> None:
    watch = Stillness()
    watch.add(np.repeat(np.array([0, 500], dtype=np.int16), BLOCK // 2))
    feed(watch, 500, PATIENCE_S)
    before = watch.dead
    watch.reset()
    assert (before, watch.dead) == (True, False)
