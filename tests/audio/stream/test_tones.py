"""Call progress and DTMF tones: frequencies, cadence, continuity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.stream.tones import (
    TONES,
    Country,
    ToneGenerator,
    ToneKind,
    dtmf_frequencies,
    dtmf_tone,
    say_digits,
)


def peaks(sound: np.ndarray, rate: int, count: int) -> set[int]:
    """The strongest frequencies, to 5 Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    found: set[int] = set()
    for index in np.argsort(spectrum)[::-1]:
        frequency = index * rate / len(sound)
        if all(abs(frequency - other) > 12 for other in found):
            found.add(round(frequency / 5) * 5)
        if len(found) == count:
            break
    return found


@pytest.mark.parametrize("country", list(Country))
@pytest.mark.parametrize("kind", list(ToneKind))
def test_every_country_has_every_tone(country: Country, kind: ToneKind) -> None:
    tone = TONES[country][kind]
    assert len(tone.cadence) % 2 == 0
    assert len(tone.frequencies) * tone.amplitude < 0.5
    sound = ToneGenerator(kind, country).read(8000)
    assert np.abs(sound.astype(np.int32)).max() > 1000


RINGBACK, BUSY, ERROR, WAITING = ToneKind.RINGBACK, ToneKind.BUSY, ToneKind.ERROR, ToneKind.CALL_WAITING

# ITU-T E.180 supplement 2; for the UK BT SIN 350, for Europe 3GPP TS 22.001 annex F, for Australia AS/CA S002.
PUBLISHED: list[tuple[Country, ToneKind, set[int], tuple[float, ...]]] = [
    (Country.US, RINGBACK, {440, 480}, (2.0, 4.0)),
    (Country.US, BUSY, {480, 620}, (0.5, 0.5)),
    (Country.US, ERROR, {480, 620}, (0.25, 0.25)),
    (Country.US, WAITING, {440}, (0.3, 10.0)),
    (Country.UK, RINGBACK, {400, 450}, (0.4, 0.2, 0.4, 2.0)),
    (Country.UK, BUSY, {400}, (0.375, 0.375)),
    (Country.UK, ERROR, {400}, (0.4, 0.35, 0.225, 0.525)),
    (Country.UK, WAITING, {400}, (0.1, 4.0)),
    (Country.EU, RINGBACK, {425}, (1.0, 4.0)),
    (Country.EU, BUSY, {425}, (0.5, 0.5)),
    (Country.EU, ERROR, {425}, (0.2, 0.2)),
    (Country.EU, WAITING, {425}, (0.2, 0.6, 0.2, 3.0)),
    (Country.AU, RINGBACK, {400, 425, 450}, (0.4, 0.2, 0.4, 2.0)),
    (Country.AU, BUSY, {425}, (0.375, 0.375)),
    (Country.AU, ERROR, {425}, (2.5, 0.5)),
    (Country.AU, WAITING, {425}, (0.2, 0.2, 0.2, 4.4)),
    (Country.FR, RINGBACK, {440}, (1.5, 3.5)),
    (Country.FR, BUSY, {440}, (0.5, 0.5)),
    (Country.FR, ERROR, {440}, (0.25, 0.25)),
    (Country.FR, WAITING, {440}, (0.3, 10.0)),
    (Country.JP, RINGBACK, {385, 400, 415}, (1.0, 2.0)),  # 400 Hz modulated with 16 Hz, to 5 Hz
    (Country.JP, BUSY, {400}, (0.5, 0.5)),
    (Country.JP, ERROR, {400}, (0.5, 0.5)),
    (Country.JP, WAITING, {385, 400, 415}, (0.5, 8.0)),
]


