"""Tones as the media thread reads them: computed before, in time for hours, and quiet where they are to be."""

from __future__ import annotations

import numpy as np
import pytest

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples
from audio.io.settings import Role
from audio.io.tone import Channel, KeySource, LoopSource, bell_source, tone_source
from audio.stream.tones import TONES, Country, ToneGenerator, ToneKind, dtmf_frequencies


def heard(source: LoopSource | KeySource, seconds: float) -> Samples:
    frames = [source.read() for _ in range(round(seconds * SAMPLE_RATE / FRAME_SAMPLES))]
    return np.concatenate([np.zeros(FRAME_SAMPLES, np.int16) if frame is None else frame for frame in frames])


def goertzel(sound: Samples, frequency: float) -> float:
    """The amplitude of one frequency, 1 being full scale."""
    turns = np.exp(-2j * np.pi * frequency * np.arange(len(sound)) / SAMPLE_RATE)
    return float(2 * abs(np.dot(sound / 32768, turns)) / len(sound))


def dbfs(sound: Samples) -> float:
    return float(10 * np.log10(np.mean((sound / 32768.0) ** 2)))


@pytest.mark.parametrize("country", list(Country))
@pytest.mark.parametrize("kind", list(ToneKind))
def test_a_loop_sounds_as_the_generator_does(country: Country, kind: ToneKind) -> None:
    """For the first period sample by sample, and an hour later with the same edges."""
    period = round(sum(TONES[country][kind].cadence) * SAMPLE_RATE)
    seconds = 3 * period / SAMPLE_RATE
    loop, generator = heard(tone_source(kind, country), seconds), ToneGenerator(kind, country, SAMPLE_RATE)
    expected = generator.read(len(loop))
    assert np.array_equal(loop[:period], expected[:period])
    loud = [np.abs(sound.astype(np.int32)) > 20 for sound in (loop, expected)]
    assert np.mean(loud[0] == loud[1]) > 0.97
    assert abs(dbfs(loop) - dbfs(expected)) < 0.1


def test_nothing_is_computed_while_it_plays() -> None:
    source = tone_source(ToneKind.RINGBACK, Country.US)
    frames = [source.read() for _ in range(600)]
    assert frames[0] is not None
    assert frames[300] is not None
    assert np.shares_memory(frames[0], frames[300])
    assert len({id(frame) for frame in frames[110:290]}) == 1
    assert not any(frame is None or frame.flags.writeable for frame in frames)


@pytest.mark.parametrize("country", list(Country))
def test_the_call_waiting_beep_is_softer_than_the_other_tones(country: Country) -> None:
    """It is heard beside somebody who speaks: -25 dBFS, where a busy tone has some -20."""
    beep = TONES[country][ToneKind.CALL_WAITING].cadence[0]
    level = dbfs(heard(tone_source(ToneKind.CALL_WAITING, country), beep))
    assert -27 < level < -24
    assert dbfs(heard(tone_source(ToneKind.BUSY, country), 0.3)) - level > 2


@pytest.mark.parametrize("digit", "0123456789*#ABCD")
def test_a_key_is_its_two_tones_at_minus_20_dbfs(digit: str) -> None:
    keys = KeySource()
    keys.press(digit)
    sound = heard(keys, 0.1)
    for frequency in dtmf_frequencies(digit):
        assert 0.08 < goertzel(sound, frequency) < 0.11
    assert -21 < dbfs(sound) < -19.5


def test_keys_wait_for_each_other_and_end() -> None:
    """A pasted number: 100 ms for each key and a gap, a second for a comma; what is no key is passed over."""
    keys = KeySource()
    keys.press("1!x2")
    keys.press(",3")
    sound = heard(keys, 0.18 * 3 + 1.0)
    assert keys.read() is None
    loud = np.abs(sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)).max(axis=1) > 1000
    assert loud.tolist() == ([True] * 5 + [False] * 4) * 2 + [False] * 50 + [True] * 5 + [False] * 4
    keys.press("4")
    assert keys.read() is not None


def test_what_is_queued_is_bounded() -> None:
    keys = KeySource()
    for _ in range(1000):
        keys.press("1" * 64)
    count = 0
    while keys.read() is not None:
        count += 1
    assert count < 50 * 61


def test_a_ring_of_ones_own_comes_as_often_as_the_bell() -> None:
    ring = np.full(SAMPLE_RATE, 5000, dtype=np.int16)
    sound = heard(bell_source(ring, Country.UK), 6.0)
    assert np.array_equal(np.flatnonzero(np.diff((sound != 0).astype(int))), [7999, 23999, 31999])


def test_a_long_ring_repeats_at_once() -> None:
    ring = np.full(round(6.01 * SAMPLE_RATE), 5000, dtype=np.int16)
    sound = heard(bell_source(ring, Country.UK), 12.0)
    assert np.count_nonzero(sound == 0) <= FRAME_SAMPLES


def test_only_the_bell_is_for_the_ring_device() -> None:
    assert {channel.role for channel in Channel if channel is not Channel.BELL} == {Role.SPEAKER}
    assert Channel.BELL.role is Role.RINGER
