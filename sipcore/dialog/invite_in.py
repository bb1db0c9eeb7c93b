"""The INVITE that starts a call of theirs, until its ACK (RFC 3261 §13.3, RFC 3262 §3).

INVITE ─▶ ring: 180 ─┬─ answer: 200 until ACK
                     ├─ reject: 300 to 699
                     └─ CANCEL: 487
"""

from sipcore.dialog.accepted import Accepted
from sipcore.dialog.call import Call
from sipcore.dialog.core import Timer, sdp_of, set_body
from sipcore.dialog.dialog import Dialog
from sipcore.dialog.session import Input, State
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import CallId, EndedBy, FlowId, IncomingCall
from sipcore.media import LocalMedia
from sipcore.message.alert_info import alert_source
from sipcore.message.fields import RAck
from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr
from sipcore.sdp.offer_answer import Unacceptable
from sipcore.transaction.events import TransactionId
from sipcore.transaction.timers import T1, TIMEOUT

_SHOWN_HEADERS = (
    "Alert-Info",
    "Call-Info",
    "Answer-Mode",
    "Diversion",
    "History-Info",
    "P-Asserted-Identity",
)
_MAX_SHOWN = 16
_MAX_SHOWN_LENGTH = 512
_RING_AGAIN = 60.0
"""§13.3.1.1: "at every minute, to handle the possibility of lost provisional responses"."""

_RSEQ_BITS = 30


