"""SIP over UDP: one socket connected to the server, so that only its datagrams and its ICMP errors get in."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

from sipcore.aio.connection import TransportAddresses
from sipcore.aio.failures import describe
from sipcore.aio.sockets import family_of, set_options
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from sipcore.aio.connection import ConnectionListener
    from sipcore.config import ServerAddress
    from sipcore.locate import Target


class UdpConnection(TransportAddresses, asyncio.DatagramProtocol):
    """A connected UDP socket."""

    def __init__(self, listener: ConnectionListener, server: ServerAddress) -> None:
        self._listener: ConnectionListener | None = listener
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def send(self, data: bytes) -> None:
        """Send one datagram."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    def ping(self) -> None:
        """UDP has no ping below SIP; CRLF goes through :meth:`send`."""

    def close(self) -> None:
        """Close."""
        self._listener = None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is there."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """asyncio: a datagram came in."""
        if self._listener is not None:
            self._listener.received(data)

    def error_received(self, exc: Exception) -> None:
        """asyncio: ICMP said that nobody is there (RFC 3261 §18.4)."""
        self._end(describe(exc, self._server))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is over."""
        self._end(Phrase("the socket was closed") if exc is None else describe(exc, self._server))

    def _end(self, reason: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._transport is not None:
                self._transport.close()
            listener.closed(reason)


async def open_udp(server: ServerAddress, targets: list[Target], listener: ConnectionListener) -> UdpConnection:
    """A socket to the first target; nothing is sent. Raises OSError."""
    target = targets[0]
    sock = socket.socket(family_of(target.address), socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        set_options(sock, dead_after_s=None)
        sock.connect((target.address, target.port))
        _, connection = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpConnection(listener, server), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return connection
