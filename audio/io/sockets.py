"""RTP and RTCP sockets: an even port and the odd one above it, bound before an offer names them (RFC 3550 §11).

A port is taken by binding it and kept: nothing here looks for a free one and lets it go again.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.errors import Phrase

if TYPE_CHECKING:
    from sipcore.ids import IdSource

_NOT_FREE = (errno.EADDRINUSE, errno.EACCES)


class NoMediaPort(Exception):
    """No RTP/RTCP port pair could be bound; the text is a sentence with the next step."""


@dataclass(frozen=True, slots=True)
class MediaSockets:
    """A bound, non-blocking pair. From the hand-over on the media thread alone reads, writes and closes it."""

    rtp: socket.socket
    rtcp: socket.socket
    address: str
    rtp_port: int

    @property
    def rtcp_port(self) -> int:
        """The odd port above RTP's."""
        return self.rtp_port + 1

    def close(self) -> None:
        """Give both ports back."""
        self.rtp.close()
        self.rtcp.close()


def bind_pair(
    address: str, ids: IdSource, *, port_min: int, port_max: int, dscp: int = 0, port: int | None = None
) -> MediaSockets:
    """Bind a pair on a numeric local ``address``: at ``port`` if given, else at a random place of the range.

    Starting at random keeps a restarted phone off the ports its former calls' far ends still send to.
    Raises :class:`NoMediaPort`.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET
    for candidate in [port] if port is not None else _candidates(ids, port_min, port_max):
        try:
            return _bind(family, address, candidate, dscp)
        except OSError as error:
            if error.errno not in _NOT_FREE:
                raise NoMediaPort(
                    Phrase(
                        "Sound cannot be received at {address} ({why}); check that this address still exists.",
                        address=address,
                        why=error.strerror or str(error),
                    )
                ) from error
    wanted = (
        Phrase("{one} and {other}", one=port, other=port + 1)
        if port is not None
        else Phrase("{first} to {last}", first=port_min, last=port_max)
    )
    raise NoMediaPort(
        Phrase(
            "All UDP ports for sound ({ports}) at {address} are taken; end other calls or widen the range.",
            ports=wanted,
            address=address,
        )
    )


def _candidates(ids: IdSource, port_min: int, port_max: int) -> list[int]:
    first = port_min + port_min % 2
    pairs = (port_max - first) // 2 + 1
    if pairs <= 0:
        return []
    start = ids.integer(32) % pairs
    return [first + 2 * ((start + index) % pairs) for index in range(pairs)]


def _bind(family: socket.AddressFamily, address: str, port: int, dscp: int) -> MediaSockets:
    rtp = _socket(family, address, port, dscp)
    try:
        rtcp = _socket(family, address, port + 1, dscp)
    except OSError:
        rtp.close()
        raise
    return MediaSockets(rtp, rtcp, address, port)


def _socket(family: socket.AddressFamily, address: str, port: int, dscp: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        # An address of another machine, or one with a scope, is resolved without asking a name server.
        info = socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)
        sock.bind(info[0][4])
        _mark(sock, family, dscp)
    except OSError:
        sock.close()
        raise
    return sock


def _mark(sock: socket.socket, family: socket.AddressFamily, dscp: int) -> None:
    try:
        # The six bits of the code point stand above the two of congestion notification (RFC 2474 §3).
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    except OSError:
        pass  # priority is a wish; some containers forbid it


def is_numeric(address: str) -> bool:
    """Whether an address can be sent to without asking a name server."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