def cadence_of(sound: np.ndarray, rate: int) -> list[float]:
    """How long it is loud, silent, loud, silent, measured to 5 ms."""
    step = rate // 200
    # Low enough for what modulation leaves where it is lowest; what is not a tone is 0.
    loud = np.abs(sound[: len(sound) // step * step].reshape(-1, step)).max(axis=1) > 100
    edges = np.flatnonzero(np.diff(loud.astype(int))) + 1
    return [float(length) * step / rate for length in np.diff([0, *edges, len(loud)])]


@pytest.mark.parametrize(("country", "kind", "frequencies", "cadence"), PUBLISHED)
def test_frequencies_and_cadence(
    country: Country, kind: ToneKind, frequencies: set[int], cadence: tuple[float, ...]
) -> None:
    """Measured in what is generated, over two periods."""
    sound = ToneGenerator(kind, country).read(round(2 * sum(cadence) * 8000)).astype(np.float64)
    assert cadence_of(sound, 8000) == pytest.approx([*cadence, *cadence], abs=0.011)
    first = sound[: int(cadence[0] * 8000)]
    assert peaks(first, 8000, len(frequencies)) == frequencies
    spectrum = np.abs(np.fft.rfft(first * np.hanning(len(first)))) ** 2
    at = np.fft.rfftfreq(len(first), 1 / 8000)
    near = np.any([np.abs(at - frequency) < 25 for frequency in frequencies], axis=0)
    assert spectrum[near].sum() / spectrum.sum() > 0.99


@pytest.mark.parametrize(("country", "carrier", "beside"), [(Country.AU, 425.0, 25.0), (Country.JP, 400.0, 16.0)])
def test_a_modulated_tone_keeps_its_carrier(country: Country, carrier: float, beside: float) -> None:
    """AS/CA S002 §5.3.4.1: modulated by 90 to 99 %, so that each side tone has just under half of the carrier."""
    sound = ToneGenerator(RINGBACK, country).read(3200).astype(np.float64)[400:2800]
    window = np.hanning(len(sound))

    def loudness(frequency: float) -> float:
        return float(abs(np.dot(sound * window, np.exp(-2j * np.pi * frequency * np.arange(len(sound)) / 8000))))

    for side in (carrier - beside, carrier + beside):
        assert 0.45 <= loudness(side) / loudness(carrier) <= 0.495


def test_every_figure_of_the_table_is_measured() -> None:
    assert len({(country, kind) for country, kind, _, _ in PUBLISHED}) == len(Country) * 4


def test_the_double_ring_of_the_uk() -> None:
    """0.4 on, 0.2 off, 0.4 on, 2.0 off."""
    sound = ToneGenerator(ToneKind.RINGBACK, Country.UK).read(24_000)
    loud = [bool(np.abs(sound[n * 800 : n * 800 + 800].astype(np.int32)).max() > 500) for n in range(30)]
    assert loud == [True] * 4 + [False] * 2 + [True] * 4 + [False] * 20


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.sampled_from(list(ToneKind)))
def test_reads_of_any_size_join_without_a_seam(sizes: list[int], kind: ToneKind) -> None:
    pieces, whole = ToneGenerator(kind), ToneGenerator(kind)
    assert np.array_equal(np.concatenate([pieces.read(n) for n in sizes]), whole.read(sum(sizes)))


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_pitch_does_not_depend_on_the_rate(rate: int) -> None:
    assert peaks(ToneGenerator(ToneKind.BUSY, Country.US, rate).read(rate // 2), rate, 2) == {480, 620}


def test_a_tone_begins_and_ends_softly() -> None:
    sound = ToneGenerator(ToneKind.BUSY, Country.EU).read(8000).astype(np.int32)
    assert abs(sound[0]) < 100
    assert np.abs(np.diff(sound)).max() < 2000


@pytest.mark.parametrize(
    ("digit", "pair"), [("1", (697, 1209)), ("5", (770, 1336)), ("#", (941, 1477)), ("d", (941, 1633))]
)
def test_dtmf_pairs(digit: str, pair: tuple[float, float]) -> None:
    """ITU-T Q.23."""
    assert dtmf_frequencies(digit) == pair
    found = peaks(dtmf_tone(digit, 400), 8000, 2)
    assert all(any(abs(expected - frequency) <= 5 for frequency in found) for expected in pair)


def test_digits_are_said_one_after_the_other() -> None:
    sound = say_digits("12 x")
    assert len(sound) == 8 * (90 + 4 * (160 + 90))
    with pytest.raises(ValueError, match="substring"):
        dtmf_tone("x")
