"""Virtual time, and a network of connections that can be cut, clogged and forgotten.

    World ── at(time, action) ──▶ heap ──▶ run_until
    SimPhone ◀── Connection ──▶ SimPbx       each direction in order, after a delay, or never

A connection behaves as TCP does: bytes in a hole are sent again once it closes, a reset is noticed, a silent cut is not
until the kernel gives up on unacknowledged bytes.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

KERNEL_GIVES_UP_S = 10.0
"""TCP_USER_TIMEOUT."""


_CROWD = 100_000
"""So many actions at one moment are a loop."""


class World:
    """The clock, the agenda and the dice of one run."""

    def __init__(self, seed: int) -> None:
        self.now = 1000.0
        self.random = random.Random(seed)
        self.notes: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Let ``action`` happen at ``time``, after everything already planned for that moment."""
        heapq.heappush(self._agenda, (max(time, self.now), next(self._order), action))

    def after(self, wait_s: float, action: Callable[[], None]) -> None:
        """Let ``action`` happen after ``wait_s``."""
        self.at(self.now + wait_s, action)

    def run_until(self, time: float) -> None:
        """Let everything happen up to ``time``."""
        crowd = 0
        while self._agenda and self._agenda[0][0] <= time:
            at, _, action = heapq.heappop(self._agenda)
            crowd = crowd + 1 if at == self.now else 0
            if crowd > _CROWD:
                raise AssertionError("time stands still: a timer is due again and again")
            self.now = at
            action()
        self.now = time

    def note(self, text: str) -> None:
        """A line of the trace that is printed for a failing seed."""
        self.notes.append(f"{self.now - 1000.0:9.3f} {text}")


class End(enum.Enum):
    """The two ends of a connection."""

    PHONE = "phone"
    PBX = "pbx"

    @property
    def other(self) -> End:
        """The far end."""
        return End.PBX if self is End.PHONE else End.PHONE


class Side(Protocol):
    """Who sits at an end."""

    def connection_data(self, connection: Connection, data: bytes) -> None:
        """A message arrived."""

    def connection_pinged(self, connection: Connection) -> None:
        """A ping arrived (at the PBX), or a pong (at the phone)."""

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """The connection ended without this side's doing."""


class Server(Protocol):
    """What a wire needs to know of the far end."""

    up: bool
    dark: bool
    mute_until: float


PING = b"<ping>"
"""Stands for a WebSocket ping or pong."""


@dataclass(slots=True)
class Wire:
    """One phone's way to the PBX."""

    world: World
    latency_s: float = 0.02
    jitter_s: float = 0.01
    online: bool = True
    address: str = "192.0.2.10"
    hole_until: float = 0.0
    nat_idle_s: float = float("inf")
    kernel_gives_up: bool = True
    connections: list[Connection] = field(default_factory=list)

    def delay(self) -> float:
        """How long the next packet takes, while there is no hole."""
        return self.latency_s + self.world.random.uniform(0, self.jitter_s)

    @property
    def open_again_at(self) -> float:
        """When a packet sent now gets through: TCP tries again within a second of the end of a hole."""
        if self.hole_until <= self.world.now:
            return self.world.now
        return self.hole_until + self.world.random.uniform(0.05, 1.0)


class Connection:
    """One TCP connection carrying whole messages."""

    def __init__(self, wire: Wire, phone: Side, pbx: Side, server: Server, flow: int) -> None:
        self.wire = wire
        self.flow = flow
        self.sides = {End.PHONE: phone, End.PBX: pbx}
        self.is_open = {End.PHONE: True, End.PBX: True}
        self.server = server
        self.cut = False
        """Nothing gets through any more, and nobody is told."""
        self._last = {End.PHONE: 0.0, End.PBX: 0.0}
        self._last_activity = wire.world.now
        wire.connections.append(self)

    def send(self, end: End, data: bytes) -> None:
        """Send a whole message from ``end``."""
        world = self.wire.world
        if not self.is_open[end]:
            return
        if world.now - self._last_activity > self.wire.nat_idle_s:
            self.cut = True
        if self.cut:
            self._unacknowledged(end)
            return
        self._last_activity = world.now
        through_at = self.wire.open_again_at
        if through_at - world.now > KERNEL_GIVES_UP_S and self.wire.kernel_gives_up:
            self._unacknowledged(end)
            return
        arrival = max(through_at + self.wire.delay(), self._last[end])
        self._last[end] = arrival
        world.at(arrival, lambda: self._arrive(end.other, data))

    def reset(self) -> None:
        """Both ends are told, unless the way is cut."""
        for end in End:
            self._end(end, "broke the connection", self.wire.delay())

    def close(self, end: End) -> None:
        """``end`` closes; the other is told where the way is open."""
        if not self.is_open[end]:
            return
        self.is_open[end] = False
        if not self.cut and self.wire.hole_until <= self.wire.world.now:
            self._end(end.other, "closed the connection", self.wire.delay())

    def vanish(self, end: End) -> None:
        """``end`` is gone without a word, as in a power failure; what comes later is answered by a reset."""
        self.is_open[end] = False

    def _arrive(self, end: End, data: bytes) -> None:
        if self.cut:
            return
        if end is End.PBX and self.server.dark:
            self._unacknowledged(End.PHONE)
            return
        if not self.is_open[end]:
            self._end(end.other, "broke the connection", self.wire.delay())
            return
        if end is End.PBX and self.server.mute_until > self.wire.world.now:
            self.wire.world.at(self.server.mute_until, lambda: self._arrive(end, data))
            return
        side = self.sides[end]
        if data == PING:
            side.connection_pinged(self)
        else:
            side.connection_data(self, data)

    def _unacknowledged(self, end: End) -> None:
        if self.wire.kernel_gives_up:
            self._end(end, "does not answer any more", KERNEL_GIVES_UP_S, forced=True)

    def _end(self, end: End, reason: str, wait_s: float, *, forced: bool = False) -> None:
        def tell() -> None:
            if self.is_open[end] and (forced or not self.cut):
                self.is_open[end] = False
                self.sides[end].connection_closed(self, reason)

        self.wire.world.after(wait_s, tell)
