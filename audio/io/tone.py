"""What is heard beside the far end, as sources the media thread reads 20 ms at a time.

    PROGRESS  ringback, busy, error ┐
    WAITING   a second call         ├─ mixed ─▶ earpiece, never RTP        BELL ─▶ ring device
    KEYS      digits that are sent  ┘

Everything is computed before the thread sees it: a read is a slice of what is there, or the one frame of silence.
"""

from __future__ import annotations

import enum
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from audio.core import FRAME_SAMPLES, SAMPLE_RATE, Samples, silence
from audio.io.settings import Role
from audio.stream.tones import KEY_AMPLITUDE, TONES, Country, ToneGenerator, ToneKind, dtmf_tone

if TYPE_CHECKING:
    from collections.abc import Iterable

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
_KEY_MS = 100
_KEY_GAP_FRAMES = 4
_PAUSE_FRAMES = 50
"""What a comma means (:data:`audio.rtp.telephone_event.PAUSE_S`)."""

_MAX_FRAMES_AHEAD = 50 * 60

_SILENCE = silence()
_SILENCE.setflags(write=False)


class Channel(enum.Enum):
    """Sounds that may be heard at once; of each kind there is one."""

    PROGRESS = "progress"
    WAITING = "waiting"
    KEYS = "keys"
    BELL = "bell"

    @property
    def role(self) -> Role:
        """The device it is for."""
        return Role.RINGER if self is Channel.BELL else Role.SPEAKER


class ToneSource(Protocol):
    """What is read at 8 kHz, 160 samples at a time; the media thread converts where a call is wideband."""

    def read(self) -> Samples | None:
        """The next 20 ms, or ``None`` when no more will come. Never blocks."""
        ...


class LoopSource:
    """Sound and then silence, again and again: a :class:`ToneSource`. Reads share ``sounding``."""

    def __init__(self, sounding: Samples, period_s: float = 0.0) -> None:
        """``period_s`` is from one beginning to the next; a longer sound repeats at once."""
        frames = -(-len(sounding) // FRAME_SAMPLES)
        self._sounding = np.pad(sounding, (0, frames * FRAME_SAMPLES - len(sounding)))
        self._sounding.setflags(write=False)
        self._period = FRAME_SAMPLES * max(frames, round(period_s / _FRAME_S))
        self._place = 0

    def read(self) -> Samples | None:
        """The next 20 ms."""
        place = self._place
        self._place = (place + FRAME_SAMPLES) % self._period
        return self._sounding[place : place + FRAME_SAMPLES] if place < len(self._sounding) else _SILENCE


class KeySource:
    """The tones of keys, one after the other: a :class:`ToneSource` that ends when all are heard.

    One thread presses, another reads.
    """

    def __init__(self) -> None:
        self._frames: deque[Samples] = deque()

    @property
    def waiting(self) -> bool:
        """Whether any key is still to be heard."""
        return bool(self._frames)

    def press(self, digits: Iterable[str]) -> None:
        """Queue the tones of ``0-9 * # A-D``, paced as they are sent; ``,`` is a pause, and nothing else sounds."""
        for digit in digits:
            if len(self._frames) > _MAX_FRAMES_AHEAD:
                return
            self._frames.extend(_key_frames(digit.upper()))

    def read(self) -> Samples | None:
        """The next 20 ms; ``None`` when no key is left."""
        try:
            return self._frames.popleft()
        except IndexError:
            return None


def tone_source(kind: ToneKind, country: Country) -> LoopSource:
    """A country's tone, from its beginning, for ever."""
    sounding, period_s = _tone(kind, country)
    return LoopSource(sounding, period_s)


def bell_source(ring: Samples, country: Country) -> LoopSource:
    """A ring of the user's own: as often as the country's bell begins, or at once where it is longer."""
    return LoopSource(ring, sum(TONES[country][ToneKind.RING].cadence))


@lru_cache(maxsize=16)
def _tone(kind: ToneKind, country: Country) -> tuple[Samples, float]:
    """Whole periods, as many as end with a frame, without the last silence; and how long they take with it."""
    cadence = TONES[country][kind].cadence
    length = round(sum(cadence) * SAMPLE_RATE)
    periods = FRAME_SAMPLES // np.gcd(length, FRAME_SAMPLES)
    sound = ToneGenerator(kind, country, SAMPLE_RATE).read(length * int(periods))
    return sound[: len(sound) - round(cadence[-1] * SAMPLE_RATE)], len(sound) / SAMPLE_RATE


@lru_cache(maxsize=32)
def _key_frames(digit: str) -> tuple[Samples, ...]:
    if digit == ",":
        return (_SILENCE,) * _PAUSE_FRAMES
    try:
        sound = dtmf_tone(digit, _KEY_MS, SAMPLE_RATE, KEY_AMPLITUDE)
    except ValueError:
        return ()
    frames = [sound[place : place + FRAME_SAMPLES] for place in range(0, len(sound), FRAME_SAMPLES)]
    return (*frames, *(_SILENCE,) * _KEY_GAP_FRAMES)
