"""A phone with two ways to a simulated PBX that confirms RFC 5626, and what can be seen of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sipcore import events as ev
from sipcore.config import Resilience, ServerAddress
from sipcore.message.message import Request
from sipcore.message.parse import parse_message
from tests.sim.call import Manner
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.world import Connection, End, World

if TYPE_CHECKING:
    from sipcore.message.message import Message
    from tests.sim.line import Line

T = TypeVar("T")
A = ServerAddress.parse("wss://a.sim:8089/ws")
B = ServerAddress.parse("wss://b.sim:8089/ws")
NEWS = (
    ev.KeepAliveStopped,
    ev.LocalAddressChanged,
    ev.ReconnectionAttempting,
    ev.ReconnectionFailed,
    ev.ReconnectionSuccess,
    ev.RegistrationChanged,
    ev.RegistrationRefused,
    ev.RetryScheduled,
    ev.SignallingChanged,
    ev.TransportChanged,
    ev.Unregistered,
)
"""What a user would notice."""


class Lab:
    """A phone with two ways to a PBX that confirms outbound, unless told."""

    def __init__(self, manner: str = "gruu", *servers: ServerAddress, seed: int = 1, **settings: float | bool) -> None:
        self.world = World(seed)
        self.pbx = SimPbx(self.world, {"1001": "right"}, manner=Manner(outbound=manner))
        self.seen: list[object] = []
        self.messages: list[tuple[int, End, Message]] = []
        self.phone = SimPhone(
            self.world,
            self.pbx,
            servers=servers or (A, B),
            settings=Resilience(**settings),  # type: ignore[arg-type]
            watch=self.seen.append,
            watch_message=self._overheard,
        )
        self.phone.run(self.phone.stack.start)
        self.wait(2.0)
        assert self.phone.stack.registration_state is ev.RegistrationState.REGISTERED
        self.begin()

    def _overheard(self, connection: Connection, end: End, data: bytes) -> None:
        self.messages.append((connection.flow, end, parse_message(data)))

    def begin(self) -> None:
        self.seen.clear()
        self.messages.clear()

    def wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)

    @property
    def flows(self) -> list[int]:
        """The flows that carry something, the older first."""
        return [c.flow for c in self.phone.wire.connections if all(c.is_open.values()) and not c.cut]

    def connection(self, flow: int) -> Connection:
        return next(c for c in self.phone.wire.connections if c.flow == flow)

    def of(self, kind: type[T]) -> list[T]:
        return [thing for thing in self.seen if isinstance(thing, kind)]

    @property
    def news(self) -> list[object]:
        """What a user would notice; another server in the status is none."""
        still = ev.TransportState.CONNECTED
        return [
            thing
            for thing in self.seen
            if isinstance(thing, NEWS) and not (isinstance(thing, ev.TransportChanged) and thing.state is still)
        ]

    def sent(self, method: str) -> list[tuple[int, Request]]:
        """The requests of a method the phone sent, with their flows."""
        return [
            (flow, message)
            for flow, end, message in self.messages
            if end is End.PHONE and isinstance(message, Request) and message.method == method
        ]

    @property
    def reg_ids(self) -> list[str]:
        """The reg-ids of the bindings that work."""
        return sorted(key.partition(";")[2] for key, binding in self.pbx.bindings.items() if binding.works)

    def talk(self) -> Line:
        """A call that is up."""
        line = self.phone.dial()
        assert line is not None
        self.wait(3.0)
        assert line.active
        self.begin()
        return line

    def is_served(self) -> bool:
        """What a user is shown."""
        stack = self.phone.stack
        return (
            stack.registration_state is ev.RegistrationState.REGISTERED
            and stack.transport_state is ev.TransportState.CONNECTED
            and stack.may_call
            and stack.retry_status(self.world.now) is None
        )
