"""Their re-INVITEs and UPDATEs, answered without asking anybody (RFC 3261 §14.2, RFC 3311 §5.2).

INVITE with an offer    200 with our answer, until ACK
INVITE without          200 with our offer, its answer in the ACK
UPDATE                  200, with our answer if it had an offer
"""

from sipcore.dialog.accepted import Accepted
from sipcore.dialog.call import Call
from sipcore.dialog.core import sdp_of, set_body
from sipcore.dialog.modify_out import Modifier, Phase
from sipcore.dialog.screening import refusal_of_offer
from sipcore.errors import LocalProtocolError, ParseError, SipError
from sipcore.message.fields import WarningValue
from sipcore.message.message import Request, Response
from sipcore.sdp.offer_answer import NegotiationState, Unacceptable
from sipcore.transaction.events import TransactionId

_RETRY_AFTER_BITS = 3
_MISCELLANEOUS = 399


class ModifiedByPeer:
    """Answers the session changes of one call's peer."""

    def __init__(self, call: Call, modifier: Modifier) -> None:
        self._call = call
        self._modifier = modifier
        self.accepted: Accepted | None = None
        """Our last 2xx to a re-INVITE."""

    def on_invite(self, transaction: TransactionId, invite: Request, now: float) -> Response | None:
        """Answer a re-INVITE; a response other than 2xx is returned to be sent. Raises ParseError."""
        if self._modifier.phase is Phase.INVITING:
            # §14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is in
            # progress MUST return a 491".
            return invite.response(491)
        if self._call.media is None or self._waits_for_answer():
            return _later(self._call, invite)
        if refusal := refusal_of_offer(invite, self._call.timer):
            return refusal
        response = self._answer(invite, now, offer_if_none=True)
        if not response.is_success:
            return response
        if self.accepted is not None:
            # RFC 5407 §3.1.4: this INVITE overtook the ACK of the one before.
            self.accepted.supersede()
        self.accepted = Accepted(
            self._call,
            transaction,
            response,
            offered=sdp_of(invite) is None,
            acked=self._on_ack,
            unheard=lambda at: self._on_ack(None, at),
        )
        self._modifier.blocked = True
        self.accepted.start(now)
        return None

    def on_update(self, update: Request, now: float) -> Response:
        """The response to an UPDATE; raises ParseError."""
        if sdp_of(update) is not None:
            if self._call.negotiation.state is NegotiationState.LOCAL_OFFER:
                # RFC 3311 §5.2: an offer of ours is not answered yet.
                return update.response(491)
            if self._call.media is None or self._call.negotiation.state is NegotiationState.REMOTE_OFFER:
                return _later(self._call, update)
        if refusal := refusal_of_offer(update, self._call.timer):
            return refusal
        return self._answer(update, now, offer_if_none=False)

    def flow_recovered(self, now: float) -> None:
        """Give the ACK of our 2xx its full time again."""
        if self.accepted is not None:
            self.accepted.flow_recovered(now)

    def _waits_for_answer(self) -> bool:
        return self._call.negotiation.state is not NegotiationState.STABLE

    def _answer(self, request: Request, now: float, *, offer_if_none: bool) -> Response:
        """A 200 with the body that is due, the target refreshed; or a 488, and nothing has changed."""
        call = self._call
        target = None if call.dialog is None else call.dialog.remote_target
        if call.dialog is not None:
            call.dialog.refresh_target(request)
        response = request.response(200)
        try:
            self._add_description(request, response, offer_if_none=offer_if_none)
        except (Unacceptable, LocalProtocolError) as error:
            call.negotiation.rollback()
            if call.dialog is not None and target is not None:
                call.dialog.remote_target = target
            return not_acceptable(request, error)
        if call.dialog is not None:
            call.dialog.note_allow(request)
        call.core.add_contact(response, call.dialog)
        call.core.describe(response)
        call.timer.agree(request, response, now)
        return response

    def _add_description(self, request: Request, response: Response, *, offer_if_none: bool) -> None:
        call, body = self._call, sdp_of(request)
        if call.media is None:
            return
        if body is not None:
            call.negotiation.receive_offer(body)
            answer, parameters = call.negotiation.create_answer(call.media, call.wanted)
            set_body(response, answer)
            call.negotiated(parameters)
        elif offer_if_none:
            set_body(response, call.negotiation.create_offer(call.media, call.wanted))

    def _on_ack(self, ack: Request | None, now: float) -> None:
        """The 2xx is acknowledged, by its ACK or not at all: a lost ACK of a re-INVITE harms nobody's call."""
        call = self._call
        self._modifier.blocked = False
        if self.accepted is not None and self.accepted.offered:
            try:
                body = None if ack is None else sdp_of(ack)
                if body is None:
                    raise ParseError("an ACK without the answer")
                call.negotiated(call.negotiation.receive_answer(body))
            except (ParseError, Unacceptable):
                call.negotiation.rollback()
        self._modifier.proceed(now)


def not_acceptable(request: Request, error: SipError) -> Response:
    """The 488 to an offer that cannot be agreed to, with the reason as a Warning (§21.4.26)."""
    code = error.warning_code if isinstance(error, Unacceptable) else _MISCELLANEOUS
    response = request.response(488)
    response.headers.add("Warning", str(WarningValue(code, "offhook", str(error))))
    return response


def _later(call: Call, request: Request) -> Response:
    """§14.2: "a 500 [...] with a Retry-After header field with a randomly chosen value of between 0 and 10 seconds"."""
    response = request.response(500)
    response.headers.add("Retry-After", str(call.core.ids.integer(_RETRY_AFTER_BITS)))
    return response
