"""Signs of life of the open flow, carried out: pings and OPTIONS go out, answers come in, silence is a verdict.

    flow up, registered, bytes, responses, time ──▶ Vitals ──▶ PingFlow Transmit | KeepAlive events | "dead, because"

Sans-I/O. The lower part of :class:`~sipcore.resilience.lifeline.Lifeline`; when to ask is decided in keepalive.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from sipcore.errors import Phrase
from sipcore.events import (
    FlowId,
    KeepAlive,
    KeepAliveResult,
    KeepAliveStarted,
    KeepAliveStopped,
    PingFlow,
    Transmit,
)
from sipcore.message.message import Request
from sipcore.message.uri import Uri
from sipcore.resilience.keepalive import Heartbeat, Ping
from sipcore.resilience.keepalive import KeepAlive as OptionsKeepAlive
from sipcore.transaction.events import (
    ResponseReceived,
    TransactionId,
    TransactionTimedOut,
    TransactionTransportFailed,
)

if TYPE_CHECKING:
    from sipcore.config import Account, Resilience, ServerAddress
    from sipcore.ids import IdSource
    from sipcore.transaction.layer import TransactionLayer

_log = logging.getLogger(__name__)

_CRLF_PING = b"\r\n\r\n"

VitalsOutput = PingFlow | Transmit | KeepAlive | KeepAliveStarted | KeepAliveStopped
Outcome = ResponseReceived | TransactionTimedOut | TransactionTransportFailed


class Vitals:
    """One per account. What returns a text has found the flow dead, and the text says why."""

    def __init__(self, account: Account, settings: Resilience, ids: IdSource, layer: TransactionLayer) -> None:
        self._account = account
        self._layer = layer
        self._heartbeat = Heartbeat(settings)
        self._keepalive = OptionsKeepAlive(settings)
        self._tag, self._call_id, self._cseq = ids.tag(), ids.call_id(), 0
        self._flow: FlowId = 0
        self._websocket = False
        self._options: TransactionId | None = None
        self._outputs: list[VitalsOutput] = []

    def flow_up(self, flow: FlowId, server: ServerAddress, now: float) -> None:
        """A flow is open: ping it."""
        self._flow, self._websocket = flow, server.websocket
        stream = Ping.WEBSOCKET if server.websocket else Ping.CRLF
        self._heartbeat.flow_up(stream if server.reliable else Ping.DATAGRAM, now)

    def flow_down(self, now: float, *, remote: bool) -> None:
        """The flow is gone; ``remote`` unless we closed it for a reason of our own."""
        self._options = None
        self._heartbeat.flow_down(now, remote=remote)
        self.unregistered()

    def registered(self, now: float) -> None:
        """The keep-alive starts after registration succeeded."""
        if self._keepalive.start(now):
            self._outputs.append(KeepAliveStarted(self._keepalive.interval_s))

    def promised(self, flow_timer_s: int | None, now: float) -> None:
        """What the registrar said about the first hop (RFC 5626 §4.4)."""
        if flow_timer_s is not None:
            self._heartbeat.promised(flow_timer_s, now)

    def unregistered(self) -> None:
        """It stops on disconnect, unregister and shutdown."""
        if self._keepalive.stop():
            self._outputs.append(KeepAliveStopped())

    def life(self, now: float, *, pong: bool, sip: bool) -> None:
        """Bytes came in: a CRLF pong, a SIP message, or anything else."""
        self._heartbeat.life(now, pong=pong)
        if sip:
            self._keepalive.sip_life()

    def verify(self, now: float) -> None:
        """The flow is in doubt: ask at once."""
        if self._heartbeat.verify(now):
            self._ping()
        else:
            self._keepalive.ask_now(now)

    @property
    def options_interval_s(self) -> float:
        """The distance of two OPTIONS."""
        return self._keepalive.interval_s

    def is_mine(self, transaction: TransactionId) -> bool:
        """Whether the transaction is that of the OPTIONS under way."""
        return transaction == self._options

    def on_outcome(self, event: Outcome, now: float) -> str | None:
        """Take what became of the OPTIONS under way."""
        match event:
            case ResponseReceived(response=response):
                if response.is_final:
                    self._options = None
                    rtt_ms = self._keepalive.answered(now)
                    self._outputs.append(KeepAlive(KeepAliveResult.ANSWERED, rtt_ms))
            case TransactionTimedOut():
                self._options = None
                self._outputs.append(KeepAlive(KeepAliveResult.MISSED))
                if self._keepalive.missed(now):
                    return Phrase("no answer to the keep-alive")
            case TransactionTransportFailed():
                self._options = None
            case _:
                assert_never(event)
        return None

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        parts = (self._heartbeat.next_timeout(), self._keepalive.next_timeout())
        return min((at for at in parts if at is not None), default=None)

    def handle_timeout(self, now: float) -> str | None:
        """Ask what is due to be asked."""
        if self._heartbeat.found_dead(now):
            return Phrase("no sign of life from the server")
        if self._heartbeat.due_to_ping(now):
            self._ping()
        if self._keepalive.due_to_send(now):
            self._send_options(now)
        return None

    def resumed(self, gap_s: float) -> None:
        """The machine slept: deadlines are put off."""
        self._heartbeat.resumed(gap_s)
        self._keepalive.resumed(gap_s)

    def drain(self) -> list[VitalsOutput]:
        """Everything to be done and said since the last drain, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _ping(self) -> None:
        self._outputs.append(PingFlow(self._flow) if self._websocket else Transmit(self._flow, _CRLF_PING))

    def _send_options(self, now: float) -> None:
        self._cseq += 1
        request = Request("OPTIONS", Uri.parse(f"sip:{self._account.domain}"))
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", f"<{self._account.address_of_record}>;tag={self._tag}")
        request.headers.add("To", f"<sip:{self._account.domain}>")
        request.headers.add("Call-ID", self._call_id)
        request.headers.add("CSeq", f"{self._cseq} OPTIONS")
        self._options = self._layer.request(request, self._flow, now=now, timeout_s=self._keepalive.timeout_s)
        _log.info("Keep-alive OPTIONS request sent")
        self._outputs.append(KeepAlive(KeepAliveResult.SENT))
