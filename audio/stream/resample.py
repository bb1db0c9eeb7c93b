"""Streaming sample rate conversion by a windowed-sinc polyphase filter, with a fine correction for clocks that drift.

    input ─▶ history ─▶ windows, one for each group of outputs × the filters of the group ─▶ output

The delay is half the filter: 10 samples of the lower rate, 1.25 ms at 8 kHz. A block is one matrix product, and equal
rates are no work at all. A correction gathers until it is a whole input sample; then for 40 ms at 8 kHz, and less
above, every output has a filter of its own, for a place that moves by a fraction of a sample from one to the next. It
is the same filter and the same delay, and a third of a percent of pitch for that long is not heard.
"""

from __future__ import annotations

import math
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

_TAPS = 20
_KAISER_BETA = 5.0
_MINIMUM_PHASES = 512
_GROUP_MAX = 16
_SKIPPED_MAX = 2
"""Inputs to one output up to which it costs less to compute what is passed over than to lay out the windows."""

_MOVE = 3125e-6
"""Samples the places move for each one of the input, while a gathered correction is made."""

_MOVED = 1 / _MINIMUM_PHASES
"""What is left of a move when it is made: filters are not told apart any finer."""

_FIRST_PLACE = 1.0
"""One sample is kept before the next output's window: a correction may move the place backwards."""

