"""Whole messages from one datagram: RFC 3261 §7, §18.3, §21.4."""

import pytest

from sipcore.errors import ParseError
from sipcore.message.message import Request, Response
from sipcore.message.parse import Keepalive, Limits, MalformedMessage, parse_keepalive, parse_message
from tests.sipcore.message import samples

HEAD = "Via: SIP/2.0/UDP host;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\nTo: <sip:c@d>\nCall-ID: x\nCSeq: 1 OPTIONS\n"


def options(extra: str = "", *, start: str = "OPTIONS sip:c@d SIP/2.0", head: str = HEAD, body: bytes = b"") -> bytes:
    return samples.crlf(f"{start}\n{head}{extra}\n") + body


def refused(data: bytes, limits: Limits | None = None) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        parse_message(data, limits or Limits())
    return caught.value


@pytest.mark.parametrize("data", samples.ORDINARY, ids=["invite", "response", "notify", "register"])
def test_ordinary_messages(data: bytes) -> None:
    first = bytes(parse_message(data))
    assert bytes(parse_message(first)) == first


def test_leading_line_breaks_are_ignored() -> None:
    """§7.5."""
    assert parse_message(b"\r\n\r\n\r\n" + samples.INVITE) == parse_message(samples.INVITE)


def test_the_body_ends_where_content_length_says() -> None:
    """§18.3."""
    assert parse_message(options("Content-Length: 2\n", body=b"12345")).body == b"12"
    assert parse_message(options(body=b"12345")).body == b"12345"
    assert refused(options("Content-Length: 6\n", body=b"12345")).status_hint == 400


def test_folding() -> None:
    """§7.3.1: the example of the Subject header on several lines."""
    folded = "Subject: I know you're there,\n         pick up the phone\n\t   and answer!\n"
    assert parse_message(options(folded)).headers.get("Subject") == (
        "I know you're there, pick up the phone and answer!"
    )


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_mandatory_header_is_missing(name: str) -> None:
    """§8.1.1; §21.4.1 wants the reason phrase to say so."""
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(name))
    error = refused(options(head=head))
    assert (error.status_hint, str(error), error.method) == (400, f"{name} is missing", "OPTIONS")


@pytest.mark.parametrize("extra", ["To: <sip:e@f>\n", "i: y\n", "CSeq: 2 OPTIONS\n", "f: <sip:x@y>\n", "l: 0\nl: 0\n"])
def test_a_single_header_comes_twice(extra: str) -> None:
    assert str(refused(options(extra))).startswith("Several ")


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("OPTIONS sip:c@d SIP/7.0", 505),
        ("OPTIONS sip:c@d SIP/2.1", 505),
        ("OPTIONS mailto:c@d SIP/2.0", 416),
        ("OPTIONS sip:c@d?Route=x SIP/2.0", 400),
        ("OPTIONS sip:c@@d SIP/2.0", 400),
        ("OPTIONS sip:c@d", 400),
        ("OPTIONS  sip:c@d SIP/2.0", 400),
        ("OPTIONS sip:c@d SIP/2.0 ", 400),
        ("OPTI/NS sip:c@d SIP/2.0", 400),
        ("INVITE sip:c@d SIP/2.0", 400),
        ("GET / HTTP/1.1", 400),
    ],
)
def test_the_request_line(start: str, status: int) -> None:
    assert refused(options(start=start)).status_hint == status


def test_schemes_a_phone_takes() -> None:
    for uri in ("sip:c@d", "sips:c@d", "tel:+1234"):
        message = parse_message(options(start=f"OPTIONS {uri} SIP/2.0"))
        assert isinstance(message, Request)
        assert str(message.uri) == uri


@pytest.mark.parametrize("start", ["SIP/2.0 200", "SIP/2.0 200 ", "sip/2.0 200 OK then"])
def test_the_status_line(start: str) -> None:
    message = parse_message(options(start=start))
    assert isinstance(message, Response)
    assert message.status == 200


@pytest.mark.parametrize("start", ["SIP/2.0 99 x", "SIP/2.0 700 x", "SIP/2.0 2000 x", "SIP/3.0 200 OK", "SIP/2.0 OK"])
def test_a_bad_status_line_has_no_answer(start: str) -> None:
    error = refused(options(start=start))
    assert error.method is None
    assert error.response("t") is None


