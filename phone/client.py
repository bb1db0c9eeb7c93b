"""The other end of the control socket: a blocking client for scripts, and one for an asyncio loop that follows.

    Connection        one request, one answer; or the stream of events
    EngineClient      attach ─▶ state, then slices as they change; a gap in ``seq`` attaches again

Standard library only; asyncio and the dataclasses of the state are loaded by who follows, so that ``offhook ctl``
starts in a few milliseconds.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from phone import paths
from phone.protocol.phrases import Phrase, phrase_from_json
from phone.protocol.wire import MAX_REPLY_BYTES, PROTOCOL, Json

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phone.protocol.commands import Command
    from phone.state import PhoneState

_CREDENTIALS = struct.Struct("3i")
_BACKLOG_WAIT_S = 0.02


class NoEngine(Exception):
    """Nobody answers at the socket; the message is one plain sentence."""


class EngineGone(Exception):
    """The engine closed the connection; the message is one plain sentence."""


class Refused(Exception):
    """The engine refused a command; the message is its sentence, ``reason`` its machine word."""

    def __init__(self, reason: str, sentence: str, data: Json) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.data = data


def connect_socket(path: Path, timeout_s: float | None) -> socket.socket:
    """Connect to an engine of this user; raises NoEngine, or PathError for a directory that cannot be trusted."""
    paths.check_socket_directory(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        _connect(connection, path, time.monotonic() + (timeout_s or 0.0))
    except OSError:
        connection.close()
        raise NoEngine(
            Phrase(
                "No engine is running at {path}; start one with offhook, or with offhook run --headless.",
                path=str(path),
            )
        ) from None
    if hasattr(socket, "SO_PEERCRED"):
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(data)[1] != os.getuid():
            connection.close()
            raise NoEngine(
                Phrase("The engine at {path} belongs to another user; choose another with --socket.", path=str(path))
            )
    return connection


def _connect(connection: socket.socket, path: Path, deadline: float) -> None:
    while True:
        try:
            connection.connect(str(path))
        except BlockingIOError:  # more clients come at once than the engine's backlog holds
            if time.monotonic() > deadline:
                raise
            time.sleep(_BACKLOG_WAIT_S)
        else:
            return


def _request(number: int, method: str, params: Json) -> bytes:
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def _result(reply: Json) -> Any:
    error = reply.get("error")
    if error is None:
        return reply.get("result")
    data = error.get("data") or {}
    sentence = phrase_from_json(str(error.get("message", "")), data.get("said"))
    raise Refused(str(data.get("reason", "")), sentence or Phrase("The engine refused."), data)


class Connection:
    """A blocking connection; use it as a context manager."""

    def __init__(self, path: Path, *, timeout_s: float = 60.0) -> None:
        """Connect; raises NoEngine or PathError. ``timeout_s`` bounds every wait for an answer."""
        self._socket = connect_socket(path, timeout_s)
        self._file = self._socket.makefile("rb")
        self._number = 0

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result of a command of :mod:`phone.protocol.commands`; raises Refused or EngineGone."""
        self._number += 1
        try:
            self._socket.sendall(_request(self._number, method, params))
            while True:
                reply = self._read()
                if reply.get("id") == self._number or (reply.get("id") is None and "error" in reply):
                    return _result(reply)
        except TimeoutError:
            raise EngineGone(Phrase("The engine gave no answer; see its log.")) from None
        except OSError:
            raise EngineGone(Phrase("The engine went away before it answered; see its log.")) from None

    def events(self) -> Iterator[Json]:
        """Events as they come, after the command that asked for them; ends when the engine does."""
        self._socket.settimeout(None)
        while True:
            try:
                notification = self._read()
            except (OSError, EngineGone):
                return
            if notification.get("method") == "event":
                params = notification["params"]
                params.pop("seq", None)
                yield params

    def _read(self) -> Json:
        line = self._file.readline(MAX_REPLY_BYTES)
        if not line.endswith(b"\n"):
            raise EngineGone(Phrase("The engine went away before it answered; see its log."))
        reply = json.loads(line)
        if not isinstance(reply, dict):
            raise EngineGone(Phrase("The engine answered with something else than JSON-RPC; restart it."))
        return reply


