"""One user agent, and a peer whose every message the test writes."""

from random import Random

from sipcore.dialog.core import CallSettings
from sipcore.events import CallId
from sipcore.ids import IdSource
from sipcore.media import Direction, LocalMedia
from sipcore.message.message import Message, Request, Response
from sipcore.message.parse import parse_message
from sipcore.sdp.offer_answer import OfferAnswer
from tests.sipcore.dialog.pair import MEDIA, OTHER_MEDIA, Agent, summary

Extra = tuple[tuple[str, str], ...]


class Solo:
    """Alice alone; ``sent`` is what she sent since the last look."""

    def __init__(self, *, transport: str = "WSS", settings: CallSettings | None = None) -> None:
        self.now = 1000.0
        self.alice = Agent("alice", transport=transport, settings=settings)
        self.alice.connect(self.now)
        self.sent: list[Message] = []
        self.ids = IdSource(Random(99))
        self.cseq = 100
        """Of the peer's requests."""

    # --- time and wire -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Collect what Alice sends."""
        self.sent += [parse_message(data) for data in self.alice.pump(self.now)]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.flush()
        end = self.now + seconds
        while (due := self.alice.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.alice.handle_timeout(self.now)
            self.flush()
        self.now = end

    def receive(self, message: Message) -> None:
        """Let a message arrive, over the wire format."""
        self.flush()
        self.alice.layer.receive(parse_message(bytes(message)), self.alice.flow, self.now)
        self.flush()

    def take(self) -> list[Message]:
        """What was sent since the last look."""
        self.flush()
        taken, self.sent = self.sent, []
        return taken

    def ladder(self) -> list[str]:
        """The same as ``INVITE``, ``200 BYE`` …"""
        return [summary(message) for message in self.take()]

    def request(self, method: str) -> Request:
        """The one request of that method sent since the last look."""
        (found,) = [m for m in self.take() if isinstance(m, Request) and m.method == method]
        return found

    def response(self, status: int) -> Response:
        """The one response of that status sent since the last look."""
        (found,) = [m for m in self.take() if isinstance(m, Response) and m.status == status]
        return found

    # --- Alice calls -------------------------------------------------------------------------------------------

    def dial(self, target: str = "bob", *, fallback: bool = False) -> tuple[CallId, Request]:
        """Alice dials; returns the call and her INVITE."""
        call = self.alice.calls.dial(target, MEDIA, self.now, fallback=fallback)
        return call, self.request("INVITE")

    def reply(
        self,
        request: Request,
        status: int,
        *,
        tag: str = "bob",
        sdp: bytes | None = None,
        headers: Extra = (),
        contact: str | None = None,
    ) -> Response:
        """A response arrives."""
        response = request.response(status, to_tag=tag or None)
        if request.method == "INVITE" and status < 300:
            response.headers.add("Contact", f"<{contact or f'sip:{tag}@peer.example.com'}>")
        _add(response, sdp, headers)
        self.receive(response)
        return response

    def answer_to(self, request: Request, media: LocalMedia = OTHER_MEDIA) -> bytes:
        """A fresh answer to the offer in ``request``."""
        negotiation = OfferAnswer(self.ids)
        negotiation.receive_offer(request.body)
        return negotiation.create_answer(media)[0]

    def connect_call(self, *, headers: Extra = ()) -> tuple[CallId, Request, Response]:
        """Alice's call is answered; returns call, INVITE and 200."""
        call, invite = self.dial()
        response = self.reply(invite, 200, sdp=self.answer_to(invite), headers=headers)
        self.take()
        return call, invite, response

    # --- Bob calls ---------------------------------------------------------------------------------------------

    def invite(self, *, sdp: bytes | None = None, headers: Extra = (), call_id: str = "bobs-call") -> Request:
        """An INVITE for Alice, not sent yet."""
        request = self._bare("INVITE", call_id, None, self.next_cseq())
        request.headers.add("Contact", "<sip:bob@peer.example.com>")
        _add(request, sdp, headers)
        return request

    def offer(self, media: LocalMedia = OTHER_MEDIA, direction: Direction = Direction.SENDRECV) -> bytes:
        """A fresh offer."""
        return OfferAnswer(self.ids).create_offer(media, direction)

    def within(
        self,
        method: str,
        other: Request | Response,
        *,
        sdp: bytes | None = None,
        headers: Extra = (),
        cseq: int | None = None,
    ) -> Request:
        """A request of the peer in the dialog that ``other`` (either's message with both tags) belongs to."""
        ours_is_from = other.from_.uri.user == "alice"
        local, remote = (other.to, other.from_) if ours_is_from else (other.from_, other.to)
        request = self._bare(method, other.call_id, remote.tag, self.next_cseq() if cseq is None else cseq)
        request.headers.set("From", str(local))
        request.headers.set("To", str(remote))
        if method in ("INVITE", "UPDATE"):
            request.headers.add("Contact", "<sip:bob@peer.example.com>")
        _add(request, sdp, headers)
        return request

    def next_cseq(self) -> int:
        """The peer's next number."""
        self.cseq += 1
        return self.cseq

    def outside(self, method: str, *, headers: Extra = (), body: bytes = b"", call_id: str = "outside") -> Request:
        """A request outside of any dialog."""
        request = self._bare(method, call_id, None, self.next_cseq())
        for name, value in headers:
            request.headers.add(name, value)
        request.body = body
        return request

    def _bare(self, method: str, call_id: str, to_tag: str | None, cseq: int) -> Request:
        tag = f";tag={to_tag}" if to_tag else ""
        text = (
            f"{method} sip:alice@alice1.invalid SIP/2.0\r\n"
            f"Via: SIP/2.0/WSS peer.example.com;branch={self.ids.branch()}\r\n"
            "Max-Forwards: 70\r\n"
            'From: "Bob B." <sip:bob@example.com>;tag=bob\r\n'
            f"To: <sip:alice@example.com>{tag}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\r\n"
        )
        message = parse_message(text.encode())
        assert isinstance(message, Request)
        return message


def _add(message: Message, sdp: bytes | None, headers: Extra) -> None:
    if sdp is not None:
        message.headers.add("Content-Type", "application/sdp")
        message.body = sdp
    for name, value in headers:
        message.headers.add(name, value)


def lose(solo: Solo, seconds: float = 0.0) -> None:
    """Alice's connection breaks, and time passes."""
    solo.flush()
    solo.alice.disconnect(solo.now)
    solo.run(seconds)


def sleep(solo: Solo, seconds: float) -> None:
    """The machine is suspended."""
    solo.flush()
    solo.alice.layer.resumed(seconds)
    solo.alice.calls.resumed(seconds)
    solo.now += seconds
    solo.run(0)


def recover(solo: Solo) -> None:
    """Alice is connected and registered again."""
    solo.alice.connect(solo.now, recovered=True)
    solo.flush()
