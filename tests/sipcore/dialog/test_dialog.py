"""Dialogs (RFC 3261 §12)."""

import pytest

from sipcore.dialog.dialog import Dialog
from sipcore.errors import ParseError
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message

INVITE = (
    "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
    "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 5 INVITE\r\n"
    "Contact: <sip:alice@a.invalid;transport=ws>\r\n"
)
ROUTES = "Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\r\n"


def request_of(text: str) -> Request:
    """A parsed request."""
    message = parse_message(f"{text}\r\n".encode())
    assert isinstance(message, Request)
    return message


def response_of(invite: Request, status: int, extra: str = "", *, tag: str = "b") -> Response:
    """A parsed response."""
    head = bytes(invite.response(status, to_tag=tag)).decode().removesuffix("\r\n")
    message = parse_message(f"{head}{extra}\r\n".encode())
    assert isinstance(message, Response)
    return message


def test_the_caller_takes_the_routes_in_reverse_and_the_contact_as_target() -> None:
    """§12.1.2."""
    invite = request_of(INVITE)
    dialog = Dialog.as_client(invite, response_of(invite, 200, f"{ROUTES}Contact: <sip:bob@b.example.com?x=y>\r\n"))
    assert dialog.id == ("c1", "a", "b")
    assert dialog.confirmed
    assert [str(route.uri) for route in dialog.route_set] == ["sip:p1.example.com;lr", "sip:p2.example.com;lr"]
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:bob@b.example.com"
    assert [str(route) for route in bye.routes] == ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
    assert str(bye.cseq) == "6 BYE"
    assert (bye.from_.tag, bye.to.tag, bye.call_id) == ("a", "b", "c1")
    assert bye.max_forwards == 70


def test_the_callee_takes_the_routes_in_order() -> None:
    """§12.1.1."""
    dialog = Dialog.as_server(request_of(INVITE + ROUTES), "b")
    assert [str(route.uri) for route in dialog.route_set] == ["sip:p2.example.com;lr", "sip:p1.example.com;lr"]
    assert dialog.id == ("c1", "b", "a")
    assert dialog.remote_cseq == 5
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:alice@a.invalid;transport=ws"
    assert (bye.from_.tag, bye.to.tag) == ("b", "a")


def test_a_strict_router_gets_the_request_uri() -> None:
    """§12.2.1.1: without lr, the first route becomes the Request-URI and the target the last Route."""
    strict = "Record-Route: <sip:p1.example.com;method=INVITE;x=1>\r\n"
    invite = request_of(INVITE)
    dialog = Dialog.as_client(
        invite, response_of(invite, 200, f"Record-Route: <sip:p2.example.com;lr>\r\n{strict}Contact: <sip:bob@b>\r\n")
    )
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:p1.example.com;x=1"
    assert [str(route) for route in bye.routes] == ["<sip:p2.example.com;lr>", "<sip:bob@b>"]


def test_an_ack_has_the_number_of_its_invite_and_uses_none_up() -> None:
    """§13.2.2.4."""
    invite = request_of(INVITE)
    dialog = Dialog.as_client(invite, response_of(invite, 200, "Contact: <sip:bob@b>\r\n"))
    dialog.request("INFO")
    assert str(dialog.request("ACK", cseq=5).cseq) == "5 ACK"
    assert str(dialog.request("BYE").cseq) == "7 BYE"


def test_a_2xx_makes_route_set_and_target_anew() -> None:
    """§13.2.2.4: the early dialog's are replaced."""
    invite = request_of(INVITE)
    dialog = Dialog.as_client(invite, response_of(invite, 180))
    assert not dialog.confirmed
    assert str(dialog.remote_target) == "sip:bob@example.com"
    dialog.confirm_as_client(response_of(invite, 200, f"{ROUTES}Contact: <sip:bob@new>\r\nAllow: INVITE, UPDATE\r\n"))
    assert len(dialog.route_set) == 2
    assert str(dialog.remote_target) == "sip:bob@new"
    assert dialog.remote_allow == {"INVITE", "UPDATE"}
    dialog.note_allow(response_of(invite, 200, "Allow: <<<\r\n"))
    assert dialog.remote_allow == {"INVITE", "UPDATE"}


def test_numbers_must_grow_and_may_jump() -> None:
    """§12.2.2: gaps are no error, lower numbers are a 500; an ACK has its INVITE's."""
    dialog = Dialog.as_server(request_of(INVITE), "b")
    ack = request_of(INVITE.replace("INVITE", "ACK"))
    assert dialog.accept(ack)
    assert dialog.accept(request_of(INVITE.replace("5 INVITE", "900 INVITE")))
    assert not dialog.accept(request_of(INVITE.replace("5 INVITE", "899 INVITE")))
    assert not dialog.accept(request_of(INVITE.replace("5 INVITE", "900 INVITE")))
    dialog.remote_cseq = None
    assert dialog.accept(request_of(INVITE))


@pytest.mark.parametrize(
    "contact",
    ["", "Contact: <sip:a@x>, <sip:b@x>\r\n", "Contact: <tel:1>\r\n", "Contact: *\r\n", "Contact: <<<\r\n"],
)
def test_an_invite_needs_one_contact_that_can_be_called(contact: str) -> None:
    """§8.1.1.8: "The Contact header field MUST be present and contain exactly one SIP or SIPS URI"."""
    text = INVITE.replace("Contact: <sip:alice@a.invalid;transport=ws>\r\n", contact)
    with pytest.raises(ParseError):
        Dialog.as_server(request_of(text), "b")


def test_a_response_without_a_to_tag_makes_no_dialog() -> None:
    """§12.1."""
    invite = request_of(INVITE)
    with pytest.raises(ParseError):
        Dialog.as_client(invite, response_of(invite, 200, "Contact: <sip:b@x>\r\n", tag=""))


def test_a_route_set_has_a_limit() -> None:
    """Nobody needs 33 proxies."""
    with pytest.raises(ParseError):
        Dialog.as_server(request_of(INVITE + "Record-Route: <sip:p;lr>\r\n" * 33), "b")
