"""The server half of the transaction layer: carries out what the two server machines decide.

    request ─▶ match (RFC 3261 §17.2.3) ─┬▶ known: machine ─▶ retransmitted response
                                         └▶ new: record + machine ─▶ RequestReceived
    respond ─▶ machine ─▶ transmits

A transaction outlives its flow: what it has to say waits for the next one, because a peer that matches
responses by branch alone (§17.1.3) takes them from there.
"""

import enum
from dataclasses import dataclass, field
from typing import assert_never

from sipcore.errors import LocalProtocolError, ParseError
from sipcore.events import FlowId
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.transaction import invite_server, server
from sipcore.transaction.events import AckReceived, RequestReceived, TransactionId, TransactionTimedOut
from sipcore.transaction.timers import T1, T2, T4, TIMEOUT, TRYING_DELAY
from sipcore.transaction.wire import Wire

_MAGIC_COOKIE = "z9hg4bk"
_Key = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Record:
    """One server transaction; ``interval_s`` is the running value of timer G."""

    id: TransactionId
    request: Request
    key: _Key
    merge_key: _Key | None
    flow: FlowId | None
    reliable: bool
    last: bytes = b""
    """The last response sent, empty before the first."""

    interval_s: float = T1


@dataclass(slots=True, kw_only=True)
class _InviteRecord(_Record):
    machine: invite_server.InviteServerTransaction = field(default_factory=invite_server.InviteServerTransaction)


@dataclass(slots=True, kw_only=True)
class _PlainRecord(_Record):
    machine: server.ServerTransaction = field(default_factory=server.ServerTransaction)


