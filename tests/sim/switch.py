"""The simulated PBX's calls: an echo, a far end that rings long, and one that calls its phones.

    phone's INVITE ─▶ RINGING ─answered─▶ UP ─BYE of either─▶ forgotten
    ring()         ─▶ CALLING ─200─▶ UP         re-INVITEs of both sides, CANCEL, session timer

As with Asterisk a call outlives the connection it was made on; what waits for an answer on it may or may not
(``cancels_on_close``). A request in a dialog it does not know is answered 481.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr, Uri
from tests.sim.call import Call, Manner, Phase
from tests.sim.world import Connection, End, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcore.ids import IdSource

SDP = (
    "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    "m=audio 10000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
)
_CONTACT = "<sip:600@pbx.sim;transport=ws>"
_GIVE_UP_S = 32.0
_ANSWERS = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}


class Switch:
    """The calls of one PBX. ``challenge`` judges a request of a phone: None, or the response that refuses it."""

    def __init__(
        self, world: World, ids: IdSource, challenge: Callable[[Request], Response | None], manner: Manner
    ) -> None:
        self._world = world
        self._ids = ids
        self._challenge = challenge
        self.manner = manner
        self.route: Callable[[Call], Connection] = lambda call: call.connection
        """The way of a request within a call: the flow it was on last, unless the target is a name for all of them."""

        self.calls: dict[str, Call] = {}
        self.byes: list[str] = []
        """Call-IDs of the BYEs that came from phones."""

        self.refreshed: list[tuple[str, Connection, bytes]] = []
        """Call-ID, connection and description of each re-INVITE that was accepted."""

        self.outcomes: dict[str, int] = {}
        """Final status of the calls made by :meth:`ring`, by Call-ID."""

        self.unheard: list[str] = []
        """Call-IDs of those that ended for want of an ACK although the connection works."""

    # --- what the PBX and its users do --------------------------------------------------------------------------

    def ring(self, account: str, contact: str, connection: Connection, *, patience_s: float = 40.0) -> str:
        """Call a phone; the Call-ID. Without an answer the caller gives up."""
        call_id = self._ids.call_id()
        invite = Request("INVITE", Uri.parse(contact), body=_sdp())
        for name, value in (
            ("Via", f"SIP/2.0/WS pbx.sim;branch={self._ids.branch()}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:600@pbx.sim>;tag={self._ids.tag()}"),
            ("To", f"<sip:{account}@pbx.sim>"),
            ("Call-ID", call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", _CONTACT),
            ("Content-Type", "application/sdp"),
        ):
            invite.headers.add(name, value)
        tag = invite.from_.tag or ""
        call = Call(account, connection, invite, False, Phase.CALLING, tag, self._world.now, target=contact)
        self.calls[call_id] = call
        _send(connection, invite)
        self._world.after(patience_s, lambda: self._give_up_ringing(call))
        return call_id

    def hang_up(self, call: Call) -> None:
        """The far end hangs up."""
        if self.calls.get(call.call_id) is call:
            self._world.note(f"pbx: BYE {call.call_id[:6]}")
            _send(self.route(call), self._within(call, "BYE"))
            self._forget(call)

    def hold(self, call: Call, *, hold: bool) -> None:
        """The far end holds, or resumes, unless something is under way."""
        if self.calls.get(call.call_id) is call and call.phase is Phase.UP and not call.unacked and not call.inviting:
            self._world.note(f"pbx: {'hold' if hold else 'resume'} {call.call_id[:6]}")
            call.inviting = True
            invite = self._within(call, "INVITE", _sdp(direction="sendonly" if hold else "sendrecv", version=call.cseq))
            serial = call.cseq
            _send(self.route(call), invite)

            def unheard() -> None:
                if call.inviting and call.cseq == serial:
                    call.inviting = False

            self._world.after(_GIVE_UP_S, unheard)

    def forget_all(self) -> None:
        """The process is gone."""
        for call in list(self.calls.values()):
            self._forget(call)

    def closed(self, connection: Connection) -> None:
        """The PBX noticed that a connection is gone."""
        for call in list(self.calls.values()):
            if call.connection is connection and call.phase is not Phase.UP and self.manner.cancels_on_close:
                self._world.note(f"pbx: lost {call.call_id[:6]} with its connection")
                self._forget(call)

    def up(self, account: str) -> list[Call]:
        """The calls of an account that are answered."""
        return [call for call in self.calls.values() if call.account == account and call.phase is Phase.UP]

    # --- requests of phones -------------------------------------------------------------------------------------

    def on_request(self, connection: Connection, request: Request) -> None:
        """INVITE, ACK, CANCEL, BYE and whatever else belongs to a call."""
        known = self._find(request)
        if known is not None and request.method not in ("ACK", "CANCEL"):
            if request.cseq.number < known.peer_cseq:
                # §12.2.2: "the request is out of order and MUST be rejected with a 500".
                self._world.note(f"pbx: {request.method} {known.call_id[:6]} is out of order")
                _send(connection, request.response(500))
                return
            known.peer_cseq = request.cseq.number
        match request.method:
            case "INVITE" if request.to.tag is None:
                self._invite(connection, request)
            case "INVITE":
                self._modify(connection, request)
            case "ACK":
                if known is not None and not self._is_lost(known, request):
                    known.unacked.discard(request.cseq.number)
            case "CANCEL":
                self._cancel(connection, request)
            case "BYE":
                self._bye(connection, request)
            case _:
                stray = request.to.tag is not None and known is None
                _send(connection, request.response(481 if stray else 200, to_tag="pbx"))

    def _invite(self, connection: Connection, request: Request) -> None:
        refused = self._challenge(request)
        if refused is not None:
            _send(connection, refused)
            return
        if request.call_id in self.calls:
            self._world.note("pbx: the same call rings twice")
            raise AssertionError("an INVITE came twice: the far end rings twice")
        tag, user = self._ids.tag(), request.uri.user or ""
        call = Call(
            request.from_.uri.user or "",
            connection,
            request,
            True,
            Phase.RINGING,
            tag,
            self._world.now,
            peer_tag=request.from_.tag or "",
            peer_cseq=request.cseq.number,
            target=str(request.contacts[0].uri),
            cseq=0,
            sdp=request.body,
        )
        self.calls[request.call_id] = call
        _send(connection, request.response(100))
        _send(connection, self._with_contact(request.response(180, to_tag=tag)))
        if user in self.manner.answers:
            self._world.after(self.manner.answers[user], lambda: self._answer(call))

    def _answer(self, call: Call) -> None:
        if self.calls.get(call.call_id) is not call or call.phase is not Phase.RINGING:
            return
        call.phase, call.up_at = Phase.UP, self._world.now
        self._send_until_acked(call, self._ok(call, call.invite))

    def _modify(self, connection: Connection, request: Request) -> None:
        call = self._find(request)
        if call is None:
            _send(connection, request.response(481))
            return
        refused = self._challenge(request) if self.manner.challenges_dialogs else None
        if refused is not None:
            _send(connection, refused)
            return
        if call.inviting or call.phase is Phase.CALLING:
            _send(connection, request.response(491))
            return
        # FreeSWITCH and Asterisk alike: a re-INVITE tells where the phone is now.
        call.connection, call.target, call.sdp = connection, str(request.contacts[0].uri), request.body
        self.refreshed.append((call.call_id, connection, request.body))
        self._send_until_acked(call, self._ok(call, request))

    def _cancel(self, connection: Connection, request: Request) -> None:
        call = self.calls.get(request.call_id)
        _send(connection, request.response(481 if call is None else 200, to_tag="pbx"))
        if call is not None and call.phase is Phase.RINGING:
            _send(connection, call.invite.response(487, to_tag=call.tag))
            self._forget(call)

    def _bye(self, connection: Connection, request: Request) -> None:
        call = self._find(request)
        self.byes.append(request.call_id)
        _send(connection, request.response(481 if call is None else 200))
        if call is not None:
            self._world.note(f"pbx: got BYE {call.call_id[:6]}")
            self._forget(call)

    def _find(self, request: Request) -> Call | None:
        call = self.calls.get(request.call_id)
        if call is None or request.to.tag != call.tag or request.from_.tag != call.peer_tag:
            return None
        return call

    # --- responses of phones ------------------------------------------------------------------------------------

    def on_response(self, connection: Connection, response: Response) -> None:
        """Of an INVITE or re-INVITE of ours; others tell nothing new."""
        if response.cseq.method != "INVITE":
            return
        call = self.calls.get(response.call_id)
        if call is None:
            return  # a transaction that is over: what nobody waits for is discarded
        if response.from_.tag and response.from_.tag == call.peer_tag:
            return  # to a request of its own that was led back to it
        if response.is_success and self._is_lost(call, response):
            return
        if response.is_provisional:
            if call.phase is Phase.CALLING:
                call.peer_tag = response.to.tag or ""  # §12.1: an early dialog, whose requests are answered
        elif response.cseq.number == 1 and not call.by_phone:
            self._first_answer(call, connection, response)
        else:
            self._later_answer(call, connection, response)

    def _first_answer(self, call: Call, connection: Connection, response: Response) -> None:
        self.outcomes.setdefault(call.call_id, response.status)
        call.peer_tag = response.to.tag or ""
        if not response.is_success:
            self._ack(call, connection, 1, call.invite)
            self._forget(call)
            return
        if call.phase is Phase.CALLING:
            call.phase, call.up_at = Phase.UP, self._world.now
        if not response.contacts:
            raise AssertionError("a 200 says no Contact")
        call.connection, call.target, call.sdp = connection, str(response.contacts[0].uri), response.body
        self._ack(call, connection, 1, call.invite)

    def _later_answer(self, call: Call, connection: Connection, response: Response) -> None:
        if response.cseq.number != call.cseq:
            return
        self._ack(call, connection, call.cseq, call.invite)
        call.inviting = False
        if response.is_success:
            call.sdp = response.body
        elif response.status in (404, 408, 481):
            self._forget(call)

    # --- building -----------------------------------------------------------------------------------------------

    def _with_contact(self, response: Response) -> Response:
        response.headers.add("Contact", _CONTACT)
        return response

    def _ok(self, call: Call, request: Request) -> Response:
        response = self._with_contact(request.response(200, to_tag=call.tag))
        if self.manner.session_expires and "timer" in request.supported:
            response.headers.add("Require", "timer")
            response.headers.add("Session-Expires", f"{self.manner.session_expires};refresher=uac")
            self._expire_later(call)
        response.headers.add("Content-Type", "application/sdp")
        response.body = _sdp(direction=_ANSWERS[call.direction], version=request.cseq.number)
        return response

    def _expire_later(self, call: Call) -> None:
        """RFC 4028 §10: not refreshed in time, the call is ended."""
        call.expires_at = at = self._world.now + self.manner.session_expires

        def expire() -> None:
            if call.expires_at == at and self.calls.get(call.call_id) is call:
                self._world.note(f"pbx: session of {call.call_id[:6]} expired")
                self.hang_up(call)

        self._world.at(at, expire)

    def _send_until_acked(self, call: Call, response: Response) -> None:
        """§13.3.1.4: regardless of the transport; without an ACK the call is ended."""
        number, began = response.cseq.number, self._world.now
        call.unacked = {number}  # a later INVITE proves that the phone has seen the 2xx to the one before

        def again(wait_s: float) -> None:
            if number not in call.unacked or self.calls.get(call.call_id) is not call:
                return
            if self._world.now - began >= _GIVE_UP_S:
                self._world.note(f"pbx: no ACK for {call.call_id[:6]}")
                heard = call.connection.server.mute_until <= began
                if heard and all(call.connection.is_open.values()) and not call.connection.cut:
                    self.unheard.append(call.call_id)
                self.hang_up(call)
                return
            _send(call.connection, response)
            self._world.after(wait_s, lambda: again(min(2 * wait_s, 4.0)))

        again(0.5)

    def _within(self, call: Call, method: str, body: bytes = b"") -> Request:
        call.cseq += 1
        request = Request(method, Uri.parse(call.target), body=body)
        ours, theirs = (call.invite.to, call.invite.from_) if call.by_phone else (call.invite.from_, call.invite.to)
        request.headers.add("Via", f"SIP/2.0/WS pbx.sim;branch={self._ids.branch()}")
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", str(_tagged(ours, call.tag)))
        request.headers.add("To", str(_tagged(theirs, call.peer_tag)))
        request.headers.add("Call-ID", call.call_id)
        request.headers.add("CSeq", f"{call.cseq} {method}")
        if method == "INVITE":
            request.headers.add("Contact", _CONTACT)
            request.headers.add("Content-Type", "application/sdp")
        return request

    def _ack(self, call: Call, connection: Connection, number: int, invite: Request) -> None:
        ack = self._within(call, "ACK")
        call.cseq -= 1
        ack.headers.set("CSeq", f"{number} ACK")
        if invite.cseq.number == number:
            ack.headers.set("Via", invite.headers.get("Via") or "")
        if not self._is_lost(call, ack):
            _send(connection, ack)

    def _is_lost(self, call: Call, message: Request | Response) -> bool:
        what = f"{'2xx' if isinstance(message, Response) else 'ACK'} {message.cseq.number}"
        lost = self.manner.loses > 0 and call.lost[what] < 2 and self._world.random.random() < self.manner.loses
        if lost:
            call.lost[what] += 1
            self._world.note(f"pbx: the {what} of {call.call_id[:6]} is lost")
        return lost

    def _give_up_ringing(self, call: Call) -> None:
        if self.calls.get(call.call_id) is call and call.phase is Phase.CALLING:
            cancel = Request("CANCEL", call.invite.uri)
            for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
                cancel.headers.add(name, call.invite.headers.get(name) or "")
            cancel.headers.add("CSeq", "1 CANCEL")
            _send(call.connection, cancel)
            # Its 487 is awaited for a while; a 200 that crosses makes it a call all the same.
            self._world.after(_GIVE_UP_S, lambda: self._forget_unanswered(call))

    def _forget_unanswered(self, call: Call) -> None:
        if call.phase is Phase.CALLING:
            self._forget(call)

    def _forget(self, call: Call) -> None:
        self.calls.pop(call.call_id, None)


def _send(connection: Connection, message: Request | Response) -> None:
    connection.send(End.PBX, bytes(message))


def _sdp(*, direction: str = "sendrecv", version: int = 1) -> bytes:
    return SDP.format(direction=direction, version=version).encode()


def _tagged(name: NameAddr, tag: str) -> NameAddr:
    return name.with_tag(tag) if tag else name
