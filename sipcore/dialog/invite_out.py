"""The INVITE that starts a call of ours, and every response to it (RFC 3261 §13.2, RFC 3262 §4).

INVITE ─┬─ 1xx ─▶ early dialog by To tag ─▶ PRACK if reliable, early media if it holds an answer
        ├─ 2xx ─▶ the first is the call; another tag's is acknowledged and ended; copies are acknowledged again
        ├─ 3xx, 422 ─▶ tried once more where that makes sense, else the end
        └─ 415, 488, 606 ─▶ OfferRefused where the application may have another offer, else the end
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.dialog.call import Call
from sipcore.dialog.core import Failure, Outcome, Timer, sdp_of, set_body
from sipcore.dialog.dialog import MAX_FORWARDS, Dialog
from sipcore.dialog.session import Input, State
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import CallRinging, CallState, EndedBy, OfferRefused
from sipcore.media import LocalMedia, MediaParameters
from sipcore.message.fields import parse_rseq
from sipcore.message.message import Request, Response
from sipcore.message.status import is_redirect
from sipcore.message.uri import NameAddr, Uri
from sipcore.sdp.offer_answer import OfferAnswer, Unacceptable

if TYPE_CHECKING:
    from sipcore.transaction.authenticated import AuthenticatedRequest

_NOT_ACCEPTABLE = (415, 488, 606)
_MAX_INTERVAL_RETRIES = 2


@dataclass(slots=True)
class _Early:
    """One early dialog of a forked INVITE."""

    dialog: Dialog
    negotiation: OfferAnswer
    rseq: int | None = None
    """RSeq of the last reliable provisional response taken."""

    answered: bool = False
    """Whether our offer has an answer already, so that there is early media."""


@dataclass(slots=True)
class _Answered:
    """One 2xx: its dialog, and its ACK once that was sent."""

    dialog: Dialog
    ack: bytes = b""


class OutgoingInvite:
    """The attempt to reach ``target``. ``unwanted`` gets the dialogs of 2xx that came too many.

    ``fallback``: where the media is refused, the application is asked for another offer.
    """

    def __init__(
        self,
        call: Call,
        target: Uri,
        media: LocalMedia,
        unwanted: Callable[[Dialog, float], None],
        *,
        fallback: bool = False,
    ) -> None:
        self._call = call
        self._target = target
        self._fallback = fallback
        self._refusal: Response | None = None
        """Of the media, while another offer is awaited."""

        self._unwanted = unwanted
        account = call.core.account
        self._from = NameAddr(
            uri=Uri.parse(account.address_of_record), display_name=account.display_name or None
        ).with_tag(call.core.ids.tag())
        self._to = NameAddr(uri=target)
        self._call_id = call.core.ids.call_id()
        self._cseq = 0
        self._early: dict[str, _Early] = {}
        self._answered: dict[str, _Answered] = {}
        """The dialog of each 2xx, by To tag."""

        self._attempt: AuthenticatedRequest | None = None
        self._redirected = False
        self._rang = False
        self._interval_retries = 0
        call.media = media

    # --- verbs ---------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Send the INVITE. Raises LocalProtocolError where ``media`` cannot be offered; nothing was sent then."""
        if self._call.media is not None:
            self._call.negotiation.create_offer(self._call.media, self._call.wanted)
        self._send(now)
        self._call.start(Timer.RING, now + self._call.core.settings.ring_timeout)

    def offer_again(self, media: LocalMedia | None, now: float) -> None:
        """Answer OfferRefused: try with ``media``, or None to let the refusal stand.

        Raises LocalProtocolError where nothing was refused, or ``media`` cannot be offered.
        """
        call, refusal = self._call, self._refusal
        if refusal is None or call.state is not State.RECONSIDERING:
            raise LocalProtocolError(Phrase("no other offer is wanted now"))
        if media is None:
            call.blame(EndedBy.REMOTE, refusal.status, refusal.reason)
            call.feed(Input.REFUSED, now)
            return
        call.negotiation.create_offer(media, call.wanted)
        call.media, self._refusal = media, None
        call.feed(Input.OFFER_AGAIN, now)
        self._send(now)

    def cancel(self, now: float) -> None:
        """Take it back, as soon as the peer may be told (§9.1)."""
        if self._attempt is not None:
            self._attempt.cancel(now)

    @property
    def dialogs(self) -> list[Dialog]:
        """The early dialogs."""
        return [early.dialog for early in self._early.values()]

    # --- the INVITE ----------------------------------------------------------------------------------------

    def _send(self, now: float) -> None:
        self._early.clear()
        invite = Request("INVITE", self._target)
        headers = invite.headers
        headers.add("Max-Forwards", MAX_FORWARDS)
        headers.add("From", str(self._from))
        headers.add("To", str(self._to))
        headers.add("Call-ID", self._call_id)
        headers.add("CSeq", f"{self._next_cseq()} INVITE")
        self._call.core.add_contact(invite)
        self._call.core.describe(invite)
        self._call.timer.ask(invite)
        set_body(invite, self._call.negotiation.pending_local_sdp or b"")
        self._attempt = self._call.core.request(invite, self._on_outcome, now, next_cseq=self._next_cseq)

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _on_outcome(self, outcome: Outcome, now: float) -> None:
        match outcome:
            case Failure.TIMEOUT:
                self._call.blame(EndedBy.ERROR, 408, Phrase("no answer from the server"))
                self._call.feed(Input.FAILED, now)
            case Failure.TRANSPORT:
                self._leave_early_dialogs(now)
                self._call.blame(EndedBy.ERROR, 503, Phrase("the connection to the server broke"))
                self._call.feed(Input.FAILED, now)
            case Response() if outcome.is_provisional:
                self._on_provisional(outcome, now)
            case Response() if outcome.is_success:
                self._on_success(outcome, now)
            case Response():
                self._on_refusal(outcome, now)

    def _leave_early_dialogs(self, now: float) -> None:
        """Let the far end stop ringing as soon as there is a flow again.

        Responses travel back the way of their INVITE (§18.2.2), so none can come any more, and a new INVITE might ring
        twice. §15: "The caller's UA MAY send a BYE for either confirmed or early dialogs"; it also ends one whose 2xx
        is lost on its way.
        """
        for early in self._early.values():
            self._unwanted(early.dialog, now)
        self._early.clear()

    # --- provisional ---------------------------------------------------------------------------------------

    def _on_provisional(self, response: Response, now: float) -> None:
        if response.status == 100 or self._answered:
            return
        call = self._call
        try:
            early = self._early_dialog(response)
            if early is not None and not self._take_reliable(early, response, now):
                return
            parameters = self._early_answer(early, response)
        except (ParseError, Unacceptable):
            # A provisional response nobody can read is as good as none; the final one counts.
            return
        call.status, call.reason = response.status, response.reason
        if parameters is not None and call.state in (State.CALLING, State.PROCEEDING):
            call.negotiated(parameters)
        call.feed(Input.PROVISIONAL, now)

    def show_progress(self) -> None:
        """Tell the user what the last provisional response means."""
        if self._call.status == 180 and not self._rang:
            self._rang = True
            self._call.report(CallRinging(self._call.id))
        if any(early.answered for early in self._early.values()):
            self._call.show(CallState.EARLY)
        elif self._call.status == 180:
            self._call.show(CallState.RINGING)

    def _early_dialog(self, response: Response) -> _Early | None:
        """The early dialog of a 101 to 199; None for one without a To tag or beyond the limit."""
        tag = response.to.tag
        if tag is None or self._attempt is None:
            return None
        early = self._early.get(tag)
        if early is None and len(self._early) < self._call.core.settings.max_forks:
            dialog = Dialog.as_client(self._attempt.request, response)
            early = self._early[tag] = _Early(dialog, self._call.negotiation.fork())
        elif early is not None:
            early.dialog.refresh_target(response)
        return early

    def _take_reliable(self, early: _Early, response: Response, now: float) -> bool:
        """Acknowledge a reliable provisional response by PRACK; False for one out of order or seen before."""
        raw = response.headers.get("RSeq")
        if raw is None or "100rel" not in response.require or self._attempt is None:
            return True
        rseq = parse_rseq(raw)
        # RFC 3262 §4: "a UAC [...] MUST NOT acknowledge [it] if the RSeq is not one higher than the last"; the copy
        # of one whose PRACK is under way is that transaction's business.
        if early.rseq is not None and rseq != early.rseq + 1:
            return False
        early.rseq = rseq
        prack = early.dialog.request("PRACK")
        prack.headers.add("RAck", f"{rseq} {self._attempt.request.cseq.number} INVITE")
        self._call.core.request(prack, lambda *_: None, now, next_cseq=early.dialog.next_cseq)
        return True

    def _early_answer(self, early: _Early | None, response: Response) -> MediaParameters | None:
        body = sdp_of(response)
        if early is None or body is None:
            return None
        parameters = early.negotiation.receive_answer(body, provisional=True)
        early.answered = True
        return parameters

    # --- success -------------------------------------------------------------------------------------------

    def _on_success(self, response: Response, now: float) -> None:
        try:
            tag = response.to.tag or ""
            if answered := self._answered.get(tag):
                self._acknowledge(answered)
                return
            early = self._early.get(tag)
            dialog = self._confirmed_dialog(early, response)
        except ParseError:
            # Without a dialog there is nothing to acknowledge in; the peer gives up after 64*T1.
            return
        first = not self._answered
        answered = self._answered[tag] = _Answered(dialog)
        self._acknowledge(answered)
        if not first or self._call.state not in (State.CALLING, State.PROCEEDING, State.CANCELLING):
            # §13.2.2.4: another fork answered as well, or we had given up: it "MUST" be ended by a BYE.
            self._unwanted(dialog, now)
            return
        self._win(dialog, early.negotiation if early else self._call.negotiation, response, now)

    def _confirmed_dialog(self, early: _Early | None, response: Response) -> Dialog:
        if early is None:
            if self._attempt is None:
                raise ParseError("a 2xx without an INVITE")
            return Dialog.as_client(self._attempt.request, response)
        early.dialog.confirm_as_client(response)
        early.dialog.confirmed = True
        return early.dialog

    def _acknowledge(self, answered: _Answered) -> None:
        """Send the ACK of a 2xx, or its copy; without a flow the peer's next copy of the 2xx will ask again."""
        core = self._call.core
        if self._attempt is None or core.flow is None:
            return
        if answered.ack:
            core.layer.send_again(answered.ack, core.flow)
            return
        invite = self._attempt.request
        ack = answered.dialog.request("ACK", cseq=invite.cseq.number)
        # §22.1: the ACK of a 2xx carries the credentials of its INVITE.
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.get_all(name):
                ack.headers.add(name, value)
        answered.ack = core.layer.send_ack(ack, core.flow)

    def _win(self, dialog: Dialog, negotiation: OfferAnswer, response: Response, now: float) -> None:
        """This 2xx is the call."""
        call = self._call
        call.dialog, call.negotiation = dialog, negotiation
        call.stop(Timer.RING)
        cancelled = call.state is State.CANCELLING
        parameters: MediaParameters | None = None
        try:
            body = sdp_of(response)
            parameters = negotiation.accept_early() if body is None else negotiation.receive_answer(body)
            call.timer.confirmed_by(response, now)
        except (ParseError, Unacceptable):
            parameters = None
        if not cancelled:
            call.answered = True
            call.status, call.reason = response.status, response.reason
            if parameters is not None:
                call.negotiated(parameters)
        call.feed(Input.SUCCESS, now)
        if parameters is None and not cancelled:
            call.blame(EndedBy.ERROR, 488, Phrase("the answer of the other side cannot be used"))
            call.feed(Input.GONE, now)

    # --- refusal -------------------------------------------------------------------------------------------

    def _on_refusal(self, response: Response, now: float) -> None:
        call = self._call
        if call.state in (State.CALLING, State.PROCEEDING):
            if self._try_again(response):
                self._send(now)
                return
            if self._fallback and response.status in _NOT_ACCEPTABLE:
                self._early.clear()
                self._refusal = response
                call.negotiation.rollback()
                call.feed(Input.MEDIA_REFUSED, now)
                call.report(OfferRefused(call.id))
                return
        call.blame(EndedBy.REMOTE, response.status, response.reason)
        call.feed(Input.REFUSED, now)

    def _try_again(self, response: Response) -> bool:
        """Whether the INVITE was changed so that it may succeed now (§8.1.3.4, §8.1.3.5, RFC 4028 §7.3)."""
        if is_redirect(response.status):
            return self._redirect(response)
        if response.status == 422 and self._interval_retries < _MAX_INTERVAL_RETRIES:
            self._interval_retries += 1
            return self._call.timer.refused(response)
        return False

    def _redirect(self, response: Response) -> bool:
        """Follow the best Contact of a 3xx, once and never in a circle."""
        if self._redirected:
            return False
        try:
            candidates = [contact for contact in response.contacts if contact.uri.scheme in ("sip", "sips")]
        except ParseError:
            return False
        candidates = [contact for contact in candidates if not contact.uri.equivalent(self._target)]
        if not candidates:
            return False
        self._redirected = True
        # §19.1.5: headers in a URI are suggestions of a stranger.
        best = max(candidates, key=_preference).uri
        self._target = Uri.parse(str(best).partition("?")[0]).without_params("method")
        return True


def _preference(contact: NameAddr) -> float:
    """The q value, 1 where there is none (§20.10)."""
    try:
        return float(contact.param("q") or 1)
    except ValueError:
        return 0.0
