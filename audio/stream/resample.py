"""Streaming sample rate conversion by a windowed-sinc polyphase filter, with a fine correction for clocks that drift.

    input ─▶ history ─▶ for each output: the taps around its place × the filter phase of its fraction ─▶ output

The delay is half the filter: 10 samples of the lower rate, 1.25 ms at 8 kHz. A plain ratio runs as one matrix
product; a correction of some hundred ppm picks the nearest of many stored phases instead, with the same filter and
delay, so turning it on or off is not heard.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

_TAPS = 20
_KAISER_BETA = 5.0
_MINIMUM_PHASES = 512

Samples = NDArray[np.int16]


@lru_cache(maxsize=16)
def _filter(in_rate: int, out_rate: int) -> NDArray[np.float32]:
    """One row of taps for each phase; phase p is for an output p/phases of an input sample after its place."""
    up = out_rate // gcd(in_rate, out_rate)
    phases = up * -(-_MINIMUM_PHASES // up)
    scale = max(1.0, in_rate / out_rate)
    taps = round(_TAPS * scale)
    half = taps / 2
    # Tap k weighs the input sample k - half + 1 + fraction away; the cut-off is half the lower rate.
    offsets = np.arange(taps)[None, :] - half + 1 - np.arange(phases)[:, None] / phases
    ratio = np.clip(offsets / half, -1.0, 1.0)
    window = np.i0(_KAISER_BETA * np.sqrt(1.0 - ratio**2)) / np.i0(_KAISER_BETA)
    rows = np.sinc(offsets / scale) * window
    rows /= rows.sum(axis=1, keepdims=True)
    return rows.astype(np.float32)


class Resampler:
    """Converts one stream from ``in_rate`` to ``out_rate`` (Hz), any block sizes."""

    def __init__(self, in_rate: int, out_rate: int) -> None:
        if in_rate <= 0 or out_rate <= 0:
            raise ValueError("sample rates are positive")
        self.in_rate = in_rate
        self.out_rate = out_rate
        divisor = gcd(in_rate, out_rate)
        self._up, self._down = out_rate // divisor, in_rate // divisor
        self._rows = _filter(in_rate, out_rate)
        self._phases, self._taps = self._rows.shape
        self._step = in_rate / out_rate
        self._history = np.zeros(self._taps - 1, dtype=np.float32)
        self._place = 0.0  # of the next output, in input samples from the history's start
        self._ppm = 0.0

    @property
    def delay_s(self) -> float:
        """How much later sound comes out than it went in."""
        return float(self._taps / 2 / self.in_rate)

    @property
    def correction_ppm(self) -> float:
        """How much faster than nominal the input is consumed; positive makes fewer output samples."""
        return self._ppm

    @correction_ppm.setter
    def correction_ppm(self, ppm: float) -> None:
        self._ppm = min(max(ppm, -20_000.0), 20_000.0)
        self._step = self.in_rate / self.out_rate * (1.0 + self._ppm * 1e-6)

    def process(self, samples: Samples) -> Samples:
        """All output that ``samples`` complete. Over time its length is the input's times the ratio of the rates."""
        if self._up == self._down and self._ppm == 0.0 and self._place == 0.0:
            return self._pass_through(samples)
        signal = np.concatenate([self._history, samples.astype(np.float32)])
        # The window of an output starts at floor(place); it must end inside the signal.
        available = len(signal) - self._taps + 1 - self._place
        count = max(0, int(np.ceil(available / self._step - 1e-9)))
        output = self._convert(signal, count)
        end = self._place + count * self._step
        consumed = min(int(end + 1e-9), len(samples))
        self._place = end - consumed
        if abs(self._place - round(self._place)) < 1e-9:
            self._place = float(round(self._place))  # keeps plain ratios exact, whatever the block sizes
        self._history = signal[consumed:]
        return np.clip(np.rint(output), -32768, 32767).astype(np.int16)

    def _pass_through(self, samples: Samples) -> Samples:
        """Equal rates: the same delay without the arithmetic."""
        lead = self._taps // 2 - 1
        signal = np.concatenate([self._history, samples.astype(np.float32)])
        self._history = signal[len(samples) :]
        return signal[lead : lead + len(samples)].astype(np.int16)

    def _convert(self, signal: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        if count == 0:
            return np.zeros(0, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(signal, self._taps)
        if self._ppm == 0.0 and self._up == 1 and self._place == int(self._place):
            return np.asarray(windows[int(self._place) :: self._down][:count] @ self._rows[0], dtype=np.float32)
        if self._ppm == 0.0 and self._down == 1 and self._place == 0.0 and count % self._up == 0:
            rows = self._rows[:: self._phases // self._up]
            return np.asarray((windows[: count // self._up] @ rows.T).reshape(-1), dtype=np.float32)
        places = self._place + np.arange(count) * self._step
        phases = (places * self._phases + 1e-6).astype(np.int64)
        starts, fractions = np.divmod(phases, self._phases)
        np.minimum(starts, len(windows) - 1, out=starts)
        return np.asarray(np.einsum("ij,ij->i", windows[starts], self._rows[fractions]), dtype=np.float32)


def convert(samples: Samples, in_rate: int, out_rate: int) -> Samples:
    """A whole recording at another rate, without the delay of the stream."""
    if in_rate == out_rate:
        return samples
    resampler = Resampler(in_rate, out_rate)
    tail = np.zeros(resampler._taps, dtype=np.int16)
    output = np.concatenate([resampler.process(samples), resampler.process(tail)])
    skip = round((resampler._taps / 2) * out_rate / in_rate)
    return output[skip : skip + round(len(samples) * out_rate / in_rate)]
