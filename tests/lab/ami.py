"""Asterisk's manager interface: its view of calls as a list of events.

Lines of `Name: value`, a blank line between blocks. A thread collects, tests look and wait.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

Event = dict[str, str]


class Manager:
    """One connection. `events` grows while it is open."""

    def __init__(self, host: str, port: int, user: str, secret: str) -> None:
        self.events: list[Event] = []
        self._socket = socket.create_connection((host, port), timeout=5)
        self._reader = self._socket.makefile("r", encoding="utf-8", errors="replace", newline="\r\n")
        self._reader.readline()  # the banner
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._collect, name="lab-manager", daemon=True)
        self._thread.start()
        self.send({"Action": "Login", "Username": user, "Secret": secret})
        self.wait("FullyBooted")

    def send(self, action: Mapping[str, str]) -> None:
        """Send one action; what comes of it is an event or a response in `events`."""
        text = "".join(f"{name}: {value}\r\n" for name, value in action.items()) + "\r\n"
        self._socket.sendall(text.encode())

    def _collect(self) -> None:
        block: Event = {}
        with contextlib.suppress(OSError, ValueError):  # closed by us or by Asterisk: the list just stops growing
            for line in self._reader:
                name, colon, value = line.rstrip("\r\n").partition(":")
                if colon:
                    block[name] = value.strip()
                elif block:
                    self.events.append(block)
                    block = {}

    def mark(self) -> int:
        """A place in the list, to wait for what comes after it."""
        return len(self.events)

    def find(self, event: str, *, since: int = 0, **fields: str) -> list[Event]:
        """Events of that name whose fields start with the given values."""
        return [
            found
            for found in self.events[since:]
            if found.get("Event") == event and all(found.get(k, "").startswith(v) for k, v in fields.items())
        ]

    def wait(self, event: str, *, since: int = 0, timeout_s: float = 10.0, **fields: str) -> Event:
        """The first such event after `since`."""
        what = f"manager event {event} {fields or ''}"
        return wait_until(lambda: self.find(event, since=since, **fields), what=what, timeout_s=timeout_s)[0]

    def close(self) -> None:
        """Close the connection; `events` stays readable."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
