"""Packet loss concealment after the idea of ITU-T G.711 Appendix I: repeat the pitch period, overlap-add at both
joints, fade out; where what follows the hole has arrived already, lead over into it.

    heard sound ─▶ history ─▶ pitch period ─▶ repeated, faded ─▶ overlap-add ─▶ sound goes on
                                                   ╲ cross-fade ╱
                       what follows ─▶ pitch period ─▶ repeated backwards

It never waits, hence costs no delay: where the recommendation holds back 3.75 ms to blend into the repetition, the step
at the joint is instead spread over the first quarter period, and what follows is only what the jitter buffer holds
anyway. All lengths below are samples of 8 kHz; wideband sound has ``scale`` times as many.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audio.stream.pitch import Signal, best_lag

Samples = NDArray[np.int16]

_SHORTEST_LAG = 32  # 250 Hz
_LONGEST_LAG = 160  # 50 Hz
_TEMPLATE = 40
_HISTORY = 3 * _LONGEST_LAG
_UNVOICED_LAG = 100  # sound without a pitch is repeated in longer pieces, or it hums
_UNVOICED_BELOW = 0.5
_CHANGE_EVERY = 160  # samples until one more period joins the repetition
_SHORTEST_FOLLOWING = _TEMPLATE + _SHORTEST_LAG + 8
_LONGEST_BLEND = 40
_FRESH_MAX = 16
"""Blocks that wait to be joined to the history."""

# How loud the repetition is so many samples into the hole. Appendix I holds 10 ms and is silent at 60 ms; falling at
# once and ending late scored better by PESQ at every rate of loss, most of all for bursts. So did the short template
# and the short blend.
_FADE_PLACES = (0.0, 160.0, 480.0, 1280.0)
_FADE_GAINS = (1.0, 0.45, 0.3, 0.0)
_FADE_END = 1280

# The same for what is repeated backwards, counted from the end of the hole.
_BACK_GAINS = (1.0, 0.7, 0.42, 0.0)

_TREND = 0.15  # how much of the last period's change of energy goes on, as an exponent
_FAINT_POWER = 100.0  # no trend is seen in sound fainter than this


def _confidence(likeness: float) -> float:
    """How loud to begin: the less the last period resembled the one before, the less it says about the next."""
    return min(0.2 + 0.9 * max(likeness, 0.0), 1.0)


class PacketLossConcealer:
    """Wraps a stream of sound at ``rate``: every good block goes through :meth:`good`, every hole through
    :meth:`conceal`.
    """

    def __init__(self, rate: int = 8000) -> None:
        self._scale = scale = rate // 8000
        self._fade_end = _FADE_END * scale
        self._history: Signal = np.zeros(_HISTORY * scale, dtype=np.float32)
        self._fresh: list[Samples | Signal] = []  # what has come since
        self._concealed = 0
        self._lag = _LONGEST_LAG * scale
        self._cycle: Signal = np.zeros(_LONGEST_LAG * scale, dtype=np.float32)
        self._cycle_place = 0
        self._periods = 1
        self._step = 0.0
        self._level = 1.0
        self._trend = 1.0
        self._source: Signal = self._history
        self._bridge_from: int | None = None  # samples into the hole at which what follows became known

    @property
    def active(self) -> bool:
        """Whether a hole is being filled: the last sound was made up."""
        return self._concealed > 0

    @property
    def silent(self) -> bool:
        """Whether concealment has faded out."""
        return self._concealed >= self._fade_end

    def good(self, samples: Samples, *, joined: bool = False) -> Samples:
        """Real sound; the first after a hole is blended in, unless it is ``joined``: what :meth:`conceal` was shown."""
        if self._concealed:
            if not joined:
                self._forget_bridge()
                samples = self._blend(samples)
            self._concealed = 0
            self._bridge_from = None
        self._remember(samples)
        return samples

    def conceal(self, count: int, following: Samples | None = None, distance: int = 0) -> Samples:
        """``count`` samples in place of what is missing.

        ``following`` is the sound that starts ``distance`` samples, at least ``count``, after the first of them. Shown
        another than the time before, call :meth:`turn` first.
        """
        if following is not None and len(following) < _SHORTEST_FOLLOWING * self._scale:
            following = None
        if self.silent and following is None:
            self._concealed += count
            self._remember(np.zeros(count, dtype=np.float32))
            return np.zeros(count, dtype=np.int16)
        if self._concealed == 0:
            self._begin()
        made: Signal = np.zeros(count, dtype=np.float32) if self.silent else self._synthesise(count)
        if following is not None:
            made = self._bridge(made, following, distance)
        self._concealed += count
        self._remember(made)
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)

    def turn(self) -> None:
        """What follows the hole is not what :meth:`conceal` was shown before: go on from what was heard."""
        self._forget_bridge()

    def _remember(self, samples: Samples | Signal) -> None:
        self._fresh.append(samples)
        if len(self._fresh) >= _FRESH_MAX:
            self._recall()

    def _recall(self) -> Signal:
        """The sound of late, which mostly nobody asks for."""
        history = self._history
        self._history = np.concatenate([history, *self._fresh], dtype=np.float32)[-len(history) :]
        self._fresh.clear()
        return self._history

    # -- forwards -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        history = self._recall()
        lag, likeness = _period(history, _LONGEST_LAG * self._scale, self._scale)
        self._level = _confidence(likeness)
        self._lag = lag
        self._trend = _trend(history[-2 * lag : -lag], history[-lag:], self._scale)
        self._source = history
        self._periods = 0
        self._cycle_place = 0
        # The repetition goes on from one period before the end; what was heard last differs from that by this step.
        self._step = float(history[-1] - history[-lag - 1] * self._level)
        self._use_periods(1)

    def _use_periods(self, periods: int) -> None:
        """Repeat the last ``periods`` periods, their end blended so that it leads into their start."""
        length = periods * self._lag
        if periods == self._periods or length + self._lag // 4 > len(self._history):
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
        change_every = _CHANGE_EVERY * self._scale
        if self._concealed >= change_every:
            self._use_periods(min(1 + self._concealed // change_every, 3))
        places = (self._cycle_place + np.arange(count)) % len(self._cycle)
        self._cycle_place = (self._cycle_place + count) % len(self._cycle)
        made: Signal = self._cycle[places]
        position = self._concealed + np.arange(count, dtype=np.float32)
        place = position / self._scale
        made *= np.interp(place, _FADE_PLACES, _FADE_GAINS) * self._trend ** (place / 160) * self._level
        ramp = self._lag // 4
        if self._concealed < ramp:
            made += self._step * np.maximum(0.0, 1.0 - (position + 1) / ramp)
        return made

    # -- backwards ----------------------------------------------------------------------------------------------------

    def _bridge(self, made: Signal, following: Samples, distance: int) -> Signal:
        """Cross-fade from the repetition to what follows repeated backwards, over the whole known rest of the hole."""
        if self._bridge_from is None:
            self._bridge_from = self._concealed
        since = self._concealed - self._bridge_from
        places = np.arange(len(made), dtype=np.float32)
        weight = (since + places + 0.5) / (since + distance)
        blended = made + (_backwards(following, distance, len(made), self._scale) - made) * weight
        return blended.astype(np.float32)

    def _forget_bridge(self) -> None:
        """Should the hole have been led over to something: from here on it is continued from what was heard."""
        if self._bridge_from is not None:
            self._bridge_from = None
            self._concealed = 0
            self._begin()

    def _blend(self, samples: Samples) -> Samples:
        # Appendix I: a quarter period, and 4 ms more for each 10 ms lost after the first.
        scale = self._scale
        longer = 32 * scale * max(self._concealed // (80 * scale) - 1, 0)
        length = min(self._lag // 4 + longer, _LONGEST_BLEND * scale, len(samples))
        if length == 0:
            return samples
        old = np.zeros(length, dtype=np.float32) if self.silent else self._synthesise(length)
        weight = np.arange(1, length + 1, dtype=np.float32) / (length + 1)
        blended = samples.copy()
        mixed = old + (samples[:length].astype(np.float32) - old) * weight
        blended[:length] = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        return blended


def _period(sound: Signal, highest: int, scale: int) -> tuple[int, float]:
    """The lag to repeat with and how much the sound is like itself so much earlier."""
    lag, likeness = best_lag(sound, _TEMPLATE * scale, _SHORTEST_LAG * scale, highest)
    if likeness < _UNVOICED_BELOW and highest > _UNVOICED_LAG * scale:
        lag, _ = best_lag(sound, _TEMPLATE * scale, _UNVOICED_LAG * scale, highest)
    return lag, likeness


def _trend(before: Signal, after: Signal, scale: int) -> float:
    """What the loudness of one period to the next says about the 20 ms to come: 1 at most, sound that fades goes on
    fading.
    """
    faint = _FAINT_POWER * len(after)
    ratio = (float(after.dot(after)) + faint) / (float(before.dot(before)) + faint)
    return min(max(math.pow(ratio, _TREND * 160 * scale / len(after)), 0.05), 1.0)


def _backwards(following: Samples, distance: int, count: int, scale: int) -> Signal:
    """The first ``count`` of the ``distance`` samples before ``following``: its first period, repeated backwards."""
    sound = following.astype(np.float32)
    lag, likeness = _period(sound[::-1], min(len(sound) - _TEMPLATE * scale, _LONGEST_LAG * scale), scale)
    blend = min(lag // 4, len(sound) - lag)
    cycle = sound[:lag].copy()
    weight = np.arange(blend, 0, -1, dtype=np.float32) / (blend + 1)
    cycle[:blend] += (sound[lag : lag + blend] - cycle[:blend]) * weight
    before = distance - np.arange(count)  # of each sample, counted back from what follows
    level = _confidence(likeness)
    gains = np.interp(before / scale, _FADE_PLACES, _BACK_GAINS) * level
    made: Signal = cycle[-before % lag] * gains.astype(np.float32)
    step = float(sound[0] - cycle[0] * level)
    made += step * np.maximum(0.0, 1.0 - before / (blend + 1)).astype(np.float32)
    return made
