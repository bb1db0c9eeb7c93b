"""The invariants of a run (docs/resilience.md, section 4), checked while it goes and at its end.

Watcher.message  ── at most one REGISTER unanswered
Watcher.seen     ── never a retry sooner than allowed, no contradiction in what the user is told, flows: FlowWatch
Watcher.settled  ── registered, reachable, told so, calls alive
Watcher.ended    ── nothing left behind
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcore import events as ev
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from tests.sim.flow_watch import FlowWatch
from tests.sim.world import Connection, End, World

if TYPE_CHECKING:
    from typing import NoReturn

    from sipcore.config import Resilience

_SLACK_S = 0.001
_OPENS_IN_A_MINUTE = 40
_REJECTIONS = 6
_REJECTIONS_S = 590.0
"""Three attempts, each with a fresh nonce; some go out with one of before, and are lost with their connection."""

_EXCUSE_S = 1.0
"""News of the network come in bursts."""


class Violation(AssertionError):
    """An invariant does not hold."""


class Watcher:
    """Watches one phone; raises Violation where something is wrong."""

    def __init__(self, world: World, settings: Resilience) -> None:
        self._world = world
        self._settings = settings
        self._unanswered: dict[str, tuple[int, Connection]] = {}
        """The REGISTER under way of each binding, by its reg-id."""

        self._highest = 0
        self.two_flows = False
        """Whether there may be a second flow, which goes its own way and is no news."""

        self.flows = FlowWatch(world, self.fail)
        self._opened_at = 0.0
        self._connected = self._probed = False
        self._excused_until = 0.0
        self._opens: deque[float] = deque()
        self._refused_at: float | None = None
        self._refused_wait_s = 0.0
        self._not_before: dict[str, float] = {}
        self._excuses: list[float] = []
        self._retry_after = False
        """Whether the last refusal came with it."""

        self._refused_status = 0
        self._bound_at = 0.0
        self.online: Callable[[], bool] = lambda: True
        """Whether the phone was told that the network is up."""

        self._failed_told = False
        self._registered = ev.RegistrationState.UNREGISTERED
        self.registered_at: float | None = None
        self.recovered: list[float] = []

    def fail(self, text: str) -> NoReturn:
        """Raise."""
        raise Violation(f"at {self._world.now - 1000.0:.3f}: {text}")

    def excuse(self) -> None:
        """Something happened that allows an attempt at once: the network, a sleep, the user."""
        self._excused_until = self._world.now + _EXCUSE_S
        self._excuses.append(self._world.now)
        self._failed_told = False
        self._not_before.clear()

    def crashed(self) -> None:
        """The process is gone, and with it what it had in flight and what it had told."""
        self._failed_told = False
        self.flows.forget()
        self._registered = ev.RegistrationState.UNREGISTERED
        self._refused_at = None
        self._not_before.clear()
        self._connected = True

    @property
    def _excused(self) -> bool:
        return self._world.now <= self._excused_until

    # --- messages ----------------------------------------------------------------------------------------------

    def message(self, connection: Connection, end: End, data: bytes) -> None:
        """Every message the phone sends or gets."""
        if b" REGISTER\r\n" not in data:
            return
        message = parse_message(data)
        number = message.cseq.number
        if isinstance(message, Request) and end is End.PHONE:
            self._sent(message, number, connection)
        elif not isinstance(message, Request) and message.is_final:
            self._answered(message, number)
            if message.status == 200:
                self.flows.registered(connection.flow)

    def _sent(self, register: Request, number: int, connection: Connection) -> None:
        reg_id = register.contacts[0].param("reg-id") or ""
        before, other = self._unanswered.get(reg_id, (0, connection))
        if before and other.is_open[End.PHONE]:
            self.fail(f"REGISTER {number} while {before} is unanswered")
        if number <= self._highest:
            self.fail(f"REGISTER {number} does not count up")
        self._highest = number
        self._unanswered[reg_id] = (number, connection)
        self.flows.registering(connection.flow, removal=register.contacts[0].param("expires") == "0")
        self._world.note(f"> REGISTER {number} {reg_id}")
        not_before = self._not_before.get(reg_id, 0.0)
        if self._world.now < not_before - _SLACK_S and not self._excused:
            self.fail(f"REGISTER {number} {not_before - self._world.now:.1f} s before Retry-After is over")

    def _answered(self, response: Response, number: int) -> None:
        reg_id = next((name for name, (sent, _) in self._unanswered.items() if sent == number), "")
        if self._unanswered.get(reg_id, (0, None))[0] == number:
            del self._unanswered[reg_id]
        self._world.note(f"< {response.status} REGISTER {number}")
        retry_after = response.headers.get("Retry-After")
        self._retry_after = retry_after is not None
        if retry_after is not None:
            self._not_before[reg_id] = self._world.now + float(retry_after)

    # --- effects and events ------------------------------------------------------------------------------------

    def seen(self, thing: object) -> None:
        """Every effect and every event."""
        self.flows.seen(thing)
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
            case ev.RegistrationRefused(attempt=attempt, status=status, reason=reason):
                self._world.note(f"= refused {status}, attempt {attempt}")
                self._refused_at = self._world.now
                self._refused_status = 0 if reason.startswith("no answer") else status
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
                if self._bound_at != self._world.now:
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
        if not self.online():
            self.fail("a connection attempt while the network is down")
        least = 0.5 * self._settings.reconnection_delay
        free = self._connected or self._probed or self._excused or self.two_flows
        if not free and now - self._opened_at < least - _SLACK_S:
            self.fail(f"a connection attempt {now - self._opened_at:.3f} s after one that failed")
        self._opened_at = now
        self._connected = self._probed = False

    def _registering(self, attempt: int) -> None:
        """R1: the wait before the second and later attempts is that of the series and announced, without jitter."""
        if attempt > 1 and self._refused_at is not None and not self._excused:
            waited, wait_s = self._world.now - self._refused_at, self._refused_wait_s
            if self._refused_status and not self._retry_after:
                wait_s = max(wait_s, self._settings.register_delay * 2 ** (attempt - 2))
            if waited < wait_s - _SLACK_S:
                self.fail(f"registration attempt {attempt} after {waited:.3f} s instead of {wait_s:.3f}")

    def _succeeded(self, *, refresh: bool) -> None:
        self._failed_told = False
        self._bound_at = self._world.now
        if not refresh:
            self.registered_at = self._world.now
        self._world.note(f"= registered{' (refresh)' if refresh else ''}")

    # --- the end -----------------------------------------------------------------------------------------------

    def pbx_saw(self, *, lapsed: list[float], wrong: list[float]) -> None:
        """What the PBX has to say: bindings nobody tried to refresh in time, and wrong credentials."""
        for at in lapsed:
            if not self._excused_between(at - _REJECTIONS_S, at):
                self.fail(f"nobody tried to refresh a binding before it ended, at {at - 1000.0:.3f}")
        since: list[float] = []
        for at in wrong:
            since = [other for other in since if at - other < _REJECTIONS_S and not self._excused_between(other, at)]
            since.append(at)
            if len(since) > _REJECTIONS:
                self.fail(f"{len(since)} wrong digests within {at - since[0]:.0f} s, from {since[0] - 1000.0:.3f}")

    def _excused_between(self, start: float, end: float) -> bool:
        return any(start <= excuse <= end for excuse in self._excuses)

    def settled(self, *, state: ev.RegistrationState, reachable: bool) -> None:
        """After the last fault and the time allowed: everybody agrees that the phone can be called."""
        if state is not ev.RegistrationState.REGISTERED:
            self.fail(f"not registered in time but {state.value}")
        if self._registered is not state:
            self.fail(f"the user was told {self._registered.value}, the stack says {state.value}")
        if not reachable:
            self.fail("the PBX holds no binding that works")

    def rung(self, status: int | None) -> None:
        """What became of a call to the phone, which refuses it."""
        if status != 486:
            self.fail(f"a call to the phone ended with {status}")

    def ended(self, *, finished: bool, deadline: float | None, live: int) -> None:
        """Some time after a shutdown."""
        if not finished:
            self.fail("the shutdown did not finish")
        if deadline is not None or live:
            self.fail(f"left behind: a timer at {deadline}, {live} transactions")


Watch = Callable[[object], None]
