"""ITU-T G.711: every one of the 65,536 inputs, against a derivation that shares nothing with the tables under test."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.codec import g711

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_SAMPLES = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
ALL_OCTETS = bytes(range(256))


def mu_law_by_chord(sample: int) -> int:
    """Tables 2a and 2b the slow way: walk the chords, then the steps inside one."""
    sign = 0x80 if sample >= 0 else 0x00
    return sign | (127 - mu_law_interval(sample if sample >= 0 else -sample - 1))


@cache
def mu_law_interval(magnitude: int) -> int:
    value = magnitude / 4  # 14-bit scale with its fraction
    lower, step, interval = -1.0, 2.0, 0  # the first interval is -1..1: half of it belongs to the other sign
    while interval < 127 and value >= lower + step:
        lower += step
        interval += 1
        if interval % 16 == 0:
            step *= 2
    return interval


def a_law_by_chord(sample: int) -> int:
    """Tables 1a and 1b the slow way."""
    sign = 0x80 if sample >= 0 else 0x00
    return (sign | a_law_interval(sample if sample >= 0 else -sample - 1)) ^ 0x55


@cache
def a_law_interval(magnitude: int) -> int:
    value = magnitude / 8  # 13-bit scale with its fraction
    lower, step, interval = 0.0, 2.0, 0
    while interval < 127 and value >= lower + step:
        lower += step
        interval += 1
        if interval % 16 == 0 and interval > 16:
            step *= 2
    return interval


@pytest.mark.parametrize(("codec", "derive"), [(g711.PCMU, mu_law_by_chord), (g711.PCMA, a_law_by_chord)])
def test_encodes_all_samples_as_the_decision_tables_say(codec: g711.G711, derive: Callable[[int], int]) -> None:
    expected = bytes(derive(int(s)) for s in ALL_SAMPLES)
    assert codec.encode(ALL_SAMPLES) == expected


def test_mu_law_decision_and_output_values_of_table_2a() -> None:
    """G.711 table 2a prints these rows."""
    octet_of_14_bit = {
        0: 0xFF,
        1: 0xFE,
        3: 0xFD,
        31: 0xEF,
        95: 0xDF,
        223: 0xCF,
        479: 0xBF,
        991: 0xAF,
        2015: 0x9F,
        4063: 0x8F,
        7903: 0x80,
    }
    samples = np.array([v * 4 for v in octet_of_14_bit], dtype=np.int16)
    assert list(g711.PCMU.encode(samples)) == list(octet_of_14_bit.values())
    just_below = np.array([v * 4 - 1 for v in octet_of_14_bit if v], dtype=np.int16)
    assert list(g711.PCMU.encode(just_below)) == [octet + 1 for octet in list(octet_of_14_bit.values())[1:]]
    outputs = {
        0xFF: 0,
        0xFE: 2,
        0xEF: 33,
        0xDF: 99,
        0xCF: 231,
        0xBF: 495,
        0xAF: 1023,
        0x9F: 2079,
        0x8F: 4191,
        0x80: 8031,
    }
    assert list(g711.PCMU.decode(bytes(outputs))) == [v * 4 for v in outputs.values()]


def test_a_law_decision_and_output_values_of_table_1a() -> None:
    """G.711 table 1a prints these rows (character signal before the inversion of even bits)."""
    rows = {0: 0x80, 2: 0x81, 64: 0xA0, 128: 0xB0, 256: 0xC0, 512: 0xD0, 1024: 0xE0, 2048: 0xF0, 3968: 0xFF}
    samples = np.array([v * 8 for v in rows], dtype=np.int16)
    assert list(g711.PCMA.encode(samples)) == [code ^ 0x55 for code in rows.values()]
    outputs = {0x80: 1, 0x81: 3, 0xA0: 66, 0xB0: 132, 0xC0: 264, 0xD0: 528, 0xE0: 1056, 0xF0: 2112, 0xFF: 4032}
    assert list(g711.PCMA.decode(bytes(c ^ 0x55 for c in outputs))) == [v * 8 for v in outputs.values()]


def test_shifting_negative_samples_right_is_the_common_mistake() -> None:
    """An arithmetic shift rounds negative values away from zero: 4 inputs at each of 127 decision values come out one
    step too loud.
    """
    mistaken = bytes(mu_law_by_chord(int(s) if s >= 0 else int(s) // 4 * 4 - 1) for s in ALL_SAMPLES)
    assert sum(a != b for a, b in zip(mistaken, g711.PCMU.encode(ALL_SAMPLES), strict=True)) == 508


@pytest.mark.parametrize("codec", [g711.PCMU, g711.PCMA])
def test_decode_then_encode_is_the_identity(codec: g711.G711) -> None:
    octets = codec.encode(codec.decode(ALL_OCTETS))
    # Negative zero decodes to 0, which is coded as positive zero: only µ-law has one.
    assert octets == ALL_OCTETS.replace(b"\x7f", b"\xff") if codec is g711.PCMU else octets == ALL_OCTETS


@pytest.mark.parametrize("codec", [g711.PCMU, g711.PCMA])
def test_error_is_at_most_half_a_step(codec: g711.G711) -> None:
    decoded = codec.decode(codec.encode(ALL_SAMPLES)).astype(np.int32)
    error = np.abs(decoded - ALL_SAMPLES.astype(np.int32))
    assert np.all(
        error
        <= np.maximum(8, np.abs(ALL_SAMPLES.astype(np.int32)) * 0.032 + 4)
        + 640 * (np.abs(ALL_SAMPLES.astype(np.int32)) > 32124)
    )


def test_takes_slices_and_leaves_the_input_alone() -> None:
    pcm = np.arange(320, dtype=np.int16)
    before = pcm.copy()
    assert g711.PCMU.encode(pcm[::2]) == g711.PCMU.encode(pcm[::2].copy())
    assert np.array_equal(pcm, before)
