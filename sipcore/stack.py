"""The SIP core of one account: everything below composed behind the sans-I/O contract.

    receive ─▶ parser ─▶ TransactionLayer ─┬▶ Outbound (flows, registration, keep-alive) ┐
    verbs ─────────────────────────────────┼▶ Calls (dialogs, sessions) ─────────────────┼▶ effects(), events()
    handle_timeout ────────────────────────┘                                             │
                                             MessageLog ◀── every message, redacted ─────┘

After each call that takes ``now``, drain :meth:`Stack.effects` and :meth:`Stack.events`, and ask
:meth:`Stack.next_timeout`. Bytes from the network raise nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sipcore.auth.authenticator import Authenticator
from sipcore.dialog.calls import Calls
from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import (
    CallId,
    CloseFlow,
    Effect,
    Event,
    FlowId,
    OpenFlow,
    PingFlow,
    ProbeServer,
    RegistrationState,
    Transmit,
    TransportState,
)
from sipcore.message.parse import Keepalive, MalformedMessage, StreamParser, parse_keepalive, parse_message
from sipcore.message.uri import NameAddr
from sipcore.resilience import signalling as sig
from sipcore.resilience.outbound import Outbound, OutboundOutput
from sipcore.trace import MessageLog, Way
from sipcore.transaction import events as tx
from sipcore.transaction.layer import TransactionLayer

if TYPE_CHECKING:
    from sipcore.auth.credentials import Credentials
    from sipcore.config import ServerAddress, StackConfig
    from sipcore.dialog.snapshot import CallSnapshot, CallsSnapshot, FarewellSnapshot
    from sipcore.ids import IdSource
    from sipcore.media import LocalMedia
    from sipcore.message.message import Message
    from sipcore.resilience.registrar import BindingSnapshot

_PONG = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSnapshot:
    """The account as the network knows it: plain text and numbers, no secret."""

    binding: BindingSnapshot
    calls: CallsSnapshot


class Stack:
    """One account's signalling."""

    def __init__(self, config: StackConfig, credentials: Credentials, ids: IdSource) -> None:
        self._ids = ids
        self._layer = TransactionLayer(ids)
        self._authenticator = Authenticator(credentials, ids)
        self._outbound = Outbound(config.account, config.resilience, ids, self._layer, self._authenticator)
        settings = CallSettings(media_timeout=config.resilience.media_timeout, codecs=config.codecs)
        self._calls = Calls(config.account, ids, self._layer, self._authenticator, settings)
        self._parsers: dict[FlowId, StreamParser] = {}
        self._effects: list[Effect] = []
        self._events: list[Event] = []
        self._shutting_down = False
        self.trace = MessageLog()
        """The last messages, redacted."""

    # --- registration ------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Connect, register, and stay registered."""
        self.register(now)

    def register(self, now: float, *, attempts: int | None = None, delay_s: float | None = None) -> None:
        """Register now, in a new series of attempts (R1); connects first where that is needed."""
        self._outbound.register(now, attempts=attempts, delay_s=delay_s)
        self._settle(now)

    def unregister(self, now: float) -> None:
        """Remove our binding and stay unregistered; the flow is closed unless a call needs it."""
        self._outbound.unregister(now)
        self._settle(now)

    def retry_now(self, now: float) -> None:
        """Do not wait for the next attempt; also after everything failed."""
        self.register(now)

    def set_credentials(self, credentials: Credentials, now: float) -> None:
        """Use another name or password from now on; tries at once unless unregistered."""
        self._outbound.set_credentials(credentials, now)
        self._settle(now)

    def network_changed(self, online: bool, now: float, *, source_address: str | None = None) -> None:
        """The local network changed; ``source_address`` is what we would send from now, where it is known."""
        self._outbound.network_changed(online, now, source_address=source_address)
        self._settle(now)

    def resumed(self, gap_s: float, now: float) -> None:
        """The machine slept for ``gap_s`` until ``now``; to be told before anything else happens."""
        self._layer.resumed(gap_s)
        self._calls.resumed(gap_s)
        self._outbound.resumed(gap_s, now)
        self._settle(now)

    def shutdown(self, now: float) -> None:
        """Hang up, un-register, disconnect. :attr:`finished` tells when it is done."""
        self._shutting_down = True
        for call in self._calls.live:
            try:
                self._calls.hang_up(call, now)
            except LocalProtocolError:
                pass  # it is ending already
        self._settle(now)
        self._outbound.unregister(now)
        self._settle(now)

    # --- calls -------------------------------------------------------------------------------------------------

    def dial(self, target: str, media: LocalMedia, now: float, *, fallback: bool = False) -> CallId:
        """Call ``target``; ``fallback``: OfferRefused asks for another offer. Must be registered."""
        if not self._outbound.may_call:
            raise LocalProtocolError(Phrase("not registered: no call can be made now"))
        try:
            return self._calls.dial(target, media, now, fallback=fallback)
        finally:
            self._settle(now)

    def offer_again(self, call: CallId, media: LocalMedia | None, now: float) -> None:
        """Answer OfferRefused; None: the refusal stands."""
        self._calls.offer_again(call, media, now)
        self._settle(now)

    def ring(self, call: CallId, now: float) -> None:
        """Tell the caller that the phone rings."""
        self._calls.ring(call, now)
        self._settle(now)

    def answer(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Accept an incoming call."""
        self._calls.answer(call, media, now)
        self._settle(now)

    def reject(self, call: CallId, status: int, reason: str, now: float) -> None:
        """Refuse an incoming call with a final response of 300 to 699; an empty ``reason`` is the usual phrase."""
        self._calls.reject(call, status, reason, now)
        self._settle(now)

    def hang_up(self, call: CallId, now: float) -> None:
        """End a call in whatever state it is; during an outage the BYE is sent afterwards."""
        self._calls.hang_up(call, now)
        self._settle(now)

    def hold(self, call: CallId, now: float) -> None:
        """Hold; HoldChanged or VerbFailed follows."""
        self._calls.hold(call, now)
        self._settle(now)

    def resume(self, call: CallId, now: float) -> None:
        """End our hold; HoldChanged or VerbFailed follows."""
        self._calls.resume(call, now)
        self._settle(now)

    def update_media(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Offer another address or key; MediaNegotiated or VerbFailed follows."""
        self._calls.update_media(call, media, now)
        self._settle(now)

    def move_media(self, call: CallId, media: LocalMedia, now: float) -> None:
        """Our sound moved to the address of ``media``; told once signalling is up. MediaNegotiated or VerbFailed."""
        self._calls.move_media(call, media, now)
        self._settle(now)

    def media_silent(self, call: CallId, silent_s: float | None, now: float) -> None:
        """Nothing has been heard of the far end for ``silent_s`` although it may speak; None: it is heard."""
        self._calls.media_silent(call, None if silent_s is None else now - silent_s)
        self._settle(now)

    def send_info_dtmf(self, call: CallId, digit: str, now: float, *, duration_ms: int = 160) -> None:
        """Send one digit by INFO, for peers without RFC 4733."""
        self._calls.send_info_dtmf(call, digit, now, duration_ms=duration_ms)
        self._settle(now)

    def transfer(self, call: CallId, target: str, now: float) -> None:
        """Blind transfer; TransferProgress or VerbFailed follows."""
        self._calls.transfer(call, target, now)
        self._settle(now)

    def attended_transfer(self, call: CallId, other: CallId, now: float) -> None:
        """Connect the two far ends with each other; TransferProgress or VerbFailed follows."""
        self._calls.attended_transfer(call, other, now)
        self._settle(now)

    # --- another process's account ---------------------------------------------------------------------------

    def snapshot(self) -> StackSnapshot:
        """What another process needs to go on with this account; to be kept before effects are carried out."""
        return StackSnapshot(binding=self._outbound.snapshot(), calls=self._calls.snapshot())

    def restore_binding(self, kept: BindingSnapshot) -> None:
        """Before :meth:`start`: refresh the binding of another process; raises ParseError."""
        self._outbound.restore(kept)

    def restore_call(self, kept: CallSnapshot, media: LocalMedia, now: float) -> None:
        """Go on with a call of another process; see :meth:`sipcore.dialog.calls.Calls.restore_call`."""
        try:
            self._calls.restore_call(kept, media, now)
        finally:
            self._settle(now)

    def restore_farewell(self, kept: FarewellSnapshot, now: float) -> None:
        """Say a BYE another process owed; raises ParseError."""
        self._calls.restore_farewell(kept, now)
        self._settle(now)

    # --- results of effects ------------------------------------------------------------------------------------

    def flow_opened(self, flow: FlowId, local_address: tuple[str, int], now: float) -> None:
        """OpenFlow succeeded; ``local_address`` is our end."""
        server = self._outbound.server_of(flow)
        if server is not None and server.scheme in ("tcp", "tls"):
            self._parsers[flow] = StreamParser()
        self._outbound.flow_opened(flow, local_address, now)
        lead = self._outbound.lead
        if lead.flow.flow == flow and lead.contact is not None:
            self._calls.reachable_at(NameAddr(uri=lead.contact))
        self._settle(now)

    def flow_failed(self, flow: FlowId, reason: str, now: float) -> None:
        """OpenFlow did not succeed; ``reason`` is one sentence for the user."""
        self._outbound.flow_failed(flow, reason, now)
        self._settle(now)

    def flow_closed(self, flow: FlowId, reason: str, now: float) -> None:
        """An open flow ended without a CloseFlow."""
        self._outbound.flow_closed(flow, reason, now)
        self._settle(now)

    def flow_pong(self, flow: FlowId, now: float) -> None:
        """A PingFlow was answered."""
        self._outbound.life(flow, now)

    def probe_result(self, server: ServerAddress, ok: bool, now: float) -> None:
        """What a ProbeServer found."""
        self._outbound.probe_result(server, ok, now)
        self._settle(now)

    # --- network and clock -------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: FlowId, now: float) -> None:
        """Bytes of a stream, or one datagram or WebSocket message. Never raises for what they hold."""
        if not self._outbound.carries(flow):
            return
        self._outbound.life(flow, now)
        if (parser := self._parsers.get(flow)) is not None:
            self._receive_stream_untrusted(parser, data, flow, now)
        else:
            self._receive_whole_untrusted(data, flow, now)
        self._settle(now)

    def handle_timeout(self, now: float) -> None:
        """Do everything that is due."""
        self._layer.handle_timeout(now)
        self._settle(now)
        self._calls.handle_timeout(now)
        self._settle(now)
        self._outbound.handle_timeout(now)
        self._settle(now)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` is due, or None."""
        parts = (self._layer, self._calls, self._outbound)
        return min((at for part in parts if (at := part.next_timeout()) is not None), default=None)

    def effects(self) -> list[Effect]:
        """Drain what must be done, in order."""
        effects, self._effects = self._effects, []
        return effects

    def events(self) -> list[Event]:
        """Drain what has happened, in order."""
        events, self._events = self._events, []
        return events

    # --- for status displays -----------------------------------------------------------------------------------

    @property
    def transport_state(self) -> TransportState:
        """The transport as users see it."""
        return self._outbound.lead.flow.shown

    @property
    def registration_state(self) -> RegistrationState:
        """The registration as users see it."""
        return self._outbound.lead.registration.shown

    @property
    def server(self) -> ServerAddress:
        """The server of the flow, or the one that is tried next."""
        return self._outbound.lead.flow.server

    @property
    def local_address(self) -> str:
        """Our address towards the server as last known, for sound that goes on without signalling; empty at first."""
        return self._outbound.lead.home

    @property
    def may_call(self) -> bool:
        """Whether :meth:`dial` would be accepted."""
        return self._outbound.may_call

    def retry_status(self, now: float) -> sig.RetryStatus | None:
        """What is being retried, and when next; None while nothing is."""
        return self._outbound.retry_status(now)

    @property
    def finished(self) -> bool:
        """After :meth:`shutdown`: nothing is left to be said."""
        return self._shutting_down and self._outbound.at_rest

    @property
    def transactions(self) -> int:
        """How many transactions are alive."""
        return self._layer.live

    # --- inside ------------------------------------------------------------------------------------------------

    def _receive_stream_untrusted(self, parser: StreamParser, data: bytes, flow: FlowId, now: float) -> None:
        try:
            items = parser.feed(data)
        except ParseError as error:
            items = []
            self._outbound.flow_broken(flow, Phrase("the server's data makes no sense: {error}", error=str(error)), now)
        for item in items:
            if isinstance(item, Keepalive):
                self._keepalive(item, flow, now)
            else:
                self.trace.record(Way.IN, flow, bytes(item), now)
                self._dispatch(item, flow, now)
        for rejected in parser.take_rejected():
            self._reject(rejected, flow)

    def _receive_whole_untrusted(self, data: bytes, flow: FlowId, now: float) -> None:
        keepalive = parse_keepalive(data)
        if keepalive is not None:
            self._keepalive(keepalive, flow, now)
            return
        self.trace.record(Way.IN, flow, data, now)
        try:
            message = parse_message(data)
        except MalformedMessage as error:
            self._reject(error, flow)
        except ParseError:
            pass  # not even the beginning of a message: RFC 3261 §18.3 lets it be discarded
        else:
            self._dispatch(message, flow, now)

    def _dispatch(self, message: Message, flow: FlowId, now: float) -> None:
        self._outbound.life(flow, now, sip=True)
        self._layer.receive(message, flow, now)
        self._settle(now)

    def _keepalive(self, keepalive: Keepalive, flow: FlowId, now: float) -> None:
        match keepalive:
            case Keepalive.PING:
                # RFC 5626 §4.4.1: "the server MUST respond with a single CRLF"; Asterisk pings its clients.
                self._effects.append(Transmit(flow, _PONG))
            case Keepalive.PONG:
                self._outbound.life(flow, now, pong=True)
            case _:
                assert_never(keepalive)

    def _reject(self, error: MalformedMessage, flow: FlowId) -> None:
        response = error.response(self._ids.tag())
        if response is not None:
            self._effects.append(Transmit(flow, bytes(response)))

    def _settle(self, now: float) -> None:
        """Let the parts talk to each other until they have nothing more to say."""
        moved = True
        while moved:
            moved = self._hear(now)
            for transmit in self._layer.transmits():
                self.trace.record(Way.OUT, transmit.flow, transmit.data, now)
                self._effects.append(transmit)
            for output in self._outbound.outputs(now):
                self._on_outbound(output, now)
                moved = True
            if said := self._calls.events():
                self._events += said
                moved = True
            self._outbound.calls_up(self._calls.urgent, now, needed=self._flow_is_needed)

    def _hear(self, now: float) -> bool:
        """Let everybody hear what became of their transactions; False if there was no news."""
        for event in (news := self._layer.events()):
            self._on_transaction(event, now)
        return bool(news)

    def _flow_gone(self, flow: FlowId, now: float) -> None:
        """What was lost with a flow has to be known before anything is said again by another one."""
        self._parsers.pop(flow, None)
        while self._hear(now):
            pass

    def _on_transaction(self, event: tx.TransactionEvent, now: float) -> None:
        match event:
            case tx.ResponseReceived():
                self._outbound.on_outcome(event, now) or self._calls.on_response(event, now)
            case tx.TransactionTimedOut() | tx.TransactionTransportFailed():
                self._outbound.on_outcome(event, now) or self._calls.on_failure(event, now)
            case tx.RequestReceived() | tx.AckReceived():
                self._calls.on_request(event, now)
            case _:
                assert_never(event)

    @property
    def _flow_is_needed(self) -> bool:
        """Whether a call, or a BYE nobody has heard yet, wants the flow."""
        return bool(self._calls.live) or self._calls.pending_farewells > 0

    def _on_outbound(self, output: OutboundOutput, now: float) -> None:
        match output:
            case sig.SignallingReady(flow=flow, contact=contact, secure=secure):
                self._calls.flow_recovered(flow, NameAddr(uri=contact), now, secure=secure)
            case sig.SignallingDown(flow=flow):
                self._parsers.pop(flow, None)
                self._calls.flow_lost(now)
            case sig.SignallingMoved(lost=lost, flow=flow, contact=contact, secure=secure):
                self._flow_gone(lost, now)
                self._calls.flow_moved(flow, NameAddr(uri=contact), now, secure=secure)
            case sig.StandbyReady(flow=flow, contact=contact, secure=secure):
                self._calls.standby_ready(flow, NameAddr(uri=contact), secure=secure)
            case sig.StandbyDown(flow=flow):
                self._flow_gone(flow, now)
                self._calls.standby_lost(flow, now)
            case OpenFlow() | Transmit() | PingFlow() | CloseFlow() | ProbeServer():
                self._effects.append(output)
            case _:
                self._events.append(output)  # what is no effect is an event
