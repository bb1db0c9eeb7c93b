"""Streams of a sound server (PulseAudio, PipeWire) without a callback, a thread or a resampler of ours.

    source ─ server ─ socket ─ pump, each tick ─▶ ring ─▶ CaptureEnd        10 ms pieces
    sink ◀─ server's buffer ◀─ socket ◀─ write, each tick ─ PlayoutEnd

The media thread reads and writes the socket itself, never waiting: the server buffers, resamples and follows the
user's choice of device. Some times a second it is asked how much it holds, which is what clocks are matched by, and
proves that it lives.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from audio.core import frame_samples
from audio.io.matching import CaptureEnd, PlayoutEnd
from audio.io.pulse_wire import INVALID, Command, Packet, PacketReader, Reader, Writer, sound
from audio.io.ring import SAMPLE_BYTES, FrameRing
from sipcore.errors import ParseError

if TYPE_CHECKING:
    import socket

_log = logging.getLogger(__name__)

_RING_S = 0.5
_ASK_EVERY = 5
"""Pumps between two questions at first; a pump is a tick, or a tenth of a second while nothing is to be heard."""

_ASK_EVERY_LATER = 20
"""For a sink half as many: it is pumped half as often then."""

_SETTLED_PUMPS = 150
"""By then clocks are matched, and what is asked and taken of the server costs more than it tells."""

_QUESTION_TAG = 1_000_000
_FLUSH_TAG = 1_000_001
_REMEMBERED = 20
_RECEIVE_BYTES = 4096
_REQUEST = Command.REQUEST.to_bytes(4, "big")
_PATIENCE_S = 0.3
_TRUST_CLOCK_S = 0.1
_JUMP_S = 1.0
_ABOUT = 1.1
_DRY_MS = 6
"""What one report of an empty buffer counts for: the server does not say how much was missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the server answered when the stream was made."""

    name: str
    channel: int
    rate: int
    """Hz of the sound that is exchanged."""

    piece_ms: float
    """How much the source or sink takes in or gives out at once, at most."""

    first_margin_ms: float
    """The reserve to begin with, beyond a piece."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What server and device hold, in samples, at the moment the server was asked."""

    in_device_s: float
    written: int
    read: int
    since_s: float
    """By how much later the answer was true."""


class _Owner(Protocol):
    """Whom a link tells what came in."""

    def heard(self, samples: bytes) -> None: ...

    def holds(self, held: Holding) -> None: ...

    def ran_dry(self) -> None: ...