_REMEMBERED = 200
"""The part of a second a block leaves for the filter that may follow: 5 ms, twice the longest filter's half."""

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
        self._plain = in_rate / out_rate
        """Input samples from one output to the next, but for a correction."""

        self._tail = self._down + 3  # a group's window, and that of a moved place, may reach beyond the last sample
        self._history: Samples = np.zeros(self._taps, dtype=np.int16)
        self._place = _FIRST_PLACE  # of the next output, in input samples from the history's start
        self.correction_ppm = 0.0
        """How much faster than nominal the input is consumed; positive makes fewer output samples."""

        self._gathered = 0.0  # of the correction, in input samples
        self._to_move = 0.0  # of what was gathered; 0 while nothing is made of it
        self._known: dict[float, NDArray[np.float32]] = {}
        """The filters of the plain ratio, at the place they are for."""

    @property
    def delay_s(self) -> float:
        """How much later sound comes out than it went in."""
        return float(self._taps / 2 / self.in_rate)

    def remember(self, samples: Samples) -> None:
        """Take ``samples`` for what came before the first block, in place of silence."""
        self._history = np.concatenate([self._history, samples])[-len(self._history) :]

    def process(self, samples: Samples) -> Samples:
        """All output that ``samples`` complete. Over time its length is the input's times the ratio of the rates."""
        self._gathered += self.correction_ppm * 1e-6 * len(samples)
        if self._to_move == 0.0 and not -1.0 < self._gathered < 1.0:
            self._to_move = math.copysign(1.0, self._gathered)
            self._gathered -= self._to_move
        if self._plain == 1.0 and self._to_move == 0.0 and self._place == _FIRST_PLACE:
            # Equal rates: the same delay without the arithmetic.
            known = np.frombuffer(bytearray().join((self._history.data, samples.data)), dtype=np.int16)
            self._history = known[len(samples) :]
            lead = self._taps // 2
            return known[lead : lead + len(samples)]
        held, end_of_input = len(self._history), len(self._history) + len(samples)
        signal = np.zeros(end_of_input + self._tail, dtype=np.float32)
        signal[:held] = self._history
        signal[held:end_of_input] = samples
        # The window of an output starts at floor(place); it must end inside the input.
        available = end_of_input - self._taps + 1 - self._place
        count, move = self._pace(available, len(samples))
        output = self._convert(signal, count, move)
        end = self._place + count * self._plain + move
        consumed = min(int(end - _FIRST_PLACE + 1e-9), len(samples))
        self._place = end - consumed
        if self._to_move == 0.0:
            self._place = round(self._place * self._up) / self._up  # keeps plain ratios exact, whatever the block sizes
        self._history = np.concatenate([self._history, samples])[consumed:]
        np.rint(output, out=output)
        np.minimum(np.maximum(output, -32768.0, out=output), 32767.0, out=output)
        return output.astype(np.int16)

    def _pace(self, available: float, size: int) -> tuple[int, float]:
        """How many outputs there are up to ``available``, and how far their places move while ``size`` samples come."""
        count = max(0, math.ceil(available / self._plain - 1e-9))
        if self._to_move == 0.0 or count == 0:
            return count, 0.0
        fastest = max(_MOVE, abs(self.correction_ppm) * 1.25e-6) * size
        a_step = min(max(self._to_move, -fastest), fastest) / count
        count = max(0, math.ceil(available / (self._plain + a_step) - 1e-9))
        move = a_step * count
        self._to_move -= move
        if abs(self._to_move) < _MOVED:
            self._to_move = 0.0
        return count, move

    def _convert(self, signal: NDArray[np.float32], count: int, shift: float) -> NDArray[np.float32]:
        if count == 0:
            return np.zeros(0, dtype=np.float32)
        if self._up > _GROUP_MAX or shift != 0.0:
            return self._convert_singly(signal, count, shift)
        if self._up == 1 and self._down <= _SKIPPED_MAX:
            return self._convert_evenly(signal, count)
        return self._product(signal, count, self._filters()).reshape(-1)[:count]

    def _convert_evenly(self, signal: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """A whole number of inputs for each output: plain filtering, of which some results are passed over."""
        start, fraction = divmod(int(self._place * self._phases + 1e-6), self._phases)
        length = (count - 1) * self._down + self._taps
        return np.correlate(signal[start : start + length], self._rows[fraction])[:: self._down]

    def _filters(self) -> NDArray[np.float32]:
        """The taps of a group's outputs, one column each, as the group's window lies."""
        known = self._known.get(self._place)
        if known is not None:
            return known
        filters = np.zeros((self._taps + self._down + 2, self._up), dtype=np.float32)
        for output in range(self._up):
            phase = int((output * self._down / self._up + self._place) * self._phases + 1e-6)
            start, fraction = divmod(phase, self._phases)
            filters[start : start + self._taps, output] = self._rows[fraction]
        self._known = {self._place: filters}
        return filters

    def _product(self, signal: NDArray[np.float32], count: int, filters: NDArray[np.float32]) -> NDArray[np.float32]:
        groups = -(-count // self._up)
        windows: NDArray[np.float32] = np.ndarray(
            (groups, len(filters)), dtype=np.float32, buffer=signal, strides=(4 * self._down, 4)
        )
        return windows @ filters

    def _convert_singly(self, signal: NDArray[np.float32], count: int, shift: float) -> NDArray[np.float32]:
        """Rates with nothing in common, and places that move: a filter of its own for each output."""
        windows: NDArray[np.float32] = np.ndarray(
            (len(signal) - self._taps + 1, self._taps), dtype=np.float32, buffer=signal, strides=(4, 4)
        )
        step = self._plain + shift / count
        find = _known_single_filters if self._plain == 1.0 else _single_filters
        starts, filters = find(self.in_rate, self.out_rate, self._place, step, count)
        return np.asarray(np.einsum("ij,ij->i", windows[starts], filters), dtype=np.float32)


def _single_filters(
    in_rate: int, out_rate: int, place: float, step: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Where the windows of ``count`` outputs start, the first at ``place``, and the taps of each, one row for one."""
    rows = _filter(in_rate, out_rate)
    phases = ((place + np.arange(count) * step) * len(rows) + 1e-6).astype(np.int64)
    starts, fractions = np.divmod(phases, len(rows))
    return starts, rows[fractions]


_known_single_filters = lru_cache(maxsize=8)(_single_filters)
"""Equal rates need the same few again and again."""


class RateConverter:
    """Blocks of one sound whose rate may change from block to block, each given on at the rate that is wanted then.

    A change of rates is no hole: where a filter begins, it begins with the end of the block before, which must have
    stayed as it was.
    """

    def __init__(self) -> None:
        self._resampler: Resampler | None = None
        self._before: tuple[Samples, int] | None = None

    def convert(self, block: Samples, in_rate: int, out_rate: int) -> Samples:
        """``block`` itself where the rates are the same."""
        before, self._before = self._before, (block, in_rate)
        if in_rate == out_rate:
            self._resampler = None
            return block
        resampler = self._resampler
        if resampler is None or (resampler.in_rate, resampler.out_rate) != (in_rate, out_rate):
            resampler = self._resampler = Resampler(in_rate, out_rate)
            if before is not None:
                last, rate = before
                resampler.remember(convert(last[-(rate // _REMEMBERED) :], rate, in_rate))
        return resampler.process(block)


def convert(samples: Samples, in_rate: int, out_rate: int) -> Samples:
    """A whole recording at another rate, without the delay of the stream."""
    if in_rate == out_rate:
        return samples
    resampler = Resampler(in_rate, out_rate)
    padded = np.pad(samples, (0, resampler._taps))
    # A window for each output, all of them at once, would be a hundred times the recording.
    output = np.concatenate([resampler.process(padded[at : at + in_rate]) for at in range(0, len(padded), in_rate)])
    skip = round((resampler._taps / 2) * out_rate / in_rate)
    return output[skip : skip + round(len(samples) * out_rate / in_rate)]
