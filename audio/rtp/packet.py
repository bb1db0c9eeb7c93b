"""RTP packets as bytes, RFC 3550 §5.1 and §5.3.1.

|V=2|P|X|  CC   |M|     PT      |       sequence number         |
|                           timestamp                           |
|                             SSRC                              |
|                      CSRC × CC, extension, payload, padding   |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from sipcore.errors import ParseError

HEADER_LENGTH = 12
MAXIMUM_DATAGRAM = 1500
"""Longer datagrams are no voice packets; 60 ms of 16-bit linear stereo at 8 kHz would still fit twice over."""

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """RFC 3550 §5.3.1: ``data`` is a whole number of 32-bit words."""

    profile: int
    data: bytes


class RtpPacket(NamedTuple):
    """One packet; ``sequence`` has 16 bits, ``timestamp`` and ``ssrc`` 32, ``payload_type`` 7."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0
    """Octets of padding behind the payload, its count octet included; 0 for none."""

    def serialise(self) -> bytes:
        """The packet as sent. The fields must be within their widths (struct.error, ValueError otherwise)."""
        if len(self.csrc) > 15 or not 0 <= self.padding <= 255:
            raise ValueError("at most 15 CSRCs and 255 octets of padding")
        first = 0x80 | len(self.csrc) | (0x20 if self.padding else 0) | (0x10 if self.extension else 0)
        second = self.payload_type | (0x80 if self.marker else 0)
        header = _FIXED.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        if not (self.csrc or self.extension or self.padding):
            return header + self.payload
        parts = [header, *(source.to_bytes(4, "big") for source in self.csrc)]
        if self.extension:
            if len(self.extension.data) % 4:
                raise ValueError("a header extension holds whole 32-bit words")
            parts += [_EXTENSION.pack(self.extension.profile, len(self.extension.data) // 4), self.extension.data]
        parts.append(self.payload)
        if self.padding:
            parts.append(bytes(self.padding - 1) + bytes([self.padding]))
        return b"".join(parts)

    @classmethod
    def parse_untrusted(cls, data: bytes) -> RtpPacket:
        """Read a datagram. ParseError when it is not an RTP packet by RFC 3550 A.1's checks of a single header."""
        length = len(data)
        if not HEADER_LENGTH <= length <= MAXIMUM_DATAGRAM:
            raise ParseError(f"{length} octets cannot be an RTP packet")
        first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
        if first & 0xC0 != 0x80:
            raise ParseError("RTP version is not 2")
        if first == 0x80:
            return cls(second & 0x7F, sequence, timestamp, ssrc, data[HEADER_LENGTH:], second > 0x7F)
        csrc, extension, start = _optional_header_untrusted(data, first)
        end, padding = length, 0
        if first & 0x20:
            # A.1: "If the P bit is set, then the last octet of the packet must contain a valid octet count".
            padding = data[-1]
            end -= padding
            if padding == 0 or end < start:
                raise ParseError("RTP padding exceeds the packet")
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second > 0x7F, csrc, extension, padding)


def _optional_header_untrusted(data: bytes, first: int) -> tuple[tuple[int, ...], HeaderExtension | None, int]:
    """CSRC list, header extension, and the offset behind them."""
    count = first & 0x0F
    start = HEADER_LENGTH + 4 * count
    if start > len(data):
        raise ParseError("RTP CSRC list is cut off")
    csrc = struct.unpack_from(f"!{count}I", data, HEADER_LENGTH)
    if not first & 0x10:
        return csrc, None, start
    if start + 4 > len(data):
        raise ParseError("RTP header extension is cut off")
    profile, words = _EXTENSION.unpack_from(data, start)
    start += 4
    end = start + 4 * words
    if end > len(data):
        raise ParseError("RTP header extension exceeds the packet")
    return csrc, HeaderExtension(profile, data[start:end]), end
