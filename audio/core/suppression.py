"""Silence that is not sent: when a microphone has fallen silent, and the comfort noise said in its place (RFC 3389).

    talk ──quiet for the hangover──▶ silence: CN now, then every second and as the noise changes ──louder──▶ talk

The noise floor sinks at once with the quietest sound and rises slowly; what is well above it is speech.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import numpy as np

from audio.core.ports import FRAME_MS
from audio.stream import noise
from audio.stream.level import decibels

if TYPE_CHECKING:
    from audio.core.ports import Samples

HANGOVER_S = 0.4
"""The end of a word is quiet before it is over."""

REPEAT_S = 1.0
"""Often enough for a NAT's binding and a PBX's timer."""

_FRAME_S = FRAME_MS / 1000
_ABOVE_FLOOR_DB = 9.0
_FAINT_DBFS = -55.0
_RISE_DB_PER_S = 2.0
_CHANGE_DB = 4.0


class Speak(enum.Enum):
    """What a tick sends."""

    SOUND = enum.auto()
    NOTHING = enum.auto()


class SilenceSuppressor:
    """Told every 20 ms of sound; says what to send."""

    def __init__(self) -> None:
        self._floor_dbfs = _FAINT_DBFS
        self._quiet_s = 0.0
        self._told_dbfs: float | None = None
        self._told_s = 0.0

    def decide(self, sound: Samples) -> Speak | bytes:
        """:data:`Speak.SOUND`, nothing, or the payload of a comfort-noise packet."""
        signal = sound.astype(np.float32)
        level = decibels(float(np.sqrt(signal.dot(signal) / len(signal))))
        self._floor_dbfs = min(level, self._floor_dbfs + _RISE_DB_PER_S * _FRAME_S)
        if level > max(self._floor_dbfs + _ABOVE_FLOOR_DB, _FAINT_DBFS):
            self.restart()
            return Speak.SOUND
        self._quiet_s += _FRAME_S
        if self._quiet_s <= HANGOVER_S:
            return Speak.SOUND
        self._told_s += _FRAME_S
        told = self._told_dbfs
        if told is not None and self._told_s < REPEAT_S and abs(level - told) < _CHANGE_DB:
            return Speak.NOTHING
        if told is not None and self._told_s < HANGOVER_S:
            return Speak.NOTHING  # noise that flutters is told of now and then
        self._told_dbfs, self._told_s = level, 0.0
        return noise.encode(level)

    def restart(self) -> None:
        """Sound is sent whatever comes, for the hangover at least."""
        self._quiet_s = 0.0
        self._told_dbfs = None
