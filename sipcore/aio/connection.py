"""What every kind of connection offers the table of flows, and what it reports to it.

Connections ── send ping close ──▶ Connection
Connections ◀── received pong closed ── Connection
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    import ssl

MAX_MESSAGE = 131072
"""Largest message taken from a connection; the parser refuses much smaller ones with a proper response."""

MAX_UNSENT = 262144
"""Octets waiting for a connection that does not take them, beyond which it is given up."""


class ConnectionListener(Protocol):
    """What a connection reports; never after ``close`` was called on it."""

    def received(self, data: bytes) -> None:
        """Bytes of a stream, or one whole message of a datagram or WebSocket connection."""
        ...

    def pong(self) -> None:
        """The far end answered a ping."""
        ...

    def closed(self, reason: str) -> None:
        """The connection ended without us; said once."""
        ...


class Connection(Protocol):
    """An open connection. No method blocks or raises."""

    @property
    def local_address(self) -> tuple[str, int]:
        """Our address and port."""
        ...

    @property
    def peer_address(self) -> str:
        """The far end's IP address."""
        ...

    def send(self, data: bytes) -> None:
        """Send one whole message, or the next bytes of a stream."""
        ...

    def ping(self) -> None:
        """Ask for a pong, where the transport has such a thing."""
        ...

    def close(self) -> None:
        """End it: gracefully if the far end cooperates, at once otherwise."""
        ...


class TransportAddresses:
    """The addresses of a connection that is an asyncio transport."""

    _transport: asyncio.BaseTransport | None

    @property
    def local_address(self) -> tuple[str, int]:
        """Our address and port."""
        name = self._transport.get_extra_info("sockname") if self._transport else None
        return (str(name[0]), int(name[1])) if name else ("", 0)

    @property
    def peer_address(self) -> str:
        """The far end's IP address."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if name else ""


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How connections are made."""

    tls: ssl.SSLContext
    dead_after_s: float
    """Unacknowledged bytes older than this end a stream (TCP_USER_TIMEOUT)."""

    upgrade_timeout_s: float
    """How long a WebSocket's upgrade may stay unanswered once TCP and TLS are up."""
