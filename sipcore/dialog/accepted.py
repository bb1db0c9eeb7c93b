"""Our 2xx to an INVITE or re-INVITE, sent again and again until its ACK comes (RFC 3261 §13.3.1.4).

"The 2xx response is passed to the transport with an interval that starts at T1 seconds and doubles for each
retransmission until it reaches T2 seconds [...], regardless of the transport protocol": over WebSockets as well, since
the hop that loses it may be another one.
"""

from collections.abc import Callable

from sipcore.dialog.call import Call
from sipcore.dialog.core import Timer
from sipcore.message.message import Request, Response
from sipcore.transaction.events import TransactionId
from sipcore.transaction.timers import T1, T2, TIMEOUT


class Accepted:
    """One 2xx of a call. ``acked`` gets the ACK once; ``unheard`` is called after 64*T1 without it."""

    def __init__(
        self,
        call: Call,
        transaction: TransactionId,
        response: Response,
        *,
        offered: bool,
        acked: Callable[[Request | None, float], None],
        unheard: Callable[[float], None],
    ) -> None:
        self._call = call
        self._transaction = transaction
        self._response = response
        self._acked = acked
        self._unheard = unheard
        self._interval = T1
        self.number = response.cseq.number
        """CSeq number of the INVITE, which its ACK has too."""

        self.offered = offered
        """Whether it holds an offer of ours, whose answer the ACK brings."""

        self.waiting = True

    def start(self, now: float) -> None:
        """Send it for the first time."""
        self._send(now)
        self._call.start(Timer.RETRANSMIT_2XX, now + T1)
        self._call.start(Timer.GIVE_UP_2XX, now + TIMEOUT)

    def ack(self, ack: Request | None, now: float) -> None:
        """Its ACK came; None where a later INVITE proves that the peer has seen the 2xx of the first."""
        if self.waiting:
            self.waiting = False
            self._call.stop(Timer.RETRANSMIT_2XX, Timer.GIVE_UP_2XX)
            self._acked(ack, now)

    def supersede(self) -> None:
        """A later 2xx takes its place, and its timers."""
        self.waiting = False

    def retransmit(self, now: float) -> None:
        """Timer RETRANSMIT_2XX went off, and the ACK is still awaited."""
        self._send(now)
        self._interval = min(2 * self._interval, T2)
        self._call.start(Timer.RETRANSMIT_2XX, now + self._interval)

    def give_up(self, now: float) -> None:
        """Timer GIVE_UP_2XX went off, and the ACK is still awaited.

        While signalling is lost none can come, so nothing is concluded from that.
        """
        if self._call.core.flow_of(self._call.dialog) is None:
            self._call.start(Timer.GIVE_UP_2XX, now + TIMEOUT)
            return
        self.waiting = False
        self._call.stop(Timer.RETRANSMIT_2XX)
        self._unheard(now)

    def flow_recovered(self, now: float) -> None:
        """Send it on the new flow, and give the ACK its full time again."""
        if self.waiting:
            self._interval = T1
            self._send(now)
            self._call.start(Timer.RETRANSMIT_2XX, now + T1)
            self._call.start(Timer.GIVE_UP_2XX, now + TIMEOUT)

    def _send(self, now: float) -> None:
        # §12.1.1: "The UAS MUST add a Contact header field to the response", and it may have been made without a flow.
        self._call.core.add_contact(self._response, self._call.dialog)
        self._call.core.layer.respond(self._transaction, self._response, now)
