"""The engine's control socket: JSON-RPC 2.0, a line each, for the same user only.

    commands ──▶ execute ──▶ results
    state_changed ──▶ at most 20 ``state`` notifications a second ──▶ attached clients
    publish       ──▶ ``event`` notifications                    ──▶ attached and following clients

The engine waits for no client: one with too much unread is dropped and may attach again. When the socket's path
vanishes (a session manager empties its directory after the last logout), it is made anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Any

from phone import paths
from phone.protocol.codec import Json, ProtocolError
from phone.protocol.commands import Attach, Command, CommandRefused, Events, command_from_json
from phone.protocol.events import UNPUBLISHED, Event, event_to_json
from phone.protocol.phrases import Phrase, said
from phone.protocol.wire import FROZEN_METHODS, MAX_LINE_BYTES, PROTOCOL, ErrorCode
from phone.state import PhoneState, changes, state_to_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

MAX_UNREAD_BYTES = 256 * 1024
MAX_CLIENTS = 64
_BACKLOG = 2 * MAX_CLIENTS
MAX_PENDING_COMMANDS = 32
"""Of one client; a script that floods waits for itself."""

_OTHER_VERSION = Phrase("This engine speaks another protocol version; restart it with offhook ctl shutdown.")
STATE_INTERVAL_S = 0.05
WATCH_INTERVAL_S = 2.0


class SocketInUse(Exception):
    """The socket's path is taken; the message is one plain sentence."""


