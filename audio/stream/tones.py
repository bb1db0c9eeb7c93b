"""Call progress tones by country and DTMF tones (ITU-T Q.23).

cadence: on, off, on, off … seconds, for ever      each "on" is a sum of sines, modulated where it says so, with 5 ms
edges

Figures are those of ITU-T E.180 supplement 2, and where a network has published its own, of that: BT SIN 350 for the
United Kingdom, 3GPP TS 22.001 annex F for what GSM made Europe's, AS/CA S002 §5.3.4 for Australia. Those that Asterisk
has too agree with its indications.conf (``tests/lab/test_tones.py``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class ToneKind(enum.Enum):
    """What the tone tells."""

    RINGBACK = "ringback"  # the far end rings
    BUSY = "busy"
    ERROR = "error"  # congestion, reorder: the call cannot be made
    RING = "ring"  # our own bell
    RING_INTERNAL = "ring_internal"  # the same for a call from a colleague
    CALL_WAITING = "call_waiting"


class Country(enum.Enum):
    """Whose tones; ``EU`` is the ETSI harmonised plan most of Europe uses."""

    US = "us"
    UK = "uk"
    EU = "eu"
    AU = "au"
    FR = "fr"
    JP = "jp"


@dataclass(frozen=True, slots=True)
class Tone:
    """Sines of ``frequencies`` Hz, each ``amplitude`` (1 is full scale), switched by ``cadence``: seconds on, off,
    on, off. Their sum rises and falls ``modulation`` times a second where that is not 0.
    """

    frequencies: tuple[float, ...]
    cadence: tuple[float, ...]
    amplitude: float = 0.12
    modulation: float = 0.0


_BELL = (1318.5, 1661.2, 1975.5)
_BELL_AMPLITUDE = 0.16
_WAITING_AMPLITUDE = 0.08
"""Some 5 dB below the other tones: it is heard beside somebody who speaks."""


def _bell(*cadence: float) -> Tone:
    return Tone(_BELL, cadence, _BELL_AMPLITUDE)


def _waiting(frequency: float, *cadence: float, modulation: float = 0.0) -> Tone:
    amplitude = _WAITING_AMPLITUDE / _MODULATED_RMS if modulation else _WAITING_AMPLITUDE
    return Tone((frequency,), cadence, amplitude, modulation)


_DEPTH = 0.95
"""Of modulation: AS/CA S002 §5.3.4.1 wants 90 to 99 % and the carrier unsuppressed."""

_MODULATED_RMS = (1 + _DEPTH**2 / 2) ** 0.5
"""How much louder modulation makes a tone."""

_BY_COUNTRY: dict[Country, dict[ToneKind, Tone]] = {
    Country.US: {
        ToneKind.RINGBACK: Tone((440.0, 480.0), (2.0, 4.0)),
        ToneKind.BUSY: Tone((480.0, 620.0), (0.5, 0.5)),
        ToneKind.ERROR: Tone((480.0, 620.0), (0.25, 0.25)),
        ToneKind.RING: _bell(2.0, 4.0),
        ToneKind.CALL_WAITING: _waiting(440.0, 0.3, 10.0),
    },
    Country.UK: {
        ToneKind.RINGBACK: Tone((400.0, 450.0), (0.4, 0.2, 0.4, 2.0)),
        ToneKind.BUSY: Tone((400.0,), (0.375, 0.375)),
        ToneKind.ERROR: Tone((400.0,), (0.4, 0.35, 0.225, 0.525)),
        ToneKind.RING: _bell(0.4, 0.2, 0.4, 2.0),
        ToneKind.CALL_WAITING: _waiting(400.0, 0.1, 4.0),
    },
    Country.EU: {
        ToneKind.RINGBACK: Tone((425.0,), (1.0, 4.0)),
        ToneKind.BUSY: Tone((425.0,), (0.5, 0.5)),
        ToneKind.ERROR: Tone((425.0,), (0.2, 0.2)),
        ToneKind.RING: _bell(1.0, 4.0),
        ToneKind.CALL_WAITING: _waiting(425.0, 0.2, 0.6, 0.2, 3.0),
    },
    Country.AU: {
        ToneKind.RINGBACK: Tone((425.0,), (0.4, 0.2, 0.4, 2.0), 0.14, modulation=25.0),
        ToneKind.BUSY: Tone((425.0,), (0.375, 0.375)),
        # Congestion there is the busy tone, every other burst 10 dB softer; a number that cannot be obtained is told
        # apart.
        ToneKind.ERROR: Tone((425.0,), (2.5, 0.5)),
        ToneKind.RING: _bell(0.4, 0.2, 0.4, 2.0),
        ToneKind.CALL_WAITING: _waiting(425.0, 0.2, 0.2, 0.2, 4.4),
    },
    Country.FR: {
        ToneKind.RINGBACK: Tone((440.0,), (1.5, 3.5)),
        ToneKind.BUSY: Tone((440.0,), (0.5, 0.5)),
        ToneKind.ERROR: Tone((440.0,), (0.25, 0.25)),
        ToneKind.RING: _bell(1.5, 3.5),
        ToneKind.CALL_WAITING: _waiting(440.0, 0.3, 10.0),
    },
    Country.JP: {
        ToneKind.RINGBACK: Tone((400.0,), (1.0, 2.0), 0.115, modulation=16.0),
        ToneKind.BUSY: Tone((400.0,), (0.5, 0.5)),
        ToneKind.ERROR: Tone((400.0,), (0.5, 0.5)),  # the network does not tell the two apart
        ToneKind.RING: _bell(1.0, 2.0),
        ToneKind.CALL_WAITING: _waiting(400.0, 0.5, 8.0, modulation=16.0),
    },
}

TONES: dict[Country, dict[ToneKind, Tone]] = {
    country: tones | {ToneKind.RING_INTERNAL: tones[ToneKind.RING]} for country, tones in _BY_COUNTRY.items()
}

KEY_AMPLITUDE = 0.1
"""Of each of a key's two tones where it is only heard: together -20 dBFS."""

