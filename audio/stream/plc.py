"""Packet loss concealment after the idea of ITU-T G.711 Appendix I: repeat the pitch period, overlap-add at both
joints, fade out.

    heard sound ─▶ history ─▶ pitch period ─▶ repeated, faded ─▶ overlap-add ─▶ sound goes on

No look-ahead, hence no delay: where the recommendation holds back 3.75 ms to blend into the repetition, the step at
the joint is instead spread over the first quarter period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio.stream.pitch import Signal, best_lag

Samples = NDArray[np.int16]

_SHORTEST_LAG = 32  # 250 Hz at 8 kHz
_LONGEST_LAG = 160  # 50 Hz
_TEMPLATE = 40
_HISTORY = 3 * _LONGEST_LAG
_UNVOICED_LAG = 100  # sound without a pitch is repeated in longer pieces, or it hums
_UNVOICED_BELOW = 0.5
_CHANGE_EVERY = 160  # samples until one more period joins the repetition

# How loud the repetition is so many samples into the hole. Appendix I holds 10 ms and is silent at 60 ms; falling at
# once and ending late scored better by PESQ at every rate of loss, most of all for bursts. So did the short template.
_FADE_PLACES = (0.0, 160.0, 480.0, 1280.0)
_FADE_GAINS = (1.0, 0.55, 0.3, 0.0)
_FADE_END = 1280


def _confidence(likeness: float) -> float:
    """How loud to begin: the less the last period resembled the one before, the less it says about the next."""
    return min(0.2 + 0.9 * max(likeness, 0.0), 1.0)


class PacketLossConcealer:
    """Wraps a stream of 8 kHz sound: every good block goes through :meth:`good`, every hole through :meth:`conceal`."""

    def __init__(self) -> None:
        self._history: Signal = np.zeros(_HISTORY, dtype=np.float32)
        self._concealed = 0
        self._lag = _LONGEST_LAG
        self._cycle: Signal = np.zeros(_LONGEST_LAG, dtype=np.float32)
        self._cycle_place = 0
        self._periods = 1
        self._step = 0.0
        self._level = 1.0
        self._source: Signal = self._history

    @property
    def active(self) -> bool:
        """Whether a hole is being filled: the last sound was made up."""
        return self._concealed > 0

    @property
    def silent(self) -> bool:
        """Whether concealment has faded out."""
        return self._concealed >= _FADE_END

    def good(self, samples: Samples) -> Samples:
        """Real sound; the first after a hole is blended in."""
        if self._concealed:
            samples = self._blend(samples)
            self._concealed = 0
        self._remember(samples.astype(np.float32))
        return samples

    def conceal(self, count: int) -> Samples:
        """``count`` samples in place of what is missing."""
        if self.silent:
            self._concealed += count
            self._remember(np.zeros(count, dtype=np.float32))
            return np.zeros(count, dtype=np.int16)
        if self._concealed == 0:
            self._begin()
        made = self._synthesise(count)
        self._concealed += count
        self._remember(made)
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)

    def _remember(self, samples: Signal) -> None:
        if len(samples) >= _HISTORY:
            self._history = samples[-_HISTORY:]
        else:
            self._history = np.concatenate([self._history[len(samples) :], samples])

    def _begin(self) -> None:
        lag, likeness = best_lag(self._history, _TEMPLATE, _SHORTEST_LAG, _LONGEST_LAG)
        if likeness < _UNVOICED_BELOW:
            lag, _ = best_lag(self._history, _TEMPLATE, _UNVOICED_LAG, _LONGEST_LAG)
        self._level = _confidence(likeness)
        self._lag = lag
        self._source = self._history
        self._periods = 0
        self._cycle_place = 0
        # The repetition goes on from one period before the end; what was heard last differs from that by this step.
        self._step = float(self._history[-1] - self._history[-lag - 1] * self._level)
        self._use_periods(1)

    def _use_periods(self, periods: int) -> None:
        """Repeat the last ``periods`` periods, their end blended so that it leads into their start."""
        length = periods * self._lag
        if periods == self._periods or length + self._lag // 4 > _HISTORY:
            return
        cycle = self._source[-length:].copy()
        blend = self._lag // 4
        weight = np.arange(1, blend + 1, dtype=np.float32) / (blend + 1)
        cycle[-blend:] += (self._source[-length - blend : -length] - cycle[-blend:]) * weight
        # Keep the phase: the place counts from the start of a period.
        self._cycle_place = self._cycle_place % self._lag if self._periods else 0
        self._cycle, self._periods = cycle, periods

    def _synthesise(self, count: int) -> Signal:
        """``count`` more samples of the repetition; moves its place, not the count of what is concealed."""
        if self._concealed >= _CHANGE_EVERY:
            self._use_periods(min(1 + self._concealed // _CHANGE_EVERY, 3))
        places = (self._cycle_place + np.arange(count)) % len(self._cycle)
        self._cycle_place = (self._cycle_place + count) % len(self._cycle)
        made: Signal = self._cycle[places]
        position = self._concealed + np.arange(count, dtype=np.float32)
        made *= np.interp(position, _FADE_PLACES, _FADE_GAINS) * self._level
        ramp = self._lag // 4
        if self._concealed < ramp:
            made += self._step * np.maximum(0.0, 1.0 - (position + 1) / ramp)
        return made

    def _blend(self, samples: Samples) -> Samples:
        # Appendix I: a quarter period, and 4 ms more for each 10 ms lost after the first, up to 10 ms.
        length = min(self._lag // 4 + 32 * max(self._concealed // 80 - 1, 0), 80, len(samples))
        if length == 0:
            return samples
        old = np.zeros(length, dtype=np.float32) if self.silent else self._synthesise(length)
        weight = np.arange(1, length + 1, dtype=np.float32) / (length + 1)
        blended = samples.copy()
        mixed = old + (samples[:length].astype(np.float32) - old) * weight
        blended[:length] = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        return blended
