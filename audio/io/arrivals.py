"""Datagrams with the moment they came, told by the kernel: read at the next tick they count as if read at once."""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from audio.core import Address

_SO_TIMESTAMPNS = 35
"""Linux's ``asm-generic/socket.h``; Python has no name for it."""

_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = 64
_DATAGRAM_BYTES = 2048
READ_AT_ONCE = 32
"""A flood on one socket must not keep the others, or the deadline, waiting."""

_LATE_MAX_S = 0.5
"""More than that is no delay but a wall clock that was set meanwhile."""


def stamp_arrivals(sock: socket.socket) -> bool:
    """Ask the kernel to note when each datagram comes; false where it does not."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(1, _SO_TIMESTAMPNS, 1)  # level SOL_SOCKET
    except OSError:
        return False
    return True


def read_arrivals(sock: socket.socket) -> list[tuple[bytes, Address, float]]:
    """What has come on a non-blocking socket, :data:`READ_AT_ONCE` at most: bytes, source, and when (monotonic).

    An empty datagram may hide what is behind it until the next call.
    """
    arrivals: list[tuple[bytes, Address, float]] = []
    length = bytearray(4)
    for _ in range(READ_AT_ONCE):
        try:
            data, ancillary, _, source = sock.recvmsg(_DATAGRAM_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            break
        except OSError:
            continue  # an ICMP error for something we sent: the far end's port is closed for now
        arrivals.append((data, (source[0], source[1]), time.monotonic() - _waited_s(ancillary)))
        # How long the next one is costs a third of what reading nothing does.
        fcntl.ioctl(sock.fileno(), termios.FIONREAD, length, True)
        if data and not any(length):
            break
    return arrivals


def _waited_s(ancillary: list[tuple[int, int, bytes]]) -> float:
    for _, kind, value in ancillary:
        if kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            waited_s: float = (time.time_ns() - seconds * 1_000_000_000 - nanoseconds) * 1e-9
            return waited_s if 0.0 <= waited_s < _LATE_MAX_S else 0.0
    return 0.0
