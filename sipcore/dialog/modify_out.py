"""Our re-INVITEs: hold, resume, new media address, refresh (RFC 3261 §14.1, RFC 3264 §8, RFC 4028 §7.4).

    IDLE ──something is wanted──▶ INVITING ──2xx, refused──▶ IDLE
     ▲                               └──491──▶ WAITING ──2.1 to 4 s or 0 to 2 s──┐
     └──────────────────────────── tried again ─────────────────────────────────┘

What the user wants is noted first and sent when the dialog is free and signalling is up, so a hold during an outage
is not lost. A refused re-INVITE leaves the session as it was.
"""

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipcore.dialog.call import Call
from sipcore.dialog.core import Failure, Outcome, Timer, sdp_of, set_body
from sipcore.dialog.session import Input, State
from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.events import EndedBy, VerbFailed
from sipcore.media import Direction, LocalMedia
from sipcore.message.fields import RetryAfter
from sipcore.message.message import Response
from sipcore.sdp.offer_answer import NegotiationState, Unacceptable

if TYPE_CHECKING:
    from sipcore.transaction.authenticated import AuthenticatedRequest

GONE_STATUSES = (404, 408, 481)
"""The peer (or its proxy) knows no such call any more, and said so itself."""

_MAX_GLARES = 8
_MAX_RETRY_AFTER = 10
_REMEMBERED_ACKS = 4
_REFRESH_RETRY = 4.0
_NO_ANSWER = 408
_AFTER_ACK = 0.1


class Phase(enum.Enum):
    """Whether a re-INVITE of ours is under way."""

    IDLE = enum.auto()
    INVITING = enum.auto()
    WAITING = enum.auto()


@dataclass(slots=True)
class _Wish:
    """What the next re-INVITE shall change; None and False: nothing."""

    hold: bool | None = None
    media: LocalMedia | None = None
    refresh: bool = False

    def __bool__(self) -> bool:
        return self.hold is not None or self.media is not None or self.refresh

    @property
    def verb(self) -> str:
        """The name VerbFailed gives it."""
        if self.hold is not None:
            return "hold" if self.hold else "resume"
        return "update_media" if self.media is not None else "refresh"

    def over(self, older: "_Wish") -> "_Wish":
        """This wish on top of an older one that was not granted."""
        return _Wish(
            older.hold if self.hold is None else self.hold,
            older.media if self.media is None else self.media,
            self.refresh or older.refresh,
        )