_EDGE_S = 0.005
_DTMF_ROWS = (697.0, 770.0, 852.0, 941.0)
_DTMF_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
_DTMF_KEYS = "123A456B789C*0#D"


def dtmf_frequencies(digit: str) -> tuple[float, float]:
    """Low and high frequency of a key (Q.23). ValueError for another character."""
    index = _DTMF_KEYS.index(digit.upper())
    return _DTMF_ROWS[index // 4], _DTMF_COLUMNS[index % 4]


class ToneGenerator:
    """An endless tone at any rate, in phase and in cadence across reads of any size."""

    def __init__(self, kind: ToneKind, country: Country = Country.EU, rate: int = 8000) -> None:
        self._tone = TONES[country][kind]
        self._rate = rate
        self._place = 0
        self._edges = np.concatenate([[0.0], np.cumsum(self._tone.cadence)])

    def read(self, count: int) -> Samples:
        """The next ``count`` samples."""
        places = self._place + np.arange(count)
        self._place += count
        gate = _gate(places / self._rate, self._edges)
        if not gate.any():
            return np.zeros(count, dtype=np.int16)
        sound = _sines(self._tone.frequencies, places, self._rate) * (gate * self._tone.amplitude)
        if self._tone.modulation:
            sound *= 1.0 + _DEPTH * _sines((self._tone.modulation,), places, self._rate)
        return _quantise(sound)


def dtmf_tone(digit: str, duration_ms: int = 100, rate: int = 8000, amplitude: float = 0.16) -> Samples:
    """A key's two tones for local feedback, or in band. ValueError for a character that is no key."""
    places = np.arange(rate * duration_ms // 1000)
    gate = _gate(places / rate, np.array([0.0, duration_ms / 1000, duration_ms / 1000 + 1.0]))
    return _quantise(_sines(dtmf_frequencies(digit), places, rate) * (gate * amplitude))


def say_digits(digits: str, rate: int = 8000, duration_ms: int = 160, gap_ms: int = 90) -> Samples:
    """Digits as DTMF tones one after the other; other characters are a pause as long as a tone."""
    gap = np.zeros(rate * gap_ms // 1000, dtype=np.int16)
    pause = np.zeros(rate * duration_ms // 1000, dtype=np.int16)
    parts = [gap]
    for digit in digits:
        parts += [dtmf_tone(digit, duration_ms, rate) if digit.upper() in _DTMF_KEYS else pause, gap]
    return np.concatenate(parts)


def _gate(seconds: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1: raised at even intervals between ``edges``, repeating, with linear edges inside the "on" time."""
    inside = seconds % edges[-1]
    interval = np.searchsorted(edges, inside, side="right") - 1
    since = inside - edges[interval]
    until = edges[np.minimum(interval + 1, len(edges) - 1)] - inside
    raised = np.clip(np.minimum(since, until) / _EDGE_S, 0.0, 1.0)
    return np.where(interval % 2 == 0, raised, 0.0)


def _sines(frequencies: tuple[float, ...], places: NDArray[np.int64], rate: int) -> NDArray[np.float64]:
    turns = np.outer(frequencies, places) / rate
    return np.asarray(np.sin(2 * np.pi * (turns % 1.0)).sum(axis=0), dtype=np.float64)


def _quantise(signal: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(signal * 32767.0), -32768, 32767).astype(np.int16)
