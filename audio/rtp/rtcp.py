"""RTCP packets as bytes: SR, RR, SDES, BYE and their compound, RFC 3550 §6.4 to §6.6.

|V=2|P| count   |      PT       |            length             |   one header for each packet of the compound
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sipcore.errors import ParseError

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
MAXIMUM_DATAGRAM = 1500
CNAME_ITEM = 1

_HEADER = struct.Struct("!BBH")
_BLOCK = struct.Struct("!IIIIII")
_SENDER_INFO = struct.Struct("!QIII")
_SIGN_24 = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportBlock:
    """Reception of one source, RFC 3550 §6.4.1. ``fraction_lost`` is in 1/256, ``jitter`` in timestamp units."""

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderInfo:
    """The sender's part of a sender report; ``ntp`` has 64 bits."""

    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A sender report when it has ``sender``, else a receiver report."""

    ssrc: int
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()

    def serialise(self) -> bytes:
        """At most 31 blocks; counts are taken modulo their widths."""
        body = struct.pack("!I", self.ssrc)
        if self.sender:
            info = self.sender
            body += _SENDER_INFO.pack(
                info.ntp, info.rtp_timestamp & 0xFFFFFFFF, info.packet_count & 0xFFFFFFFF, info.octet_count & 0xFFFFFFFF
            )
        for block in self.blocks:
            # §6.4.1: the cumulative number of packets lost is a signed 24-bit integer; it is clamped (A.3).
            lost = max(-_SIGN_24, min(_SIGN_24 - 1, block.cumulative_lost)) & 0xFFFFFF
            body += _BLOCK.pack(
                block.ssrc,
                (block.fraction_lost & 0xFF) << 24 | lost,
                block.highest_sequence & 0xFFFFFFFF,
                block.jitter & 0xFFFFFFFF,
                block.last_sr,
                block.delay_since_last_sr,
            )
        return _with_header(SENDER_REPORT if self.sender else RECEIVER_REPORT, len(self.blocks), body)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """The CNAMEs of an SDES packet, ``(ssrc, cname)``; other items are left out."""

    chunks: tuple[tuple[int, str], ...]

    def serialise(self) -> bytes:
        """At most 31 chunks; a CNAME has at most 255 octets of UTF-8."""
        body = b""
        for ssrc, cname in self.chunks:
            text = cname.encode()
            chunk = struct.pack("!IBB", ssrc, CNAME_ITEM, len(text)) + text
            # §6.5: the list is terminated by one or more null octets up to the next 32-bit boundary.
            body += chunk + bytes(4 - len(chunk) % 4)
        return _with_header(SOURCE_DESCRIPTION, len(self.chunks), body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """BYE, RFC 3550 §6.6."""

    ssrcs: tuple[int, ...]
    reason: str = ""

    def serialise(self) -> bytes:
        """At most 31 sources; a reason has at most 255 octets of UTF-8."""
        body = struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        if self.reason:
            text = self.reason.encode()
            body += bytes([len(text)]) + text
            body += bytes(-len(body) % 4)
        return _with_header(GOODBYE, len(self.ssrcs), body)


RtcpPacket = Report | SourceDescription | Goodbye


def serialise_compound(packets: tuple[RtcpPacket, ...]) -> bytes:
    """The packets as one datagram. §6.1: the first one must be a report, and an SDES with CNAME must follow."""
    return b"".join(packet.serialise() for packet in packets)


def parse_compound_untrusted(data: bytes) -> tuple[RtcpPacket, ...]:
    """Every report, SDES and BYE of a datagram in order; other packet types are skipped.

    ParseError when the compound fails RFC 3550 A.2 or any known packet in it is cut off.
    """
    length = len(data)
    if not 8 <= length <= MAXIMUM_DATAGRAM:
        raise ParseError(f"{length} octets cannot be an RTCP compound")
    if data[0] & 0x20 or data[1] not in (SENDER_REPORT, RECEIVER_REPORT):
        # A.2: "The payload type field of the first RTCP packet in a compound packet must be equal to SR or RR" and
        # "The padding bit (P) should be zero for the first packet".
        raise ParseError("an RTCP compound starts with an unpadded SR or RR")
    packets: list[RtcpPacket] = []
    offset = 0
    while offset < length:
        if offset + 4 > length:
            raise ParseError("RTCP header is cut off")
        first, kind, words = _HEADER.unpack_from(data, offset)
        end = offset + 4 + 4 * words
        if first & 0xC0 != 0x80 or end > length:
            raise ParseError("RTCP version or length is wrong")
        body = data[offset + 4 : end]
        if first & 0x20:
            if end != length or not body or not 0 < body[-1] <= len(body):
                raise ParseError("RTCP padding is wrong")
            body = body[: -body[-1]]
        if packet := _packet_untrusted(kind, first & 0x1F, body):
            packets.append(packet)
        offset = end
    return tuple(packets)


def _packet_untrusted(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    match kind:
        case 200 | 201:
            return _report_untrusted(kind == SENDER_REPORT, count, body)
        case 202:
            return SourceDescription(chunks=_chunks_untrusted(count, body))
        case 203:
            if len(body) < 4 * count:
                raise ParseError("BYE is cut off")
            ssrcs = struct.unpack_from(f"!{count}I", body)
            rest = body[4 * count :]
            reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
            return Goodbye(ssrcs=ssrcs, reason=reason)
        case _:
            return None


def _report_untrusted(has_sender: bool, count: int, body: bytes) -> Report:
    start = 4 + (_SENDER_INFO.size if has_sender else 0)
    if len(body) < start + _BLOCK.size * count:
        raise ParseError("RTCP report is cut off")
    sender = None
    if has_sender:
        ntp, rtp_timestamp, packet_count, octet_count = _SENDER_INFO.unpack_from(body, 4)
        sender = SenderInfo(ntp=ntp, rtp_timestamp=rtp_timestamp, packet_count=packet_count, octet_count=octet_count)
    blocks = []
    for index in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, start + _BLOCK.size * index)
        lost = loss & 0xFFFFFF
        blocks.append(
            ReportBlock(
                ssrc=ssrc,
                fraction_lost=loss >> 24,
                cumulative_lost=lost - (1 << 24) if lost & _SIGN_24 else lost,
                highest_sequence=highest,
                jitter=jitter,
                last_sr=last_sr,
                delay_since_last_sr=delay,
            )
        )
    return Report(ssrc=int.from_bytes(body[:4], "big"), sender=sender, blocks=tuple(blocks))


def _chunks_untrusted(count: int, body: bytes) -> tuple[tuple[int, str], ...]:
    chunks: list[tuple[int, str]] = []
    offset = 0
    for _ in range(count):
        if offset + 4 > len(body):
            raise ParseError("SDES chunk is cut off")
        ssrc = int.from_bytes(body[offset : offset + 4], "big")
        offset += 4
        while offset < len(body) and body[offset]:
            if offset + 2 > len(body) or offset + 2 + body[offset + 1] > len(body):
                raise ParseError("SDES item is cut off")
            text = body[offset + 2 : offset + 2 + body[offset + 1]]
            if body[offset] == CNAME_ITEM:
                chunks.append((ssrc, text.decode("utf-8", "replace")))
            offset += 2 + len(text)
        if offset >= len(body):
            raise ParseError("SDES chunk has no end")
        offset += 4 - offset % 4
    return tuple(chunks)


def _with_header(kind: int, count: int, body: bytes) -> bytes:
    if count > 31:
        raise ValueError("an RTCP packet counts at most 31 items")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
