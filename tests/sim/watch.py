"""The invariants of a run (docs/resilience.md, section 4), checked while it goes and at its end.

Watcher.message  ── at most one REGISTER unanswered
Watcher.seen     ── never a retry sooner than allowed, no contradiction in what the user is told
Watcher.settled  ── registered, reachable, told so, calls alive
Watcher.ended    ── nothing left behind
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcore import events as ev
from sipcore.message.message import Request
from sipcore.message.parse import parse_message
from tests.sim.world import Connection, End, World

if TYPE_CHECKING:
    from sipcore.config import Resilience

_SLACK_S = 0.001
_OPENS_IN_A_MINUTE = 40
_EXCUSE_S = 1.0
"""News of the network come in bursts."""


class Violation(AssertionError):
    """An invariant does not hold."""


class Watcher:
    """Watches one phone; raises Violation where something is wrong."""

    def __init__(self, world: World, settings: Resilience) -> None:
        self._world = world
        self._settings = settings
        self._unanswered: dict[int, tuple[Connection, int]] = {}
        self._opened_at = 0.0
        self._connected = self._probed = False
        self._excused_until = 0.0
        self._opens: deque[float] = deque()
        self._refused_at: float | None = None
        self._refused_wait_s = 0.0
        self._failed_told = False
        self._registered = ev.RegistrationState.UNREGISTERED
        self.registered_at: float | None = None
        self.recovered: list[float] = []

    def fail(self, text: str) -> None:
        """Raise."""
        raise Violation(f"at {self._world.now - 1000.0:.3f}: {text}")

    def excuse(self) -> None:
        """Something happened that allows an attempt at once: the network, a sleep, the user."""
        self._excused_until = self._world.now + _EXCUSE_S
        self._failed_told = False

    @property
    def _excused(self) -> bool:
        return self._world.now <= self._excused_until

    # --- messages ----------------------------------------------------------------------------------------------

    def message(self, connection: Connection, end: End, data: bytes) -> None:
        """Every message the phone sends or gets."""
        if not data.strip():
            return
        message = parse_message(data)
        if message.cseq.method != "REGISTER":
            return
        number = message.cseq.number
        if isinstance(message, Request) and end is End.PHONE:
            open_ones = [cseq for cseq, (other, _) in self._unanswered.items() if other.is_open[End.PHONE]]
            if open_ones:
                self.fail(f"REGISTER {number} while {open_ones} is unanswered")
            if self._unanswered and number <= max(self._unanswered):
                self.fail(f"REGISTER {number} does not count up")
            self._unanswered = {number: (connection, number)}
            self._world.note(f"> REGISTER {number}")
        elif not isinstance(message, Request) and message.is_final:
            self._unanswered.pop(number, None)
            self._world.note(f"< {message.status} REGISTER {number}")

    # --- effects and events ------------------------------------------------------------------------------------

    def seen(self, thing: object) -> None:
        """Every effect and every event."""
        match thing:
            case ev.OpenFlow():
                self._opening(thing)
            case ev.ProbeServer():
                self._probed = True
            case ev.TransportChanged(state=state, reason=reason):
                self._connected = self._connected or state is ev.TransportState.CONNECTED
                self._world.note(f"= transport {state.value} {reason}")
            case ev.RegistrationChanged(state=state, reason=reason):
                self._registered = state
                self._world.note(f"= registration {state.value} {reason}")
            case ev.Registered(refresh=refresh):
                self._succeeded(refresh=refresh)
            case ev.RegistrationAttempt(attempt=attempt, maximum=maximum):
                if attempt > maximum:
                    self.fail(f"registration attempt {attempt} of {maximum}")
                self._registering(attempt)
            case ev.RegistrationRefused(attempt=attempt, status=status):
                self._world.note(f"= refused {status}, attempt {attempt}")
                self._refused_at = self._world.now
            case ev.RetryScheduled(what="registration", wait_s=wait_s):
                self._refused_wait_s = wait_s
            case ev.ReconnectionAttempting(attempt=attempt, maximum=maximum):
                self._world.note(f"= reconnecting {attempt}/{maximum}")
                if attempt > maximum:
                    self.fail(f"connection attempt {attempt} of {maximum}")
                if self._failed_told:
                    self.fail("an attempt is announced after failure was")
            case ev.ReconnectionFailed(attempts=attempts, reason=reason):
                self._world.note(f"= failed after {attempts}: {reason}")
                if self._failed_told:
                    self.fail("failure is announced twice")
                self._failed_told = True
            case ev.ReconnectionSuccess(elapsed_s=elapsed_s):
                self._world.note(f"= reconnected after {elapsed_s:.1f} s")
                if self._registered is ev.RegistrationState.UNREGISTERED:
                    self.fail("reconnected without being registered")
                self.recovered.append(elapsed_s)
            case _:
                pass

    def _opening(self, effect: ev.OpenFlow) -> None:
        now = self._world.now
        self._opens.append(now)
        while self._opens[0] < now - 60.0:
            self._opens.popleft()
        if len(self._opens) > _OPENS_IN_A_MINUTE:
            self.fail(f"{len(self._opens)} connection attempts in a minute")
        self._world.note(f"> open {effect.flow}")
        least = 0.5 * self._settings.reconnection_delay
        if not (self._connected or self._probed or self._excused) and now - self._opened_at < least - _SLACK_S:
            self.fail(f"a connection attempt {now - self._opened_at:.3f} s after one that failed")
        self._opened_at = now
        self._connected = self._probed = False

    def _registering(self, attempt: int) -> None:
        """R1: the wait before the second and later attempts is the one announced, without jitter."""
        if attempt > 1 and self._refused_at is not None and not self._excused:
            waited = self._world.now - self._refused_at
            if waited < self._refused_wait_s - _SLACK_S:
                self.fail(f"registration attempt {attempt} after {waited:.3f} s instead of {self._refused_wait_s:.3f}")

    def _succeeded(self, *, refresh: bool) -> None:
        self._failed_told = False
        if not refresh:
            self.registered_at = self._world.now
        self._world.note(f"= registered{' (refresh)' if refresh else ''}")

    # --- the end -----------------------------------------------------------------------------------------------

    def settled(self, *, state: ev.RegistrationState, reachable: bool, rung: int | None) -> None:
        """After the last fault and the time allowed: everybody agrees that the phone can be called."""
        if state is not ev.RegistrationState.REGISTERED:
            self.fail(f"not registered in time but {state.value}")
        if self._registered is not state:
            self.fail(f"the user was told {self._registered.value}, the stack says {state.value}")
        if not reachable:
            self.fail("the PBX holds no binding that works")
        if rung != 486:
            self.fail(f"a call to the phone ended with {rung}")

    def ended(self, *, finished: bool, deadline: float | None, live: int) -> None:
        """Some time after a shutdown."""
        if not finished:
            self.fail("the shutdown did not finish")
        if deadline is not None or live:
            self.fail(f"left behind: a timer at {deadline}, {live} transactions")


Watch = Callable[[object], None]
