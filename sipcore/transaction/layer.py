"""The transaction layer: four machines, matching, timers and flows behind one contract (RFC 3261 §17).

    request, cancel ─▶ ┌─ client_side ─┐ ─▶ transmits
    respond ─────────▶ ├─ server_side ─┤ ─▶ events
    receive ─────────▶ └───────────────┘ ─▶ next_timeout

Sans-I/O: after each call, drain :meth:`~TransactionLayer.transmits` and :meth:`~TransactionLayer.events`.
"""

from sipcore.events import FlowId, Transmit
from sipcore.ids import IdSource
from sipcore.message.message import Message, Request, Response
from sipcore.transaction.client_side import ClientSide
from sipcore.transaction.events import TransactionEvent, TransactionId, ViaTemplate
from sipcore.transaction.server_side import ServerSide
from sipcore.transaction.wire import Wire

MAX_SERVER_TRANSACTIONS = 512


class TransactionLayer:
    """Owns the live transactions of one stack, on all of its flows."""

    def __init__(self, ids: IdSource, *, max_server_transactions: int = MAX_SERVER_TRANSACTIONS) -> None:
        self._ids = ids
        self._wire = Wire()
        self._clients = ClientSide(ids, self._wire)
        self._servers = ServerSide(ids, self._wire, max_server_transactions)

    # --- flows ---------------------------------------------------------------------------------------------

    def flow_opened(self, flow: FlowId, via: ViaTemplate) -> None:
        """``flow`` carries messages from now on. Responses that were waiting for a flow leave on it."""
        self._wire.flows[flow] = via
        self._servers.flow_opened(flow)

    def flow_takes_over(self, flow: FlowId) -> None:
        """``flow`` has been open all along: responses that were waiting for a flow leave on it."""
        if flow in self._wire.flows:
            self._servers.flow_opened(flow)

    def flow_lost(self, flow: FlowId, now: float) -> None:
        """``flow`` is gone: its client transactions fail, its server transactions wait for another flow."""
        if self._wire.flows.pop(flow, None) is None:
            return
        self._clients.flow_lost(flow, now)
        self._servers.flow_lost(flow)

    # --- the transaction user ------------------------------------------------------------------------------

    def request(self, request: Request, flow: FlowId, *, now: float, timeout_s: float | None = None) -> TransactionId:
        """Send ``request`` (without our Via, which is added to it) in a new client transaction.

        ``timeout_s`` replaces the 32 s of timer B or F. On a flow that is not open the transaction fails at
        once, by a TransactionTransportFailed like any other.
        """
        return self._clients.request(request, flow, now=now, timeout_s=timeout_s)

    def cancel(self, transaction: TransactionId, now: float, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Cancel an INVITE, as soon as a provisional response allows it; its outcome is still reported.

        Nothing happens after a final response. ``headers`` go into the CANCEL, for a Reason.
        """
        self._clients.cancel(transaction, now, headers)

    def respond(self, transaction: TransactionId, response: Response, now: float) -> None:
        """Answer a request. A response that comes too late is discarded.

        A 2xx to INVITE may be sent again and again: its retransmission is the user's duty (RFC 6026 §7.1).
        """
        self._servers.respond(transaction, response, now)

    def send_ack(self, ack: Request, flow: FlowId) -> bytes:
        """Send the ACK of a 2xx, which is no transaction (§13.2.2.4), with a Via of its own; returns its bytes."""
        if via := self._wire.flows.get(flow):
            ack.headers.insert_first("Via", via.value(self._ids.branch()))
        data = bytes(ack)
        self._wire.send(flow, data)
        return data

    def send_again(self, data: bytes, flow: FlowId) -> None:
        """Send bytes that :meth:`send_ack` returned once more, for a retransmitted 2xx."""
        self._wire.send(flow, data)

    # --- network and clock ---------------------------------------------------------------------------------

    def receive(self, message: Message, flow: FlowId, now: float) -> None:
        """Feed a parsed message. Nothing in it can raise; what cannot be answered is dropped."""
        if flow not in self._wire.flows:
            return
        match message:
            case Request():
                self._servers.receive(message, flow, now)
            case Response():
                self._clients.receive(message, now)

    def handle_timeout(self, now: float) -> None:
        """Run every timer due at ``now``."""
        for transaction, timer in self._wire.timers.due(now):
            self._clients.timer(transaction, timer, now)
            self._servers.timer(transaction, timer, now)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` is due, or None."""
        return self._wire.timers.next()

    def resumed(self, gap_s: float) -> None:
        """The machine slept for ``gap_s``: put all deadlines off by as much."""
        self._wire.timers.shift(gap_s)

    def transmits(self) -> list[Transmit]:
        """Drain what must be sent, in order."""
        drained, self._wire.transmits = self._wire.transmits, []
        return drained

    def events(self) -> list[TransactionEvent]:
        """Drain what the users must know, in order."""
        drained, self._wire.events = self._wire.events, []
        return drained

    @property
    def live(self) -> int:
        """How many transactions there are."""
        return len(self._clients) + len(self._servers)