class EngineClient:
    """Follows an engine from an asyncio loop: keeps :attr:`state`, passes events on, sends commands.

    Callbacks run on the loop. After ``on_lost`` the client is unconnected and :meth:`connect` may be called again.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_state: Callable[[PhoneState], None],
        on_event: Callable[[Json], None],
        on_lost: Callable[[], None],
    ) -> None:
        from phone.state import PhoneState

        self.state = PhoneState()
        self.engine = ""
        self.version = ""
        self._path = path
        self._on_state = on_state
        self._on_event = on_event
        self._on_lost = on_lost
        self._seq: int | None = None
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._again: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def connected(self) -> bool:
        """Whether commands can be sent."""
        return self._writer is not None

    async def connect(self) -> None:
        """Connect and attach; raises NoEngine, Refused (``reason`` is ``protocol`` for another version), PathError."""
        import asyncio

        connection = connect_socket(self._path, 5.0)
        connection.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_REPLY_BYTES)
        self._reader = asyncio.create_task(self._read(reader), name="engine client")
        await self._attach()

    async def call(self, command: Command) -> Any:
        """The result of a command; raises Refused, or EngineGone when the connection breaks first."""
        from phone.protocol.codec import to_json

        return await self._call(command.method, to_json(command))

    async def _call(self, method: str, params: Json) -> Any:
        import asyncio

        if self._writer is None:
            raise EngineGone(Phrase("There is no connection to the engine."))
        self._number += 1
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = waiting
        self._writer.write(_request(self._number, method, params))
        return await waiting

    async def close(self) -> None:
        """Detach; the engine goes on."""
        if self._again is not None:
            self._again.cancel()
        if self._reader is not None:
            self._reader.cancel()
        self._disconnect()

    async def _attach(self) -> None:
        self._seq = None
        await self._call("attach", {"protocol": PROTOCOL, "pulse_server": os.environ.get("PULSE_SERVER")})

    def _attached(self, attached: Json) -> None:
        from phone.state import state_from_json

        self.engine, self.version = attached["engine"], attached["version"]
        self._seq = attached["seq"]
        self.state = state_from_json(attached["state"])
        self._on_state(self.state)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._message(json.loads(line))
        except (OSError, ValueError):  # broken, or a line that is too long or no JSON
            pass
        self._disconnect()
        self._on_lost()

    def _message(self, message: Json) -> None:
        if "method" not in message:
            if waiting := self._waiting.pop(message.get("id") or 0, None):
                self._answer(waiting, message)
            return
        params = message["params"]
        if self._seq is not None:
            gap = params["seq"] != self._seq + 1
            self._seq = params["seq"]
            if gap or params.get("engine", self.engine) != self.engine:
                self._attach_again()
            elif message["method"] == "state":
                self._changed(params)
        if message["method"] == "event":
            self._on_event({name: value for name, value in params.items() if name != "seq"})

    def _answer(self, waiting: asyncio.Future[Any], message: Json) -> None:
        if waiting.done():
            return
        try:
            result = _result(message)
        except Refused as refused:
            waiting.set_exception(refused)
            return
        if isinstance(result, dict) and "seq" in result and "state" in result:
            self._attached(result)  # before the next line is looked at
        waiting.set_result(result)

    def _changed(self, params: Json) -> None:
        from phone.state import apply

        try:
            self.state = apply(self.state, params["slices"])
        except (ValueError, KeyError):  # of another version than was said
            self._attach_again()
            return
        self._on_state(self.state)

    def _attach_again(self) -> None:
        import asyncio

        if self._again is None or self._again.done():
            self._seq = None
            self._again = asyncio.create_task(self._attach_quietly(), name="attach again")

    async def _attach_quietly(self) -> None:
        try:
            await self._attach()
        except (EngineGone, Refused):
            pass  # the reader tells that the connection is lost

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EngineGone(Phrase("The engine went away before it answered; see its log.")))
        self._waiting.clear()
