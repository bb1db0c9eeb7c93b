"""The client half of the transaction layer: carries out what the two client machines decide.

request ─▶ record + machine ─▶ transmits
response ─▶ match (RFC 3261 §17.1.3) ─▶ machine ─▶ effects ─▶ ACK, events, timers
"""

import enum
from dataclasses import dataclass, field
from typing import assert_never

from sipcore.errors import ParseError
from sipcore.events import FlowId
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.transaction import client, invite_client
from sipcore.transaction.events import (
    ResponseReceived,
    TransactionId,
    TransactionTimedOut,
    TransactionTransportFailed,
)
from sipcore.transaction.timers import T1, T2, T4, TIMEOUT, TIMER_D_UNRELIABLE
from sipcore.transaction.wire import Wire


@dataclass(slots=True, kw_only=True)
class _Record:
    """One client transaction; ``interval_s`` is the running value of timer A or E."""

    id: TransactionId
    request: Request
    data: bytes
    branch: str
    flow: FlowId
    reliable: bool
    interval_s: float = T1
    silent: bool = False
    """Nobody waits for its outcome: a CANCEL made by the layer."""

    @property
    def key(self) -> tuple[str, str]:
        """§17.1.3: the branch and the CSeq method."""
        return self.branch.lower(), self.request.method


@dataclass(slots=True, kw_only=True)
class _InviteRecord(_Record):
    machine: invite_client.InviteClientTransaction = field(default_factory=invite_client.InviteClientTransaction)
    cancel: Request | None = None
    """The CANCEL, sent or waiting for a provisional response."""
    ack: bytes = b""
    """The ACK of a 300 to 699, for its retransmissions."""


@dataclass(slots=True, kw_only=True)
class _PlainRecord(_Record):
    machine: client.ClientTransaction = field(default_factory=client.ClientTransaction)


