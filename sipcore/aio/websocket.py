"""SIP over WebSocket: one SIP message is one WebSocket message (RFC 7118), on the websockets library.

connect ── TCP ── TLS ── Upgrade, subprotocol sip ──▶ WebSocketConnection
                                                       ├ reader task ──▶ listener
                                                       └ writer task ◀── send, ping
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any

from websockets import exceptions
from websockets.asyncio.client import ClientConnection, connect
from websockets.proxy import get_proxy
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from sipcore.aio.connection import MAX_MESSAGE, MAX_UNSENT, ConnectionListener, ConnectOptions
from sipcore.aio.sockets import connect_tcp, set_options
from sipcore.errors import Phrase, TransportError
from sipcore.locate import Target, is_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from websockets.asyncio.server import ServerConnection as AcceptedSocket

    from sipcore.config import ServerAddress

# At DEBUG the library logs whole frames, credentials included; what we log goes through trace.py.
_library_log = logging.getLogger("sipcore.aio.websocket.library")
_library_log.setLevel(logging.WARNING)

_CLOSE_TIMEOUT_S = 1.0
_NO_WAIT_CODES = frozenset({1000, 1001})


class WebSocketConnection:
    """An open WebSocket; owns its reader and writer."""

    def __init__(self, socket: ClientConnection, listener: ConnectionListener, server: ServerAddress) -> None:
        self._socket = socket
        self._listener: ConnectionListener | None = listener
        self._server = server
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unsent = 0
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        self._closing: asyncio.Task[None] | None = None

    @property
    def local_address(self) -> tuple[str, int]:
        """Our address and port."""
        address = self._socket.local_address
        return (str(address[0]), int(address[1])) if address else ("", 0)

    @property
    def peer_address(self) -> str:
        """The far end's IP address."""
        address = self._socket.remote_address
        return str(address[0]) if address else ""

    def send(self, data: bytes) -> None:
        """Queue one message."""
        self._unsent += len(data)
        if self._unsent > MAX_UNSENT:
            reason = Phrase("{where} takes no more data.", where=f"{self._server.host}:{self._server.port}")
            asyncio.get_running_loop().call_soon(self._ended, reason)
            return
        self._queue.put_nowait(data)

    def ping(self) -> None:
        """Queue a ping."""
        self._queue.put_nowait(None)

    def close(self) -> None:
        """Close with a handshake, a second at most."""
        self._listener = None
        if self._closing is None:
            self._closing = asyncio.create_task(self._shut())

    async def _shut(self) -> None:
        # What was queued before, an un-REGISTER's BYE perhaps, still goes out where the far end takes it.
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._queue.join()
                await self._socket.close()
        except TimeoutError:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            self._socket.transport.abort()

    async def _read(self) -> None:
        try:
            while True:
                # RFC 7118 §5: "text or binary"; both arrive as bytes.
                data = await self._socket.recv(decode=False)
                if self._listener is not None:
                    self._listener.received(data)
        except exceptions.ConnectionClosed as error:
            self._ended(_closed_sentence(error, self._server))

    async def _write(self) -> None:
        while True:
            data = await self._queue.get()
            try:
                if data is None:
                    waiter = await self._socket.ping()
                    asyncio.ensure_future(waiter).add_done_callback(self._on_pong)
                else:
                    self._unsent -= len(data)
                    await self._socket.send(data, text=_is_text(data))
            except exceptions.ConnectionClosed:
                pass  # the reader says so
            finally:
                self._queue.task_done()

    def _on_pong(self, waiter: asyncio.Future[float]) -> None:
        if not waiter.cancelled() and waiter.exception() is None and self._listener is not None:
            self._listener.pong()

    def _ended(self, reason: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._closing = asyncio.create_task(self._shut())
            listener.closed(reason)


class _Upgrading(ClientConnection):
    """A connection whose far end has its own, shorter time for the upgrade: a PBX that is up answers it at once.

    Asterisk leaves one in a few hundred unread after the TLS handshake, and answers the next connection's.
    """

    def __init__(self, *arguments: Any, server: ServerAddress, timeout_s: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._server_address = server
        self._upgrade_timeout_s = timeout_s

    async def handshake(self, *arguments: Any, **options: Any) -> None:
        try:
            async with asyncio.timeout(self._upgrade_timeout_s):
                await super().handshake(*arguments, **options)
        except TimeoutError as error:
            where = f"{self._server_address.host}:{self._server_address.port}"
            seconds = self._upgrade_timeout_s
            raise TransportError(
                Phrase("{where} answers no WebSocket upgrade in {seconds:g} s.", where=where, seconds=seconds)
            ) from error


async def open_websocket(
    server: ServerAddress, targets: list[Target], listener: ConnectionListener, options: ConnectOptions
) -> WebSocketConnection:
    """Connect, upgrade and insist on the subprotocol; raises TransportError with one sentence, OSError or SSLError."""
    uri = f"{server.scheme}://{server.host}:{server.port}{server.path}"
    upgrading = functools.partial(_Upgrading, server=server, timeout_s=options.upgrade_timeout_s)
    arguments: dict[str, Any] = {"create_connection": upgrading}
    arguments |= {"ssl": options.tls} if server.scheme == "wss" else {}
    try:
        if _proxy_for(uri, server) is None:
            sock, _ = await connect_tcp(targets, dead_after_s=options.dead_after_s)
            arguments |= {"sock": sock, "proxy": None}
        socket = await connect(
            uri,
            subprotocols=[Subprotocol("sip")],
            compression=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE,
            user_agent_header=None,
            logger=_library_log,
            **arguments,
        )
    except exceptions.WebSocketException as error:
        raise TransportError(_handshake_sentence(error, server)) from error
    if socket.subprotocol != "sip":
        # RFC 7118 §4.1: "the client MUST include the value "sip"", and a server that speaks it echoes it.
        socket.transport.abort()
        raise TransportError(_no_sip(server))
    raw = socket.transport.get_extra_info("socket")
    if raw is not None:
        set_options(raw, dead_after_s=options.dead_after_s)
    return WebSocketConnection(socket, listener, server)


def _proxy_for(uri: str, server: ServerAddress) -> str | None:
    """The HTTP proxy the environment demands; never for this machine itself."""
    host = server.host.strip("[]")
    if host == "localhost" or (is_address(host) and (host.startswith("127.") or host == "::1")):
        return None
    return get_proxy(parse_uri(uri))


def _is_text(data: bytes) -> bool:
    """RFC 7118 §5: a text frame must be UTF-8; anything else goes as binary."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_sip(server: ServerAddress) -> str:
    return Phrase(
        "{where} is a WebSocket, but not one for SIP: check the path.",
        where=f"{server.host}:{server.port}{server.path}",
    )


def _handshake_sentence(error: exceptions.WebSocketException, server: ServerAddress) -> str:
    where = f"{server.host}:{server.port}"
    match error:
        case exceptions.InvalidStatus():
            status = error.response.status_code
            # A server that knows WebSockets but not the subprotocol answers 400 or 426.
            if status in (400, 426):
                return Phrase(
                    "{where} answered {status} instead of opening a WebSocket for SIP: check the path {path}.",
                    where=where,
                    status=status,
                    path=server.path,
                )
            return Phrase(
                "{where} answered {status} instead of opening a WebSocket: check the path {path}.",
                where=where,
                status=status,
                path=server.path,
            )
        case exceptions.NegotiationError():
            return _no_sip(server)
        case exceptions.ProxyError() | exceptions.InvalidProxy():
            return Phrase("The proxy in the way to {where} refused: {why}.", where=where, why=str(error))
        case exceptions.InvalidHandshake() if isinstance(error.__cause__, EOFError | ConnectionError):
            return Phrase(
                "{where} closed the connection instead of opening a WebSocket: check scheme and port.", where=where
            )
        case _:
            return Phrase("{where} is not a WebSocket server: check scheme and port.", where=where)


def _closed_sentence(error: exceptions.ConnectionClosed, server: ServerAddress) -> str:
    where = f"{server.host}:{server.port}"
    if error.rcvd is None:
        cause = error.__cause__
        if isinstance(cause, TimeoutError):
            return Phrase("{where} does not answer any more.", where=where)
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            return Phrase("Connection to {where} lost: {why}.", where=where, why=cause.strerror or str(cause))
        return Phrase("{where} broke the connection.", where=where)
    if error.rcvd.code in _NO_WAIT_CODES:
        return Phrase("{where} closed the connection ({code}).", where=where, code=int(error.rcvd.code))
    return Phrase("{where} closed the connection with an error ({code}).", where=where, code=int(error.rcvd.code))


# --- the server's side, for the demo PBX and the tests ---------------------------------------------------------


class ServerConnection:
    """One client of :func:`listen_websocket`."""

    def __init__(self, socket: AcceptedSocket) -> None:
        self._socket = socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()

    async def messages(self) -> AsyncIterator[bytes]:
        """Every message until the connection ends."""
        try:
            while True:
                yield await self._socket.recv(decode=False)
        except exceptions.ConnectionClosed:
            return

    def send(self, data: bytes) -> None:
        """Send one message; messages keep their order."""
        task = asyncio.create_task(self._send(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def deafen(self, *, deaf: bool) -> None:
        """Take nothing from the connection until told otherwise; not even its end is seen then."""
        if deaf:
            self._socket.transport.pause_reading()
        else:
            self._socket.transport.resume_reading()

    def abort(self) -> None:
        """Break the connection without a goodbye."""
        self._socket.transport.abort()

    async def _send(self, data: bytes) -> None:
        async with self._order:
            with contextlib.suppress(exceptions.ConnectionClosed):
                await self._socket.send(data, text=_is_text(data))


async def listen_websocket(
    host: str, port: int, on_connection: Callable[[ServerConnection], Awaitable[None]]
) -> tuple[int, Callable[[], None]]:
    """Accept SIP WebSocket clients; returns the port and a function that stops listening. Raises OSError."""

    from websockets.asyncio.server import serve  # phones never listen, and start faster without it

    async def accepted(socket: AcceptedSocket) -> None:
        await on_connection(ServerConnection(socket))

    server = await serve(
        accepted,
        host,
        port,
        subprotocols=[Subprotocol("sip")],
        compression=None,
        ping_interval=None,
        max_size=MAX_MESSAGE,
        server_header=None,
        logger=_library_log,
    )
    bound: int = next(iter(server.sockets)).getsockname()[1]
    return bound, functools.partial(server.close, close_connections=False)
