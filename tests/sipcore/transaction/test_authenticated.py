"""Requests that are repeated with credentials (RFC 3261 §22.2)."""

from random import Random

from sipcore.auth.authenticator import Authenticator
from sipcore.auth.credentials import Credentials
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.transaction.authenticated import AuthenticatedRequest
from sipcore.transaction.events import ResponseReceived
from tests.sipcore.transaction.bench import FLOW, Bench, make_request

CHALLENGE = 'Digest realm="example.com", nonce="n1", qop="auth", algorithm=MD5'


class Client:
    """A request under way and the answers it gets."""

    def __init__(self, method: str = "OPTIONS") -> None:
        self.bench = Bench()
        self.authenticator = Authenticator(Credentials("alice", "secret"), IdSource(Random(2)))
        self.outcomes: list[Response] = []
        self.attempt = self.new(method)

    def new(self, method: str = "OPTIONS", cseq: int = 1, call_id: str = "call-1") -> AuthenticatedRequest:
        """Another request, sent."""
        self.attempt = AuthenticatedRequest(
            self.bench.layer, self.authenticator, make_request(method, cseq=cseq, call_id=call_id)
        )
        self.attempt.send(FLOW, self.bench.now)
        self.bench.drain()
        return self.attempt

    def reply(self, status: int, *headers: tuple[str, str]) -> None:
        """The last request that is no ACK gets a response."""
        request = next(
            message
            for _, message in reversed(self.bench.sent)
            if isinstance(message, Request) and message.method != "ACK"
        )
        response = request.response(status, to_tag="pbx")
        for name, value in headers:
            response.headers.add(name, value)
        self.bench.receive(response)
        for event in self.bench.take():
            assert isinstance(event, ResponseReceived)
            assert event.transaction == self.attempt.transaction
            outcome = self.attempt.on_response(event.response, self.bench.now)
            if outcome is not None:
                self.outcomes.append(outcome)
        self.bench.drain()


def test_a_challenge_is_answered_with_the_next_cseq_and_a_new_branch() -> None:
    """§22.2: same Call-ID and tags, "the UAC [...] MUST increment the CSeq"."""
    client = Client()
    first = client.bench.last_request
    client.reply(401, ("WWW-Authenticate", CHALLENGE))
    second = client.bench.last_request
    assert client.outcomes == []
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert first.via.branch != second.via.branch
    assert len(second.vias) == 1
    assert second.call_id == first.call_id
    assert second.from_ == first.from_
    assert "Authorization" in second.headers
    client.reply(200)
    assert [response.status for response in client.outcomes] == [200]


def test_the_next_request_is_signed_before_anybody_asks() -> None:
    """§22.3: credentials for a realm may be cached."""
    client = Client()
    client.reply(407, ("Proxy-Authenticate", CHALLENGE))
    client.reply(200)
    client.new(cseq=7, call_id="call-2")
    assert "Proxy-Authorization" in client.bench.last_request.headers


def test_a_refused_password_is_not_tried_again() -> None:
    """§22.1: credentials that were just rejected are not repeated."""
    client = Client()
    client.reply(401, ("WWW-Authenticate", CHALLENGE))
    client.reply(401, ("WWW-Authenticate", CHALLENGE.replace("n1", "n2")))
    assert [response.status for response in client.outcomes] == [401]
    assert client.attempt.credentials_refused
    assert client.bench.last_request.cseq.number == 2


def test_an_invite_taken_back_meanwhile_is_not_sent_again() -> None:
    """The 401 is its end, whatever credentials there are."""
    client = Client("INVITE")
    client.attempt.cancel(client.bench.now)
    client.reply(401, ("WWW-Authenticate", CHALLENGE))
    assert [response.status for response in client.outcomes] == [401]
    assert client.bench.last_request.method == "ACK"


def test_numbers_may_come_from_a_dialog() -> None:
    """Other requests of the dialog may have been sent in between."""
    client = Client()
    client.attempt = AuthenticatedRequest(
        client.bench.layer,
        client.authenticator,
        make_request(cseq=10, call_id="d"),
        next_cseq=lambda: 15,
        timeout_s=3.0,
    )
    client.attempt.send(FLOW, client.bench.now)
    client.bench.drain()
    client.reply(401, ("WWW-Authenticate", CHALLENGE))
    assert client.bench.last_request.cseq.number == 15
    client.reply(183)
    assert [response.status for response in client.outcomes] == [183]