class ControlServer:
    """Listens at ``path`` and speaks for one engine. All methods belong to the loop's thread."""

    def __init__(
        self,
        path: Path,
        *,
        engine: str,
        version: str,
        state: Callable[[], PhoneState],
        execute: Callable[[Command], Awaitable[Any]],
        watch_interval_s: float = WATCH_INTERVAL_S,
    ) -> None:
        """``execute`` carries out a command, returns what has a JSON form, and raises CommandRefused."""
        self._path = path
        self._engine = engine
        self._version = version
        self._state = state
        self._execute = execute
        self._watch_interval_s = watch_interval_s
        self._listener: asyncio.Server | None = None
        self._identity: tuple[int, int] | None = None
        self._clients: set[_Client] = set()
        self._watch: asyncio.Task[None] | None = None
        self._seq = 0
        self._sent = state()
        self._flush_due: asyncio.Handle | None = None
        self._flushed_at = -1.0

    async def start(self) -> None:
        """Listen; raises SocketInUse or PathError."""
        await self._listen()
        self._watch = asyncio.create_task(self._watch_path(), name="control socket watch")

    async def close(self) -> None:
        """Send what is pending, drop every client and take the socket away."""
        if self._watch is not None:
            self._watch.cancel()
        if self._flush_due is not None:
            self._flush_due.cancel()
            self._flush()
        if self._listener is not None:
            self._listener.close()
            if self._identity is not None and _identity(self._path) == self._identity:
                self._path.unlink(missing_ok=True)
        for client in list(self._clients):
            client.close()

    # --- notifications -------------------------------------------------------------------------------------

    def state_changed(self) -> None:
        """Tell attached clients what changed, soon and together with what else changes meanwhile."""
        if self._flush_due is None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._flushed_at + STATE_INTERVAL_S - loop.time())
            self._flush_due = loop.call_later(wait, self._flush) if wait else loop.call_soon(self._flush)

    def publish(self, event: Event) -> None:
        """Send an event to whoever follows."""
        if event.event in UNPUBLISHED or not any(client.follows_events for client in self._clients):
            return
        self._seq += 1
        line = _line({"jsonrpc": "2.0", "method": "event", "params": {"seq": self._seq, **event_to_json(event)}})
        for client in [client for client in self._clients if client.follows_events]:
            client.write(line)

    def _flush(self) -> None:
        self._flush_due = None
        self._flushed_at = asyncio.get_running_loop().time()
        before, self._sent = self._sent, self._state()
        attached = [client for client in self._clients if client.follows_state]
        if not attached or not (slices := changes(before, self._sent)):
            return
        self._seq += 1
        params = {"seq": self._seq, "engine": self._engine, "slices": slices}
        line = _line({"jsonrpc": "2.0", "method": "state", "params": params})
        for client in attached:
            client.write(line)

    # --- requests ------------------------------------------------------------------------------------------

    def attach(self, client: _Client, command: Attach) -> Json:
        """Subscribe a client and describe the state in the same turn of the loop, so that nothing falls between."""
        about = {"engine": self._engine, "version": self._version, "protocol": PROTOCOL}
        if command.protocol != PROTOCOL:
            client.restricted = True
            busy = bool(self._state().calls)
            raise _ProtocolMismatch(about | {"busy": busy})
        client.follows_events = client.follows_state = True
        sound = {"pulse_server": os.environ.get("PULSE_SERVER")}  # a client elsewhere may offer to move the sound
        return about | sound | {"seq": self._seq, "state": state_to_json(self._state())}

    async def execute(self, command: Command) -> Any:
        """Carry out a command of any client."""
        return await self._execute(command)

    def add(self, client: _Client) -> bool:
        """Take a new client in; False when there are too many."""
        if len(self._clients) >= MAX_CLIENTS:
            return False
        self._clients.add(client)
        return True

    def forget(self, client: _Client) -> None:
        """Leave no subscription of a client that is gone."""
        self._clients.discard(client)

    # --- the socket ----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        paths.prepare_socket_directory(self._path)
        _clear_stale(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind(str(self._path))
            self._path.chmod(0o600)  # nobody can connect before listen
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_unix_server(lambda: _Client(self), sock=listener, backlog=_BACKLOG)
        except OSError as error:
            listener.close()
            raise paths.PathError(
                f"Cannot make the control socket {self._path}: {error.strerror}; choose another with --socket."
            ) from error
        self._identity = _identity(self._path)

    async def _watch_path(self) -> None:
        """Make the socket anew when its path vanishes; what is connected stays connected."""
        troubled = False
        while True:
            await asyncio.sleep(self._watch_interval_s)
            if _identity(self._path) is not None:
                continue
            old = self._listener
            try:
                await self._listen()
            except (paths.PathError, SocketInUse) as error:
                if not troubled:
                    _log.warning("! %s", error)
                troubled = True
                continue
            if old is not None:
                old.close()
            troubled = False
            _log.info("= the control socket %s had vanished and was made anew", self._path)


class _ProtocolMismatch(Exception):
    def __init__(self, about: Json) -> None:
        super().__init__(_OTHER_VERSION)
        self.about = about


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: ControlServer) -> None:
        self.follows_state = False
        self.follows_events = False
        self.restricted = False
        """Of another protocol version: only the frozen methods are answered."""

        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._asks_no_more = False
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - the type of a stream's transport
        peer = _peer_uid(transport.get_extra_info("socket"))
        if peer is not None and peer != os.getuid():
            _log.warning("! refused a client of uid %d at the control socket", peer)
            transport.abort()
            return
        self._transport = transport
        if not self._server.add(self):
            self._reply_error(None, ErrorCode.REFUSED, Phrase("Too many clients are connected; close one."), {})
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self._transport = None  # tasks go on: a command that was accepted is carried out

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._transport is not None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if len(line) > MAX_LINE_BYTES:
                self._too_long()
            elif line.strip():
                self._handle_line(line)
        if len(self._buffer) > MAX_LINE_BYTES:
            self._too_long()

    def eof_received(self) -> bool:
        """The client has closed its side, perhaps only that: what it asked for is still answered."""
        self._asks_no_more = True
        return bool(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._asks_no_more and not self._tasks:
            self.close()

    def _too_long(self) -> None:
        self._buffer.clear()
        self._reply_error(None, ErrorCode.INVALID_REQUEST, f"A line is longer than {MAX_LINE_BYTES} bytes.", {})
        self.close()

    def close(self) -> None:
        """Send what is buffered and hang up."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._server.forget(self)

    def write(self, line: bytes) -> None:
        """Send a line, or drop a client that does not read."""
        if self._transport is None:
            return
        self._transport.write(line)
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            _log.warning("! dropped a client that left %d bytes unread", self._transport.get_write_buffer_size())
            self._server.forget(self)
            self._transport.abort()
            self._transport = None

    # --- JSON-RPC ------------------------------------------------------------------------------------------

    def _handle_line(self, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            self._reply_error(None, ErrorCode.PARSE, "This line is not JSON.", {})
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._reply_error(None, ErrorCode.INVALID_REQUEST, "This is not a JSON-RPC request.", {})
            return
        number = request.get("id")
        if not isinstance(number, (int, str, type(None))):
            self._reply_error(None, ErrorCode.INVALID_REQUEST, "The id must be a number or a text.", {})
            return
        method = request["method"]
        try:
            command = command_from_json(method, request.get("params"))
        except KeyError:
            self._reply_error(number, ErrorCode.UNKNOWN_METHOD, f"The engine knows no method {method!r:.80}.", {})
            return
        except ProtocolError as error:
            self._reply_error(number, ErrorCode.INVALID_PARAMS, f"{error}", {})
            return
        self._handle(number, method, command)

    def _handle(self, number: int | str | None, method: str, command: Command) -> None:
        try:
            if isinstance(command, Attach):
                self._reply(number, self._server.attach(self, command))
                return
        except _ProtocolMismatch as error:
            self._reply_error(number, ErrorCode.REFUSED, str(error), {"reason": "protocol", **error.about})
            return
        if isinstance(command, Events):
            self.follows_events = True
            self._reply(number, None)
        elif self.restricted and method not in FROZEN_METHODS:
            self._reply_error(number, ErrorCode.REFUSED, _OTHER_VERSION, {"reason": "protocol"})
        elif len(self._tasks) >= MAX_PENDING_COMMANDS:
            self._reply_error(
                number, ErrorCode.REFUSED, Phrase("Too many commands are under way."), {"reason": "flood"}
            )
        else:
            task = asyncio.create_task(self._run(number, command), name=f"control {method}")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _run(self, number: int | str | None, command: Command) -> None:
        try:
            result = await self._server.execute(command)
        except CommandRefused as refused:
            self._reply_error(number, ErrorCode.REFUSED, refused.sentence, {"reason": refused.reason})
        except Exception:  # noqa: BLE001 - a command must not end the engine; whatever went wrong is logged
            _log.exception("! command %s failed", command.method)
            self._reply_error(number, ErrorCode.INTERNAL, Phrase("The engine failed to do this; its log says why."), {})
        else:
            self._reply(number, result)

    def _reply(self, number: int | str | None, result: Any) -> None:
        if number is not None:
            self.write(_line({"jsonrpc": "2.0", "id": number, "result": result}))

    def _reply_error(self, number: int | str | None, code: int, message: str, data: Json) -> None:
        if (phrase := said(message)) is not None:
            data = data | {"said": phrase}
        error = {"code": code, "message": message, "data": data}
        self.write(_line({"jsonrpc": "2.0", "id": number, "error": error}))


def _line(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _clear_stale(path: Path) -> None:
    """Remove a socket nobody listens at any more; raises SocketInUse where somebody does, or it is no socket."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUse(f"{path} exists and is not a socket; remove it, or choose another with --socket.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # a full backlog, or another user's: somebody is there
    raise SocketInUse(f"Another engine listens at {path}; use offhook ctl, or choose another with --socket.")


def _peer_uid(connection: socket.socket | None) -> int | None:
    """The user at the other end; None where the system does not tell and the directory's mode has to do."""
    if connection is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = struct.Struct("3i")
    _, uid, _ = credentials.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size))
    return int(uid)