class ClientSide:
    """Owns the live client transactions."""

    def __init__(self, ids: IdSource, wire: Wire) -> None:
        self._ids = ids
        self._wire = wire
        self._records: dict[TransactionId, _InviteRecord | _PlainRecord] = {}
        self._by_key: dict[tuple[str, str], TransactionId] = {}

    def __len__(self) -> int:
        return len(self._records)

    def request(
        self,
        request: Request,
        flow: FlowId,
        *,
        now: float,
        timeout_s: float | None,
        branch: str | None = None,
        silent: bool = False,
    ) -> TransactionId:
        """Send ``request`` in a new transaction; on a flow that is not open it fails at once, by an event."""
        number = next(self._wire.numbers)
        via = self._wire.flows.get(flow)
        if via is None:
            self._wire.events.append(TransactionTransportFailed(number))
            return number
        branch = branch or self._ids.branch()
        request.headers.insert_first("Via", via.value(branch))
        kind = _InviteRecord if request.method == "INVITE" else _PlainRecord
        record = kind(
            id=number,
            request=request,
            data=bytes(request),
            branch=branch,
            flow=flow,
            reliable=via.reliable,
            silent=silent,
        )
        self._records[number] = record
        self._by_key[record.key] = number
        self._wire.send(flow, record.data)
        retransmit, give_up = _first_timers(record)
        self._wire.start(number, give_up, now + (TIMEOUT if timeout_s is None else timeout_s))
        if not via.reliable:
            self._wire.start(number, retransmit, now + T1)
        return number

    def cancel(self, transaction: TransactionId, now: float, headers: tuple[tuple[str, str], ...]) -> None:
        """Send a CANCEL for an INVITE, now or after its first provisional response (§9.1)."""
        record = self._records.get(transaction)
        if not isinstance(record, _InviteRecord) or record.cancel is not None:
            return
        match record.machine.state:
            case invite_client.State.CALLING:
                # §9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent".
                record.cancel = make_cancel(record.request, headers)
            case invite_client.State.PROCEEDING:
                record.cancel = make_cancel(record.request, headers)
                self._send_cancel(record, now)
            case _:
                pass

    def receive(self, response: Response, now: float) -> bool:
        """Feed a response from the network to the transaction it belongs to; False where there is none."""
        try:
            key = ((response.via.branch or "").lower(), response.cseq.method)
            # §8.1.3.3: "If more than one Via header field value is present in a response, the UAC SHOULD discard".
            alone = len(response.vias) == 1
        except ParseError:
            return False
        record = self._records.get(self._by_key.get(key, 0))
        if record is None or not alone:
            return False
        if isinstance(record, _InviteRecord):
            self._feed_invite(record, _invite_input(response), now, response)
            if record.cancel is not None and response.is_provisional:
                self._send_cancel(record, now)
        else:
            event = client.Input.RESPONSE_1XX if response.is_provisional else client.Input.RESPONSE_FINAL
            self._feed_plain(record, event, now, response)
        return True

    def flow_lost(self, flow: FlowId, now: float) -> None:
        """Tell every transaction of ``flow`` that its transport broke."""
        for record in [record for record in self._records.values() if record.flow == flow]:
            if isinstance(record, _InviteRecord):
                self._feed_invite(record, invite_client.Input.TRANSPORT_ERROR, now)
            else:
                self._feed_plain(record, client.Input.TRANSPORT_ERROR, now)

    def timer(self, transaction: TransactionId, timer: enum.Enum, now: float) -> None:
        """Feed a timer that went off."""
        record = self._records.get(transaction)
        if isinstance(record, _InviteRecord) and isinstance(timer, invite_client.Input):
            self._feed_invite(record, timer, now)
        elif isinstance(record, _PlainRecord) and isinstance(timer, client.Input):
            self._feed_plain(record, timer, now)

    def _send_cancel(self, record: _InviteRecord, now: float) -> None:
        if record.cancel is None or self._wire.timers.is_set((record.id, invite_client.Input.CANCEL_EXPIRED)):
            return
        if record.machine.state is not invite_client.State.PROCEEDING:
            return
        self.request(record.cancel, record.flow, now=now, timeout_s=None, branch=record.branch, silent=True)
        self._wire.start(record.id, invite_client.Input.CANCEL_EXPIRED, now + TIMEOUT)

    def _feed_invite(
        self, record: _InviteRecord, event: invite_client.Input, now: float, response: Response | None = None
    ) -> None:
        record.machine.handle(event)
        effects, record.machine.effects = record.machine.effects, []
        for effect in effects:
            self._carry_out_invite(record, effect, now, response)
        # Timer D is zero on reliable transports.
        if record.machine.state is invite_client.State.COMPLETED and record.reliable:
            record.machine.handle(invite_client.Input.TIMER_D)
        if record.machine.state is invite_client.State.TERMINATED:
            self._forget(record, invite_client.Input)

    def _carry_out_invite(
        self, record: _InviteRecord, effect: invite_client.Effect, now: float, response: Response | None
    ) -> None:
        timers, fx = invite_client.Input, invite_client.Effect
        match effect:
            case fx.SEND_REQUEST:
                self._wire.send(record.flow, record.data)
            case fx.SEND_ACK:
                if response is not None:
                    record.ack = bytes(make_ack(record.request, response))
                self._wire.send(record.flow, record.ack)
            case fx.DELIVER:
                self._deliver(record, response)
            case fx.FAIL_TIMEOUT:
                self._wire.events.append(TransactionTimedOut(record.id))
            case fx.FAIL_TRANSPORT:
                self._wire.events.append(TransactionTransportFailed(record.id))
            case fx.RESTART_A:
                record.interval_s *= 2
                self._wire.start(record.id, timers.TIMER_A, now + record.interval_s)
            case fx.STOP_A_AND_B:
                self._wire.stop(record.id, timers.TIMER_A, timers.TIMER_B)
            case fx.START_D:
                self._wire.stop(record.id, timers.CANCEL_EXPIRED)
                self._wire.start(record.id, timers.TIMER_D, now + TIMER_D_UNRELIABLE)
            case fx.START_M:
                self._wire.stop(record.id, timers.CANCEL_EXPIRED)
                self._wire.start(record.id, timers.TIMER_M, now + TIMEOUT)
            case _:
                assert_never(effect)

    def _feed_plain(
        self, record: _PlainRecord, event: client.Input, now: float, response: Response | None = None
    ) -> None:
        record.machine.handle(event)
        effects, record.machine.effects = record.machine.effects, []
        for effect in effects:
            self._carry_out_plain(record, effect, now, response)
        # Timer K is zero on reliable transports.
        if record.machine.state is client.State.COMPLETED and record.reliable:
            record.machine.handle(client.Input.TIMER_K)
        if record.machine.state is client.State.TERMINATED:
            self._forget(record, client.Input)

    def _carry_out_plain(
        self, record: _PlainRecord, effect: client.Effect, now: float, response: Response | None
    ) -> None:
        timers, fx = client.Input, client.Effect
        match effect:
            case fx.SEND_REQUEST:
                self._wire.send(record.flow, record.data)
            case fx.DELIVER:
                self._deliver(record, response)
            case fx.FAIL_TIMEOUT:
                if not record.silent:
                    self._wire.events.append(TransactionTimedOut(record.id))
            case fx.FAIL_TRANSPORT:
                if not record.silent:
                    self._wire.events.append(TransactionTransportFailed(record.id))
            case fx.RESTART_E:
                record.interval_s = min(2 * record.interval_s, T2)
                self._wire.start(record.id, timers.TIMER_E, now + record.interval_s)
            case fx.RESTART_E_AT_T2:
                self._wire.start(record.id, timers.TIMER_E, now + T2)
            case fx.STOP_E_AND_F:
                self._wire.stop(record.id, timers.TIMER_E, timers.TIMER_F)
            case fx.START_K:
                self._wire.start(record.id, timers.TIMER_K, now + T4)
            case _:
                assert_never(effect)

    def _deliver(self, record: _Record, response: Response | None) -> None:
        if response is not None and not record.silent:
            self._wire.events.append(ResponseReceived(record.id, response))

    def _forget(self, record: _InviteRecord | _PlainRecord, timers: type[enum.Enum]) -> None:
        self._wire.stop(record.id, *timers)
        del self._records[record.id]
        del self._by_key[record.key]


