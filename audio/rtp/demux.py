"""What a datagram on the media socket is, by its first octets: RFC 7983 §7 and, for rtcp-mux, RFC 5761 §4.

0..3 STUN   16..19 ZRTP   20..63 DTLS   64..79 TURN channel   128..191 RTP or RTCP
"""

from __future__ import annotations

import enum


class DatagramKind(enum.Enum):
    """Who a datagram is for."""

    RTP = enum.auto()
    RTCP = enum.auto()
    STUN = enum.auto()
    DTLS = enum.auto()
    TURN_CHANNEL = enum.auto()
    UNKNOWN = enum.auto()


def classify_untrusted(data: bytes) -> DatagramKind:
    """Sort a datagram; anything else, an empty one included, is ``UNKNOWN``."""
    if len(data) < 2:
        return DatagramKind.UNKNOWN
    first = data[0]
    if 128 <= first <= 191:
        # RFC 5761 §4: RTCP packet types 192..223 are RTP payload types 64..95 with the marker bit set, which are then
        # not used.
        return DatagramKind.RTCP if 192 <= data[1] <= 223 else DatagramKind.RTP
    if first <= 3:
        return DatagramKind.STUN
    if 20 <= first <= 63:
        return DatagramKind.DTLS
    if 64 <= first <= 79:
        return DatagramKind.TURN_CHANNEL
    return DatagramKind.UNKNOWN
