"""The transport supervisor: keeps one flow to one of the account's servers (promises R2, R5; RFC 5626 §4.5).

    verbs, time, results ──▶ table (flow_table.py) ──▶ OpenFlow CloseFlow ProbeServer | events | FlowUp FlowDown GaveUp

Sans-I/O. Each attempt is answered by :meth:`FlowSupervisor.opened` or :meth:`FlowSupervisor.failed`. The series of
attempts starts anew only once a registration succeeded on a flow (:meth:`FlowSupervisor.proven`), so a server that
accepts connections and then drops them is not hammered.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sipcore.errors import Phrase
from sipcore.events import (
    CloseFlow,
    FlowId,
    OpenFlow,
    ProbeServer,
    ReconnectionAttempting,
    RetryScheduled,
    TransportChanged,
    TransportState,
)
from sipcore.resilience import policy
from sipcore.resilience.flow_table import TRANSITIONS, Effect, Input, State
from sipcore.resilience.servers import ServerList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipcore.config import Resilience, ServerAddress
    from sipcore.ids import IdSource
    from sipcore.resilience.episode import Episode

_log = logging.getLogger(__name__)

_GUARD_GRACE_S = 1.0
_PROBE_TIMEOUT_S = 2.0
_RESTART_AFTER_S = 2.0
"""An attempt younger than this is not given up for a "retry now"."""


@dataclass(frozen=True, slots=True)
class FlowUp:
    """A flow is open: register on it."""

    flow: FlowId
    server: ServerAddress


@dataclass(frozen=True, slots=True)
class FlowDown:
    """The flow is gone, with everything in flight on it; ``proven`` if it had registered."""

    flow: FlowId
    reason: str
    proven: bool


@dataclass(frozen=True, slots=True)
class GaveUp:
    """R2's attempts are used up. Not said where failure has been announced already."""

    attempts: int
    reason: str


FlowOutput = (
    OpenFlow
    | CloseFlow
    | ProbeServer
    | TransportChanged
    | ReconnectionAttempting
    | RetryScheduled
    | FlowUp
    | FlowDown
    | GaveUp
)

_SHOWN = {
    State.IDLE: TransportState.DISCONNECTED,
    State.OFFLINE: TransportState.DISCONNECTED,
    State.WAITING: TransportState.CONNECTING,
    State.CONNECTING: TransportState.CONNECTING,
    State.OPEN: TransportState.CONNECTED,
    State.GAVE_UP: TransportState.DISCONNECTED,
}


