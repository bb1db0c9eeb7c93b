"""Test sound and ears: speech-like signals made by formula, and how alike two recordings are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def speech(seconds: float, *, seed: int = 1, rate: int = 8000, pauses: bool = True) -> Samples:
    """Voiced syllables of gliding pitch with formants, hissing consonants, and a pause now and then."""
    draw = np.random.default_rng(seed)
    parts: list[NDArray[np.float64]] = []
    length = 0
    while length < seconds * rate:
        parts += [_hiss(draw, rate), _vowel(draw, rate)]
        if pauses and draw.random() < 0.25:
            parts.append(draw.normal(0.0, 3.0, int(rate * draw.uniform(0.15, 0.4))))
        length = sum(len(part) for part in parts)
    signal = np.concatenate(parts)[: int(seconds * rate)]
    return np.clip(signal, -32768, 32767).astype(np.int16)


def _vowel(draw: np.random.Generator, rate: int) -> NDArray[np.float64]:
    count = int(rate * draw.uniform(0.1, 0.3))
    pitch = np.linspace(draw.uniform(90, 220), draw.uniform(90, 220), count)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = draw.uniform((300, 900, 2200), (800, 1800, 2800))
    signal = np.zeros(count)
    for harmonic in range(1, 30):
        frequency = float(pitch.mean()) * harmonic
        if frequency > 3400:
            break
        weight = sum(1.0 / (1.0 + ((frequency - formant) / 120.0) ** 2) for formant in formants) + 0.02
        signal += weight * np.sin(harmonic * phase + harmonic)
    signal *= draw.uniform(6000, 14000) / np.abs(signal).max() * np.hanning(count) ** 0.3
    return signal


def _hiss(draw: np.random.Generator, rate: int) -> NDArray[np.float64]:
    count = int(rate * draw.uniform(0.03, 0.08))
    return np.diff(draw.normal(0.0, 500.0, count + 1)) * np.hanning(count)


def likeness(sent: Samples, heard: Samples) -> tuple[float, int]:
    """Highest normalised cross-correlation and the delay of ``heard`` behind ``sent`` in samples at which it occurs."""
    size = 1 << (len(sent) + len(heard)).bit_length()
    a, b = sent.astype(np.float64), heard.astype(np.float64)
    spectrum = np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size))
    correlation = np.fft.irfft(spectrum, size)[: len(heard)]
    delay = int(np.argmax(correlation))
    overlap = min(len(a), len(b) - delay)
    x, y = a[:overlap], b[delay : delay + overlap]
    energy = float(np.sqrt((x @ x) * (y @ y)))
    return (float(x @ y) / energy if energy else 0.0), delay


def local_likeness(sent: Samples, heard: Samples, *, block: int = 4000, reach: int = 2400) -> float:
    """Median over half-second blocks of how well each is found again within ``reach`` samples of the general delay.

    Unlike :func:`likeness` it forgives a delay that changes on the way.
    """
    _, general = likeness(sent, heard)
    scores = []
    for start in range(0, len(sent) - block, block):
        piece = sent[start : start + block]
        if np.abs(piece.astype(np.int32)).mean() < 200:
            continue
        low = max(0, start + general - reach)
        window = heard[low : start + general + block + reach]
        if len(window) >= block:
            scores.append(likeness(piece, np.concatenate([window, np.zeros(block, dtype=np.int16)]))[0])
    return float(np.median(scores))
