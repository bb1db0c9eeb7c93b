"""A sound server on virtual time, at the other end of a socket pair: one sink or one source with a crystal of its own.

The test advances it; it takes out (or puts in) pieces of sound by its clock, and answers what it is asked.
"""

from __future__ import annotations

import socket
import struct
import weakref
from typing import TYPE_CHECKING

from audio.io.pulse_stream import Opened
from audio.io.pulse_wire import INVALID, Command, Packet, PacketReader, Reader, sound

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 8000
PIECE = 80
"""Samples: 10 ms."""

CHANNEL = 5
_HEADER = struct.Struct("!IIIII")


def _close(*sockets: socket.socket) -> None:
    for sock in sockets:
        sock.close()


class VirtualServer:
    """What sinks and sources have in common. ``ppm`` is how much faster than the thread's clock the device runs."""

    def __init__(self, ppm: float = 0.0, *, fixed_s: float = 0.0) -> None:
        self.theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours.setblocking(False)
        weakref.finalize(self, _close, self.theirs, self._ours)
        self._reader = PacketReader()
        self._speed = 1 + ppm * 1e-6
        self.fixed_s = fixed_s
        """A radio link's delay, which the server counts in."""

        self.now = 0.0
        self.pieces = 0
        self.flushed = 0
        self.packets: list[tuple[Packet, int]] = []
        """Sound that came, each with its seek mode."""

    @property
    def opened(self) -> Opened:
        """As the backend would have it."""
        return Opened(name="virtual", channel=CHANNEL, rate=RATE, piece_ms=10.0, first_margin_ms=6.0)

    @property
    def played(self) -> float:
        """Samples the crystal has counted."""
        return self.now * RATE * self._speed

    def listen(self) -> None:
        """Take what was sent."""
        try:
            data = self._ours.recv(1 << 20)
        except BlockingIOError:
            return
        place = 0
        modes = []
        while place + _HEADER.size <= len(data):
            length, channel, _, _, flags = _HEADER.unpack_from(data, place)
            modes.append((channel, flags))
            place += _HEADER.size + length
        for packet, (_, flags) in zip(self._reader.receive_untrusted(data), modes, strict=True):
            channel, payload = packet
            if channel == INVALID:
                self._asked(Reader(payload))
            else:
                self.packets.append((packet, flags))
                self.take(payload, at_once=flags == 2)

    def _asked(self, reader: Reader) -> None:
        command, tag = reader.head()
        if command == Command.FLUSH_PLAYBACK_STREAM:
            self.flushed += 1
            self.flush()
            return
        assert reader.u32() == CHANNEL
        asked_at = reader.time()
        latency_s, written, read = self.holding()
        source_s, sink_s = (latency_s, 0.0) if command == Command.GET_RECORD_LATENCY else (0.0, latency_s)
        usec = [struct.pack("!cQ", b"U", round(value * 1e6)) for value in (sink_s, source_s)]
        moment = struct.pack("!cII", b"T", int(asked_at), round(asked_at % 1 * 1e6))
        places = [struct.pack("!cq", b"r", 2 * value) for value in (written, read)]
        self.say(Command.REPLY, tag, *usec, b"1", moment, moment, *places)

    def say(self, command: Command, tag: int, *values: bytes) -> None:
        """Send a command."""
        payload = struct.pack("!cIcI", b"L", command, b"L", tag) + b"".join(values)
        self.send(_HEADER.pack(len(payload), INVALID, 0, 0, 0) + payload)

    def send(self, data: bytes) -> None:
        """Send anything."""
        self._ours.send(data)

    def hang_up(self) -> None:
        """Its process is killed."""
        self._ours.close()

    def take(self, samples: bytes, *, at_once: bool) -> None:
        """Sound to play."""

    def flush(self) -> None:
        """Forget it."""

    def holding(self) -> tuple[float, int, int]:
        """Latency of the device, and the stream's write and read index."""
        return 0.0, 0, 0


class VirtualSource(VirtualServer):
    """Speaks what ``voice`` gives for a sample number on."""

    def __init__(self, voice: Callable[[int, int], bytes], ppm: float = 0.0, *, fixed_s: float = 0.0) -> None:
        super().__init__(ppm, fixed_s=fixed_s)
        self._voice = voice

    def advance(self, now: float) -> None:
        """Let it be ``now``."""
        self.now = now
        while (self.pieces + 1) * PIECE <= self.played - self.fixed_s * RATE:
            self.send(sound(CHANNEL, self._voice(self.pieces * PIECE, PIECE), at_once=False))
            self.pieces += 1
        self.listen()

    def holding(self) -> tuple[float, int, int]:
        """What is in the device has been spoken and is not written yet."""
        written = self.pieces * PIECE
        return self.played / RATE - written / RATE, written, written


class VirtualSink(VirtualServer):
    """Plays 10 ms at a time, a piece ahead; remembers all of it in :attr:`heard`, if it is to."""

    def __init__(self, ppm: float = 0.0, *, fixed_s: float = 0.0, remembers: bool = True) -> None:
        super().__init__(ppm, fixed_s=fixed_s)
        self._queue = bytearray()
        self._read = 0
        self._dry = True
        self._remembers = remembers
        self.heard = bytearray()
        self.underflows = 0
        self.asleep_until = 0.0
        """A null sink found idle plays nothing for a while."""

    @property
    def waiting(self) -> int:
        """Samples in the server's buffer."""
        return len(self._queue) // 2

    def advance(self, now: float) -> None:
        """Let it be ``now``."""
        self.listen()
        self.now = now
        while self.pieces * PIECE <= self.played:
            self.pieces += 1
            if now >= self.asleep_until:
                self._take_out()

    def _take_out(self) -> None:
        piece = bytes(self._queue[: 2 * PIECE])
        if not piece and not self._dry:
            self._dry = True
            self.underflows += 1
            self.say(Command.UNDERFLOW, INVALID, struct.pack("!cI", b"L", CHANNEL))
        del self._queue[: 2 * PIECE]
        if self._remembers:
            self.heard += piece.ljust(2 * PIECE, b"\0")
        self._read += PIECE

    def take(self, samples: bytes, *, at_once: bool) -> None:
        """Sound behind what waits, or in its place."""
        if at_once:
            self._queue.clear()
        self._dry = False
        self._queue += samples

    def flush(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def holding(self) -> tuple[float, int, int]:
        """The piece that was taken out last is not played out yet."""
        ahead_s = (self.pieces * PIECE - self.played) / RATE
        return ahead_s + self.fixed_s, self._read + self.waiting, self._read
