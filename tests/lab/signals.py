"""Speech to test with, and the measure of how well it arrived.

Samples are float64 arrays in -1..1 at a sample rate named beside them.
"""

from __future__ import annotations

import shutil
import subprocess
import wave
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

Samples = npt.NDArray[np.float64]

_COMMON_RATE = 8000
_SEGMENT_S = 0.5
_SEARCH_S = 0.12
_SENTENCE = (
    "The quick brown fox jumps over the lazy dog. Please hold the line, your call is important to us. "
    "One, two, three, four, five, six, seven, eight, nine, ten."
)


class Match(NamedTuple):
    """How a recording matches a reference: 1 is the same waveform; the delay counts from the recording's start."""

    coefficient: float
    delay_s: float


def from_pcm16(data: bytes) -> Samples:
    """Samples of 16-bit little-endian PCM; a half sample at the end is dropped."""
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float64) / 32768


def read_wav(path: Path) -> tuple[Samples, int]:
    """The first channel of a 16-bit WAV file, and its rate."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2, f"{path} is not 16-bit"
        samples = from_pcm16(file.readframes(file.getnframes()))
        return samples[:: file.getnchannels()], file.getframerate()


def write_wav(path: Path, samples: Samples, rate: int) -> Path:
    """Write 16-bit mono; returns the path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """The whole signal at another rate, band-limited (by its spectrum)."""
    if rate == to or not len(samples):
        return samples
    length = round(len(samples) * to / rate)
    spectrum = np.fft.rfft(samples)
    result: Samples = np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / len(samples))
    return result


def speech_wav(path: Path, *, seconds: float = 5.0, rate: int = 8000) -> Path:
    """A WAV of speech of that length: espeak-ng's where it is installed, else noise with speech's rhythm."""
    if shutil.which("espeak-ng"):
        command = ["espeak-ng", "-v", "en", "-s", "150", "-w", str(path), _SENTENCE]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        samples, spoken_rate = read_wav(path)
        samples = resample(samples, spoken_rate, rate)
    else:
        samples = _speech_like(seconds, rate)
    wanted = round(seconds * rate)
    samples = np.tile(samples, -(-wanted // len(samples)))[:wanted]
    return write_wav(path, samples * (0.5 / np.abs(samples).max()), rate)


def _speech_like(seconds: float, rate: int) -> Samples:
    random = np.random.default_rng(1)
    time = np.arange(round(seconds * rate)) / rate
    noise = random.standard_normal(len(time))
    frequencies = np.fft.rfftfreq(len(time), 1 / rate)
    formants = sum(np.exp(-(((frequencies - f) / 150) ** 2)) for f in (500, 1500, 2500))
    voiced: Samples = np.fft.irfft(np.fft.rfft(noise) * formants, len(time))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.6 * np.sin(2 * np.pi * 0.7 * time), 0, None)
    result: Samples = voiced * syllables
    return result


def correlate(reference: Samples, recording: Samples, *, rate: int, recording_rate: int | None = None) -> Match:
    """Find a reference in a recording.

    The delay is where the whole reference fits best. The coefficient is the mean over half-second segments, weighted
    by their energy, each allowed to slip 120 ms around that delay: a jitter buffer that rises with a late packet is not
    a loss of quality, a missing or distorted stretch is.
    """
    ours = _prepare(reference, rate)
    heard = _prepare(recording, recording_rate or rate)
    if len(heard) < len(ours):
        heard = np.pad(heard, (0, len(ours) - len(heard)))
    offset = int(np.argmax(np.abs(_cross(ours, heard))))
    size, slip = int(_SEGMENT_S * _COMMON_RATE), int(_SEARCH_S * _COMMON_RATE)
    score = weight = 0.0
    for start in range(0, len(ours) - size + 1, size):
        segment = ours[start : start + size]
        energy = float(segment @ segment)
        first = max(0, offset + start - slip)
        window = heard[first : offset + start + size + slip]
        if energy > 0 and len(window) >= size:
            score += energy * float(_normalised(segment, window).max())
        weight += energy
    return Match(score / weight if weight else 0.0, offset / _COMMON_RATE)


def _prepare(samples: Samples, rate: int) -> Samples:
    lowered = resample(samples, rate, _COMMON_RATE)
    # The telephone band: what is below 200 Hz is hum and DC, not the phone's doing.
    spectrum = np.fft.rfft(lowered)
    frequencies = np.fft.rfftfreq(len(lowered), 1 / _COMMON_RATE)
    spectrum[(frequencies < 200) | (frequencies > 3500)] = 0
    result: Samples = np.fft.irfft(spectrum, len(lowered))
    return result


def _cross(short: Samples, long: Samples) -> Samples:
    """Inner products of `short` with `long` at every offset where it fits."""
    length = 1 << (len(short) + len(long)).bit_length()
    spectrum = np.fft.rfft(long, length) * np.conj(np.fft.rfft(short, length))
    result: Samples = np.fft.irfft(spectrum, length)[: len(long) - len(short) + 1]
    return result


def _normalised(short: Samples, long: Samples) -> Samples:
    energies = np.cumsum(np.concatenate(([0.0], long * long)))
    windows = energies[len(short) :] - energies[: -len(short)]
    norm = np.sqrt(np.maximum(windows * float(short @ short), 1e-12))
    result: Samples = _cross(short, long) / norm
    return result


def level_dbfs(samples: Samples) -> float:
    """Root mean square relative to full scale; -120 for silence."""
    power = float(np.mean(samples * samples)) if len(samples) else 0.0
    return max(-120.0, 10 * np.log10(power)) if power > 0 else -120.0


def tone_share(samples: Samples, rate: int, frequency: float, width: float = 20.0) -> float:
    """The share of the power that lies within `width` Hz of a frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(samples), 1 / rate) - frequency) <= width
    return float(spectrum[near].sum() / max(spectrum.sum(), 1e-12))
