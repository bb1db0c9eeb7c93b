"""One transaction layer on virtual time, and the other side of the wire written by hand."""

from random import Random

from sipcore.ids import IdSource
from sipcore.message.message import Message, Request, Response
from sipcore.message.parse import parse_message
from sipcore.transaction.events import TransactionEvent, ViaTemplate
from sipcore.transaction.layer import TransactionLayer

FLOW = 7


class Bench:
    """A layer with one flow open; ``sent`` and ``events`` grow with each drain."""

    def __init__(self, transport: str = "WSS", *, limit: int = 512) -> None:
        self.now = 100.0
        self.layer = TransactionLayer(IdSource(Random(1)), max_server_transactions=limit)
        self.layer.flow_opened(FLOW, ViaTemplate(transport, "phone.invalid"))
        self.sent: list[tuple[float, Message]] = []
        self.events: list[TransactionEvent] = []

    def request(self, method: str = "OPTIONS", *, timeout_s: float | None = None, flow: int = FLOW) -> int:
        """Send a request; returns its transaction."""
        transaction = self.layer.request(make_request(method), flow, now=self.now, timeout_s=timeout_s)
        self.drain()
        return transaction

    def receive(self, message: Message | bytes, flow: int = FLOW) -> None:
        """Let a message arrive, through the parser."""
        data = message if isinstance(message, bytes) else bytes(message)
        self.layer.receive(parse_message(data), flow, self.now)
        self.drain()

    def respond(self, transaction: int, request: Request, status: int) -> Response:
        """Answer as the user."""
        response = request.response(status, to_tag="ours")
        self.layer.respond(transaction, response, self.now)
        self.drain()
        return response

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while (due := self.layer.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.layer.handle_timeout(self.now)
            self.drain()
        self.now = end

    def drain(self) -> None:
        """Take what the layer has to say."""
        for transmit in self.layer.transmits():
            self.sent.append((round(self.now, 3), parse_message(transmit.data)))
        self.events += self.layer.events()

    @property
    def last(self) -> Message:
        """What was sent last."""
        return self.sent[-1][1]

    @property
    def last_request(self) -> Request:
        """What was sent last, a request."""
        assert isinstance(self.last, Request)
        return self.last

    def times(self, start: float = 100.0) -> list[float]:
        """When something was sent, from ``start``."""
        return [round(at - start, 3) for at, _ in self.sent]

    def take(self) -> list[TransactionEvent]:
        """The events so far, and forget them."""
        taken, self.events = self.events, []
        return taken


def make_request(method: str = "OPTIONS", *, cseq: int = 1, call_id: str = "call-1") -> Request:
    """A request of ours, without Via."""
    return parsed(
        f"{method} sip:bob@example.com SIP/2.0\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:alice@example.com>;tag=alice\r\n"
        "To: <sip:bob@example.com>\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        "Via: SIP/2.0/WSS placeholder;branch=z9hG4bKplaceholder\r\n\r\n",
        drop_via=True,
    )


def their_request(
    method: str = "OPTIONS", *, branch: str = "z9hG4bKtheirs", cseq: int = 1, extra: str = "", to_tag: str = ""
) -> Request:
    """A request from the network."""
    tag = f";tag={to_tag}" if to_tag else ""
    return parsed(
        f"{method} sip:alice@phone.invalid SIP/2.0\r\n"
        f"Via: SIP/2.0/WSS pbx.example.com;branch={branch}\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:bob@example.com>;tag=bob\r\n"
        f"To: <sip:alice@example.com>{tag}\r\n"
        "Call-ID: theirs-1\r\n"
        f"CSeq: {cseq} {method}\r\n{extra}\r\n"
    )


def parsed(text: str, *, drop_via: bool = False) -> Request:
    """A request from its text."""
    message = parse_message(text.encode())
    assert isinstance(message, Request)
    if drop_via:
        message.headers.remove("Via")
    return message
