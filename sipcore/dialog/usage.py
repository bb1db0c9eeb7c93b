"""One call with all its verbs: carries out what the table decides, and serves the requests of its dialog.

table (session.py) ── effects ──▶ Usage ──▶ invite_out, invite_in, farewell
requests of the dialog ─────────▶ Usage ──▶ modify_in, transfer, invite_in, info
"""

from typing import TYPE_CHECKING, Protocol, assert_never

from sipcore.dialog.call import Call
from sipcore.dialog.core import Core, Failure, Outcome, Timer, set_body
from sipcore.dialog.dialog import Dialog, DialogId
from sipcore.dialog.farewell import Farewell
from sipcore.dialog.info import DTMF_RELAY, dtmf_relay, parse_dtmf_untrusted
from sipcore.dialog.modify_in import ModifiedByPeer
from sipcore.dialog.modify_out import GONE_STATUSES, Modifier
from sipcore.dialog.screening import ALLOW_EVENTS, capabilities
from sipcore.dialog.session import Effect, Input, State
from sipcore.dialog.transfer import Transfer, event_package
from sipcore.errors import ParseError, Phrase
from sipcore.events import CallEnded, CallId, CallState, DtmfInfoReceived, EndedBy, FlowId, VerbFailed
from sipcore.message.fields import Reason
from sipcore.message.message import Request, Response
from sipcore.transaction.events import TransactionId

if TYPE_CHECKING:
    from sipcore.dialog.invite_in import IncomingInvite
    from sipcore.dialog.invite_out import OutgoingInvite

_MAX_KEPT_DIGITS = 64
_NO_SUCH_CALL = 481
_ASK_EVERY = 5.0
_ASKED_AFTER_SLEEP = 32.0
_ALL_BUT_BYE = tuple(timer for timer in Timer if timer is not Timer.BYE)


class Owner(Protocol):
    """Who keeps the calls and the farewells."""

    def ended(self, call: CallId) -> None:
        """The last event of a call was reported."""
        ...

    def say_farewell(self, farewell: Farewell, key: CallId) -> None:
        """A dialog is being ended; it is known until the peer has heard."""
        ...


