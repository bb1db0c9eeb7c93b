"""The wire format of PulseAudio's native protocol, which PipeWire speaks too: packets and tagged values, sans-I/O.

    packet    length │ channel │ offset (64 bits) │ flags │ payload        five 32-bit words, big-endian
    channel   0xFFFFFFFF: the payload is a command of tagged values;  else sound of that stream

Version 20 of 2011 is spoken: the last one whose values fit sound that is not compressed. No shared memory is agreed
on, so sound lies in the packets themselves.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from sipcore.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 20
INVALID = 0xFFFFFFFF
"""No index; the channel of commands; the default where a size may be given."""

_PACKET = struct.Struct("!IIIII")
_HEAD = struct.Struct("!xIxI")
_PAYLOAD_MAX = 256 * 1024
_SEEK_RELATIVE_ON_READ = 2
_FORMAT_S16LE = 3
_MONO = 0
_VOLUME_NORM = 0x10000
_PROPERTIES_MAX = 256


class Command(enum.IntEnum):
    """The numbers of the few commands in use."""

    ERROR = 0
    REPLY = 2
    CREATE_PLAYBACK_STREAM = 3
    CREATE_RECORD_STREAM = 5
    AUTH = 8
    SET_CLIENT_NAME = 9
    GET_PLAYBACK_LATENCY = 14
    GET_SINK_INFO = 21
    GET_SOURCE_INFO = 23
    FLUSH_PLAYBACK_STREAM = 42
    GET_RECORD_LATENCY = 57
    REQUEST = 61
    UNDERFLOW = 63
    PLAYBACK_STREAM_KILLED = 64
    RECORD_STREAM_KILLED = 65


Packet = tuple[int, bytes]
"""Channel and payload: a command where the channel is :data:`INVALID`, else sound."""


class PacketReader:
    """Cuts a byte stream into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def receive_untrusted(self, data: bytes) -> list[Packet]:
        """Every packet that ``data`` completes. ParseError when this is no such stream; it cannot be used again."""
        data = self._rest + data if self._rest else data
        packets: list[Packet] = []
        place, whole, header = 0, len(data), _PACKET.size
        while place + header <= whole:
            length, channel, _, _, flags = _PACKET.unpack_from(data, place)
            if length > _PAYLOAD_MAX:
                raise ParseError(f"a packet of {length} bytes from the sound server")
            if flags & 0xFF000000:
                raise ParseError("shared memory was not agreed on with the sound server")
            end = place + header + length
            if end > whole:
                break
            packets.append((channel, data[place + header : end]))
            place = end
        self._rest = data[place:]
        return packets


def sound(channel: int, samples: bytes, *, at_once: bool) -> bytes:
    """A packet of sound: next after what was sent before, or ``at_once``: where the server reads now."""
    return _PACKET.pack(len(samples), channel, 0, 0, _SEEK_RELATIVE_ON_READ if at_once else 0) + samples


class Writer:
    """Builds one command."""

    def __init__(self, command: Command, tag: int) -> None:
        self._parts: list[bytes] = []
        self.u32(command).u32(tag)

    def packet(self) -> bytes:
        """The finished packet."""
        payload = b"".join(self._parts)
        return _PACKET.pack(len(payload), INVALID, 0, 0, 0) + payload

    def u32(self, value: int) -> Writer:
        self._parts.append(struct.pack("!cI", b"L", value))
        return self

    def string(self, text: str | None) -> Writer:
        self._parts.append(b"N" if text is None else b"t" + text.encode().replace(b"\0", b"") + b"\0")
        return self

    def booleans(self, *values: bool) -> Writer:
        self._parts += [b"1" if value else b"0" for value in values]
        return self

    def arbitrary(self, data: bytes) -> Writer:
        self._parts.append(struct.pack("!cI", b"x", len(data)) + data)
        return self

    def time(self, seconds: float) -> Writer:
        whole = int(seconds)
        self._parts.append(struct.pack("!cII", b"T", whole, int((seconds - whole) * 1e6)))
        return self

    def mono(self, rate: int) -> Writer:
        """Sample specification and channel map: 16 bits, one channel."""
        self._parts.append(struct.pack("!cBBIcBB", b"a", _FORMAT_S16LE, 1, rate, b"m", 1, _MONO))
        return self

    def volume(self) -> Writer:
        """As it is."""
        self._parts.append(struct.pack("!cBI", b"v", 1, _VOLUME_NORM))
        return self

    def properties(self, properties: Mapping[str, str]) -> Writer:
        self._parts.append(b"P")
        for key, value in properties.items():
            data = value.encode() + b"\0"
            self.string(key).u32(len(data)).arbitrary(data)
        return self.string(None)


class Reader:
    """Takes one command apart; every method raises ParseError where something else lies there."""

    def __init__(self, payload: bytes) -> None:
        self._data = payload
        self._place = 0

    def _take(self, tag: bytes, layout: str) -> tuple[int, ...]:
        body = struct.Struct("!" + layout)
        end = self._place + 1 + body.size
        if self._data[self._place : self._place + 1] != tag or end > len(self._data):
            raise ParseError("the sound server's answer is not as its protocol has it")
        values: tuple[int, ...] = body.unpack_from(self._data, self._place + 1)
        self._place = end
        return values

    def head(self) -> tuple[int, int]:
        """The command's number and tag."""
        if len(self._data) < _HEAD.size or self._data[0:1] != b"L" or self._data[5:6] != b"L":
            raise ParseError("the sound server's answer is not as its protocol has it")
        self._place = _HEAD.size
        command, tag = _HEAD.unpack_from(self._data)
        return command, tag

    def u32(self) -> int:
        return self._take(b"L", "I")[0]

    def s64(self) -> int:
        return self._take(b"r", "q")[0]

    def usec(self) -> int:
        return self._take(b"U", "Q")[0]

    def boolean(self) -> bool:
        tag = self._data[self._place : self._place + 1]
        if tag not in (b"0", b"1"):
            raise ParseError("the sound server's answer is not as its protocol has it")
        self._place += 1
        return tag == b"1"

    def time(self) -> float:
        seconds, microseconds = self._take(b"T", "II")
        return seconds + microseconds * 1e-6

    def string(self) -> str | None:
        if self._data[self._place : self._place + 1] == b"N":
            self._place += 1
            return None
        end = self._data.find(b"\0", self._place)
        if self._data[self._place : self._place + 1] != b"t" or end < 0:
            raise ParseError("the sound server's answer is not as its protocol has it")
        text = self._data[self._place + 1 : end].decode("utf-8", "replace")
        self._place = end + 1
        return text

    def sample_format(self) -> int:
        """A sample specification and a channel map; the rate."""
        rate = self._take(b"a", "BBI")[2]
        (channels,) = self._take(b"m", "B")
        self._place += channels
        return rate
