"""Comfort noise, RFC 3389: the level and spectrum a silent sender describes, and the level we describe ourselves.

payload: level in -dBov │ reflection coefficients, each (octet - 127) · 258 / 32768
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_OVERLOAD_RMS = 8031.0 * 4
"""0 dBov. §3.1: "in the case of a u-law system, the reference would be a square wave with values +/- 8031"."""

_MAXIMUM_ORDER = 10
_STEP = 258.0 / 32768.0
_RESPONSE_LENGTH = 64
_TABLE_LENGTH = 16_411


def _white(count: int) -> NDArray[np.float32]:
    """Gaussian noise of unit power, the same every time: splitmix64 and Box-Muller. numpy's own generators are a
    megabyte and a half that nothing else here needs.
    """
    bits = np.arange(1, 2 * count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform = ((bits ^ (bits >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) + 0.5
    uniform /= 2.0**53
    radius = np.sqrt(-2.0 * np.log(uniform[:count]))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform[count:]), dtype=np.float32)


_TABLE = _white(_TABLE_LENGTH)
"""White noise of unit power; a prime length, read from a place that moves on."""


def encode(level_dbov: float) -> bytes:
    """A payload that says "white noise, this loud"."""
    return bytes([min(max(round(-level_dbov), 0), 127)])


class ComfortNoise:
    """Goes on making noise as the last payload described it."""

    def __init__(self) -> None:
        self._place = 0
        self._payload: bytes | None = None
        self._response = np.ones(1, dtype=np.float32)

    def read(self, count: int, payload: bytes | None) -> Samples:
        """``count`` samples for a comfort-noise payload from the network (any octets are fine); silence without one."""
        if not payload:
            return np.zeros(count, dtype=np.int16)
        if payload != self._payload:
            self._payload = payload
            self._response = _response_untrusted(payload)
        extra = len(self._response) - 1
        if self._place + count + extra > len(_TABLE):
            self._place = (self._place + count + extra) % 997
        white = _TABLE[self._place : self._place + count + extra]
        self._place += count
        coloured = np.convolve(white, self._response, mode="valid")
        return np.clip(coloured, -32768, 32767).astype(np.int16)


def _response_untrusted(payload: bytes) -> NDArray[np.float32]:
    """Impulse response of the described filter, scaled to the described power. Any octets make a stable one."""
    coefficients = (np.frombuffer(payload[1 : 1 + _MAXIMUM_ORDER], dtype=np.uint8).astype(np.float64) - 127.0) * _STEP
    predictor = np.ones(1)
    for reflection in np.clip(coefficients, -0.95, 0.95):
        # Levinson's step-up: |k| < 1 keeps 1/A(z) stable.
        longer = np.append(predictor, 0.0)
        predictor = longer + reflection * longer[::-1]
    response = np.zeros(_RESPONSE_LENGTH if len(predictor) > 1 else 1)
    for n in range(len(response)):
        past = response[max(0, n - len(predictor) + 1) : n][::-1]
        response[n] = (1.0 if n == 0 else 0.0) - np.dot(predictor[1 : 1 + len(past)], past)
    # Noise is never allowed louder than -20 dBov: what a peer claims must not deafen anyone.
    level = min(-float(payload[0] & 0x7F), -20.0)
    power = _OVERLOAD_RMS * 10.0 ** (level / 20.0) / np.sqrt(np.sum(response**2))
    return np.asarray(response * power, dtype=np.float32)