class Usage:
    """A call, from the first INVITE to its last event."""

    def __init__(self, core: Core, call_id: CallId, state: State, owner: Owner) -> None:
        self._core = core
        self._owner = owner
        self.call = Call(core, call_id, state, self._perform)
        self.call.reach.restored = self._send_kept_digits
        self._kept_digits: list[tuple[str, int]] = []
        self.modifier = Modifier(self.call)
        self.transfer = Transfer(self.call)
        self.by_peer = ModifiedByPeer(self.call, self.modifier)
        self.out: OutgoingInvite | None = None
        self.incoming: IncomingInvite | None = None
        self.replaced: Usage | None = None
        """The call that ends once this one is answered (RFC 3891)."""

    # --- the table's effects -------------------------------------------------------------------------------

    def _perform(self, effect: Effect, now: float) -> None:
        call = self.call
        match effect:
            case Effect.SEND_CANCEL if self.out is not None:
                self.out.cancel(now)
            case Effect.SEND_ANSWER if self.incoming is not None:
                self.incoming.send_answer(now)
            case Effect.SEND_REFUSAL if self.incoming is not None:
                self.incoming.send_refusal(now)
            case Effect.SHOW_PROGRESS if self.out is not None:
                self.out.show_progress()
            case Effect.SEND_CANCEL | Effect.SEND_ANSWER | Effect.SEND_REFUSAL | Effect.SHOW_PROGRESS:
                pass
            case Effect.SEND_BYE:
                self._send_bye(now)
            case Effect.SHOW_ACTIVE:
                call.show(CallState.ACTIVE)
                if self.replaced is not None:
                    self.replaced.call.feed(Input.REPLACED, now)
            case Effect.SHOW_ENDING:
                call.status, call.reason = 0, ""
                call.show(CallState.ENDING)
            case Effect.BLAME_US:
                call.blame(EndedBy.LOCAL, 0 if call.answered else 487 if call.outgoing else 486)
            case Effect.BLAME_PEER:
                call.blame(EndedBy.REMOTE, 0 if call.answered else 487)
            case Effect.BLAME_ERROR:
                call.blame(EndedBy.ERROR, 408)
            case Effect.FINISH:
                self._finish()
            case _:
                assert_never(effect)

    def _send_bye(self, now: float) -> None:
        if self.call.dialog is None:
            return
        farewell = Farewell(
            self._core, self.call.id, self.call.dialog, lambda at: self.call.feed(Input.BYE_FINISHED, at)
        )
        self._owner.say_farewell(farewell, self.call.id)
        farewell.start(now)

    def _finish(self) -> None:
        call = self.call
        call.stop(*_ALL_BUT_BYE)
        self.transfer.call_ended()
        ending = call.ending
        by, status, reason = EndedBy.ERROR, 0, ""
        if ending is not None:
            by, status, reason = ending.by, ending.status, ending.reason
        call.report(
            CallEnded(
                call=call.id,
                by=by,
                status=status,
                reason=reason,
                answered=call.answered,
                answered_elsewhere=ending is not None and ending.answered_elsewhere,
            )
        )
        self._owner.ended(call.id)

    # --- requests of the dialog ----------------------------------------------------------------------------

    def dialog_of(self, wanted: DialogId) -> Dialog | None:
        """The dialog of this call with that identity, early ones included."""
        dialogs = [] if self.call.dialog is None else [self.call.dialog]
        if self.out is not None:
            dialogs += self.out.dialogs
        return next((dialog for dialog in dialogs if dialog.id == wanted), None)

    def on_request(self, transaction: TransactionId, request: Request, dialog: Dialog, now: float) -> Response | None:
        """The response to a request of ``dialog``; None where it was sent already. Raises ParseError."""
        if not dialog.accept(request):
            # §12.2.2: "If the remote sequence number [...] is lower [...], the request is out of order and MUST be
            # rejected with a 500".
            return request.response(500)
        self.call.reach.proven(now)
        match request.method:
            case "BYE":
                return self._on_bye(request, now)
            case "INVITE":
                return self._on_invite(transaction, request, now)
            case "UPDATE":
                return request.response(481) if self.call.over else self.by_peer.on_update(request, now)
            case "PRACK" if self.incoming is not None:
                return self.incoming.on_prack(request)
            case "OPTIONS":
                return capabilities(request)
            case "INFO":
                return self._on_info(request)
            case "NOTIFY":
                return self._on_notify(request, now)
            case _:
                return request.response(481)

    def on_ack(self, ack: Request, now: float) -> None:
        """An ACK of the dialog; raises ParseError."""
        number = ack.cseq.number
        first = None if self.incoming is None else self.incoming.accepted
        if first is not None and first.number == number:
            first.ack(ack, now)
            self.modifier.proceed(now)
        if self.by_peer.accepted is not None and self.by_peer.accepted.number == number:
            self.by_peer.accepted.ack(ack, now)

    def on_cancel(self, cancel: Request, now: float) -> None:
        """The caller gave up (§9.2)."""
        if self.incoming is None or self.call.state is not State.INCOMING:
            return
        cause, text = _reason_of(cancel)
        # RFC 3326 §3.1: somebody else took it, so it is no missed call.
        self.call.blame(EndedBy.REMOTE, 487, text, answered_elsewhere=cause == 200)
        self.incoming.refuse_with(487, "")
        self.call.feed(Input.CANCELLED, now)

    def _on_bye(self, bye: Request, now: float) -> Response:
        if self.incoming is not None:
            self.incoming.refuse_with(487, "")
        if self.call.answered:
            self.call.blame(EndedBy.REMOTE, 0, _reason_of(bye)[1])
        self.call.feed(Input.BYE_RECEIVED, now)
        return bye.response(200)

    def _on_invite(self, transaction: TransactionId, invite: Request, now: float) -> Response | None:
        if not self.call.up:
            return invite.response(491 if self.out is not None and not self.call.over else 481)
        first = None if self.incoming is None else self.incoming.accepted
        if first is not None and not first.offered:
            first.ack(None, now)
        return self.by_peer.on_invite(transaction, invite, now)

    def _on_info(self, info: Request) -> Response:
        pressed = parse_dtmf_untrusted(info)
        if pressed is not None:
            self.call.report(DtmfInfoReceived(self.call.id, *pressed))
            return info.response(200)
        # RFC 6086 §4.2.2: an INFO without a body is legacy and harmless.
        if not info.body:
            return info.response(200)
        response = info.response(415)
        response.headers.add("Accept", DTMF_RELAY)
        return response

    def _on_notify(self, notify: Request, now: float) -> Response:
        if event_package(notify) == "refer":
            return self.transfer.on_notify(notify, now)
        response = notify.response(489)
        response.headers.add("Allow-Events", ALLOW_EVENTS)
        return response

    # --- verbs and time ------------------------------------------------------------------------------------

    def send_dtmf(self, digit: str, duration_ms: int, now: float) -> None:
        """Send a digit by INFO; while the peer cannot be reached it waits, with those before it."""
        if self.call.reach.lost:
            if len(self._kept_digits) < _MAX_KEPT_DIGITS:
                self._kept_digits.append((digit, duration_ms))
            return
        if self.call.dialog is None:
            return
        info = self.call.dialog.request("INFO")
        set_body(info, dtmf_relay(digit, duration_ms), DTMF_RELAY)
        self._core.request(
            info, self._on_info_outcome, now, dialog=self.call.dialog, next_cseq=self.call.dialog.next_cseq
        )

    def _send_kept_digits(self, now: float) -> None:
        kept, self._kept_digits = self._kept_digits, []
        for digit, duration_ms in kept:
            self.send_dtmf(digit, duration_ms, now)

    def _on_info_outcome(self, outcome: Outcome, now: float) -> None:
        match outcome:
            case Failure.TIMEOUT:
                self._dtmf_failed(408, Phrase("no answer"))
            case Failure.TRANSPORT:
                self._dtmf_failed(503, Phrase("the connection to the server broke"))
            case Response() if outcome.status in GONE_STATUSES:
                self.call.blame(EndedBy.ERROR, outcome.status, outcome.reason)
                self.call.feed(Input.GONE, now)
            case Response() if outcome.is_final and not outcome.is_success:
                self._dtmf_failed(outcome.status, outcome.reason)
            case Response():
                pass

    def _dtmf_failed(self, status: int, reason: str) -> None:
        if not self.call.over:
            self.call.report(VerbFailed(self.call.id, "dtmf", status, reason))

    def flow_recovered(self, now: float) -> None:
        """Signalling is back: what waits for an ACK waits anew, and the peer learns our new Contact."""
        if self.call.dialog is not None:
            self.call.dialog.flow = self._core.flow
        if self.incoming is not None:
            self.incoming.flow_recovered(now)
        self.by_peer.flow_recovered(now)
        if self.call.up:
            self.modifier.refresh(now)
        else:
            self._ask_for_caller(now)

    def is_on(self, flow: FlowId) -> bool:
        """Whether the peer knows the way to us by ``flow``."""
        return self.call.dialog is not None and self.call.dialog.flow == flow

    def flow_moved(self, now: float) -> None:
        """The flow the peer knows is gone, and another serves.

        A GRUU leads there already; whether the call is still known over there is worth the question all the same.
        """
        self.modifier.flow_moved()
        self.flow_recovered(now)

    def _ask_for_caller(self, now: float) -> None:
        """Ask again and again whether a call that rings here is still there.

        Its CANCEL goes the way of its INVITE, which is lost. But the early dialog is either known over there or gone
        (§12.2.2), which an INFO shows that says nothing (RFC 6086 §4.2.2); PBXs answer OPTIONS without looking.
        """
        if self.call.state is State.INCOMING and self.call.dialog is not None and self._core.flow is not None:
            info = self.call.dialog.request("INFO")
            self._core.request(
                info, self._on_caller, now, dialog=self.call.dialog, next_cseq=self.call.dialog.next_cseq
            )
            self.call.start(Timer.ASK_FOR_CALLER, now + _ASK_EVERY)

    def _on_caller(self, outcome: Outcome, now: float) -> None:
        """What became of the question whether the caller still waits."""
        if isinstance(outcome, Response) and outcome.status == _NO_SUCH_CALL and self.incoming is not None:
            self.call.blame(EndedBy.REMOTE, 487, Phrase("the caller gave up while the PBX could not be reached"))
            self.incoming.refuse_with(487, "")
            self.call.feed(Input.CANCELLED, now)

    def on_timer(self, timer: Timer, now: float) -> None:
        """A timer of this call went off."""
        match timer:
            case Timer.RING:
                self._on_ring_timeout(now)
            case Timer.RING_AGAIN | Timer.RETRANSMIT_1XX | Timer.GIVE_UP_1XX:
                if self.incoming is not None:
                    self.incoming.on_timer(timer, now)
            case Timer.RETRANSMIT_2XX | Timer.GIVE_UP_2XX:
                self._on_2xx_timer(timer, now)
            case Timer.RETRY_MODIFY:
                self.modifier.on_retry(now)
            case Timer.REFRESH:
                self.modifier.refresh(now)
            case Timer.EXPIRE:
                self._on_expiry(now)
            case Timer.REFER:
                self.transfer.on_timer(now)
            case Timer.ASK_FOR_CALLER:
                self._ask_for_caller(now)
            case Timer.SILENCE:
                self.call.reach.on_timer(now)
            case Timer.BYE:
                pass  # the farewell's own
            case _:
                assert_never(timer)

    def _on_ring_timeout(self, now: float) -> None:
        if self.incoming is not None:
            self.incoming.refuse_with(480, "")
        self.call.blame(EndedBy.LOCAL, 408 if self.call.outgoing else 480, Phrase("nobody answered"))
        self.call.feed(Input.RING_TIMEOUT, now)

    def _on_2xx_timer(self, timer: Timer, now: float) -> None:
        first = None if self.incoming is None else self.incoming.accepted
        for accepted in (first, self.by_peer.accepted):
            if accepted is not None and accepted.waiting:
                if timer is Timer.RETRANSMIT_2XX:
                    accepted.retransmit(now)
                else:
                    accepted.give_up(now)

    def _on_expiry(self, now: float) -> None:
        # Without signalling there is nobody to tell, and the media may well be alive: the refresh that follows the
        # recovery finds out.
        call = self.call
        if call.slept and self._core.flow is not None:
            # The time ran while this machine slept; the peer may have been more patient than RFC 4028 §10 asks.
            call.slept = False
            call.start(Timer.EXPIRE, now + _ASKED_AFTER_SLEEP)
            self.modifier.refresh(now)
        elif self._core.flow is not None:
            self.call.blame(EndedBy.ERROR, 408, Phrase("the session timer ran out"))
            self.call.feed(Input.EXPIRED, now)


def _reason_of(request: Request) -> tuple[int | None, str]:
    """The first SIP or other cause of a Reason header and its text (RFC 3326)."""
    try:
        reasons = [Reason.parse(value) for value in request.headers.values("Reason")]
        for reason in reasons:
            if reason.protocol.upper() == "SIP" or len(reasons) == 1:
                return reason.cause, reason.text or ""
    except ParseError:
        pass  # it explains, it decides nothing
    return None, ""
