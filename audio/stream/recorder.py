"""Recording to WAV: 16-bit linear, little-endian, with a header that is right after each second and at the end.

RIFF size WAVE │ fmt 16 … │ data size │ samples …
"""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_LARGEST = 0xFFFFFFFF - _HEADER.size


class BinaryFile(Protocol):
    """What is needed of an open file."""

    def write(self, data: bytes, /) -> int:
        """Append or overwrite at the present place."""
        ...

    def seek(self, offset: int, /) -> int:
        """Go to a place counted from the start."""
        ...

    def flush(self) -> None:
        """Hand everything to the system."""
        ...


class WavRecorder:
    """Writes blocks as they come. The file is the caller's to open and close; I/O errors pass through."""

    def __init__(self, file: BinaryFile, sample_rate: int = 8000, channels: int = 1) -> None:
        self._file = file
        self._rate = sample_rate
        self._channels = channels
        self._octets = 0
        self._told = 0
        self._closed = False
        file.write(self._header())

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._octets / (2 * self._channels * self._rate)

    def write(self, *channels: Samples) -> None:
        """Append a block: one array of equal length for each channel. After :meth:`close`, or 4 GB, nothing happens."""
        if len(channels) != self._channels:
            raise ValueError(f"{self._channels} channels are recorded, {len(channels)} given")
        block = channels[0] if self._channels == 1 else np.stack(channels, axis=1).reshape(-1)
        data = block.astype("<i2", copy=False).tobytes()
        if self._closed or self._octets + len(data) > _LARGEST:
            return
        self._file.write(data)
        self._octets += len(data)
        if self._octets - self._told >= 2 * self._channels * self._rate:
            # A process that dies leaves a file that can be played, but for its last second.
            self._tell_length()

    def close(self) -> None:
        """Write the final header and flush. The recorder is finished; calling again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._tell_length()

    def _tell_length(self) -> None:
        self._told = self._octets
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(_HEADER.size + self._octets)
        self._file.flush()

    def _header(self) -> bytes:
        frame = 2 * self._channels
        riff = (b"RIFF", _HEADER.size - 8 + self._octets, b"WAVE")
        form = (b"fmt ", 16, 1, self._channels, self._rate, self._rate * frame, frame, 16)
        return _HEADER.pack(*riff, *form, b"data", self._octets)


def numbered_path(path: str, number: int) -> str:
    """Where the ``number``-th call (from 1) is recorded: FILE, FILE-2, FILE-3."""
    return path if number <= 1 else f"{path}-{number}"
