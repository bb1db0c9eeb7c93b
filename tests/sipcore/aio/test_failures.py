"""Each way a connection can fail has one plain sentence (issue: no traceback, the next step named)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve

from sipcore.aio.connection import ConnectOptions
from sipcore.aio.connections import Connections
from sipcore.aio.failures import describe
from sipcore.aio.useragent import tls_context
from sipcore.config import ServerAddress
from sipcore.events import CloseFlow, OpenFlow, ProbeServer
from sipcore.ids import IdSource
from tests.lab.tls import Authority
from tests.sipcore.aio.certificates import ca_file, server_context
from tests.sipcore.aio.loopback import HOST, LoopbackPbx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path


class Recorder:
    """A flow listener that waits for one answer."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()

    def _settle(self, kind: str, text: str) -> None:
        if not self.answer.done():
            self.answer.set_result((kind, text))

    def opened(self, flow: int, local_address: tuple[str, int]) -> None:
        self._settle("opened", local_address[0])

    def failed(self, flow: int, reason: str) -> None:
        self._settle("failed", reason)

    def closed(self, flow: int, reason: str) -> None:
        self._settle("closed", reason)

    def received(self, flow: int, data: bytes) -> None:
        self._settle("received", data.decode())

    def pong(self, flow: int) -> None:
        self._settle("pong", "")

    def probed(self, server: ServerAddress, ok: bool) -> None:
        self._settle("probed", str(ok))


async def attempt(
    server: str, *, context: ssl.SSLContext | None = None, timeout_s: float = 10.0, upgrade_timeout_s: float = 10.0
) -> str:
    """The reason why connecting failed."""
    recorder = Recorder()
    options = ConnectOptions(context or tls_context(), 10.0, upgrade_timeout_s)
    connections = Connections(recorder, options, IdSource(random.Random(1)))
    connections.carry_out(OpenFlow(1, ServerAddress.parse(server), timeout_s))
    kind, reason = await asyncio.wait_for(recorder.answer, 15)
    await connections.aclose()
    assert kind == "failed", (kind, reason)
    assert reason.endswith(".")
    assert "\n" not in reason
    return reason


def sentence(server: str, *, context: ssl.SSLContext | None = None, timeout_s: float = 10.0) -> str:
    return asyncio.run(attempt(server, context=context, timeout_s=timeout_s))


@pytest.mark.parametrize("server", ["ws://nowhere.invalid:8088/ws", "tls:nowhere.invalid:5061"])
def test_unknown_host(server: str) -> None:
    assert "Unknown host nowhere.invalid" in sentence(server)


@pytest.mark.parametrize("server", ["ws://127.0.0.1:9/ws", "wss://127.0.0.1:9/ws", "tcp:127.0.0.1:9"])
def test_refused(server: str) -> None:
    assert "Connection refused by 127.0.0.1:9" in sentence(server)


def test_no_answer_in_time() -> None:
    """Accepts the connection and never says a word."""

    async def run() -> str:
        async with saying(None) as port:
            return await attempt(f"ws://{HOST}:{port}/ws", timeout_s=0.2)

    assert "in 0.2 s" in asyncio.run(run())


def test_an_upgrade_nobody_answers_costs_a_part_of_the_attempt(tmp_path: Path) -> None:
    """Asterisk leaves one in a few hundred unread after the TLS handshake; the next connection works."""
    authority = Authority.create()

    async def run() -> tuple[str, float]:
        began = asyncio.get_running_loop().time()
        async with saying(None, server_context(authority, tmp_path, HOST)) as port:
            server, context = f"wss://{HOST}:{port}/ws", tls_context(ca_file(authority, tmp_path))
            reason = await attempt(server, context=context, timeout_s=10.0, upgrade_timeout_s=0.2)
        return reason, asyncio.get_running_loop().time() - began

    reason, took_s = asyncio.run(run())
    assert "answers no WebSocket upgrade in 0.2 s" in reason
    assert took_s < 5


