"""ITU-T G.722 at 64 kbit/s: wideband speech, 16 kHz, by the library of the extra ``offhook[g722]`` (RFC 3551 §4.5.2).

An RTP packet of 20 ms counts 160 on the timestamp, as for G.711, and holds 160 octets, each of two samples.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from audio.codec.g711 import Samples

_BIT_RATE = 64_000


@lru_cache(maxsize=1)
def _library() -> Any | None:
    try:
        import G722
    except ImportError:
        return None
    return G722.G722


def installed() -> bool:
    """Whether the extra is there and can be loaded."""
    return _library() is not None


class G722:
    """One stream both ways: its predictors follow the sound, so that every packet belongs to the one before."""

    name = "G722"
    clock_rate = 8000
    """§4.5.2: "the RTP clock rate for the G722 payload format is 8,000 Hz", an error of RFC 1890 that was kept."""

    sample_rate = 16000

    def __init__(self) -> None:
        coder = _library()
        if coder is None:
            raise KeyError("G722")
        self._encoder = coder(self.sample_rate, _BIT_RATE)
        self._decoder = coder(self.sample_rate, _BIT_RATE)

    def encode(self, pcm: Samples) -> bytes:
        """One octet for each pair of samples."""
        encoded: bytes = self._encoder.encode(np.ascontiguousarray(pcm, dtype=np.int16))
        return encoded

    def decode(self, payload: bytes) -> Samples:
        """Two samples for each octet; every octet is valid."""
        return np.frombuffer(self._decoder.decode(payload), dtype=np.int16)

    def duration(self, payload: bytes) -> int:
        """RTP clock units the payload lasts."""
        return len(payload)