def make_ack(invite: Request, response: Response) -> Request:
    """The ACK of a 300 to 699 (§17.1.1.3): the INVITE's Via, Route and CSeq number, the response's To."""
    ack = Request("ACK", invite.uri)
    ack.headers.add("Via", invite.headers.get("Via") or "")
    _copy(invite, ack, "Max-Forwards", "Route", "From", "Call-ID")
    ack.headers.add("To", response.headers.get("To") or invite.headers.get("To") or "")
    ack.headers.add("CSeq", f"{invite.cseq.number} ACK")
    # §22.1: credentials of the INVITE go into its ACK, which nobody can challenge.
    _copy(invite, ack, "Authorization", "Proxy-Authorization")
    return ack


def make_cancel(invite: Request, headers: tuple[tuple[str, str], ...]) -> Request:
    """The CANCEL of an INVITE (§9.1) but for its Via, which gets the INVITE's branch when it is sent."""
    cancel = Request("CANCEL", invite.uri)
    _copy(invite, cancel, "Max-Forwards", "Route", "From", "To", "Call-ID")
    cancel.headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def _copy(source: Request, target: Request, *names: str) -> None:
    for name in names:
        for value in source.headers.get_all(name):
            target.headers.add(name, value)


def _first_timers(record: _InviteRecord | _PlainRecord) -> tuple[enum.Enum, enum.Enum]:
    """The timer that retransmits and the one that gives up."""
    if isinstance(record, _InviteRecord):
        return invite_client.Input.TIMER_A, invite_client.Input.TIMER_B
    return client.Input.TIMER_E, client.Input.TIMER_F


def _invite_input(response: Response) -> invite_client.Input:
    if response.is_provisional:
        return invite_client.Input.RESPONSE_1XX
    return invite_client.Input.RESPONSE_2XX if response.is_success else invite_client.Input.RESPONSE_300_PLUS
