"""What tests of wideband sound share: the extra they need, and sounds that only 16 kHz can carry."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.codec import g722

RATE = 16000
HIGH_HZ = 5000.0
"""Above everything telephone sound has."""

Samples = NDArray[np.int16]
needs_g722 = pytest.mark.skipif(not g722.installed(), reason="needs the extra: pip install 'offhook[g722]'")


def tone(seconds: float, frequency: float = HIGH_HZ, rate: int = RATE, amplitude: float = 8000.0) -> Samples:
    """A sine."""
    places = np.arange(round(seconds * rate))
    return np.asarray(np.rint(amplitude * np.sin(2 * np.pi * frequency * places / rate)), dtype=np.int16)


def share(sound: Samples, frequency: float = HIGH_HZ, rate: int = RATE) -> float:
    """The part of the power within 40 Hz of a frequency."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(sound), 1 / rate) - frequency) <= 40
    return float(spectrum[near].sum() / max(spectrum.sum(), 1e-9))
