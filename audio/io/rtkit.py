"""A better priority for one thread by RealtimeKit, where the user's own rights do not reach (D-Bus Specification 0.42).

    us ─ AUTH EXTERNAL, BEGIN ─▶ system bus ─ Hello, MakeThreadHighPriorityWithPID ─▶ rtkit-daemon ─▶ nice -11

The high priority is asked for and not the real-time one: for that rtkit wants a limit after which the kernel ends the
whole process, calls and all, should the thread ever run on too long.
"""

from __future__ import annotations

import os
import socket
import struct

_BUS = "/run/dbus/system_bus_socket"
_PATIENCE_S = 2.0
_CALL, _RETURN, _ERROR = 1, 2, 3
_FIXED = struct.Struct("<BBBBIII")
_LITTLE_ENDIAN = ord("l")
_LONGEST = 1 << 16


class RefusedError(Exception):
    """There is no bus, no rtkit, or it says no."""


def raise_priority(thread: int, nice: int, bus: str | None = None) -> None:
    """Give a thread of this process (by its kernel's number) a better nice value; waits for the answer.

    Raises :class:`RefusedError`.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE_S)
            connection.connect(bus or _address())
            _ask(connection, thread, nice)
    except (OSError, ValueError, struct.error) as error:
        raise RefusedError(str(error)) from error


def _address() -> str:
    kind, _, path = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={_BUS}").partition("path=")
    if kind != "unix:":
        raise ValueError("the system bus is not at a path")
    return path.partition(",")[0]


def _ask(connection: socket.socket, thread: int, nice: int) -> None:
    connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    if not connection.recv(256).startswith(b"OK "):
        raise RefusedError("the bus does not know us")
    bus, kit = "org.freedesktop.DBus", "org.freedesktop.RealtimeKit1"
    arguments = struct.pack("<QQi", os.getpid(), thread, nice)
    connection.sendall(
        b"BEGIN\r\n"
        + _method_call(1, bus, "/org/freedesktop/DBus", bus, "Hello")
        + _method_call(2, kit, "/org/freedesktop/RealtimeKit1", kit, "MakeThreadHighPriorityWithPID", "tti", arguments)
    )
    if _outcome(connection) == _RETURN and _outcome(connection) == _RETURN:
        return
    raise RefusedError("rtkit refuses, or is not there")


def _method_call(
    serial: int, destination: str, path: str, interface: str, member: str, signature: str = "", body: bytes = b""
) -> bytes:
    """Header fields are an array of (code, variant), each at a multiple of eight."""
    fields = b""
    for code, kind, value in ((1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)):
        text = value.encode()
        fields = _padded(fields, 8) + struct.pack("<BB1scI", code, 1, kind.encode(), b"\0", len(text)) + text + b"\0"
    if signature:
        text = signature.encode()
        fields = _padded(fields, 8) + struct.pack("<BB1scB", 8, 1, b"g", b"\0", len(text)) + text + b"\0"
    fixed = _FIXED.pack(_LITTLE_ENDIAN, _CALL, 0, 1, len(body), serial, len(fields))
    return _padded(fixed + fields, 8) + body


def _padded(data: bytes, boundary: int) -> bytes:
    return data + bytes(-len(data) % boundary)


def _outcome(connection: socket.socket) -> int:
    """The next answer; the bus answers in the order it was asked, and tells of things in between."""
    while True:
        _, kind, _, _, body, _, fields = _FIXED.unpack(_exactly(connection, _FIXED.size))
        if max(body, fields) > _LONGEST:
            raise RefusedError("the bus sends too much")
        _exactly(connection, fields + -(_FIXED.size + fields) % 8 + body)
        if kind in (_RETURN, _ERROR):
            return int(kind)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := connection.recv(size - len(data))):
            raise RefusedError("the bus hung up")
        data += more
    return data
