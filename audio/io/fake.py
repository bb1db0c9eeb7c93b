"""A sound device made of arithmetic: it speaks by itself and remembers what it was played, at the media thread's clock.

For the demo on a machine without sound, and for tests.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples, frame_rate
from audio.stream.resample import RateConverter

_PERIOD_S = 4.0
_SPOKEN_S = 2.8
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
_PEAK = 9000
_REMEMBERED_FRAMES = 50 * 60


def speech_like(seconds: float) -> Samples:
    """Syllables of a hummed voice: a gliding pitch through vowel resonances, with pauses. The same every time."""
    count = round(seconds * SAMPLE_RATE)
    t = np.arange(count) / SAMPLE_RATE
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * t) + 10 * np.sin(2 * np.pi * 2.3 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    syllable = (t * 4).astype(int) % len(_VOWELS)
    voice = np.zeros(count)
    for harmonic in range(1, 26):
        formants = np.array(_VOWELS, dtype=float)[syllable]
        distance = (harmonic * pitch[:, None] - formants) / 120.0
        weight = (1.0 / (1.0 + distance**2)).sum(axis=1) + 0.02
        voice += np.where(harmonic * pitch < 3600, weight, 0.0) * np.sin(harmonic * phase) / harmonic**0.5
    envelope = np.clip(np.sin(np.pi * ((t * 4) % 1.0)), 0.0, None) ** 0.5
    voice *= np.where((t % _PERIOD_S) < _SPOKEN_S, envelope, 0.0)
    return np.asarray(voice / max(1e-9, float(np.abs(voice).max())) * _PEAK).astype(np.int16)


class SyntheticMicrophone:
    """Speaks for ever: a :class:`~audio.session.Microphone`."""

    def __init__(self) -> None:
        self._pattern = speech_like(_PERIOD_S)
        self._place = 0
        self._converter = RateConverter()

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms; the pattern is a whole number of frames long."""
        frame = self._pattern[self._place : self._place + FRAME_SAMPLES]
        self._place = (self._place + FRAME_SAMPLES) % len(self._pattern)
        return self._converter.convert(frame, SAMPLE_RATE, rate)

    def pause(self) -> None:
        """It has nothing stored."""


class SyntheticSpeaker:
    """Remembers the last minute it was played: a :class:`~audio.session.Speaker`."""

    def __init__(self) -> None:
        self._frames: deque[Samples] = deque(maxlen=_REMEMBERED_FRAMES)
        self._converter = RateConverter()

    def write(self, frame: Samples) -> None:
        """Keep 20 ms, as telephone sound."""
        self._frames.append(self._converter.convert(frame, frame_rate(frame), SAMPLE_RATE))

    def pause(self) -> None:
        """It waits for nothing."""

    def close(self) -> None:
        """What was heard stays readable."""

    def heard(self) -> Samples:
        """Everything still remembered, in order."""
        frames = list(self._frames)
        return np.concatenate(frames) if frames else np.zeros(0, dtype=np.int16)
