"""A phone under measurement. Offhook is the first; another one needs this protocol and a row in PEERS.

What a row asks of every phone is little: start it, stop it, and the time at which it rang or registered.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from phone.client import Connection
from tests.lab.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.engine import Event


class Peer(Protocol):
    """One phone, not started. Times are Unix times."""

    name: str

    def start(self) -> None:
        """Start it and return once it is registered."""
        ...

    def close(self) -> None:
        """End it and remove what it left."""
        ...

    def rang_at(self, since: float) -> float | None:
        """When it first rang after ``since``; None if it has not."""
        ...

    def registered_at(self, since: float) -> float | None:
        """When it was first registered anew after ``since``; None if it was not, or cannot tell."""
        ...

    def attempts(self, since: float) -> int | None:
        """How many attempts to connect it made after ``since``; None if it cannot tell."""
        ...


class Offhook:
    """`offhook run --headless --events`, in the namespace."""

    name = "Offhook"

    def __init__(
        self, uri: str, username: str, password: str, *, command_prefix: Sequence[str], **tables: dict[str, object]
    ) -> None:
        self.engine = Engine(uri, username, password=password, command_prefix=command_prefix, **tables)  # type: ignore[arg-type]

    def start(self) -> None:
        self.engine.start()
        self.engine.wait_registered(30)

    def launch(self) -> None:
        """Start without waiting for anything."""
        self.engine.launch()

    def close(self) -> None:
        self.engine.close()

    def rang_at(self, since: float) -> float | None:
        return self.first("incomingCall", since)

    def registered_at(self, since: float) -> float | None:
        return self.first("registered", since)

    def attempts(self, since: float) -> int:
        return len(self.all("reconnectionAttempting", since))

    # ---------------------------------------------------------------------------------------- what only Offhook tells

    def all(self, name: str, since: float) -> list[Event]:
        """Its events of that name from ``since`` on."""
        return [event for event in list(self.engine.events) if event["event"] == name and event["at"] >= since]

    def first(self, name: str, since: float) -> float | None:
        """When the first such event was."""
        return next((float(event["at"]) for event in self.all(name, since)), None)

    def set_password(self, password: str) -> None:
        """New credentials, over the control socket."""
        with Connection(self.engine.socket) as connection:
            connection.call("set_password", password=password)

    def register(self) -> None:
        """What "Retry now" does; returns at once."""
        self.engine.ctl("register", check=False)

    def cpu_s(self) -> float:
        """CPU seconds it has used, of all its threads."""
        with open(f"/proc/{self.engine.pid}/stat") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PeerFactory = "Callable[[str, str, str, Sequence[str]], Peer]"
"""From server URI, user name, password and the command that enters the namespace."""


def _offhook(uri: str, username: str, password: str, command_prefix: Sequence[str]) -> Peer:
    return Offhook(uri, username, password, command_prefix=command_prefix)


PEERS: dict[str, Callable[[str, str, str, Sequence[str]], Peer]] = {"offhook": _offhook}
"""By the name that PEERS= takes."""
