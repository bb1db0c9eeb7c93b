"""Requests and responses: RFC 3261 §7, §8.2.6."""

import pytest

from sipcore.errors import LocalProtocolError, ParseError
from sipcore.message.fields import CSeq
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from sipcore.message.uri import Uri
from tests.sipcore.message import samples


def invite() -> Request:
    message = parse_message(samples.INVITE)
    assert isinstance(message, Request)
    return message


def test_typed_views() -> None:
    request = invite()
    assert (request.method, str(request.uri)) == ("INVITE", "sip:bob@biloxi.example.com;user=phone")
    assert (request.via.transport, request.via.host) == ("WSS", "df7jal23ls0d.invalid")
    assert [via.transport for via in request.vias] == ["WSS", "UDP"]
    assert (request.from_.display_name, request.from_.tag) == ("Alice", "1928301774")
    assert (request.to.display_name, request.to.tag) == ('Bob "B" Biloxi', None)
    assert request.call_id == "a84b4c76e66710@pc33.atlanta.example.com"
    assert request.cseq == CSeq(314159, "INVITE")
    assert [contact.param("reg-id") for contact in request.contacts] == ["1"]
    assert not request.contact_is_star
    assert [str(route) for route in request.routes] == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert [str(route.uri) for route in request.record_routes] == ["sip:p1.example.com;lr"]
    assert (request.max_forwards, request.expires) == (70, 120)
    assert request.require == ["replaces"]
    assert request.supported == ["outbound", "path", "100rel", "timer"]
    assert request.allow == ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]
    assert request.content_type is not None
    assert request.content_type.essence == "application/sdp"
    assert request.body == samples.crlf(samples.SDP)


def test_views_follow_the_headers() -> None:
    request = invite()
    assert request.cseq.number == 314159
    request.headers.set("CSeq", "7 INVITE")
    assert request.cseq.number == 7
    request.contacts.clear()
    assert len(request.contacts) == 1


def test_the_star_contact() -> None:
    """§10.2.2."""
    request = parse_message(samples.REGISTER)
    assert request.contact_is_star
    assert request.contacts == []
    request.headers.add("Contact", "<sip:a@b>")
    with pytest.raises(ParseError):
        _ = request.contacts


def test_missing_and_malformed_fields() -> None:
    empty = Request("OPTIONS", Uri.parse("sip:a@b"))
    for name in ("via", "from_", "to", "call_id", "cseq"):
        with pytest.raises(ParseError):
            getattr(empty, name)
    assert (empty.max_forwards, empty.expires, empty.content_type) == (None, None, None)
    assert (empty.vias, empty.contacts, empty.require) == ([], [], [])
    bad = Response(200, "OK", Headers([("Max-Forwards", "300"), ("Expires", "x"), ("Require", "a b"), ("i", "a b")]))
    for name in ("max_forwards", "expires", "require", "call_id"):
        with pytest.raises(ParseError):
            getattr(bad, name)


def test_serialising_gives_the_right_content_length() -> None:
    request = Request(
        "INVITE", Uri.parse("sip:a@b"), Headers([("l", "99"), ("Own", "é"), ("Content-Length", "7")]), b"123"
    )
    assert bytes(request) == "INVITE sip:a@b SIP/2.0\r\nContent-Length: 3\r\nOwn: é\r\n\r\n123".encode()
    assert bytes(Response(200, "OK")) == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert request.headers.get_all("l") == ["99", "7"]


def test_bytes_survive_the_round_trip() -> None:
    assert bytes(invite()) == samples.INVITE


def test_a_start_line_cannot_be_forged() -> None:
    with pytest.raises(LocalProtocolError):
        bytes(Response(200, "OK\r\nRoute: <sip:x>"))
    with pytest.raises(LocalProtocolError):
        bytes(Request("IN VITE", Uri.parse("sip:a@b")))


def test_a_response_copies_what_8_2_6_2_says() -> None:
    request = invite()
    request.headers.add("Timestamp", "54")
    response = request.response(180, to_tag="abc")
    assert (response.status, response.reason) == (180, "Ringing")
    assert response.headers.get_all("Via") == request.headers.get_all("Via")
    assert response.headers.get("From") == request.headers.get("From")
    assert response.headers.get("To") == f"{request.headers.get('To')};tag=abc"
    assert response.headers.get("Call-ID") == request.headers.get("Call-ID")
    assert response.headers.get("CSeq") == request.headers.get("CSeq")
    assert response.headers.get_all("Record-Route") == ["<sip:p1.example.com;lr>"]
    assert "Timestamp" not in response.headers


def test_a_100_has_the_timestamp_and_no_tag() -> None:
    """§8.2.6.1 and §8.2.6.2."""
    request = invite()
    request.headers.add("Timestamp", "54")
    response = request.response(100, to_tag="abc")
    assert response.to.tag is None
    assert response.headers.get("Timestamp") == "54"
    assert "Record-Route" not in response.headers


def test_an_existing_tag_stays_and_failures_have_no_record_route() -> None:
    request = invite()
    request.headers.set("To", "<sip:b@c>;tag=old")
    response = request.response(486, "Nobody home", to_tag="new")
    assert (response.to.tag, response.reason) == ("old", "Nobody home")
    assert "Record-Route" not in response.headers
    request.method = "OPTIONS"
    assert "Record-Route" not in request.response(200).headers


def test_classes_of_responses() -> None:
    assert [(r.is_provisional, r.is_final, r.is_success) for r in (Response(183), Response(202), Response(404))] == [
        (True, False, False),
        (False, True, True),
        (False, True, False),
    ]


def test_a_copy_has_headers_of_its_own() -> None:
    request = invite()
    twin = request.copy()
    assert twin == request
    twin.headers.set("CSeq", "1 INVITE")
    assert request.cseq.number == 314159
