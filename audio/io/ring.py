"""A ring of sound between a device's callback and the media thread.

    capture   callback ─ write ─▶ │ring│ ─ read ─▶ media thread
    playout   media thread ─ write ─▶ │ring│ ─ read_into ─▶ callback

One writer and one reader, each on its own thread. Each side alone advances its own counter, after the bytes are in
place; that is all the synchronisation there is, and it holds because an attribute store is atomic in Python. A full
ring refuses the newest samples: only the reader may move the reader's end, and it is the reader who drains a backlog.
"""

from __future__ import annotations

SAMPLE_BYTES = 2
"""16-bit mono, everywhere."""


class FrameRing:
    """``capacity`` samples, allocated once. All sizes are in samples."""

    def __init__(self, capacity: int) -> None:
        if capacity <= 0:
            raise ValueError("a ring holds at least one sample")
        self._size = capacity * SAMPLE_BYTES
        self._store = memoryview(bytearray(self._size))
        self._written = 0
        self._read = 0
        self.overruns = 0
        """Samples refused because the ring was full. The writer's counter."""

        self.underruns = 0
        """Samples :meth:`read_into` had to make up as silence. The reader's counter."""

    @property
    def capacity(self) -> int:
        """The most it can hold."""
        return self._size // SAMPLE_BYTES

    @property
    def fill(self) -> int:
        """What it holds now; never less than that for the reader, never more for the writer."""
        return (self._written - self._read) // SAMPLE_BYTES

    @property
    def written(self) -> int:
        """Samples ever accepted."""
        return self._written // SAMPLE_BYTES

    @property
    def taken(self) -> int:
        """Samples ever read or skipped."""
        return self._read // SAMPLE_BYTES

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append whole samples and say how many; what does not fit is counted in :attr:`overruns` and lost."""
        offered = len(data)
        count = min(offered, self._size - (self._written - self._read))
        if count < offered:
            self.overruns += (offered - count) // SAMPLE_BYTES
        if count:
            start = self._written % self._size
            first = min(count, self._size - start)
            self._store[start : start + first] = data[:first]
            if first < count:
                self._store[: count - first] = data[first:count]
            self._written += count
        return count // SAMPLE_BYTES

    def read(self, samples: int) -> bytes:
        """The oldest ``samples``, or as many as there are."""
        count = min(samples * SAMPLE_BYTES, self._written - self._read)
        start = self._read % self._size
        first = min(count, self._size - start)
        data = bytes(self._store[start : start + first])
        if first < count:
            data += self._store[: count - first]
        self._read += count
        return data

    def read_into(self, target: memoryview) -> int:
        """Fill ``target`` (bytes) and say with how many samples; the rest is silence, counted in :attr:`underruns`."""
        wanted = len(target)
        count = min(wanted, self._written - self._read)
        start = self._read % self._size
        first = min(count, self._size - start)
        target[:first] = self._store[start : start + first]
        if first < count:
            target[first:count] = self._store[: count - first]
        if count < wanted:
            target[count:] = bytes(wanted - count)
            self.underruns += (wanted - count) // SAMPLE_BYTES
        self._read += count
        return count // SAMPLE_BYTES

    def skip(self, samples: int) -> int:
        """Throw away the oldest ``samples``, or as many as there are; says how many."""
        count = min(samples * SAMPLE_BYTES, self._written - self._read)
        self._read += count
        return count // SAMPLE_BYTES
