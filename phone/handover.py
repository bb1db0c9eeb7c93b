"""An engine starts its successor and hands everything over: ``offhook ctl restart``, in the midst of calls too.

    engine ── password, locks ──▶ successor: reads settings, loads everything
           ◀──── "prepared" ─────
           sound and signalling stop without a word, the journal is complete
           ──────── "go" ───────▶ same ports, sound at once, then signalling

The locks never fall: both hold them for a moment. A successor that does not get ready changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phone.locks import EngineLock
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTION = "--successor-fd"
PREPARE_TIMEOUT_S = 20.0
_GO_TIMEOUT_S = 10.0
_PREPARED, _GO = b"prepared\n", b"go\n"
_MAX_MESSAGE_BYTES = 64 * 1024


class Successor:
    """The process that is to take over, from the present engine's side."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._process = process
        self._line = line

    @classmethod
    async def prepare(cls, password: str, account: str, locks: Sequence[EngineLock]) -> Successor:
        """Start it; returns once it only waits for :meth:`go`. Raises CommandRefused, and then there is none."""
        descriptors = [lock.descriptor for lock in locks]
        try:
            process, ours = await asyncio.to_thread(_start, descriptors)
        except OSError as error:
            raise CommandRefused("restart", _not_started(str(error))) from None
        successor = cls(process, ours)
        message = {"password": password, "account": account, "locks": descriptors}
        ours.sendall(json.dumps(message).encode() + b"\n")
        if await asyncio.to_thread(_read_line, ours, PREPARE_TIMEOUT_S) != _PREPARED:
            successor.dismiss()
            raise CommandRefused("restart", _not_started("the log says why"))
        return successor

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def go(self) -> None:
        """Everything has been let go of: let it begin."""
        with contextlib.suppress(OSError):
            self._line.sendall(_GO)
        self._line.close()

    def dismiss(self) -> None:
        """It is not wanted any more."""
        self._line.close()  # which it takes for the end
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
            return
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a successor was given."""

    password: str
    account: str
    locks: tuple[EngineLock, EngineLock]
    _line: socket.socket

    @classmethod
    def receive(cls, descriptor: int) -> Inheritance:
        """Take what the engine before this one sent. Raises OSError or ValueError where that makes no sense."""
        line = socket.socket(fileno=descriptor)
        message = json.loads(_read_line(line, PREPARE_TIMEOUT_S))
        profile, account = message["locks"]
        for lock in (profile, account):
            os.set_inheritable(lock, False)
        return cls(str(message["password"]), str(message["account"]), (EngineLock(profile), EngineLock(account)), line)

    def wait(self) -> bool:
        """Say that everything is prepared, and wait; whether the engine before this one has let go."""
        with self._line:
            try:
                self._line.sendall(_PREPARED)
                return _read_line(self._line, PREPARE_TIMEOUT_S) == _GO
            except OSError:
                return False


def _start(descriptors: list[int]) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process that inherits ``descriptors`` and the other end of the socket; raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                [*_command_line(), OPTION, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stderr=sys.stderr,  # not descriptor 2, which is a pipe into our log
                pass_fds=(theirs.fileno(), *descriptors),
            )
        except OSError:
            ours.close()
            raise
    return process, ours


def _command_line() -> list[str]:
    """How this process was started, but for the descriptors of then."""
    words = [sys.executable, *sys.orig_argv[1:]]
    for option in ("--ready-fd", OPTION):
        while option in words:
            place = words.index(option)
            del words[place : place + 2]
    return words


def _read_line(line: socket.socket, timeout_s: float) -> bytes:
    """A line, or what came before the end or the time-out."""
    line.settimeout(timeout_s)
    data = b""
    with contextlib.suppress(OSError):
        while not data.endswith(b"\n") and len(data) < _MAX_MESSAGE_BYTES and (more := line.recv(4096)):
            data += more
    return data


def _not_started(why: str) -> Phrase:
    return Phrase("The new engine did not start, and this one goes on: {why}.", why=why)
