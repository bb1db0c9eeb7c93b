"""A phone under measurement: what a row asks of Offhook and of every other phone alike.

It is started, told nothing (except what a browser tells a page), and says what happens as events with a name and
a Unix time. The names are Offhook's own: `registered`, `transportDisconnected`, `incomingCall`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from phone.client import Connection
from tests.lab.engine import Engine
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.engine import Event


class Phone(ABC):
    """One phone, not started. Times are Unix times."""

    @property
    @abstractmethod
    def events(self) -> Sequence[Event]:
        """Everything it has told, in order."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its process."""

    @abstractmethod
    def launch(self) -> None:
        """Start it without waiting for anything."""

    @abstractmethod
    def close(self) -> None:
        """End it and remove what it left."""

    def start(self) -> None:
        """Start it and return once it is registered."""
        self.launch()
        wait_until(lambda: self.first("registered", 0), what=f"{type(self).__name__} registers", timeout_s=30)

    def network_changed(self, *, online: bool) -> None:  # noqa: B027  most phones see for themselves, or never
        """What a browser tells its pages; only they hear it."""

    # ------------------------------------------------------------------------------------------------------- told

    def all(self, name: str, since: float) -> list[Event]:
        """Its events of that name from ``since`` on."""
        return [event for event in list(self.events) if event["event"] == name and event["at"] >= since]

    def first(self, name: str, since: float) -> float | None:
        """When the first such event was."""
        return next((float(event["at"]) for event in self.all(name, since)), None)

    def rang_at(self, since: float) -> float | None:
        """When it first rang after ``since``; None if it has not."""
        return self.first("incomingCall", since)

    def registered_at(self, since: float) -> float | None:
        """When it was first registered anew after ``since``; None if it was not."""
        return self.first("registered", since)

    def away(self) -> bool:
        """Whether it knows that it is not registered."""
        lost, registered = self.all("transportDisconnected", 0), self.all("registered", 0)
        return bool(lost) and (not registered or lost[-1]["at"] > registered[-1]["at"])

    def cpu_s(self) -> float:
        """CPU seconds it has used, of all its threads."""
        with open(f"/proc/{self.pid}/stat") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Caller(Phone):
    """A phone that can be made to call."""

    @abstractmethod
    def dial(self, target: str) -> None:
        """Call; returns at once."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the call, or what it takes for one."""

    def ended_by_pbx(self, since: float) -> bool:
        """Whether it was told of the call's end."""
        return bool(self.all("callEnded", since))

    def active_at(self, since: float) -> float | None:
        """When its first call after ``since`` was answered."""
        return self.first("callActive", since)


class Offhook(Caller):
    """`offhook run --headless --events`, in the namespace."""

    def __init__(
        self,
        uri: str,
        username: str,
        password: str,
        *,
        command_prefix: Sequence[str],
        account: dict[str, object] | None = None,
        resilience: dict[str, object] | None = None,
    ) -> None:
        """``uri`` may be several, by comma: the servers of a list."""
        servers = uri.split(",") if "," in uri else uri
        self.engine = Engine(
            servers,
            username,
            password=password,
            account=account,
            resilience=resilience,
            command_prefix=command_prefix,
        )

    @property
    def events(self) -> Sequence[Event]:
        return self.engine.events

    @property
    def pid(self) -> int:
        return self.engine.pid

    def launch(self) -> None:
        self.engine.launch()

    def start(self) -> None:
        self.engine.start()
        self.engine.wait_registered(30)

    def close(self) -> None:
        self.engine.close()

    def dial(self, target: str) -> None:
        self.engine.dial(target)

    def hang_up(self) -> None:
        self.engine.ctl("hangup", check=False)

    def ended_by_pbx(self, since: float) -> bool:
        return any(event["by"] == "remote" for event in self.all("callEnded", since))

    def active_at(self, since: float) -> float | None:
        changes = self.all("callStateChanged", since)
        return next((float(event["at"]) for event in changes if event["state"] == "active"), None)

    # ------------------------------------------------------------------------------------- what only Offhook is told

    def set_password(self, password: str) -> None:
        """New credentials, over the control socket."""
        with Connection(self.engine.socket) as connection:
            connection.call("set_password", password=password)

    def register(self) -> None:
        """What "Retry now" does; returns at once."""
        self.engine.ctl("register", check=False)