class FlowSupervisor:
    """One per flow. ``urgent`` is set by the owner while a call is up; it shortens every wait."""

    def __init__(
        self,
        servers: tuple[ServerAddress, ...],
        settings: Resilience,
        ids: IdSource,
        episode: Episode,
        numbers: Iterator[FlowId] | None = None,
    ) -> None:
        """``numbers`` are those of the flows, from 1 unless they are shared with other supervisors."""
        self._settings = settings
        self._episode = episode
        self._ids = ids
        self._servers = ServerList(servers)
        self._state = State.IDLE
        self._outputs: list[FlowOutput] = []
        self.numbers = itertools.count(1) if numbers is None else numbers
        self.urgent = False
        self.standby = False
        """Whether another flow serves the user, so that this one has time and never gives up (RFC 5626 §4.5)."""

        self.taken: ServerAddress | None = None
        """The other flow's server, which is of use only where there is no further one."""

        self.online = True
        self.flow: FlowId = 0
        """The flow being opened or open; 0 where there is none."""
        self.server: ServerAddress = servers[0]
        self.attempt = 0
        """Number of the running or last attempt in this series."""
        self.due_at: float | None = None
        """When the next attempt starts by itself."""
        self._reason = ""
        self._proven = False
        self._ever_open = False
        self._told_reason = ""
        self._shown = TransportState.DISCONNECTED
        self._guard_at: float | None = None
        self._opened_at = 0.0
        self._series_since = 0.0
        self._probe_at: float | None = None
        self._probe_out_until = 0.0
        self._probe_times: deque[float] = deque(maxlen=policy.PROBES_PER_MINUTE)
        self._brought_forward = False
        self._lies = 0
        self._distrust_until = 0.0

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state is State.OPEN

    @property
    def quiet(self) -> bool:
        """Whether failure has been announced, so that attempts go on without a word."""
        return self._episode.failed

    @property
    def maximum(self) -> int:
        """How many attempts a series has."""
        return self._settings.max_reconnection_attempts

    @property
    def shown(self) -> TransportState:
        """The state as users see it."""
        return _SHOWN[self._state]

    # --- verbs -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Want a flow, and now: collapses every wait, forgets every grudge. No-op while one is open."""
        if self._state is State.CONNECTING and now - self._opened_at < _RESTART_AFTER_S:
            return  # it has only just begun
        self._servers.forgive()
        self._lies, self._distrust_until = 0, 0.0
        self._handle(Input.START if self.online else Input.START_OFFLINE, now)

    def stop(self, reason: str, now: float) -> None:
        """Want no flow any more."""
        self._reason = reason
        self._handle(Input.STOP, now)

    def link(self, online: bool, now: float) -> None:
        """The local link came up or went down; repeated news is ignored."""
        if online == self.online:
            return
        self.online = online
        if online:
            self._servers.forgive()
            self._handle(Input.LINK_UP, now)
        else:
            self._reason = Phrase("network offline")
            self._handle(Input.LINK_DOWN, now)

    def reform(self, reason: str, now: float, *, avoid_s: float = 0.0) -> None:
        """Close the open flow, on which nobody answers, and open another at once; the series goes on."""
        self._reason = reason
        if avoid_s > 0 or self.other_server(now):
            self._servers.failed(self.server, now, avoid_s=avoid_s)
        if not self._proven and self._used_up:
            self.dead(self.flow, reason, now)
        else:
            self._handle(Input.REFORM, now)

    def rehome(self, reason: str, now: float) -> None:
        """The local address changed: form the flow anew from the present one, afresh."""
        self._reason = reason
        self._servers.forgive()
        self._handle(Input.REHOME, now)

    def redirect(self, server: ServerAddress) -> None:
        """Prefer a server the registrar named (3xx), until it fails."""
        self._servers.prefer(server)

    def other_server(self, now: float) -> bool:
        """Whether failing over is possible at once."""
        return self._servers.other(self.server, now, taken=self.taken)

    def free_at(self, taken: ServerAddress) -> float | None:
        """When a server other than ``taken`` may be tried; None where there is none."""
        return self._servers.free_at(taken)

    def proven(self) -> None:
        """A registration succeeded on the open flow: the series is over and the server is trusted."""
        self._servers.succeeded(self.server)
        self._proven = True
        self.attempt, self._lies, self._distrust_until = 0, 0, 0.0

    # --- results -----------------------------------------------------------------------------------------------

    def opened(self, flow: FlowId, now: float) -> bool:
        """``flow`` is open; False where it is not the one awaited any more, and then it is to be closed."""
        if flow != self.flow or self._state is not State.CONNECTING:
            return False
        self._handle(Input.OPENED, now)
        return True

    def failed(self, flow: FlowId, reason: str, now: float) -> None:
        """``flow`` could not be opened; ``reason`` is one sentence."""
        if flow != self.flow or self._state is not State.CONNECTING:
            return
        self._reason = reason
        self._servers.failed(self.server, now)
        if self._brought_forward:
            self._lies += 1
            # A shallow probe is fooled by a proxy in front of a PBX that is down: the next ones look deeper at once.
            self._distrust_until = now + policy.distrust_s(self._lies - 1)
        _log.info("connection attempt %d failed: %s", self.attempt, reason)
        if not self.quiet and reason != self._told_reason:
            # Each reason is told once in a series, so that a banner can say why nothing happens.
            self._told_reason = reason
            self._shown = TransportState.DISCONNECTED
            self._outputs.append(TransportChanged(self._shown, self.server, reason))
        if self._used_up:
            self._handle(Input.FAILED_LAST, now)
        elif self.other_server(now):
            self._handle(Input.FAILED_ELSEWHERE, now)
        else:
            self._handle(Input.FAILED, now)

    def closed(self, flow: FlowId, reason: str, now: float) -> None:
        """The open ``flow`` broke or was found dead. An effect closing it is not needed."""
        if flow != self.flow:
            return
        if self._state is State.CONNECTING:
            self.failed(flow, reason, now)
        elif self._state is State.OPEN:
            self._reason = reason
            if self._proven:
                self._handle(Input.LOST, now)
            else:
                self._servers.failed(self.server, now)
                self._handle(Input.LOST_LAST if self._used_up else Input.LOST_UNPROVEN, now)

    def dead(self, flow: FlowId, reason: str, now: float) -> None:
        """The open ``flow`` gives no sign of life: hang up on our side, then as :meth:`closed`."""
        if flow == self.flow and self._state is State.OPEN:
            self._outputs.append(CloseFlow(flow, reason))
            self.closed(flow, reason, now)

    def probe_result(self, server: ServerAddress, ok: bool, now: float) -> None:
        """What a ProbeServer found. A success brings the next attempt forward (resilience.md 3.13)."""
        self._probe_out_until = 0.0
        if not ok or self._state not in (State.WAITING, State.GAVE_UP) or now < self._distrust_until:
            return
        self._servers.reachable(server)
        if self._probe_at is None:
            return  # the attempt is near already
        self._brought_forward = True
        self._handle(Input.REACHABLE, now)

    # --- time --------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        return min((at for at in (self.due_at, self._guard_at, self._probe_at) if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._guard_at is not None and now >= self._guard_at:
            self._guard_at = None
            self._outputs.append(CloseFlow(self.flow, "connection timeout"))
            self.failed(self.flow, Phrase("no connection in time"), now)
        if self.due_at is not None and now >= self.due_at:
            self.due_at = None
            self._handle(Input.DUE, now)
        if self._probe_at is not None and now >= self._probe_at:
            self._probe(now)

    def resumed(self, gap_s: float) -> None:
        """The machine slept: put every deadline off by the gap."""
        self.due_at = None if self.due_at is None else self.due_at + gap_s
        self._guard_at = None if self._guard_at is None else self._guard_at + gap_s
        self._probe_at = None if self._probe_at is None else self._probe_at + gap_s
        self._series_since += gap_s

    def drain(self) -> list[FlowOutput]:
        """Everything to be done and said since the last drain, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # --- inside ------------------------------------------------------------------------------------------------

    @property
    def _used_up(self) -> bool:
        return not self.standby and (self.quiet or self.attempt >= self._settings.max_reconnection_attempts)

    def _handle(self, event: Input, now: float) -> None:
        transition = TRANSITIONS.get((self._state, event))
        if transition is None:
            return
        self._state, effects = transition
        for effect in effects:
            self._carry_out(effect, now)
        if self._state is not State.CONNECTING:
            self._guard_at = None
        self._show()

    def _carry_out(self, effect: Effect, now: float) -> None:
        match effect:
            case Effect.OPEN:
                self._open(now)
            case Effect.CLOSE:
                self._outputs.append(CloseFlow(self.flow, self._reason))
            case Effect.RESET:
                self.attempt, self._brought_forward = 0, False
                self._told_reason = ""
                self._series_since = now
            case Effect.SAY_UP:
                self._ever_open, self._proven = True, False
                _log.info("transport connected to %s", self.server)
                self._show()
                self._outputs.append(FlowUp(self.flow, self.server))
            case Effect.SAY_DOWN:
                _log.info("transport disconnected: %s", self._reason)
                self._outputs.append(FlowDown(self.flow, self._reason, self._proven))
                self._shown = TransportState.DISCONNECTED
                self._outputs.append(TransportChanged(self._shown, self.server, self._reason))
            case Effect.ARM_SPREAD:
                self._arm(policy.fleet_wait_s(self._settings, self._ids, urgent=self.urgent), now, probing=False)
            case Effect.ARM_GAP:
                self._arm(self._gap_s(), now, probing=not self.standby)
            case Effect.ARM_SLOW:
                self._arm(policy.background_wait_s(self._settings, self._ids, urgent=self.urgent), now, probing=True)
            case Effect.DISARM:
                self.due_at = self._probe_at = None
            case Effect.SAY_GAVE_UP:
                self._give_up()
            case _:
                assert_never(effect)

    def _gap_s(self) -> float:
        if self.standby:
            return policy.outbound_wait_s(self.attempt, self._ids)
        return policy.reconnection_gap_s(self.attempt, self._settings, self._ids, urgent=self.urgent)

    def _open(self, now: float) -> None:
        self.attempt += 1
        self.flow = next(self.numbers)
        self.server = self._servers.best(now, taken=self.taken)
        self._opened_at = now
        self._guard_at = now + self._settings.connection_timeout + _GUARD_GRACE_S
        maximum = self._settings.max_reconnection_attempts
        if not self.quiet and (self._ever_open or self.attempt > 1):
            _log.info("Reconnection attempt %d/%d", self.attempt, maximum)
            self._outputs.append(ReconnectionAttempting(self.attempt, maximum))
        self._outputs.append(OpenFlow(self.flow, self.server, self._settings.connection_timeout))

    def _arm(self, wait_s: float | None, now: float, *, probing: bool) -> None:
        self._probe_at = None
        if wait_s is None:
            self.due_at = None
            return  # no background retry: only a verb or the link starts another attempt
        if probing:
            self._brought_forward = False
            self._schedule_probe(now)
        self.due_at = now + wait_s
        # Nobody is promised a background attempt: after the last of the series comes the failure, and no "11 of 10".
        if self._state is not State.GAVE_UP and not self.quiet and wait_s > 0:
            maximum = self._settings.max_reconnection_attempts
            self._outputs.append(RetryScheduled("transport", self.attempt + 1, maximum, wait_s, self._reason))

    def _give_up(self) -> None:
        if not self.quiet:
            self._outputs.append(GaveUp(self.attempt, self._reason))

    def _schedule_probe(self, now: float) -> None:
        wait = policy.probe_wait_s(now - self._series_since, self._settings, self._ids)
        self._probe_at = None if wait is None else now + wait

    def _probe(self, now: float) -> None:
        self._schedule_probe(now)
        budget = len(self._probe_times) < policy.PROBES_PER_MINUTE or self._probe_times[0] <= now - 60.0
        if not budget or now < self._probe_out_until or now < self._distrust_until:
            return
        server = self._servers.next_to_probe()
        if server is None:
            self._probe_at = None
            return
        self._probe_times.append(now)
        self._probe_out_until = now + _PROBE_TIMEOUT_S
        self._outputs.append(ProbeServer(server, _PROBE_TIMEOUT_S, deep=self._lies > 0))

    def _show(self) -> None:
        shown = _SHOWN[self._state]
        if shown is not self._shown:
            self._shown = shown
            reason = self._reason if shown is TransportState.DISCONNECTED else ""
            self._outputs.append(TransportChanged(shown, self.server, reason))