class Link:
    """One stream's connection, for the media thread. Never waits, never raises."""

    def __init__(
        self,
        sock: socket.socket,
        reader: PacketReader,
        channel: int,
        piece_ms: float,
        *,
        captures: bool,
        owner: _Owner,
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reader = reader
        self._channel = channel
        self._piece_s = piece_ms / 1000
        self._captures = captures
        self._ask_every_later = _ASK_EVERY_LATER if captures else _ASK_EVERY_LATER // 2
        self._owner = owner
        self._unsent = b""
        self._pumps = 0
        self._told: deque[float] = deque(maxlen=_REMEMBERED)
        self.finished = False
        """Whether the server ended the stream, or has gone itself."""

        self.pumped_at = self.heard_at = time.monotonic()
        """When it was last listened to, and when it last said something."""

    def begin(self) -> None:
        """Sound begins, or begins again: ask often for a while."""
        self._pumps %= _ASK_EVERY

    def pump(self) -> bool:
        """Take what the server has sent; whether it was asked how much it holds, which is time now and then."""
        if self.finished:
            return False
        self.pumped_at = time.monotonic()
        try:
            while data := self._socket.recv(_RECEIVE_BYTES):
                self.heard_at = self.pumped_at
                self._receive(self._reader.receive_untrusted(data))
                if len(data) < _RECEIVE_BYTES:
                    break
            else:
                _log.info("= the sound server has gone")
                self.finished = True
        except BlockingIOError:
            pass  # that was all
        except (OSError, ParseError) as error:
            _log.info("= the sound server's stream ended: %s", error)
            self.finished = True
        self._pumps += 1
        every = _ASK_EVERY if self._pumps <= _SETTLED_PUMPS else self._ask_every_later
        return self._pumps % every == 0 and self._ask()

    def send(self, data: bytes) -> bool:
        """Whether it left, or will: a server that takes nothing loses whole packets."""
        if self.finished:
            return False
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if self._unsent:
                    return False
            self._unsent = data[self._socket.send(data) :]
        except BlockingIOError:
            return False
        except OSError as error:
            _log.info("= the sound server takes no more: %s", error)
            self.finished = True
            return False
        return True

    def close(self) -> None:
        """Give the stream back; does not wait."""
        self._socket.close()

    def _ask(self) -> bool:
        command = Command.GET_RECORD_LATENCY if self._captures else Command.GET_PLAYBACK_LATENCY
        return self.send(Writer(command, _QUESTION_TAG).u32(self._channel).time(time.time()).packet())

    def _receive(self, packets: list[Packet]) -> None:
        pieces = []
        for channel, payload in packets:
            if channel != INVALID:
                pieces.append(payload)
            # Requests come with every piece, and sound is sent whether asked for or not.
            elif payload[1:5] != _REQUEST:
                self._obey(payload)
        if pieces:
            self._owner.heard(b"".join(pieces))

    def _obey(self, payload: bytes) -> None:
        reader = Reader(payload)
        command, tag = reader.head()
        if command == Command.REPLY and tag == _QUESTION_TAG:
            self._answered(reader)
        elif command in (Command.PLAYBACK_STREAM_KILLED, Command.RECORD_STREAM_KILLED):
            _log.info("= the sound server ended the stream")
            self.finished = True
        elif command == Command.UNDERFLOW:
            self._owner.ran_dry()

    def _answered(self, reader: Reader) -> None:
        sink_s, source_s = reader.usec() * 1e-6, reader.usec() * 1e-6
        running, asked_at, answered_at = reader.boolean(), reader.time(), reader.time()
        written, read = reader.s64() // SAMPLE_BYTES, reader.s64() // SAMPLE_BYTES
        if not running:
            return
        # A monitor has each piece when its sink begins to play it.
        latency_s = sink_s if not self._captures else source_s + (self._piece_s - sink_s if sink_s else 0.0)
        self._told.append(latency_s)
        # What goes beyond a piece is a radio link or a cable, the same for all sound: it is no reserve. How much of the
        # rest is a piece on its way is not told then; the least of late is surely not.
        fixed_s = min(self._told) if max(self._told) > self._piece_s * _ABOUT else 0.0
        # Where both clocks are one the server says when it looked; over a network they need not agree.
        since_s = answered_at - asked_at
        since_s = since_s if 0.0 <= since_s < _TRUST_CLOCK_S else 0.0
        in_device_s = min(max(latency_s - fixed_s, 0.0), self._piece_s)
        self._owner.holds(Holding(in_device_s, written, read, since_s))


class PulseCapture:
    """A source's sound: a :class:`~audio.io.matching.CaptureSource`."""

    def __init__(self, sock: socket.socket, reader: PacketReader, opened: Opened) -> None:
        self.rate = opened.rate
        self.ring = FrameRing(round(opened.rate * _RING_S))
        self.piece_ms = opened.piece_ms
        self.first_margin_ms = opened.first_margin_ms
        self.link = Link(sock, reader, opened.channel, opened.piece_ms, captures=True, owner=self)
        self._reserve: float | None = None
        self._taken_when_asked = 0
        self._offset = 0

    def pump(self) -> None:
        """Take what has come."""
        if self.link.pump():
            self._taken_when_asked = self.ring.taken + self.ring.overruns

    def begin(self) -> None:
        """What is read next is the first for a while."""
        self.link.begin()

    def reserve(self) -> float | None:
        """What was spoken and not yet read when the server was last asked; each figure is told once."""
        reserve, self._reserve = self._reserve, None
        return reserve

    def heard(self, samples: bytes) -> None:
        self.ring.write(samples)

    def holds(self, held: Holding) -> None:
        captured = held.written + (held.in_device_s - held.since_s) * self.rate
        ahead = captured - self._taken_when_asked - self._offset
        if abs(ahead - self.ring.fill) > self.rate * _JUMP_S:
            # The stream was moved to another source, or sound was thrown away before we had it: count anew.
            self._offset += round(ahead - self.ring.fill)
            return
        # The question goes out before the tick's frame is read.
        self._reserve = ahead - frame_samples(self.rate)

    def ran_dry(self) -> None:
        """No such thing here."""


class PulsePlayout:
    """A sink's sound, which the server buffers: a :class:`~audio.io.matching.PlayoutTarget`."""

    def __init__(self, sock: socket.socket, reader: PacketReader, opened: Opened) -> None:
        self.rate = opened.rate
        self.piece_ms = opened.piece_ms
        self.first_margin_ms = opened.first_margin_ms
        self.link = Link(sock, reader, opened.channel, opened.piece_ms, captures=False, owner=self)
        self.fill = 0
        """What the server held when it was last asked; told once, like :meth:`reserve`."""

        self.underruns = 0
        self._channel = opened.channel
        self._reserve: float | None = None
        self._dry = True
        self._pumps = 0

    def pump(self) -> None:
        """Take the server's news, later on at every second tick."""
        self._pumps += 1
        if self._pumps <= _SETTLED_PUMPS or self._pumps % 2:
            self.link.pump()

    def reserve(self) -> float | None:
        """What server and device held before a frame was written; each figure is told once."""
        reserve, self._reserve = self._reserve, None
        self.fill = 0
        return reserve

    def write(self, samples: bytes) -> None:
        """Append, or begin where the server is now if it has run dry: it does not wait, and what is late is lost."""
        # A packet without sound is taken for a broken client.
        if samples and self.link.send(sound(self._channel, samples, at_once=self._dry)):
            self._dry = False

    def flush(self) -> bool:
        """Throw away all that waits."""
        self._dry = True
        self.fill = 0
        return self.link.send(Writer(Command.FLUSH_PLAYBACK_STREAM, _FLUSH_TAG).u32(self._channel).packet())

    def begin(self) -> None:
        """What is written next is the first for a while."""
        self.link.pump()  # that it ran dry meanwhile is no news of what is written now
        self._dry = True
        self.fill = 0
        self._pumps = 0
        self.link.begin()

    def heard(self, samples: bytes) -> None:
        """No such thing here."""

    def holds(self, held: Holding) -> None:
        if not self._dry:
            self.fill = max(0, held.written - held.read)
            self._reserve = self.fill + (held.in_device_s + held.since_s) * self.rate

    def ran_dry(self) -> None:
        if not self._dry:
            self._dry = True
            self.fill = 0
            self.underruns += self.rate * _DRY_MS // 1000


class PulseStream:
    """A stream and its end: an :class:`~audio.io.backend.OpenStream`.

    Made on one thread, then used by the media thread alone; the loop looks at plain attributes.
    """

    def __init__(self, opened: Opened, link: Link, end: CaptureEnd | PlayoutEnd) -> None:
        self.name = opened.name
        self.rate = opened.rate
        self.end = end
        self.interrupted = False
        self._link = link

    @property
    def finished(self) -> bool:
        """Whether it ended by itself."""
        return self._link.finished

    def age(self, now: float) -> float:
        """Seconds for which the server was listened to and said nothing."""
        return self._link.pumped_at - self._link.heard_at

    async def answers(self) -> bool:
        """Whether the server says something after all: a loaded machine may take a moment."""
        before = self._link.heard_at
        await asyncio.sleep(_PATIENCE_S)
        return self._link.heard_at != before

    def raise_rate(self, rate: int) -> None:
        """Its own was asked for; another can be."""
        self.interrupted = self.interrupted or self.rate < rate

    def close(self) -> None:
        """Give it back; does not wait."""
        self._link.close()


def stream_on(sock: socket.socket, reader: PacketReader, opened: Opened, *, captures: bool) -> PulseStream:
    """The stream that was made on ``sock``, which is its own from now on."""
    if captures:
        source = PulseCapture(sock, reader, opened)
        return PulseStream(opened, source.link, CaptureEnd(source))
    target = PulsePlayout(sock, reader, opened)
    return PulseStream(opened, target.link, PlayoutEnd(target))
