"""What keeps an account reachable by one flow: the two supervisors, the signs of life and the story told of them.

                 ┌─ FlowSupervisor ── FlowUp FlowDown ──┐
    verbs ──────▶│   Vitals (pings, OPTIONS)            ├──▶ outputs: effects, events,
    transactions │                                      │    SignallingReady and SignallingDown for the calls
    time ───────▶└─ RegistrationSupervisor ── Registrar ┘

Sans-I/O. After each call, drain :meth:`Lifeline.outputs`; requests go through the transaction layer given.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from sipcore.errors import Phrase
from sipcore.events import (
    CloseFlow,
    Effect,
    Event,
    FlowId,
    LocalAddressChanged,
    NetworkOffline,
    NetworkOnline,
    OpenFlow,
    ProbeServer,
    ReconnectionAttempting,
    Registered,
    RegistrationAttempt,
    RegistrationChanged,
    RegistrationRefused,
    RetryScheduled,
    TransportChanged,
    Unregistered,
)
from sipcore.ids import is_invalid_host
from sipcore.message.message import Request
from sipcore.resilience import flow as flow_machine
from sipcore.resilience import flow_table, registration_table
from sipcore.resilience.episode import Episode
from sipcore.resilience.flow import FlowDown, FlowSupervisor, FlowUp, GaveUp
from sipcore.resilience.naming import named_in_dialogs, names_on, redirected
from sipcore.resilience.refresh import NonceKeeper
from sipcore.resilience.registrar import Accepted, Refused, Registrar
from sipcore.resilience.registration import RegistrationSupervisor
from sipcore.resilience.registration_outputs import (
    ParkFlow,
    ReformFlow,
    RegistrationGaveUp,
    RegistrationOutput,
    SendRegister,
    WantFlow,
)
from sipcore.resilience.signalling import SignallingDown, SignallingReady
from sipcore.resilience.vitals import Outcome, Vitals
from sipcore.transaction.events import (
    ResponseReceived,
    TransactionId,
    TransactionTimedOut,
    TransactionTransportFailed,
    ViaTemplate,
)

if TYPE_CHECKING:
    from sipcore.auth.authenticator import Authenticator
    from sipcore.auth.credentials import Credentials
    from sipcore.config import Account, Resilience, ServerAddress
    from sipcore.ids import IdSource
    from sipcore.message.uri import Uri
    from sipcore.resilience.registrar import BindingSnapshot
    from sipcore.transaction.layer import TransactionLayer

_log = logging.getLogger(__name__)

Output = Effect | Event | SignallingReady | SignallingDown


class Lifeline:
    """One per flow. ``first`` is that of the other flow, where this is the second (RFC 5626)."""

    def __init__(
        self,
        account: Account,
        settings: Resilience,
        ids: IdSource,
        layer: TransactionLayer,
        authenticator: Authenticator,
        first: Lifeline | None = None,
    ) -> None:
        self._account = account
        self._outbound_wanted = settings.outbound
        self._layer = layer
        self._authenticator = authenticator
        self._episode = Episode()
        numbers = None if first is None else first.flow.numbers
        self.flow: FlowSupervisor = FlowSupervisor(account.servers, settings, ids, self._episode, numbers)
        self.registration = RegistrationSupervisor(settings, ids)
        self._registrar: Registrar = Registrar(
            account, ids, authenticator, first=None if first is None else first._registrar
        )
        self._nonces = NonceKeeper(authenticator)
        self._vitals = Vitals(account, settings, ids, layer)
        self._outputs: list[Output] = []
        self._invalid_host = ids.invalid_host()
        self.local_address: tuple[str, int] = ("", 0)
        """Of the open flow."""
        self.home = ""
        """Our address towards the server, as far as we know; empty before the first flow."""
        self.contact: Uri | None = None
        """What is registered for the open flow, or was for the last one."""
        self.named: Uri | None = None
        """Where dialogs reach us by it."""
        self.outbound = False
        """Whether the registrar confirmed RFC 5626 when it accepted us last."""
        self._ready = False
        self._register: TransactionId | None = None
        self._register_timeout_s = 0.0
        self._needed = False

    # --- another process's binding -----------------------------------------------------------------------------

    def snapshot(self) -> BindingSnapshot:
        """What is to be kept of the binding, before what is to be sent is sent."""
        return self._registrar.snapshot(self._invalid_host)

    def restore(self, kept: BindingSnapshot) -> None:
        """Go on with the binding of another process, before the first :meth:`register`; raises ParseError."""
        self._registrar.restore_untrusted(kept)
        if is_invalid_host(kept.contact_host):
            self._invalid_host = kept.contact_host

    # --- verbs -------------------------------------------------------------------------------------------------

    def serve(self, *, standby: bool) -> None:
        """Serve the user, or stand by while another flow does."""
        self.flow.standby = self.registration.standby = self._registrar.standby = standby

    def verify(self, now: float) -> None:
        """The open flow is in doubt: ask at once for a sign of life."""
        self._vitals.verify(now)
        self._settle(now)

    def register(self, now: float, *, attempts: int | None = None, delay_s: float | None = None) -> None:
        """Connect and register now, in a new series of attempts."""
        self._episode.renew()
        self._episode.begin(now, told=False)
        self.registration.start(now, attempts=attempts, delay_s=delay_s)
        self.flow.start(now)
        self._settle(now)

    def unregister(self, now: float) -> None:
        """Remove our binding and, unless a call needs it, close the flow."""
        self._episode.abandon()
        self.registration.stop(now)
        self._settle(now)

    def leave(self, now: float) -> None:
        """Close the flow without a word to the registrar: the binding ends with it."""
        self.flow.stop(Phrase("registration refused"), now)
        self.unregister(now)

    def set_credentials(self, credentials: Credentials, now: float) -> None:
        """Use another name or password; a registration that is wanted is tried with them at once."""
        self._authenticator.credentials = credentials
        if self.registration.wanted:
            self.register(now)

    def network_changed(self, online: bool, now: float, *, source_address: str | None = None) -> None:
        """The local network changed. ``source_address`` is what we would send from now, where it is known."""
        came, went = online and not self.flow.online, not online and self.flow.online
        if went:
            _log.info("Network connection lost")
            self._outputs.append(NetworkOffline())
        elif came:
            _log.info("Network connection restored")
            self._outputs.append(NetworkOnline())
            self._episode.renew()
            if self.flow.state is flow_table.State.OFFLINE:
                _log.info("Auto-reconnecting after network restoration")
        if online and source_address is not None:
            self._at_home(source_address)
        self.flow.link(online, now)
        if online and not came:
            self._rehome_or_verify(source_address, now)
        self._settle(now)

    def resumed(self, gap_s: float, now: float) -> None:
        """The machine slept for ``gap_s``: what is open is doubtful, what is waiting need not wait."""
        _log.info("resumed after %.0f s of sleep", gap_s)
        for part in (self.flow, self.registration, self._vitals):
            part.resumed(gap_s)
        if self.flow.is_open:
            self._vitals.verify(now)
        elif self.flow.state in (flow_table.State.WAITING, flow_table.State.GAVE_UP):
            self.flow.start(now)
        self._settle(now)

    def calls_up(self, urgent: bool, now: float, *, needed: bool) -> None:
        """Whether a call is up, which makes every reconnection urgent; whether calls still need the flow."""
        self.flow.urgent = urgent
        if needed != self._needed:
            self._needed = needed
            self._settle(now)

    @property
    def may_call(self) -> bool:
        """Whether requests can be sent by somebody registered."""
        return self.flow.is_open and self.registration.bound

    @property
    def at_rest(self) -> bool:
        """Whether nothing is open, in flight or planned."""
        resting = self.registration.state is registration_table.State.IDLE
        return resting and self.flow.state is flow_table.State.IDLE

    # --- results of effects ------------------------------------------------------------------------------------

    def flow_opened(self, flow: FlowId, local_address: tuple[str, int], now: float) -> None:
        """Answer to OpenFlow."""
        if flow == self.flow.flow:
            self.local_address = local_address
            self._at_home(local_address[0])
        if not self.flow.opened(flow, now):
            self._outputs.append(CloseFlow(flow, "not wanted any more"))
        self._settle(now)

    def flow_failed(self, flow: FlowId, reason: str, now: float) -> None:
        """Answer to OpenFlow; ``reason`` is one sentence."""
        self.flow.failed(flow, reason, now)
        self._settle(now)

    def flow_closed(self, flow: FlowId, reason: str, now: float) -> None:
        """The connection ended without us."""
        self.flow.closed(flow, reason, now)
        self._settle(now)

    def flow_broken(self, flow: FlowId, reason: str, now: float) -> None:
        """The flow's bytes make no sense any more."""
        self.flow.dead(flow, reason, now)
        self._settle(now)

    def probe_result(self, server: ServerAddress, ok: bool, now: float) -> None:
        """Answer to ProbeServer."""
        self.flow.probe_result(server, ok, now)
        self._settle(now)

    def life(self, flow: FlowId, now: float, *, pong: bool = False, sip: bool = False) -> None:
        """Bytes came in on ``flow``: a CRLF pong, a SIP message, or anything else."""
        if flow == self.flow.flow and self.flow.is_open:
            self._vitals.life(now, pong=pong, sip=sip)

    # --- transactions ------------------------------------------------------------------------------------------

    def on_outcome(self, event: Outcome, now: float) -> bool:
        """Take what the transaction layer reports; False if the transaction is none of ours."""
        if event.transaction == self._register:
            self._on_register(event, now)
        elif self._vitals.is_mine(event.transaction):
            self._on_options(event, now)
        else:
            return False
        self._settle(now)
        return True

    def _on_options(self, event: Outcome, now: float) -> None:
        if isinstance(event, ResponseReceived) and self._nonces.offered(event.response, now):
            self.registration.nonce_came(self._vitals.options_interval_s, now)
        self._died(self._vitals.on_outcome(event, now), now)

    def _on_register(self, event: Outcome, now: float) -> None:
        match event:
            case ResponseReceived(response=response):
                self._nonces.judged(response, now)
                result = self._registrar.on_response(response)
            case TransactionTimedOut():
                self._register = None
                self.registration.timed_out(self._register_timeout_s, now)
                return
            case TransactionTransportFailed():
                self._register = None  # the registration hears of it as flow_down
                return
            case _:
                assert_never(event)
        match result:
            case None:
                pass
            case Request():
                self._send_register(result, now)
            case Accepted():
                self._register = None
                self._take(result, now)
                self.registration.accepted(result.expires_s, now)
            case Refused():
                self._register = None
                self._refused(result, now)
            case _:
                assert_never(result)

    def _take(self, accepted: Accepted, now: float) -> None:
        self.outbound = accepted.outbound and self._outbound_wanted
        if self.contact is not None:
            self.named = named_in_dialogs(self.contact, accepted.pub_gruu) if self.outbound else self.contact
        self._vitals.promised(accepted.flow_timer_s, now)

    def _refused(self, refusal: Refused, now: float) -> None:
        if refusal.redirect is not None:
            self.flow.redirect(redirected(self.flow.server, refusal.redirect))
        self.registration.refused(refusal, now, elsewhere=self.flow.other_server(now))

    # --- time --------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        parts = (self.flow, self.registration, self._vitals)
        return min((at for part in parts if (at := part.next_timeout()) is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self._died(self._vitals.handle_timeout(now), now)
        self._settle(now)
        self.flow.handle_timeout(now)
        self._settle(now)
        self.registration.handle_timeout(now)
        self._settle(now)

    def outputs(self) -> list[Output]:
        """Drain what is to be done and said, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # --- inside ------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Let the two supervisors tell each other everything."""
        while True:
            for flow_output in (moved := self.flow.drain()):
                self._on_flow(flow_output, now)
            for output in (said := self.registration.drain()):
                self._on_registration(output, now)
            self._outputs += self._vitals.drain()
            if not moved and not said and not self._release_flow(now):
                return

    def _died(self, reason: str | None, now: float) -> None:
        if reason is not None:
            self.flow.dead(self.flow.flow, reason, now)

    def _on_flow(self, output: flow_machine.FlowOutput, now: float) -> None:
        match output:
            case FlowUp(flow=flow, server=server):
                self._flow_up(flow, server, now)
            case FlowDown(flow=flow, reason=reason, proven=proven):
                self._flow_down(flow, reason, proven, now)
            case GaveUp(attempts=attempts, reason=reason):
                self._fail(attempts, reason)
                self.registration.transport_gave_up(reason, now)
            case ReconnectionAttempting():
                self._episode.begin(now, told=True)
                self._episode.attempt()
                self._outputs.append(output)
            case TransportChanged() | RetryScheduled() | OpenFlow() | CloseFlow() | ProbeServer():
                self._outputs.append(output)
            case _:
                assert_never(output)

    def _flow_up(self, flow: FlowId, server: ServerAddress, now: float) -> None:
        sent_by, contact = names_on(server, self._account.username, self.local_address, self._invalid_host)
        self.contact = self.named = contact
        self._ready = False
        self._layer.flow_opened(flow, ViaTemplate(server.via_transport, sent_by))
        self._vitals.flow_up(flow, server, now)
        self.registration.flow_up(now, reliable=server.reliable, quiet=self.flow.quiet)

    def _flow_down(self, flow: FlowId, reason: str, proven: bool, now: float) -> None:
        self._register = None
        self._layer.flow_lost(flow, now)
        self._vitals.flow_down(now, remote=self.flow.online and self.registration.wanted)
        self._outputs += self._vitals.drain()
        if self.registration.wanted:
            self._episode.begin(now, told=False)
        self._outputs.append(SignallingDown(flow, reason))
        self.registration.flow_down(reason, now)

    def _on_registration(self, output: RegistrationOutput, now: float) -> None:
        match output:
            case SendRegister(timeout_s=timeout_s, removal=removal):
                self._register_timeout_s = timeout_s
                if self.contact is not None:
                    signed = self._nonces.worth_sending(now)
                    self._send_register(self._registrar.begin(self.contact, removal=removal, signed=signed), now)
            case WantFlow():
                if self.flow.state is flow_table.State.IDLE:
                    self.flow.start(now)
            case ReformFlow(reason=reason, avoid_s=avoid_s):
                self.flow.reform(reason, now, avoid_s=avoid_s)
            case ParkFlow():
                pass  # _release_flow looks at the state, also when the last call has ended
            case RegistrationGaveUp(attempts=attempts, reason=reason):
                self._fail(attempts, reason)
            case Registered():
                self._registered(output, now)
            case Unregistered():
                self._vitals.unregistered()
                self._outputs += self._vitals.drain()
                self._outputs.append(output)
            case RegistrationAttempt() | RegistrationRefused() | RegistrationChanged() | RetryScheduled():
                self._outputs.append(output)
            case _:
                assert_never(output)

    def _registered(self, event: Registered, now: float) -> None:
        self.flow.proven()
        self._outputs.append(event)
        self._vitals.registered(now)
        self._outputs += self._vitals.drain()
        if success := self._episode.success(now):
            self._outputs.append(success)
        if not self._ready and self.named is not None:
            self._ready = True
            self._outputs.append(SignallingReady(self.flow.flow, self.named, self.flow.server.secure))

    def _fail(self, attempts: int, reason: str) -> None:
        if failure := self._episode.failure(attempts, reason):
            self._outputs.append(failure)

    def _release_flow(self, now: float) -> bool:
        """Close a flow nobody needs: unregistered, or parked for long, and no call up. True if it did."""
        idle = self.registration.state is registration_table.State.IDLE
        if self.flow.state is flow_table.State.IDLE or not (idle or self.registration.parked):
            return False
        if self._needed and (self.flow.is_open or not idle):
            return False
        self.flow.stop(Phrase("unregistered") if idle else Phrase("registration refused"), now)
        return True

    def _at_home(self, address: str) -> None:
        """We send from ``address`` now; told where that is a change, or may be one for calls of another process."""
        before, self.home = self.home, address
        if before != address and (before or self._needed):
            self._outputs.append(LocalAddressChanged(address))

    def _rehome_or_verify(self, source_address: str | None, now: float) -> None:
        if self.flow.is_open and source_address in (None, self.local_address[0]):
            self._vitals.verify(now)
        elif source_address is not None:
            self._episode.renew()
            self.flow.rehome(Phrase("the local address changed"), now)

    def _send_register(self, request: Request, now: float) -> None:
        self._register = self._layer.request(request, self.flow.flow, now=now, timeout_s=self._register_timeout_s)