@contextlib.asynccontextmanager
async def saying(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says one thing and hangs up; None: it says nothing and stays."""
    writers: list[asyncio.StreamWriter] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read(10)
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve_one, HOST, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404 instead of opening a WebSocket"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answered 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not a WebSocket server"),
        (b"", "closed the connection"),
    ],
)
def test_not_a_websocket(answer: bytes, words: str) -> None:
    async def run() -> str:
        async with saying(answer) as port:
            return await attempt(f"ws://{HOST}:{port}/ws")

    assert words in asyncio.run(run())


def test_no_tls_there() -> None:
    async def run() -> str:
        async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            return await attempt(f"wss://{HOST}:{port}/ws")

    assert "does not speak TLS" in asyncio.run(run())


@pytest.mark.parametrize("offered", [None, ["mqtt"]])
def test_the_subprotocol_is_missing(offered: list[str] | None) -> None:
    """RFC 7118 §4.1."""

    async def run() -> str:
        async def ignore(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with serve(ignore, HOST, 0, subprotocols=offered) as server:  # type: ignore[arg-type]
            port = server.sockets[0].getsockname()[1]
            return await attempt(f"ws://{HOST}:{port}/ws")

    assert "for SIP: check the path" in asyncio.run(run())


@pytest.mark.parametrize("scheme", ["wss", "tls"])
@pytest.mark.parametrize(
    ("trusted", "name", "expired", "words"),
    [
        (False, HOST, False, "signed by an authority this machine does not know: set tls_ca"),
        (True, HOST, True, "has expired"),
        (True, "other.example", False, f"is not for {HOST}"),
    ],
    ids=["unknown authority", "expired", "wrong name"],
)
def test_certificate(scheme: str, trusted: bool, name: str, expired: bool, words: str, tmp_path: Path) -> None:
    authority = Authority.create()
    served = server_context(authority, tmp_path, name, expired=expired)
    context = tls_context(ca_file(authority, tmp_path) if trusted else None)

    async def run() -> str:
        pbx = LoopbackPbx()
        async with pbx.websocket(served) if scheme == "wss" else pbx.stream(served) as port:
            return await attempt(f"{scheme}://{HOST}:{port}", context=context)

    assert words in asyncio.run(run())


def test_closing_calls_an_attempt_off() -> None:
    async def run() -> None:
        recorder = Recorder()
        connections = Connections(recorder, ConnectOptions(tls_context(), 10.0, 5.0), IdSource(random.Random(1)))
        async with saying(None) as port:
            connections.carry_out(OpenFlow(1, ServerAddress.parse(f"ws://{HOST}:{port}/ws"), 10.0))
            await asyncio.sleep(0.05)
            connections.carry_out(CloseFlow(1, "not wanted"))
            await asyncio.sleep(0.05)
            assert not recorder.answer.done()
            await connections.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("listening", [True, False])
def test_probing(listening: bool) -> None:
    async def run() -> tuple[str, str]:
        recorder = Recorder()
        connections = Connections(recorder, ConnectOptions(tls_context(), 10.0, 5.0), IdSource(random.Random(1)))
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            if listening:
                listener.listen()
            server = ServerAddress.parse(f"wss://{HOST}:{listener.getsockname()[1]}/ws")
            connections.carry_out(ProbeServer(server, 2.0))
            return await asyncio.wait_for(recorder.answer, 5)

    assert asyncio.run(run()) == ("probed", str(listening))


def test_a_deep_probe_is_not_fooled_by_a_port_that_only_accepts() -> None:
    """Something in front of a PBX that is down: TCP opens, the WebSocket does not."""

    async def run() -> tuple[str, str]:
        recorder = Recorder()
        connections = Connections(recorder, ConnectOptions(tls_context(), 10.0, 5.0), IdSource(random.Random(1)))
        server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
        async with server:
            address = ServerAddress.parse(f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/ws")
            connections.carry_out(ProbeServer(address, 2.0, deep=True))
            return await asyncio.wait_for(recorder.answer, 5)

    assert asyncio.run(run()) == ("probed", "False")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        BrokenPipeError(),
        EOFError(),
        TimeoutError(),
        OSError(101, "unreachable"),
        OSError("x"),
        ValueError("x"),
    ],
    ids=repr,
)
def test_every_error_has_a_sentence(error: BaseException) -> None:
    text = describe(error, ServerAddress.parse("wss://pbx.example"))
    assert text.endswith(".")
    assert "pbx.example" in text
