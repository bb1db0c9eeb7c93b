"""Asking RealtimeKit, against a bus of the test's own and, where there is one, a real dbus-daemon."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from audio.io.rtkit import RefusedError, raise_priority

if TYPE_CHECKING:
    from pathlib import Path

SIGNAL, RETURN, ERROR = 4, 2, 3


class Bus:
    """Takes one connection, and answers two calls with messages of the given kinds."""

    def __init__(self, path: Path, kinds: list[int], *, greets: bytes = b"OK 0123\r\n") -> None:
        self.path = str(path / "bus")
        self.said = b""
        self._kinds, self._greets = kinds, greets
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self.said += connection.recv(4096)
            connection.sendall(self._greets)
            self.said += connection.recv(4096)
            for kind in self._kinds:
                connection.sendall(struct.pack("<BBBBIII", ord("l"), kind, 0, 1, 4, 9, 5) + bytes(8) + b"body")

    def close(self) -> None:
        self._thread.join(5)
        self._listener.close()


def test_what_is_asked_is_as_the_bus_has_it(tmp_path: Path) -> None:
    bus = Bus(tmp_path, [RETURN, SIGNAL, RETURN])
    raise_priority(4711, -11, bus.path)
    bus.close()
    assert bus.said.startswith(
        b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\nl\x01\0\x01"
    )
    assert b"MakeThreadHighPriorityWithPID\0" in bus.said
    assert bus.said.endswith(struct.pack("<QQi", os.getpid(), 4711, -11))


@pytest.mark.parametrize("kinds", [[ERROR], [RETURN, ERROR], []])
def test_a_refusal_is_one(tmp_path: Path, kinds: list[int]) -> None:
    bus = Bus(tmp_path, kinds)
    with pytest.raises(RefusedError):
        raise_priority(1, -11, bus.path)
    bus.close()


def test_no_bus_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        raise_priority(1, -11, str(tmp_path / "nowhere"))


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="there is no dbus-daemon")
def test_a_real_bus_understands_every_word(tmp_path: Path) -> None:
    """It has no rtkit and says so, instead of cutting off who does not speak its language."""
    path = tmp_path / "real"
    command = ("dbus-daemon", "--session", "--nofork", "--print-address", f"--address=unix:path={path}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        try:
            with pytest.raises(RefusedError, match="rtkit refuses, or is not there"):
                raise_priority(1, -11, str(path))
        finally:
            daemon.terminate()
