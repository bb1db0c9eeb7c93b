"""The invariant of two flows: when one is found dead, the other is asked for a sign of life in that very moment.

FlowWatch.seen ── effects, Lost for a connection that ended without us, and Heard ──▶ a flow that is left and not asked
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from tests.sim.world import World

_FOUND_DEAD = ("no sign of life", "no answer to the keep-alive")


@dataclass(frozen=True, slots=True)
class Lost:
    """The stack is about to hear that a connection ended without it."""

    flow: ev.FlowId


@dataclass(frozen=True, slots=True)
class Heard:
    """The stack is about to read what has come by a flow."""

    flow: ev.FlowId


class FlowWatch:
    """Watches those flows of one phone that are registered; ``fail`` raises."""

    def __init__(self, world: World, fail: Callable[[str], NoReturn]) -> None:
        self._world = world
        self._fail = fail
        self._asked_at: dict[ev.FlowId, float] = {}
        """When something was last sent, by flows."""

        self._waiting: set[ev.FlowId] = set()
        """Flows that were asked and have said nothing since: they are in doubt already."""

        self._doubted_at: dict[ev.FlowId, float] = {}
        self._let_go: set[ev.FlowId] = set()

    def registering(self, flow: ev.FlowId, *, removal: bool) -> None:
        """A REGISTER is sent by ``flow``; one that is taken back is of no more use, and asked no more."""
        if removal:
            self._let_go.add(flow)
            self._forget(flow)
        else:
            self._let_go.discard(flow)
            self._waiting.add(flow)

    def registered(self, flow: ev.FlowId) -> None:
        """A REGISTER by ``flow`` was accepted."""
        if flow not in self._let_go:
            self._asked_at.setdefault(flow, self._world.now)

    def _forget(self, flow: ev.FlowId) -> None:
        self._asked_at.pop(flow, None)
        self._doubted_at.pop(flow, None)
        self._waiting.discard(flow)

    def seen(self, thing: object) -> None:
        """Every effect, and :class:`Lost`."""
        self.look()
        match thing:
            case ev.Transmit(flow=flow) | ev.PingFlow(flow=flow) if flow in self._asked_at:
                self._asked_at[flow] = self._world.now
                self._doubted_at.pop(flow, None)
                if isinstance(thing, ev.PingFlow):
                    self._waiting.add(flow)
            case Heard(flow=flow):
                self._waiting.discard(flow)
            case ev.CloseFlow(flow=flow, reason=reason):
                self._gone(flow, dead=reason.startswith(_FOUND_DEAD))
            case Lost(flow=flow):
                self._gone(flow, dead=True)
            case _:
                pass

    def _gone(self, flow: ev.FlowId, *, dead: bool) -> None:
        served = flow in self._asked_at
        self._forget(flow)
        if served and dead:
            now = self._world.now
            self._doubted_at.update(
                {
                    other: now
                    for other, asked_at in self._asked_at.items()
                    if asked_at < now and other not in self._waiting
                }
            )

    def look(self) -> None:
        """Fail where the moment for a question has passed."""
        for flow, doubted_at in self._doubted_at.items():
            if doubted_at < self._world.now:
                self._fail(f"flow {flow} was not asked for a sign of life when the other was lost")

    def forget(self) -> None:
        """The process is gone, or its user wants no connection any more; raises as :meth:`look` does."""
        self.look()
        self._asked_at.clear()
        self._doubted_at.clear()
        self._waiting.clear()
        self._let_go.clear()
