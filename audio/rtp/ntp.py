"""NTP timestamps as RTCP carries them, RFC 3550 §4: seconds since 1900 in 32.32 fixed point, and their middle 32
bits.
"""

from __future__ import annotations

_SECONDS_1900_TO_1970 = 2_208_988_800
_MASK_64 = (1 << 64) - 1
_MASK_32 = (1 << 32) - 1


def from_unix(unix_s: float) -> int:
    """The 64-bit NTP timestamp of a Unix time (modulo 2**64: era 1 starts in 2036)."""
    return round((unix_s + _SECONDS_1900_TO_1970) * 4_294_967_296) & _MASK_64


def to_unix(ntp: int) -> float:
    """The Unix time of a 64-bit NTP timestamp of era 0."""
    return ntp / 4_294_967_296 - _SECONDS_1900_TO_1970


def middle(ntp: int) -> int:
    """The middle 32 bits: 16.16 seconds, as in LSR."""
    return (ntp >> 16) & _MASK_32


def units_from_seconds(seconds: float) -> int:
    """A duration in units of 1/65536 s, as in DLSR; saturates at both ends."""
    return min(max(round(seconds * 65536), 0), _MASK_32)


def seconds_between(later: int, earlier: int) -> float:
    """Seconds from one middle-32 timestamp to another, modulo 18 hours, within -9 to +9 hours."""
    difference = (later - earlier) & _MASK_32
    return (difference - (1 << 32) if difference >= 1 << 31 else difference) / 65536
