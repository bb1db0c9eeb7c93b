"""All 49 torture messages of RFC 4475, bit-exact from the archive in its Appendix A, with the outcome of each.

`ACCEPTED` lists what parses; those of them whose fault lies in a field that is read on demand are told apart below.
`REFUSED` gives the status a request deserves; None is a response, which is dropped.
"""

import pytest

from sipcore.auth.challenge import Challenge
from sipcore.errors import ParseError
from sipcore.message.message import Message, Request, Response
from sipcore.message.parse import MalformedMessage, parse_message
from sipcore.message.uri import Uri
from tests.sipcore.message import samples

MESSAGES = samples.torture()

ACCEPTED = {
    # 3.1.1 valid
    "wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri", "transports",
    "mpart01", "unreason", "noreason",
    # 3.1.2.12 and 3.1.2.13: a bad Date nobody reads, and a bad Contact found by whoever reads it
    "baddate", "regbadct",
    # 3.2.1: the transaction layer decides
    "badbranch",
    # 3.3: for the application
    "unksm2", "bext01", "invut", "regaut01", "bcast", "zeromf", "cparam01", "cparam02", "regescrt", "sdp01",
    # 3.4.1
    "inv2543",
}  # fmt: skip

REFUSED: dict[str, tuple[int | None, str]] = {
    "badinv01": (400, "empty element in a list"),
    "clerr": (400, "Content-Length exceeds the message"),
    "ncl": (400, "Content-Length is not a number"),
    "scalar02": (400, "CSeq is out of range"),
    "scalarlg": (None, "CSeq is out of range"),
    "quotbal": (400, "URI without a scheme"),
    "ltgtruri": (400, "Request-URI: URI without a scheme"),
    "lwsruri": (400, "Malformed request line"),
    "lwsstart": (400, "Malformed request line"),
    "trws": (400, "Malformed request line"),
    "escruri": (400, "Request-URI with headers"),
    "badaspec": (400, "URI without a scheme"),
    "baddn": (400, "No empty line after the headers"),  # the archive's file lacks it; see below
    "badvers": (505, "Version Not Supported"),
    "mismatch01": (400, "CSeq method does not match the request"),
    "mismatch02": (400, "CSeq method does not match the request"),
    "bigcode": (None, "Malformed status line"),
    "insuf": (400, "From is missing"),
    "unkscm": (416, "Unsupported URI Scheme"),
    "novelsc": (416, "Unsupported URI Scheme"),
    "multi01": (400, "Several CSeq headers"),
    "mcl01": (400, "Several Content-Length headers"),
}


def accepted(name: str) -> Message:
    return parse_message(MESSAGES[name])


def request(name: str) -> Request:
    message = accepted(name)
    assert isinstance(message, Request)
    return message


def test_every_message_has_its_outcome() -> None:
    assert len(MESSAGES) == 49
    assert ACCEPTED | REFUSED.keys() == MESSAGES.keys()
    assert not ACCEPTED & REFUSED.keys()


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_accepted(name: str) -> None:
    """It parses, its mandatory fields can be read, and what is written parses to the same again."""
    message = accepted(name)
    assert message.via.host
    assert message.from_.uri.scheme
    assert message.to.uri.scheme
    assert message.call_id.startswith((f"{name}.", "3d9485ad0c49859b", "dblreq."))
    assert message.cseq.number <= 2**32 - 1
    written = bytes(message)
    assert bytes(parse_message(written)) == written


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    status, reason = REFUSED[name]
    with pytest.raises(MalformedMessage) as caught:
        parse_message(MESSAGES[name])
    assert str(caught.value) == reason
    response = caught.value.response("tag")
    if status is None:
        assert response is None
    else:
        assert caught.value.status_hint == status
        assert response is not None
        assert (response.status, response.reason) == (status, reason)
        assert response.headers.get_all("Via")


