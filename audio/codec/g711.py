"""G.711 µ-law and A-law by table, derived from the decision values of ITU-T Recommendation G.711 (tables 1a to 2b).

    int16 ──▶ 65,536-entry table ──▶ octet          octet ──▶ 256-entry table ──▶ int16

A 16-bit sample is the recommendation's 14-bit (µ-law) or 13-bit (A-law) value with two or three more fraction bits. A
value exactly on a decision value belongs to the upper interval when positive; the negative half mirrors the positive
one about -1/2, as in the ITU's reference software (G.191): -1 has the magnitude of 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def _levels(
    decision_values: list[int], output_values: list[int], scale: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """The interval number 0..127 for each magnitude 0..32767, and each interval's magnitude, both at 16-bit scale.

    ``decision_values`` are the lower ends of intervals 1 to 127.
    """
    thresholds = np.array(decision_values, dtype=np.int64) * scale
    magnitudes = np.arange(32768)
    intervals = np.searchsorted(thresholds, magnitudes, side="right").astype(np.uint8)
    return intervals, (np.array(output_values, dtype=np.int64) * scale).astype(np.int16)


def _signed_tables(
    intervals: NDArray[np.uint8], outputs: NDArray[np.int16], positive: int, inversion: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """The complete encode and decode tables: sign bit ``positive`` for values >= 0, then XOR with ``inversion``."""
    half = (intervals | positive) ^ inversion
    # Index with the sample's bits as unsigned: 0..32767, then -32768..-1, whose magnitudes ~s run from 32767 down to 0.
    encode = np.concatenate([half, (intervals[::-1] | (positive ^ 0x80)) ^ inversion]).astype(np.uint8)
    decode = np.empty(256, dtype=np.int16)
    codes = np.arange(128)
    decode[(codes | positive) ^ inversion] = outputs
    decode[(codes | (positive ^ 0x80)) ^ inversion] = -outputs
    return encode, decode


def _mu_law_tables() -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    # Table 2a: 14-bit decision values 0, 1, 3 .. 31 in steps of 2, then seven segments of 16 steps doubling from 4 to
    # 256.
    # Output values lie in the middle: 0, 2 .. 30, 33, 37 .. 8031.
    decisions = [1, *range(3, 32, 2)]
    for segment in range(1, 8):
        step = 2 << segment
        start = decisions[-1]
        decisions += [start + step * (i + 1) for i in range(16)]
    decisions = decisions[:127]
    outputs = [0, *((low + high) // 2 for low, high in zip(decisions, [*decisions[1:], 8159], strict=True))]
    intervals, magnitudes = _levels(decisions, outputs, 4)
    # Table 2a gives character signals with all amplitude bits inverted; positive values have 1 first.
    return _signed_tables(intervals, magnitudes, 0x80, 0x7F)


def _a_law_tables() -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    # Table 1a: 13-bit decision values 0, 2 .. 64 in steps of 2 (two segments), then six segments of 16 steps doubling
    # from 4 to 128.
    # Output values lie in the middle: 1, 3 .. 4032.
    decisions = list(range(2, 65, 2))
    for segment in range(1, 7):
        step = 2 << segment
        start = decisions[-1]
        decisions += [start + step * (i + 1) for i in range(16)]
    decisions = decisions[:127]
    outputs = [(low + high) // 2 for low, high in zip([0, *decisions], [*decisions, 4096], strict=True)]
    intervals, magnitudes = _levels(decisions, outputs, 8)
    # G.711 §3.2 note: the character signals are obtained by inverting the even bits.
    return _signed_tables(intervals, magnitudes, 0x80, 0x55)


_MU_LAW_ENCODE, _MU_LAW_DECODE = _mu_law_tables()
_A_LAW_ENCODE, _A_LAW_DECODE = _a_law_tables()


class G711:
    """One of the two laws. Stateless: one instance serves any number of streams."""

    clock_rate = 8000
    sample_rate = 8000
    samples_per_octet = 1

    def __init__(self, name: str, encode: NDArray[np.uint8], decode: NDArray[np.int16]) -> None:
        self.name = name
        self._encode = encode
        self._decode = decode

    def encode(self, pcm: Samples) -> bytes:
        """One octet for each sample."""
        return self._encode.take(pcm.view(np.uint16)).tobytes()

    def decode(self, payload: bytes) -> Samples:
        """One sample for each octet; every octet is valid."""
        return self._decode.take(np.frombuffer(payload, dtype=np.uint8))

    def duration(self, payload: bytes) -> int:
        """RTP clock units the payload lasts."""
        return len(payload)


PCMU = G711("PCMU", _MU_LAW_ENCODE, _MU_LAW_DECODE)
PCMA = G711("PCMA", _A_LAW_ENCODE, _A_LAW_DECODE)
