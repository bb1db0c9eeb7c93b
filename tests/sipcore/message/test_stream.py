"""Framing on streams: RFC 3261 §18.3, RFC 5626 §3.5.1."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcore.errors import ParseError
from sipcore.message.message import Message
from sipcore.message.parse import Keepalive, Limits, StreamParser, parse_message
from tests.sipcore.message import samples

FRAMED = (samples.INVITE, samples.RESPONSE, samples.REGISTER)
SESSION = b"\r\n\r\n".join([*FRAMED, b""]) + samples.INVITE


def expected() -> list[Message | Keepalive]:
    items: list[Message | Keepalive] = []
    for data in FRAMED:
        items += [parse_message(data), Keepalive.PING]
    return [*items, parse_message(samples.INVITE)]


def test_one_piece() -> None:
    assert StreamParser().feed(SESSION) == expected()


def test_octet_by_octet() -> None:
    parser = StreamParser()
    items = [item for octet in SESSION for item in parser.feed(bytes([octet]))]
    messages = [item for item in items if not isinstance(item, Keepalive)]
    assert messages == [item for item in expected() if not isinstance(item, Keepalive)]
    # A ping in two segments shows as a pong first: an answer to our own ping must not be held back.
    assert [item for item in items if isinstance(item, Keepalive)] == [Keepalive.PONG, Keepalive.PING] * 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, len(SESSION)), max_size=8))
def test_any_segmentation(cuts: list[int]) -> None:
    parser = StreamParser()
    edges = [0, *sorted(cuts), len(SESSION)]
    items = [item for a, b in pairwise(edges) for item in parser.feed(SESSION[a:b])]
    messages = [item for item in items if not isinstance(item, Keepalive)]
    assert messages == [item for item in expected() if not isinstance(item, Keepalive)]
    assert items.count(Keepalive.PING) == 3


def test_two_requests_in_one_datagram_are_two_on_a_stream() -> None:
    """RFC 4475 §3.1.1.8, had it come over a stream."""
    items = StreamParser().feed(samples.torture()["dblreq"])
    assert [item if isinstance(item, Keepalive) else item.cseq.method for item in items] == [
        "REGISTER",
        Keepalive.PONG,
        "INVITE",
    ]


def test_keepalives_between_messages() -> None:
    parser = StreamParser()
    assert parser.feed(b"\r\n") == [Keepalive.PONG]
    assert parser.feed(samples.REGISTER + b"\r\n\r\n\r\n") == [
        parse_message(samples.REGISTER),
        Keepalive.PING,
        Keepalive.PONG,
    ]


def test_a_line_break_in_two_segments() -> None:
    parser = StreamParser()
    assert parser.feed(b"\r") == []
    assert parser.feed(b"\n" + samples.REGISTER) == [Keepalive.PONG, parse_message(samples.REGISTER)]
    assert parser.feed(b"\r\n\r") == []
    assert parser.feed(b"\n") == [Keepalive.PING]
    assert parser.feed(b"\r\n") == [Keepalive.PONG]
    assert parser.feed(samples.REGISTER) == [parse_message(samples.REGISTER)]
    assert parser.feed(b"\r\n") == [Keepalive.PONG]


def test_an_invalid_message_leaves_the_framing_alone() -> None:
    parser = StreamParser()
    bad = samples.REGISTER.replace(b"Call-ID", b"Call-IX")
    assert parser.feed(bad + samples.REGISTER) == [parse_message(samples.REGISTER)]
    (error,) = parser.take_rejected()
    assert (error.status_hint, str(error), error.method) == (400, "Call-ID is missing", "REGISTER")
    assert error.response("t") is not None
    assert parser.take_rejected() == []
    assert not parser.broken


@pytest.mark.parametrize("length", ["-1", "five", "", "99999999999999999999999", "70000", "0\r\nContent-Length: 0"])
def test_a_bad_length_loses_the_framing(length: str) -> None:
    """RFC 4475 §3.1.2.3: "the framing error is not recoverable, and the connection should be closed"."""
    bad = samples.REGISTER.replace(b"Content-Length: 0", f"Content-Length: {length}".encode())
    parser = StreamParser()
    with pytest.raises(ParseError):
        parser.feed(bad)
    assert parser.broken
    with pytest.raises(ParseError):
        parser.feed(samples.REGISTER)


def test_what_came_before_the_break_is_not_lost() -> None:
    bad = samples.REGISTER.replace(b"Content-Length: 0", b"Content-Length: x")
    parser = StreamParser()
    assert parser.feed(samples.REGISTER + bad) == [parse_message(samples.REGISTER)]
    assert parser.broken
    with pytest.raises(ParseError):
        parser.feed(b"")


def test_no_length_is_taken_for_no_body_only_where_none_is_announced() -> None:
    """§18.3 makes the header mandatory on streams."""
    without = samples.REGISTER.replace(b"Content-Length: 0\r\n", b"")
    assert StreamParser().feed(without + samples.REGISTER) == [parse_message(without), parse_message(samples.REGISTER)]
    with pytest.raises(ParseError):
        StreamParser().feed(samples.NOTIFY)
    with pytest.raises(ParseError):
        StreamParser().feed(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_endless_headers_are_cut_off() -> None:
    parser = StreamParser(Limits(max_head=1000))
    assert parser.feed(b"OPTIONS sip:a@b SIP/2.0\r\n" + b"Own: y\r\n" * 100) == []
    with pytest.raises(ParseError) as caught:
        parser.feed(b"Own: y\r\n" * 100)
    assert caught.value.status_hint == 513


def test_a_body_in_pieces_is_awaited() -> None:
    parser = StreamParser()
    for octet in samples.INVITE[:-1]:
        assert parser.feed(bytes([octet])) == []
    assert parser.feed(samples.INVITE[-1:]) == [parse_message(samples.INVITE)]
