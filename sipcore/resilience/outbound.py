"""Two flows that serve as one (RFC 5626): one leads, and where the registrar confirms outbound another stands by.

    verbs, transactions, time ──▶ ┌─ lead:    Lifeline ─┐ ──▶ everything it does and says
                                  └─ standby: Lifeline ─┘ ──▶ what it does; what it says concerns nobody

    lead lost, standby registered ──▶ they change places: SignallingMoved in place of the story of a loss
    lead lost, standby not        ──▶ the standby ends, and the lead recovers as a lone flow does
    either lost                   ──▶ the other is asked for a sign of life at once: a network takes both with it

Without ``Require: outbound`` there is no standby, and all of this is the lead. Sans-I/O.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from sipcore.errors import Phrase
from sipcore.events import (
    Effect,
    FlowId,
    KeepAliveStarted,
    KeepAliveStopped,
    ReconnectionAttempting,
    ReconnectionFailed,
    Registered,
    RegistrationAttempt,
    RegistrationChanged,
    RegistrationRefused,
    RegistrationState,
    RetryScheduled,
    TransportChanged,
    Unregistered,
)
from sipcore.resilience import flow_table, policy
from sipcore.resilience.lifeline import Lifeline, Output
from sipcore.resilience.signalling import (
    RetryStatus,
    SignallingDown,
    SignallingMoved,
    SignallingReady,
    StandbyDown,
    StandbyReady,
)

if TYPE_CHECKING:
    from sipcore.auth.authenticator import Authenticator
    from sipcore.auth.credentials import Credentials
    from sipcore.config import Account, Resilience, ServerAddress
    from sipcore.ids import IdSource
    from sipcore.resilience.registrar import BindingSnapshot
    from sipcore.resilience.vitals import Outcome
    from sipcore.transaction.layer import TransactionLayer

_log = logging.getLogger(__name__)

OutboundOutput = Output | SignallingMoved | StandbyReady | StandbyDown

_STORY = (
    KeepAliveStarted
    | KeepAliveStopped
    | ReconnectionAttempting
    | ReconnectionFailed
    | Registered
    | RegistrationAttempt
    | RegistrationChanged
    | RegistrationRefused
    | RetryScheduled
    | SignallingDown
    | SignallingReady
    | TransportChanged
    | Unregistered
)
"""What tells of a loss and the way back: untrue of a phone that another flow serves."""


class Outbound:
    """One per account. ``lead`` serves the user; ``standby`` is made once it is wanted."""

    def __init__(
        self,
        account: Account,
        settings: Resilience,
        ids: IdSource,
        layer: TransactionLayer,
        authenticator: Authenticator,
    ) -> None:
        self._make = partial(Lifeline, account, settings, ids, layer, authenticator)
        self._layer = layer
        self._ids = ids
        self.lead = self._first = self._make()
        self.standby: Lifeline | None = None
        self._settings = settings
        self._not_before = 0.0
        """No second flow is begun until then: it was refused, or there is no server for it."""

        self._all_lost = False
        """Whether the server was lost by every flow, as it may have been by every phone."""

    @property
    def _flows(self) -> tuple[Lifeline, ...]:
        return (self.lead,) if self.standby is None else (self.lead, self.standby)

    def _of(self, flow: FlowId) -> Lifeline:
        return next((line for line in self._flows if line.flow.flow == flow), self.lead)

    # --- another process's binding -----------------------------------------------------------------------------

    def snapshot(self) -> BindingSnapshot:
        """What is to be kept: of both bindings, since they have all of it in common but a name of the second's own."""
        return self._first.snapshot()

    def restore(self, kept: BindingSnapshot) -> None:
        """Go on with the bindings of another process, before the first :meth:`register`; raises ParseError."""
        self._first.restore(kept)

    # --- verbs -------------------------------------------------------------------------------------------------

    def register(self, now: float, *, attempts: int | None = None, delay_s: float | None = None) -> None:
        """Connect and register now, in a new series of attempts."""
        self._not_before = 0.0
        self.lead.register(now, attempts=attempts, delay_s=delay_s)
        standby = self.standby
        if standby is not None and standby.registration.wanted and not standby.flow.is_open:
            standby.register(now)

    def unregister(self, now: float) -> None:
        """Remove our bindings and, unless a call needs it, close the flows."""
        for line in self._flows:
            line.unregister(now)

    def set_credentials(self, credentials: Credentials, now: float) -> None:
        """Use another name or password, which all flows share; the lead finds out whether they are right."""
        self._not_before = 0.0
        self.lead.set_credentials(credentials, now)

    def network_changed(self, online: bool, now: float, *, source_address: str | None = None) -> None:
        """The local network changed; ``source_address`` is that of the lead, and of a standby that shares it."""
        lead, standby = self.lead, self.standby
        if standby is not None:
            shared = standby.local_address[0] == lead.local_address[0]
            standby.network_changed(online, now, source_address=source_address if shared else None)
        lead.network_changed(online, now, source_address=source_address)

    def resumed(self, gap_s: float, now: float) -> None:
        """The machine slept for ``gap_s``."""
        for line in self._flows:
            line.resumed(gap_s, now)

    def calls_up(self, urgent: bool, now: float, *, needed: bool) -> None:
        """Whether a call is up, and whether calls still need a flow."""
        self.lead.calls_up(urgent, now, needed=needed)

    # --- results of effects ------------------------------------------------------------------------------------

    def flow_opened(self, flow: FlowId, local_address: tuple[str, int], now: float) -> None:
        """Answer to OpenFlow."""
        self._of(flow).flow_opened(flow, local_address, now)

    def flow_failed(self, flow: FlowId, reason: str, now: float) -> None:
        """Answer to OpenFlow; ``reason`` is one sentence."""
        self._of(flow).flow_failed(flow, reason, now)

    def flow_closed(self, flow: FlowId, reason: str, now: float) -> None:
        """The connection ended without us."""
        self._of(flow).flow_closed(flow, reason, now)

    def flow_broken(self, flow: FlowId, reason: str, now: float) -> None:
        """The flow's bytes make no sense any more."""
        self._of(flow).flow_broken(flow, reason, now)

    def probe_result(self, server: ServerAddress, ok: bool, now: float) -> None:
        """Answer to ProbeServer, which the lead alone asks for."""
        self.lead.probe_result(server, ok, now)

    def life(self, flow: FlowId, now: float, *, pong: bool = False, sip: bool = False) -> None:
        """Bytes came in on ``flow``."""
        self._of(flow).life(flow, now, pong=pong, sip=sip)

    # --- transactions and time ---------------------------------------------------------------------------------

    def on_outcome(self, event: Outcome, now: float) -> bool:
        """Take what the transaction layer reports; False if the transaction is none of ours."""
        return any(line.on_outcome(event, now) for line in self._flows)

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        times = [at for line in self._flows if (at := line.next_timeout()) is not None]
        if self._begin_at and self._wanted and self._is_idle:
            times.append(self._begin_at)
        return min(times, default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        for line in self._flows:
            line.handle_timeout(now)

    def outputs(self, now: float) -> list[OutboundOutput]:
        """Drain what is to be done and said, in order."""
        if self.lead.flow.is_open and not self.lead.may_call and self._heir is not None:
            # Its binding ran out, so the flow is of no use to the far end either.
            self.lead.flow_broken(self.lead.flow.flow, Phrase("the registration expired"), now)
        said: list[OutboundOutput] = [*self.lead.outputs()]
        lost = next((output.flow for output in said if isinstance(output, SignallingDown)), None)
        if lost is not None and (heir := self._heir) is not None and heir.named is not None:
            said = [output for output in said if not isinstance(output, _STORY)]
            self._take_over(heir, now)
            flow = heir.flow
            _log.info("flow %d is lost, going on over flow %d to %s", lost, flow.flow, flow.server)
            said.append(SignallingMoved(lost, flow.flow, heir.named, flow.server.secure))
            said.append(TransportChanged(flow.shown, flow.server))
        elif lost is not None:
            self._all_lost = self.lead.flow.online and self.lead.registration.wanted
        self._tend(now)
        if self.standby is not None:
            quiet = [kept for output in self.standby.outputs() if (kept := _of_standby(output)) is not None]
            if self.lead.flow.is_open and any(isinstance(output, StandbyDown) for output in quiet):
                self._standby_lost(self.standby, now)
            said += quiet
        return said

    # --- the two of them ---------------------------------------------------------------------------------------

    @property
    def _wanted(self) -> bool:
        """Whether there should be a second flow."""
        lead = self.lead
        registered = lead.registration.wanted and lead.registration.shown is RegistrationState.REGISTERED
        return lead.outbound and lead.may_call and registered

    @property
    def _is_idle(self) -> bool:
        return self.standby is None or self.standby.at_rest

    @property
    def _begin_at(self) -> float:
        told = 0.0 if self.standby is None else self.standby.registration.not_before
        return max(self._not_before, told)

    @property
    def _heir(self) -> Lifeline | None:
        """Who takes over from the lead, where its loss was no wish of the user and another flow is registered."""
        standby, registration = self.standby, self.lead.registration
        if standby is None or not (standby.registration.wanted and standby.may_call and standby.outbound):
            return None
        return standby if registration.wanted and not registration.judged else None

    def _take_over(self, heir: Lifeline, now: float) -> None:
        """Let the two change places."""
        dead, self.lead = self.lead, heir
        self.standby = dead
        heir.serve(standby=False)
        heir.flow.taken = None
        dead.serve(standby=True)
        dead.calls_up(urgent=False, now=now, needed=False)
        dead.flow.taken = heir.flow.server
        self._keep_apart(dead, now)
        self._layer.flow_takes_over(heir.flow.flow)
        heir.verify(now)

    def _standby_lost(self, standby: Lifeline, now: float) -> None:
        """What it had under way goes on over the lead's flow, unless what took the one took both."""
        self._layer.flow_takes_over(self.lead.flow.flow)
        if standby.registration.wanted:
            _log.info("the second flow is lost: asking whether flow %d lives", self.lead.flow.flow)
            self.lead.verify(now)

    def _keep_apart(self, standby: Lifeline, now: float) -> None:
        """Two flows to one server fall together: what is on its way to the lead's waits for another one."""
        flow, server = standby.flow, self.lead.flow.server
        free_at = flow.free_at(server)
        if free_at is not None and flow.server == server and flow.state is flow_table.State.CONNECTING:
            self._end(now, until=max(free_at, now + policy.outbound_wait_s(0, self._ids)))

    def _tend(self, now: float) -> None:
        """Begin the second flow, or end it."""
        standby = self.standby
        if not self._wanted:
            self._end(now)
        elif standby is not None and (standby.registration.judged or (standby.may_call and not standby.outbound)):
            # Refused; or bound as any other Contact, and the phone would be rung twice.
            self._end(now, until=now + policy.OUTBOUND_MAX_S)
        elif self._is_idle and self._all_lost:
            self._all_lost = False
            self._not_before = max(self._not_before, now + policy.second_flow_wait_s(self._settings, self._ids))
        elif self._is_idle and now >= self._begin_at:
            self._begin(now)

    def _end(self, now: float, *, until: float = 0.0) -> None:
        self._not_before = max(self._not_before, until)
        standby = self.standby
        if standby is None or not standby.registration.wanted:
            return
        if standby.registration.judged or self.lead.registration.judged:
            standby.leave(now)  # with what was refused, not even a binding can be removed
        else:
            standby.unregister(now)

    def _begin(self, now: float) -> None:
        standby = self.standby or self._make(self._first)
        self.standby = standby
        standby.serve(standby=True)
        standby.flow.taken = self.lead.flow.server
        self._not_before = 0.0
        _log.info("outbound is confirmed: forming a second flow")
        standby.register(now)

    # --- for calls and status displays -------------------------------------------------------------------------

    @property
    def may_call(self) -> bool:
        """Whether requests can be sent by somebody registered."""
        return self.lead.may_call

    @property
    def at_rest(self) -> bool:
        """Whether nothing is open, in flight or planned."""
        return all(line.at_rest for line in self._flows)

    def server_of(self, flow: FlowId) -> ServerAddress | None:
        """The far end of a flow that is open or being opened; None for any other."""
        found = [line.flow.server for line in self._flows if flow and line.flow.flow == flow]
        return found[0] if found else None

    def carries(self, flow: FlowId) -> bool:
        """Whether messages come by ``flow``."""
        return any(line.flow.flow == flow and line.flow.is_open for line in self._flows)

    def retry_status(self, now: float) -> RetryStatus | None:
        """What is being retried, and when next; None while nothing is."""
        flow, registration = self.lead.flow, self.lead.registration
        if flow.state is not flow_table.State.IDLE and not flow.is_open:
            return RetryStatus("transport", flow.attempt, flow.maximum, _until(flow.due_at, now))
        if registration.shown in (RegistrationState.REGISTERING, RegistrationState.FAILED):
            wait_s = _until(registration.due_at, now)
            return RetryStatus("registration", registration.attempt, registration.maximum, wait_s)
        return None


def _of_standby(output: Output) -> OutboundOutput | None:
    match output:
        case SignallingDown(flow=flow):
            return StandbyDown(flow)
        case SignallingReady(flow=flow, contact=contact, secure=secure):
            _log.info("the second flow is registered: flow %d", flow)
            return StandbyReady(flow, contact, secure)
        case _:
            return output if isinstance(output, Effect) else None


def _until(due_at: float | None, now: float) -> float | None:
    return None if due_at is None else max(0.0, due_at - now)
