"""SIP over TCP and TLS: bytes in, bytes out; cutting them into messages is the stack's part (RFC 3261 §18.3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sipcore.aio.connection import MAX_UNSENT, ConnectionListener, ConnectOptions, TransportAddresses
from sipcore.aio.failures import describe
from sipcore.aio.sockets import connect_tcp
from sipcore.errors import Phrase

if TYPE_CHECKING:
    import ssl

    from sipcore.config import ServerAddress
    from sipcore.locate import Target


class StreamConnection(TransportAddresses, asyncio.Protocol):
    """A TCP or TLS connection."""

    def __init__(self, listener: ConnectionListener, server: ServerAddress) -> None:
        self._listener: ConnectionListener | None = listener
        self._server = server
        self._transport: asyncio.Transport | None = None

    def send(self, data: bytes) -> None:
        """Send bytes; a connection that does not take them is given up."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()

    def ping(self) -> None:
        """Streams have no ping below SIP; CRLF goes through :meth:`send`."""

    def close(self) -> None:
        """Close once everything is written; a dead peer is left to TCP_USER_TIMEOUT."""
        self._listener = None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in."""
        if self._listener is not None:
            self._listener.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is over."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        where = f"{self._server.host}:{self._server.port}"
        if isinstance(exc, TimeoutError):
            listener.closed(Phrase("{where} does not answer any more.", where=where))
        else:
            listener.closed(
                Phrase("{where} closed the connection.", where=where) if exc is None else describe(exc, self._server)
            )


async def open_stream(
    server: ServerAddress, targets: list[Target], listener: ConnectionListener, options: ConnectOptions
) -> StreamConnection:
    """Connect by TCP, for tls: with TLS; raises OSError or SSLError."""
    sock, target = await connect_tcp(targets, dead_after_s=options.dead_after_s)
    tls: ssl.SSLContext | None = options.tls if server.scheme == "tls" else None
    try:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: StreamConnection(listener, server),
            sock=sock,
            ssl=tls,
            server_hostname=target.name if tls else None,
        )
    except BaseException:
        sock.close()
        raise
    return connection