class IncomingInvite:
    """The attempt of somebody to reach us. Raises ParseError where the INVITE cannot make a dialog."""

    def __init__(self, call: Call, transaction: TransactionId, invite: Request, flow: FlowId) -> None:
        self._call = call
        self._transaction = transaction
        self._invite = invite
        self._tag = call.core.ids.tag()
        call.dialog = Dialog.as_server(invite, self._tag)
        call.dialog.flow = flow
        self.accepted: Accepted | None = None
        """Our 2xx while its ACK is awaited, and after."""

        self._status, self._reason = 486, ""
        self._delayed = sdp_of(invite) is None
        self._rseq = 0
        self._reliable: Response | None = None
        self._interval = T1
        self._rung = False

    # --- before the answer ---------------------------------------------------------------------------------

    def receive_offer(self) -> None:
        """Read the offer, if there is one; raises ParseError or Unacceptable, and then the call is none."""
        body = sdp_of(self._invite)
        if body is not None:
            self._call.negotiation.receive_offer(body)

    def announce(self, now: float, replaces: CallId | None) -> None:
        """Tell the user, and bound how long it may ring."""
        call, invite = self._call, self._invite
        ring = call.core.settings.ring_timeout
        try:
            expires = invite.expires
        except ParseError:
            expires = None
        # §13.2.1: "If the caller's Expires passes without a final answer, the UAS SHOULD generate a 487".
        call.start(Timer.RING, now + (ring if not expires else min(ring, expires)))
        caller = _asserted(invite) or invite.from_
        call.report(
            IncomingCall(
                call=call.id,
                peer=caller.uri.user_part or str(caller.uri),
                peer_uri=str(caller.uri),
                display_name=caller.display_name or "",
                called=invite.to.uri.user_part or str(invite.to.uri),
                headers=_shown_headers(invite),
                source=alert_source(invite.headers.get_all("Alert-Info")),
                replaces=replaces,
            )
        )

    def ring(self, now: float) -> None:
        """Send a 180. Raises LocalProtocolError unless the call waits for the user."""
        if self._call.state is not State.INCOMING:
            raise LocalProtocolError(Phrase("the call is not waiting to be answered"))
        self._rung = True
        self._send_ringing(now)

    def answer(self, media: LocalMedia, now: float) -> None:
        """Accept with ``media``. Raises LocalProtocolError or Unacceptable; the call still waits then."""
        call = self._call
        if call.state is not State.INCOMING:
            raise LocalProtocolError(Phrase("the call is not waiting to be answered"))
        response = self._response(200)
        parameters = None
        if self._delayed:
            # §13.2.1: without an offer in the INVITE, it "MUST be in the first reliable non-failure message".
            body = call.negotiation.create_offer(media, call.wanted)
        else:
            body, parameters = call.negotiation.create_answer(media, call.wanted)
        set_body(response, body)
        call.media = media
        call.core.describe(response)
        call.timer.agree(self._invite, response, now)
        call.stop(Timer.RING, Timer.RING_AGAIN)
        self._forget_reliable()
        call.answered = True
        self.accepted = Accepted(
            call,
            self._transaction,
            response,
            offered=self._delayed,
            acked=self._on_ack,
            unheard=lambda at: call.feed(Input.ACK_TIMEOUT, at),
        )
        if parameters is not None:
            call.negotiated(parameters)
        call.feed(Input.ANSWER, now)

    def refuse_with(self, status: int, reason: str) -> None:
        """Set what the refusal will say."""
        self._status, self._reason = status, reason

    # --- effects -------------------------------------------------------------------------------------------

    def send_answer(self, now: float) -> None:
        """Send the 2xx that :meth:`answer` made."""
        if self.accepted is not None:
            self.accepted.start(now)

    def send_refusal(self, now: float) -> None:
        """Send the final response that ends the attempt."""
        self._forget_reliable()
        response = self._invite.response(self._status, self._reason or None, to_tag=self._tag)
        self._call.core.layer.respond(self._transaction, response, now)

    # --- the network ---------------------------------------------------------------------------------------

    def is_cancelled_by(self, transaction: TransactionId | None) -> bool:
        """Whether a CANCEL of ``transaction`` means this INVITE."""
        return transaction == self._transaction

    @property
    def tag(self) -> str:
        """Our To tag, which the 200 to a CANCEL has as well (§9.2)."""
        return self._tag

    def on_prack(self, prack: Request) -> Response:
        """The response to a PRACK (RFC 3262 §3); raises ParseError."""
        rack = RAck.parse(prack.headers.get("RAck") or "")
        expected = RAck(self._rseq, self._invite.cseq.number, "INVITE")
        if self._reliable is None or rack != expected:
            return prack.response(481)
        self._forget_reliable()
        return prack.response(200)

    def flow_recovered(self, now: float) -> None:
        """Make the far end hear us again."""
        if self.accepted is not None:
            self.accepted.flow_recovered(now)

    def on_timer(self, timer: Timer, now: float) -> None:
        """A timer of a provisional response went off."""
        if self._call.state is not State.INCOMING:
            return
        match timer:
            case Timer.RING_AGAIN:
                self._send_ringing(now)
            case Timer.RETRANSMIT_1XX if self._reliable is not None:
                self._call.core.layer.respond(self._transaction, self._reliable, now)
                self._interval *= 2
                self._call.start(Timer.RETRANSMIT_1XX, now + self._interval)
            case Timer.GIVE_UP_1XX if self._reliable is not None:
                # RFC 3262 §3: "If a PRACK is not received [in] 64*T1 [...], the UAS SHOULD reject the original
                # request with a 5xx response".
                self.refuse_with(504, "")
                self._call.blame(EndedBy.ERROR, 504, Phrase("our ringing was never acknowledged"))
                self._call.feed(Input.REJECT, now)
            case _:
                pass

    def _on_ack(self, ack: Request | None, now: float) -> None:
        call = self._call
        if self._delayed:
            try:
                body = None if ack is None else sdp_of(ack)
                parameters = None if body is None else call.negotiation.receive_answer(body)
            except (ParseError, Unacceptable):
                parameters = None
            if parameters is None:
                call.blame(EndedBy.ERROR, 488, Phrase("the answer of the other side cannot be used"))
                call.feed(Input.ACKED, now)
                call.feed(Input.GONE, now)
                return
            call.negotiated(parameters)
        call.feed(Input.ACKED, now)

    # --- responses -----------------------------------------------------------------------------------------

    def _response(self, status: int) -> Response:
        response = self._invite.response(status, to_tag=self._tag)
        self._call.core.add_contact(response, self._call.dialog)
        return response

    def _send_ringing(self, now: float) -> None:
        self._call.start(Timer.RING_AGAIN, now + _RING_AGAIN)
        response = self._response(180)
        self._call.core.describe(response)
        if "100rel" in self._invite.require:
            if self._delayed or self._reliable is not None:
                # RFC 3262 §5: a first reliable response would have to hold our offer, and the sockets for it are the
                # answer's. "MUST NOT send a second reliable provisional response until the first is acknowledged".
                return
            self._rseq = self._rseq + 1 if self._rseq else 1 + self._call.core.ids.integer(_RSEQ_BITS)
            response.headers.add("Require", "100rel")
            response.headers.add("RSeq", str(self._rseq))
            self._reliable, self._interval = response, T1
            self._call.start(Timer.RETRANSMIT_1XX, now + T1)
            self._call.start(Timer.GIVE_UP_1XX, now + TIMEOUT)
        self._call.core.layer.respond(self._transaction, response, now)

    def _forget_reliable(self) -> None:
        self._reliable = None
        self._call.stop(Timer.RETRANSMIT_1XX, Timer.GIVE_UP_1XX)


def _asserted(invite: Request) -> NameAddr | None:
    """P-Asserted-Identity, which our own PBX vouches for (RFC 3325 §9.1)."""
    try:
        values = invite.headers.values("P-Asserted-Identity")
        return NameAddr.parse(values[0]) if values else None
    except ParseError:
        return None


def _shown_headers(invite: Request) -> tuple[tuple[str, str], ...]:
    found = [(name, value[:_MAX_SHOWN_LENGTH]) for name in _SHOWN_HEADERS for value in invite.headers.get_all(name)]
    return tuple(found[:_MAX_SHOWN])