def test_3_1_1_1_wsinv() -> None:
    message = request("wsinv")
    assert str(message.uri) == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert (str(message.to.uri), message.to.tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
    assert (message.from_.display_name, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert (message.max_forwards, message.cseq.number, message.cseq.method) == (68, 9, "INVITE")
    assert [(via.transport, via.sent_by, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    (contact,) = message.contacts
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    (route,) = message.routes
    assert route.uri.params == (("lr", None), ("unknownwith", "value"), ("unknown-no-value", None))
    assert message.headers.get("Subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert len(message.body) == 150


def test_3_1_1_2_intmeth() -> None:
    message = request("intmeth")
    assert message.method == message.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.uri.host == "example.com"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.display_name == "token1~` token2'+_ token3*%!.-"
    assert message.from_.param("fromParam''~+*_!.-%") == "работающий"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert message.max_forwards == 255


def test_3_1_1_3_esc01() -> None:
    message = request("esc01")
    assert message.uri.user_part == "sips:user@example.com"
    assert message.to.uri.user_part == "user"
    assert message.from_.uri.user_part == "I have spaces"
    (contact,) = message.contacts
    assert contact.uri.equivalent(Uri.parse("sip:caller@host5.example.net;lr;name=value%2541"))
    assert not contact.uri.equivalent(Uri.parse("sip:caller@host5.example.net;lr;name=valueA"))


def test_3_1_1_4_escnull() -> None:
    message = request("escnull")
    assert message.to.uri.user_part == "null-\x00-null"
    first, second = (contact.uri for contact in message.contacts)
    assert (first.user_part, second.user_part) == ("\x00", "\x00\x00")
    assert not first.equivalent(second)


def test_3_1_1_5_esc02() -> None:
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display_name == message.from_.display_name == "%Z%45"
    assert [contact.uri.user for contact in message.contacts] == ["alias1", "alias3"]


def test_3_1_1_6_lwsdisp() -> None:
    assert request("lwsdisp").from_.display_name == "caller"


def test_3_1_1_7_longreq() -> None:
    message = request("longreq")
    assert len(message.vias) == 34
    assert message.from_.tag == f"12{'982' * 50}424"
    assert message.to.uri.port == 6000
    assert message.to.uri.param(f"longparam{'name' * 25}") == "shortvalue"
    assert message.vias[-1].branch == f"very{'long' * 50}branchvalue"
    assert message.contacts[0].uri.user == "amazinglylongcallername" * 5


def test_3_1_1_8_dblreq() -> None:
    """The rest of the datagram is discarded."""
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_3_1_1_9_semiuri() -> None:
    message = request("semiuri")
    assert (message.uri.user_part, message.uri.host) == ("user;par=u@example.net", "example.com")
    assert len(message.headers.values("Accept")) == 6


def test_3_1_1_10_transports() -> None:
    assert [via.transport for via in request("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_3_1_1_11_mpart01() -> None:
    message = request("mpart01")
    assert message.content_type is not None
    assert (message.content_type.essence, message.content_type.param("boundary")) == (
        "multipart/mixed",
        "7a9cbec02ceef655",
    )
    assert len(message.body) == 553
    assert b"\x00" in message.body


def test_3_1_1_12_unreason_and_13_noreason() -> None:
    unusual, none = accepted("unreason"), accepted("noreason")
    assert isinstance(unusual, Response)
    assert isinstance(none, Response)
    assert (unusual.status, unusual.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (none.status, none.reason) == (100, "")


def test_3_1_2_12_baddate_is_ignored() -> None:
    assert request("baddate").headers.get("Date") == "Fri, 01 Jan 2010 16:00:00 EST"


def test_3_1_2_13_regbadct() -> None:
    with pytest.raises(ParseError) as caught:
        _ = request("regbadct").contacts
    assert caught.value.status_hint == 400


def test_3_1_2_15_baddn_with_its_empty_line() -> None:
    """A comma in an unquoted display name."""
    with pytest.raises(MalformedMessage) as caught:
        parse_message(MESSAGES["baddn"] + b"\r\n")
    assert (caught.value.status_hint, str(caught.value)) == (
        400,
        "URI with a question mark or comma outside angle brackets",
    )


def test_3_2_1_badbranch() -> None:
    assert request("badbranch").via.branch == "z9hG4bK"


def test_3_3_4_unksm2() -> None:
    message = request("unksm2")
    assert [str(message.to.uri), str(message.from_.uri), str(message.contacts[0].uri)] == [
        "isbn:2983792873",
        "http://www.example.com",
        "name:John_Smith",
    ]


def test_3_3_5_bext01() -> None:
    message = request("bext01")
    assert message.require == ["nothingsupportsthis", "nothingsupportsthiseither"]
    assert message.headers.values("Proxy-Require") == ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]


def test_3_3_6_invut() -> None:
    content_type = request("invut").content_type
    assert content_type is not None
    assert content_type.essence == "application/unknownformat"


def test_3_3_7_regaut01() -> None:
    value = request("regaut01").headers.get("Authorization")
    assert value is not None
    assert Challenge.parse(value) is None


def test_3_3_10_bcast_has_two_vias() -> None:
    """§8.1.3.3: "If more than one Via header field value is present in a response, the UAC SHOULD discard" it."""
    assert [via.host for via in accepted("bcast").vias] == ["192.0.2.198", "255.255.255.255"]


def test_3_3_11_zeromf() -> None:
    assert request("zeromf").max_forwards == 0


def test_3_3_12_to_14_contact_parameters() -> None:
    header, uri, escaped = (request(name).contacts[0] for name in ("cparam01", "cparam02", "regescrt"))
    assert (header.params, header.uri.params) == ((("unknownparam", None),), ())
    assert (uri.params, uri.uri.params) == ((), (("unknownparam", None),))
    assert escaped.uri.header("Route") == "<sip:sip.example.com>"


def test_3_3_15_sdp01() -> None:
    assert request("sdp01").headers.values("Accept") == ["text/nobodyKnowsThis"]


def test_3_4_1_inv2543() -> None:
    message = request("inv2543")
    assert (message.via.branch, message.from_.tag, message.max_forwards) == (None, None, None)
    assert message.to.param("user") == "phone"
    assert message.body.endswith(b"RTP/AVP 0\r\n")
