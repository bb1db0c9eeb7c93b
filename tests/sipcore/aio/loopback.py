"""A registrar on real loopback sockets, over every transport; what it is told, it remembers."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from sipcore.auth.verifier import Verdict, Verifier
from sipcore.ids import IdSource
from sipcore.message.message import Request
from sipcore.message.parse import Keepalive, StreamParser, parse_keepalive, parse_message

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

HOST = "127.0.0.1"


class LoopbackPbx:
    """Answers REGISTER and OPTIONS. ``mute`` makes it read and say nothing."""

    def __init__(self, password: str = "secret") -> None:
        self.requests: list[Request] = []
        self.bound: set[str] = set()
        self.kinds: list[type] = []
        """Whether WebSocket messages came as str or bytes."""
        self.paths: list[str] = []
        self.keepalives: list[Keepalive] = []
        self.mute = False
        self.binary = False
        self.open: set[ServerConnection] = set()
        self.writers: set[asyncio.StreamWriter] = set()
        self._verifier = Verifier("loopback", {"1001": password}, IdSource(random.Random(1)))

    def answers(self, data: bytes) -> list[bytes]:
        """What is answered to one message."""
        if (keepalive := parse_keepalive(data)) is not None:
            self.keepalives.append(keepalive)
            return []
        message = parse_message(data)
        if not isinstance(message, Request):
            return []
        self.requests.append(message)
        return [] if self.mute else [self._answer(message)]

    def _answer(self, request: Request) -> bytes:
        if request.method != "REGISTER":
            return bytes(request.response(200, to_tag="pbx"))
        if self._verifier.verify(request, 0.0).verdict is not Verdict.ACCEPTED:
            response = request.response(401, to_tag="pbx")
            for challenge in self._verifier.challenges(0.0):
                response.headers.add("WWW-Authenticate", challenge)
            return bytes(response)
        contact = request.contacts[0]
        expires = contact.param("expires")
        (self.bound.discard if expires == "0" else self.bound.add)(str(contact.uri))
        response = request.response(200, to_tag="pbx")
        response.headers.add("Contact", f"<{contact.uri}>;expires={expires}")
        return bytes(response)

    # --- transports --------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def websocket(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve WebSockets; gives the port."""
        async with serve(
            self._on_websocket, HOST, 0, subprotocols=[Subprotocol("sip")], ssl=tls, close_timeout=0.1
        ) as server:
            yield server.sockets[0].getsockname()[1]

    async def _on_websocket(self, connection: ServerConnection) -> None:
        self.open.add(connection)
        if connection.request is not None:
            self.paths.append(connection.request.path)
        async for message in connection:
            self.kinds.append(type(message))
            for answer in self.answers(message.encode() if isinstance(message, str) else message):
                await connection.send(answer if self.binary else answer.decode())

    @contextlib.asynccontextmanager
    async def stream(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve TCP or TLS; gives the port."""
        server = await asyncio.start_server(self._on_stream, HOST, 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in self.writers:
                writer.transport.abort()

    async def _on_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        parser = StreamParser()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                for item in parser.feed(data):
                    for answer in self.answers(item.value.encode() if isinstance(item, Keepalive) else bytes(item)):
                        writer.write(answer)
        writer.close()

    @contextlib.asynccontextmanager
    async def datagrams(self) -> AsyncIterator[int]:
        """Serve UDP; gives the port."""
        pbx = self

        class Protocol(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
                self.transport = transport

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                for answer in pbx.answers(data):
                    self.transport.sendto(answer, addr)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, local_addr=(HOST, 0))
        try:
            yield transport.get_extra_info("sockname")[1]
        finally:
            transport.close()


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Return once ``condition`` holds; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  the condition is about sockets, which set no event
            await asyncio.sleep(0.005)