class Modifier:
    """Sends the re-INVITEs of one call, one at a time."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.phase = Phase.IDLE
        self._wanted = _Wish()
        self._running = _Wish()
        self._attempt: AuthenticatedRequest | None = None
        self._serial = 0
        """Counts our re-INVITEs, whose responses may overtake each other's copies."""

        self._acks: dict[int, bytes] = {}
        """The ACKs of the last few 2xx, by serial."""

        self._glares = 0
        self.vital = False
        """Set while the call has no sound before a re-INVITE succeeds: without, it is over."""

        self._moved = False
        """Whether the peer has not been told yet that another flow serves."""

        self._doubtful = 0
        """CSeq of the INVITE before the peer was lost: it may still wait for the ACK of that. -1: which was sent."""

        self.blocked = False
        """Set while an INVITE of the peer waits for its ACK with an offer of ours in the 2xx."""

    # --- verbs ---------------------------------------------------------------------------------------------

    def hold(self, now: float, *, hold: bool) -> None:
        """Hold, or resume."""
        self._wanted.hold = hold
        self.proceed(now)

    @property
    def hold_wanted(self) -> bool:
        """Whether the user wants the call held, agreed on or not."""
        for wish in (self._wanted.hold, self._running.hold):
            if wish is not None:
                return wish
        return self._call.holding

    def update_media(self, media: LocalMedia, now: float) -> None:
        """Offer another address, codec list or key."""
        self._wanted.media = media
        self.proceed(now)

    def move_media(self, media: LocalMedia, now: float) -> None:
        """Offer the stream as it is at the address, and with the ICE credentials, of ``media``."""
        if (present := self._wanted.media or self._running.media or self._call.media) is not None:
            moved = replace(
                present, address=media.address, rtp_port=media.rtp_port, rtcp_port=media.rtcp_port, ice=media.ice
            )
            self.update_media(moved, now)

    def refresh(self, now: float) -> None:
        """Repeat what was agreed, for the session timer or a new Contact."""
        self._wanted.refresh = True
        self.proceed(now)

    def flow_moved(self) -> None:
        """The flow our last INVITE went by is gone: the peer may still wait for its ACK, and has to hear of another."""
        self._moved = True
        if self._call.up and self._call.dialog is not None and not self._doubtful:
            self._doubtful = self._call.dialog.invite_cseq

    def proceed(self, now: float) -> None:
        """Send what is wanted if the dialog is free."""
        call = self._call
        if self._wanted.hold == call.holding and self.phase is not Phase.INVITING:
            self._wanted.hold = None
        if (
            not self._wanted
            or self.phase is not Phase.IDLE
            or self.blocked
            or call.state is not State.CONFIRMED
            or call.core.flow_of(call.dialog) is None
            or call.negotiation.state is not NegotiationState.STABLE
        ):
            return
        self._running, self._wanted = self._wanted, _Wish()
        self._send(now)

    def on_retry(self, now: float) -> None:
        """The wait after a 491 is over."""
        if self.phase is Phase.WAITING:
            self.phase = Phase.IDLE
            self.proceed(now)

    # --- the re-INVITE -------------------------------------------------------------------------------------

    def _send(self, now: float) -> None:
        call, running = self._call, self._running
        if call.dialog is None or call.media is None:
            return
        try:
            body = self._offer(running, call.media)
        except LocalProtocolError as error:
            self._running = _Wish()
            call.report(VerbFailed(call.id, running.verb, 488, str(error)))
            return
        self.phase = Phase.INVITING
        if call.reach.lost and not self._doubtful:
            self._doubtful = call.dialog.invite_cseq
        invite = call.dialog.request("INVITE")
        call.core.add_contact(invite, call.dialog)
        call.core.describe(invite)
        call.timer.ask(invite)
        set_body(invite, body)
        self._serial = serial = self._serial + 1
        self._attempt = call.core.request(
            invite,
            lambda outcome, at: self._on_outcome(serial, outcome, at),
            now,
            dialog=call.dialog,
            next_cseq=call.dialog.next_invite_cseq,
        )

    def _offer(self, running: _Wish, media: LocalMedia) -> bytes:
        call = self._call
        if call.negotiation.holds_keys and not call.core.is_secure(call.dialog):
            # Another server of the account's list, perhaps. The call goes on, and nobody reads its keys.
            raise LocalProtocolError(Phrase("the call's keys must not travel over a connection that is not encrypted"))
        if running.hold is None and running.media is None:
            return call.negotiation.unchanged_offer()
        holding = call.holding if running.hold is None else running.hold
        direction = Direction.SENDONLY if holding else Direction.SENDRECV
        return call.negotiation.create_offer(running.media or media, direction)

    def _on_outcome(self, serial: int, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, Response) and outcome.is_success:
            self._on_success(serial, outcome, now)
            return
        if serial != self._serial or self.phase is not Phase.INVITING or self._call.over:
            return
        match outcome:
            case Response() if outcome.is_provisional:
                pass
            case Response():
                self._on_refusal(outcome, now)
            case Failure.TRANSPORT:
                # Nobody refused anything: it is sent again when signalling is back.
                self._take_back(wanted=True)
            case Failure.TIMEOUT if self._owed:
                # Nobody has said that the call is gone, and while it is heard it is not.
                self._retry(now + self._call.reach.retry_after())
            case Failure.TIMEOUT:
                self._fail(_NO_ANSWER, Phrase("no answer"), now)

    def _on_success(self, serial: int, response: Response, now: float) -> None:
        call = self._call
        if serial in self._acks:
            if (flow := call.core.flow_of(call.dialog)) is not None:
                call.core.layer.send_again(self._acks[serial], flow)
            return
        self._acknowledge(serial, response)
        if serial != self._serial or self.phase is not Phase.INVITING or call.over:
            return
        running = self._running
        try:
            body = sdp_of(response)
            if body is None:
                raise ParseError("a 2xx without an answer")
            parameters = call.negotiation.receive_answer(body)
            call.timer.confirmed_by(response, now)
        except (ParseError, Unacceptable) as error:
            self._fail(488, str(error), now)
            return
        self._settle()
        self._doubtful = 0
        self._moved = False
        if self.vital:
            self.vital = False
            call.reach.silent(None)
        call.reach.proven(now)
        if running.media is not None:
            call.media = running.media
        call.negotiated(parameters, holding=call.holding if running.hold is None else running.hold)
        self.proceed(now)

    def _acknowledge(self, serial: int, response: Response) -> None:
        call, flow = self._call, self._call.core.flow_of(self._call.dialog)
        if call.dialog is None or flow is None or self._attempt is None:
            return
        try:
            number = response.cseq.number
            call.dialog.refresh_target(response)
            call.dialog.note_allow(response)
        except ParseError:
            # The target stays what it was; the ACK is due all the same.
            number = self._attempt.request.cseq.number
        ack = call.dialog.request("ACK", cseq=number)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in self._attempt.request.headers.get_all(name):
                ack.headers.add(name, value)
        self._acks[serial] = call.core.layer.send_ack(ack, flow)
        self._acks.pop(serial - _REMEMBERED_ACKS, None)

    def _on_refusal(self, response: Response, now: float) -> None:
        call = self._call
        wait = self._wait_for(response)
        if wait is not None and self._acknowledge_doubtful(response):
            wait = _AFTER_ACK
        if wait is not None and (self._glares < _MAX_GLARES or self._owed):
            self._glares += 1
            self._retry(now + wait)
        elif response.status == 422 and call.timer.refused(response):
            self._take_back(wanted=True)
            self.proceed(now)
        elif response.status in GONE_STATUSES:
            self._take_back(wanted=False)
            reason = Phrase("the call was over at the PBX when it could be reached again")
            call.blame(EndedBy.ERROR, response.status, reason if call.reach.lost else response.reason)
            call.feed(Input.GONE, now)
        else:
            self._fail(response.status, response.reason, now)

    def _acknowledge_doubtful(self, response: Response) -> bool:
        """Send the ACK a peer may be waiting for, once; whether that was done.

        §14.2: while an INVITE of ours is under way it refuses another, by 500 or 491. One whose 2xx went into the
        connection that was lost waits for 64*T1, and then ends the call; a stray ACK is ignored by everybody.
        """
        dialog = self._call.dialog
        flow = self._call.core.flow_of(dialog)
        if self._doubtful <= 0 or dialog is None or flow is None or response.status not in (491, 500):
            return False
        self._call.core.layer.send_ack(dialog.request("ACK", cseq=self._doubtful), flow)
        self._doubtful = -1
        return True

    def _wait_for(self, response: Response) -> float | None:
        """How long to wait before the same re-INVITE may succeed, in seconds; None: it will not."""
        if response.status == 491:
            # §14.1: the owner of the Call-ID draws "between 2.1 and 4 seconds in units of 10 ms", the other "between
            # 0 and 2 seconds".
            low, high = (2.1, 4.0) if self._call.outgoing else (0.0, 2.0)
            return round(self._call.core.ids.uniform(low, high), 2)
        raw = response.headers.get("Retry-After")
        if raw is not None and response.status in (500, 503):
            # §14.2: the peer is busy with an INVITE of its own; or overloaded.
            try:
                return float(min(RetryAfter.parse(raw).seconds, _MAX_RETRY_AFTER))
            except ParseError:
                pass  # as if it had not been there
        # A PBX that has just come back needs our Contact as soon as it can take it.
        if response.status >= 500 and self._owed:
            return self._call.reach.retry_after()
        return _REFRESH_RETRY if response.status >= 500 and self._running.verb == "refresh" else None

    @property
    def _owed(self) -> bool:
        """Whether the peer does not know the way to us, so that nothing less than an answer is the end of it."""
        return self._moved or self._call.reach.lost

    def _retry(self, at: float) -> None:
        self._take_back(wanted=True)
        self.phase = Phase.WAITING
        self._call.start(Timer.RETRY_MODIFY, at)

    def _take_back(self, *, wanted: bool) -> None:
        """As if it had never been sent; ``wanted``: but it shall be again."""
        if wanted:
            self._wanted = self._wanted.over(self._running)
        self._call.negotiation.rollback()
        self._running = _Wish()
        self.phase = Phase.IDLE

    def _fail(self, status: int, reason: str, now: float) -> None:
        running = self._running
        self._take_back(wanted=False)
        self._glares = 0
        if self.vital:
            self._call.blame(EndedBy.ERROR, status, reason)
            self._call.feed(Input.GONE, now)
            return
        self._call.report(VerbFailed(self._call.id, running.verb, status, reason))
        # What was refused is the change; a new Contact has still to be told.
        self._wanted.refresh |= running.refresh and running.verb != "refresh"
        if not self._wanted.refresh and status != _NO_ANSWER:
            self._call.reach.proven(now)
        self.proceed(now)

    def _settle(self) -> None:
        self._running = _Wish()
        self._glares = 0
        self.phase = Phase.IDLE