class ServerSide:
    """Owns the live server transactions, ``limit`` at most: strangers decide how many there are."""

    def __init__(self, ids: IdSource, wire: Wire, limit: int) -> None:
        self._ids = ids
        self._wire = wire
        self._limit = limit
        self._records: dict[TransactionId, _InviteRecord | _PlainRecord] = {}
        self._by_key: dict[_Key, TransactionId] = {}
        self._by_merge_key: dict[_Key, TransactionId] = {}

    def __len__(self) -> int:
        return len(self._records)

    def receive(self, request: Request, flow: FlowId, now: float) -> None:
        """Feed a request from the network: to its transaction, or to the user in a new one."""
        try:
            key = _key(request)
            merge_key = _merge_key(request)
            if request.cseq.method != request.method:
                raise ParseError("the CSeq method is not that of the request line")
        except ParseError as error:
            self._refuse(request, flow, error.status_hint)
            return
        record = self._records.get(self._by_key.get(key, 0))
        if record is not None:
            self._feed_request(record, request, flow, now)
        elif request.method == "ACK":
            self._wire.events.append(AckReceived(request, flow))
        elif merge_key is not None and merge_key in self._by_merge_key:
            # §8.2.2.2: the same request by another path.
            self._refuse(request, flow, 482)
        elif len(self._records) >= self._limit:
            self._refuse(request, flow, 503)
        else:
            self._begin(request, key, merge_key, flow, now)

    def respond(self, transaction: TransactionId, response: Response, now: float) -> None:
        """Send a response of the user; what a finished transaction cannot take is discarded (§17.2)."""
        record = self._records.get(transaction)
        if isinstance(record, _InviteRecord):
            self._feed_invite(record, _invite_input(response), now, response)
        elif isinstance(record, _PlainRecord):
            if response.status == 408:
                # RFC 4320 §4.2: "A transaction-stateful SIP element MUST NOT send a response with status 408 to
                # a non-INVITE request".
                raise LocalProtocolError("a 408 does not answer a non-INVITE request")
            event = server.Input.RESPONSE_1XX if response.is_provisional else server.Input.RESPONSE_FINAL
            self._feed_plain(record, event, now, response)

    def flow_lost(self, flow: FlowId) -> None:
        """Keep the transactions of ``flow`` for the next one."""
        for record in self._records.values():
            if record.flow == flow:
                record.flow = None

    def flow_opened(self, flow: FlowId) -> None:
        """Let transactions without a flow speak on this one, starting with their last response.

        RFC 6026 §7.1: in the Accepted state it is the user who sends its 2xx again, if the ACK is still awaited.
        """
        for record in self._records.values():
            if record.flow is None:
                record.flow = flow
                record.reliable = self._wire.flows[flow].reliable
                if record.last and record.machine.state is not invite_server.State.ACCEPTED:
                    self._wire.send(flow, record.last)

    def timer(self, transaction: TransactionId, timer: enum.Enum, now: float) -> None:
        """Feed a timer that went off."""
        record = self._records.get(transaction)
        if isinstance(record, _InviteRecord) and isinstance(timer, invite_server.Input):
            self._feed_invite(record, timer, now)
        elif isinstance(record, _PlainRecord) and isinstance(timer, server.Input):
            self._feed_plain(record, timer, now)

    def _begin(self, request: Request, key: _Key, merge_key: _Key | None, flow: FlowId, now: float) -> None:
        number = next(self._wire.numbers)
        kind = _InviteRecord if request.method == "INVITE" else _PlainRecord
        record = kind(
            id=number,
            request=request,
            key=key,
            merge_key=merge_key,
            flow=flow,
            reliable=self._wire.flows[flow].reliable,
        )
        self._records[number] = record
        self._by_key[key] = number
        if merge_key is not None:
            self._by_merge_key[merge_key] = number
        if isinstance(record, _InviteRecord):
            self._wire.start(number, invite_server.Input.TIMER_100, now + TRYING_DELAY)
        else:
            self._wire.start(number, server.Input.TIMER_F, now + TIMEOUT)
        cancels = self._by_key.get((*key[:-1], "INVITE")) if request.method == "CANCEL" else None
        self._wire.events.append(RequestReceived(number, request, flow, cancels))

    def _feed_request(self, record: _InviteRecord | _PlainRecord, request: Request, flow: FlowId, now: float) -> None:
        if record.flow is None:
            record.flow = flow
        if isinstance(record, _PlainRecord):
            self._feed_plain(record, server.Input.REQUEST, now)
        elif request.method == "ACK":
            self._feed_invite(record, invite_server.Input.ACK, now, ack=request)
        else:
            self._feed_invite(record, invite_server.Input.REQUEST, now)

    def _refuse(self, request: Request, flow: FlowId, status: int) -> None:
        """Answer without a transaction; an ACK is never answered."""
        if request.method == "ACK":
            return
        try:
            response = request.response(status, to_tag=self._ids.tag())
        except ParseError:
            response = request.response(status)
        if status == 503:
            response.headers.add("Retry-After", "5")
        self._wire.send(flow, bytes(response))

    def _feed_invite(
        self,
        record: _InviteRecord,
        event: invite_server.Input,
        now: float,
        response: Response | None = None,
        ack: Request | None = None,
    ) -> None:
        record.machine.handle(event)
        effects, record.machine.effects = record.machine.effects, []
        if response is not None and invite_server.Effect.SEND_RESPONSE in effects:
            record.last = bytes(response)
        for effect in effects:
            self._carry_out_invite(record, effect, now, ack)
        # Timer I is zero on reliable transports.
        if record.machine.state is invite_server.State.CONFIRMED and record.reliable:
            record.machine.handle(invite_server.Input.TIMER_I)
        if record.machine.state is invite_server.State.TERMINATED:
            self._forget(record, invite_server.Input)

    def _carry_out_invite(
        self, record: _InviteRecord, effect: invite_server.Effect, now: float, ack: Request | None
    ) -> None:
        timers, fx = invite_server.Input, invite_server.Effect
        match effect:
            case fx.SEND_TRYING:
                record.last = bytes(record.request.response(100))
                self._wire.send(record.flow, record.last)
            case fx.SEND_RESPONSE | fx.RESEND_RESPONSE:
                self._wire.send(record.flow, record.last)
            case fx.DELIVER_ACK:
                if ack is not None and record.flow is not None:
                    self._wire.events.append(AckReceived(ack, record.flow))
            case fx.FAIL_TIMEOUT:
                self._wire.events.append(TransactionTimedOut(record.id))
            case fx.STOP_100:
                self._wire.stop(record.id, timers.TIMER_100)
            case fx.START_G:
                if not record.reliable:
                    self._wire.start(record.id, timers.TIMER_G, now + T1)
            case fx.RESTART_G:
                record.interval_s = min(2 * record.interval_s, T2)
                self._wire.start(record.id, timers.TIMER_G, now + record.interval_s)
            case fx.STOP_G_AND_H:
                self._wire.stop(record.id, timers.TIMER_G, timers.TIMER_H)
            case fx.START_H:
                self._wire.start(record.id, timers.TIMER_H, now + TIMEOUT)
            case fx.START_I:
                self._wire.start(record.id, timers.TIMER_I, now + T4)
            case fx.START_L:
                self._wire.start(record.id, timers.TIMER_L, now + TIMEOUT)
            case _:
                assert_never(effect)

    def _feed_plain(
        self, record: _PlainRecord, event: server.Input, now: float, response: Response | None = None
    ) -> None:
        record.machine.handle(event)
        effects, record.machine.effects = record.machine.effects, []
        for effect in effects:
            match effect:
                case server.Effect.SEND_RESPONSE:
                    if response is not None:
                        record.last = bytes(response)
                    self._wire.send(record.flow, record.last)
                case server.Effect.RESEND_RESPONSE:
                    self._wire.send(record.flow, record.last)
                case server.Effect.STOP_F:
                    self._wire.stop(record.id, server.Input.TIMER_F)
                case server.Effect.START_J:
                    self._wire.start(record.id, server.Input.TIMER_J, now + TIMEOUT)
                case _:
                    assert_never(effect)
        # Timer J is zero on reliable transports.
        if record.machine.state is server.State.COMPLETED and record.reliable:
            record.machine.handle(server.Input.TIMER_J)
        if record.machine.state is server.State.TERMINATED:
            self._forget(record, server.Input)

    def _forget(self, record: _InviteRecord | _PlainRecord, timers: type[enum.Enum]) -> None:
        self._wire.stop(record.id, *timers)
        del self._records[record.id]
        del self._by_key[record.key]
        if record.merge_key is not None:
            self._by_merge_key.pop(record.merge_key, None)


def _key(request: Request) -> _Key:
    """§17.2.3: branch, sent-by and method, where ACK stands for its INVITE; the method comes last."""
    method = "INVITE" if request.method == "ACK" else request.method
    via = request.via
    branch = (via.branch or "").lower()
    sent_by = via.sent_by.lower()
    if branch.startswith(_MAGIC_COOKIE):
        return branch, sent_by, method
    # A client of RFC 2543: what an INVITE, its ACK and its CANCEL have in common. The To tag is not.
    tag = request.from_.tag or ""
    return branch, sent_by, str(request.uri), request.call_id, tag, str(request.cseq.number), method


def _merge_key(request: Request) -> _Key | None:
    """§8.2.2.2: what tells that two requests outside of a dialog are one."""
    from_, to, cseq = request.from_, request.to, request.cseq
    if to.tag is not None or request.method in ("ACK", "CANCEL"):
        return None
    return from_.tag or "", request.call_id, str(cseq.number), cseq.method


def _invite_input(response: Response) -> invite_server.Input:
    if response.is_provisional:
        return invite_server.Input.RESPONSE_1XX
    return invite_server.Input.RESPONSE_2XX if response.is_success else invite_server.Input.RESPONSE_300_PLUS
