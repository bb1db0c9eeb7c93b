"""The only pump: reads the clock, feeds the stack, carries out its effects, hands on its events.

    connections ─┐                              ┌─▶ connections
    timer ───────┼─▶ enter ─▶ Stack ─▶ drain ───┼─▶ on_event
    verbs ───────┘   (now)                      └─▶ one timer

Whatever enters, everything is drained before the loop turns. It never sleeps over five seconds, since the loop's
timers stand still while the machine sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol, TypeVar

from sipcore.aio.clock import Clock, SleepDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcore.config import ServerAddress
    from sipcore.events import Effect, Event, FlowId
    from sipcore.stack import Stack, StackSnapshot

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_LONGEST_SLEEP_S = 5.0


class EffectSink(Protocol):
    """Who carries out effects."""

    def carry_out(self, effect: Effect) -> None:
        """Do what an effect asks for."""
        ...


class Driver:
    """Drives one stack. Also the listener of its connections."""

    def __init__(self, stack: Stack, on_event: Callable[[Event], None], clock: Clock) -> None:
        self._stack = stack
        self._on_event = on_event
        self._detector = SleepDetector(clock)
        self._sink: EffectSink | None = None
        self.keep: Callable[[StackSnapshot], None] | None = None
        """Told of the stack before anything it wants done is done, to write it down."""

        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self._stopped = False

    def attach(self, sink: EffectSink) -> None:
        """Say who carries out effects; once, before the first verb."""
        self._sink = sink

    def stop(self) -> None:
        """No timer and no event any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def now(self) -> float:
        """The present time, after telling the stack of a sleep that has just ended."""
        now, slept_s = self._detector.read()
        if slept_s > 0:
            self._stack.resumed(slept_s, now)
        return now

    def run(self, verb: Callable[[float], _T]) -> _T:
        """Call ``verb`` with the present time, then pump; what it raises comes out after pumping."""
        try:
            return verb(self.now())
        finally:
            self.pump()

    def pump(self) -> None:
        """Drain the stack until it has nothing to say, and set the timer."""
        if self._pumping or self._stopped:
            return  # the pump that is running will see to it
        self._pumping = True
        try:
            while self._drain():
                pass
        finally:
            self._pumping = False
        self._arm()

    def _drain(self) -> bool:
        effects, events = self._stack.effects(), self._stack.events()
        if self.keep is not None and (effects or events):
            self._tell(self.keep, self._stack.snapshot())
        for effect in effects:
            if self._sink is not None:
                self._sink.carry_out(effect)
        for event in events:
            self._tell(self._on_event, event)
        return bool(effects or events)

    def _tell(self, listener: Callable[[_T], None], what: _T) -> None:
        try:
            listener(what)
        except Exception:  # noqa: BLE001  a listener's mistake must not stop the phone
            _log.exception("the listener failed on %s", type(what).__name__)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped:
            return
        loop = asyncio.get_running_loop()
        deadline = self._stack.next_timeout()
        wait = _LONGEST_SLEEP_S if deadline is None else min(_LONGEST_SLEEP_S, max(0.0, deadline - self.now()))
        self._timer = loop.call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._enter(self._stack.handle_timeout)

    def _enter(self, verb: Callable[[float], object]) -> None:
        """What comes from outside has nobody to raise to: a mistake of ours must not end reader or timer."""
        try:
            self.run(verb)
        except Exception:  # noqa: BLE001  one of the three supervisors; logged, and the phone goes on
            _log.exception("the stack failed")

    # --- the connections' listener -----------------------------------------------------------------------------

    def opened(self, flow: FlowId, local_address: tuple[str, int]) -> None:
        """A flow is open."""
        self._enter(lambda now: self._stack.flow_opened(flow, local_address, now))

    def failed(self, flow: FlowId, reason: str) -> None:
        """A flow could not be opened."""
        self._enter(lambda now: self._stack.flow_failed(flow, reason, now))

    def closed(self, flow: FlowId, reason: str) -> None:
        """A flow ended."""
        self._enter(lambda now: self._stack.flow_closed(flow, reason, now))

    def received(self, flow: FlowId, data: bytes) -> None:
        """Bytes came in."""
        self._enter(lambda now: self._stack.receive(data, flow, now))

    def pong(self, flow: FlowId) -> None:
        """A ping was answered."""
        self._enter(lambda now: self._stack.flow_pong(flow, now))

    def probed(self, server: ServerAddress, ok: bool) -> None:
        """A probe came back."""
        self._enter(lambda now: self._stack.probe_result(server, ok, now))