@pytest.mark.parametrize(
    "extra",
    ["no colon\n", "bad name : x\n", ": x\n", "Own: a\rb\n", "Own:\x01\n Y\n: z\n"],
)
def test_lines_that_are_no_headers(extra: str) -> None:
    assert refused(options(extra)).status_hint == 400


def test_a_bare_line_feed_is_no_line_end() -> None:
    """§7: lines end with CRLF; taking LF for it too would let two parsers see two different messages."""
    assert refused(options().replace(b"Call-ID: x\r\n", b"Call-ID: x\n")).status_hint == 400


def test_no_empty_line() -> None:
    assert str(refused(options()[:-2])) == "No empty line after the headers"
    for data in (b"", b"\r\n", b"\r\n\r\n", b"x", b"\x00" * 50):
        with pytest.raises(ParseError):
            parse_message(data)


def test_names_in_latin_1_are_read_as_such() -> None:
    data = options().replace(b"From: <", b'From: "Andr\xe9" <')
    assert parse_message(data).from_.display_name == "André"
    data = options().replace(b"From: <", 'From: "Ёж" <'.encode())
    assert parse_message(data).from_.display_name == "Ёж"


def test_limits() -> None:
    limits = Limits(max_message=1000, max_headers=10, max_line=200)
    assert refused(options(body=b"x" * 1000), limits).status_hint == 513
    assert refused(options("Own: y\n" * 6), limits).status_hint == 513
    assert refused(options(f"Own: {'y' * 200}\n"), limits).status_hint == 513
    assert refused(options("Own:" + " y\n" * 200), Limits(max_line=100)).status_hint == 513
    parse_message(options("Own: y\n" * 5), limits)


def test_the_answer_to_a_malformed_request() -> None:
    """§8.2.6.2 as far as the message allows; §21.4.1."""
    head = HEAD.replace("<sip:c@d>", "<sip:c@d").replace("host;", "host;rport;")
    error = refused(options("Via: SIP/2.0/TCP other\n", head=head))
    response = error.response("tg")
    assert response is not None
    assert bytes(response) == samples.crlf(
        "SIP/2.0 400 URI without a scheme\n"
        "Via: SIP/2.0/UDP host;rport;branch=z9hG4bK1\n"
        "Via: SIP/2.0/TCP other\n"
        "From: <sip:a@b>;tag=1\n"
        "To: <sip:c@d;tag=tg\n"
        "Call-ID: x\n"
        "CSeq: 1 OPTIONS\n"
        "Content-Length: 0\n\n"
    )


def test_what_is_never_answered() -> None:
    """§17.1.1.3: an ACK has no response; and nothing can go back without Via."""
    assert refused(options(start="ACK sip:c@d SIP/2.0")).response("t") is None
    assert refused(options(head=HEAD.partition("\n")[2])).response("t") is None
    assert refused(b"x" * 70000).response("t") is None


def test_keepalives() -> None:
    """RFC 5626 §3.5.1."""
    assert parse_keepalive(b"\r\n\r\n") is Keepalive.PING
    assert parse_keepalive(b"\r\n") is Keepalive.PONG
    assert parse_keepalive(b"\r\n\r\nX") is None
    assert parse_keepalive(b"") is None


def test_long_runs_cost_no_more_than_their_length() -> None:
    """Every pattern is linear: blanks, quotes and brackets that lead nowhere must not be searched twice over."""
    for filler in (
        " ",
        "\t",
        '"',
        "<",
        ",",
        ";",
        "\\",
        "a",
        "a-",
        "%41",
        "[",
        ":",
        '"\\',
        ";a=",
        " ;",
        "=",
        "(",
        "?a=b&",
    ):
        run = filler * (8000 // len(filler))
        for name in ("From", "Via", "Contact", "Route", "Warning", "Retry-After", "Content-Type", "Own"):
            data = (
                options(f"{name}: {run}x\n")
                if name not in ("From", "Via")
                else options().replace(samples.crlf(f"{name}: "), samples.crlf(f"{name}: ") + run.encode(), 1)
            )
            try:
                message = parse_message(data)
                _ = message.contacts, message.routes, message.content_type
            except ParseError:
                pass
