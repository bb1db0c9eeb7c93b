"""Where the sound server is, and what proves that we may use it: as libpulse looks, without starting one.

PULSE_SERVER ▸ client.conf (default-server) ▸ PULSE_RUNTIME_PATH/native ▸ XDG_RUNTIME_DIR/pulse/native ▸ the system's
PULSE_COOKIE ▸ client.conf (cookie-file) ▸ ~/.config/pulse/cookie ▸ ~/.pulse-cookie
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

COOKIE_BYTES = 256
_PORT = 4713
_SYSTEM_SOCKETS = ("/run/pulse/native", "/var/run/pulse/native")
_SETTING = re.compile(r"^\s*([a-z-]+)\s*=\s*(\S.*?)\s*$", re.MULTILINE)


def addresses() -> list[str]:
    """Where to try, best first: paths, or ``host`` and ``host:port`` with ``tcp:`` in front."""
    named = os.environ.get("PULSE_SERVER") or _configured().get("default-server")
    if named:
        # Each may name the machine it is meant for: {machine-id}unix:/path.
        return [_address(re.sub(r"^\{[^}]*\}", "", word)) for word in named.split()]
    folders = [os.environ.get("PULSE_RUNTIME_PATH"), os.environ.get("XDG_RUNTIME_DIR")]
    own = [str(Path(folder) / tail) for folder, tail in zip(folders, ("native", "pulse/native"), strict=True) if folder]
    return own + [path for path in _SYSTEM_SOCKETS if Path(path).exists()]


def _address(word: str) -> str:
    if word.startswith("unix:"):
        return word[len("unix:") :]
    return word if word.startswith("/") else "tcp:" + re.sub(r"^tcp[46]?:", "", word)


def is_remote(address: str) -> bool:
    """Whether sound crosses a network on its way there."""
    return address.startswith("tcp:")


def connect(address: str, timeout_s: float) -> socket.socket:
    """A connection with that timeout for everything done on it. Raises OSError."""
    if not is_remote(address):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout_s)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock
    host, port = _host_and_port(address.removeprefix("tcp:"))
    sock = socket.create_connection((host, port), timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _host_and_port(text: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", text)
    if bracketed is not None:
        return bracketed[1], int(bracketed[2] or _PORT)
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon and port.isdigit() and ":" not in host else (text, _PORT)


def cookie() -> bytes:
    """The shared secret of user and server; zeros where there is none: a server on this machine knows its user."""
    named = os.environ.get("PULSE_COOKIE") or _configured().get("cookie-file")
    candidates = [named] if named else ["~/.config/pulse/cookie", "~/.pulse-cookie"]
    for candidate in candidates:
        try:
            data = Path(candidate).expanduser().read_bytes()
        except OSError:
            continue
        if len(data) >= COOKIE_BYTES:
            return data[:COOKIE_BYTES]
    return bytes(COOKIE_BYTES)


def _configured() -> dict[str, str]:
    named = os.environ.get("PULSE_CLIENTCONFIG")
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    for path in [named] if named else [f"{config}/pulse/client.conf", "/etc/pulse/client.conf"]:
        try:
            text = Path(path).expanduser().read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return {key: value.strip("\"'") for key, value in _SETTING.findall(text)}
    return {}
