"""The messages of RFC 5118: IPv6 in SIP, with the outcome of each."""

import pytest

from sipcore.message.message import Request
from sipcore.message.parse import MalformedMessage, parse_message
from tests.sipcore.message import samples


def message(start: str, *lines: str, body: str = "") -> bytes:
    body_octets = samples.crlf(body)
    head = "\n".join([f"{start} SIP/2.0", *lines, f"Content-Length: {len(body_octets)}"])
    return samples.crlf(head + "\n\n") + body_octets


def parsed(data: bytes) -> Request:
    found = parse_message(data)
    assert isinstance(found, Request)
    again = parse_message(bytes(found))
    assert again == found
    return found


def register(uri: str) -> bytes:
    return message(
        f"REGISTER {uri}",
        "To: sip:user@example.com",
        "From: sip:user@example.com;tag=81x2",
        "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
        "Call-ID: SSG9559905523997077@hlau_4100",
        "Max-Forwards: 70",
        'Contact: "Caller" <sip:caller@[2001:db8::1]>',
        "CSeq: 98176 REGISTER",
    )


def test_4_1_valid_reference() -> None:
    found = parsed(register("sip:[2001:db8::10]"))
    assert (found.uri.host, found.uri.port, found.uri.user) == ("[2001:db8::10]", None, None)
    assert (found.via.host, found.via.port) == ("[2001:db8::9:1]", None)
    assert found.contacts[0].uri.host == "[2001:db8::1]"


def test_4_2_no_brackets() -> None:
    """To be answered with 400."""
    with pytest.raises(MalformedMessage) as caught:
        parse_message(register("sip:2001:db8::10"))
    assert caught.value.status_hint == 400


def test_4_3_and_4_4_the_port() -> None:
    ambiguous = parsed(register("sip:[2001:db8::10:5070]")).uri
    assert (ambiguous.host, ambiguous.port) == ("[2001:db8::10:5070]", None)
    unambiguous = parsed(register("sip:[2001:db8::10]:5070")).uri
    assert (unambiguous.host, unambiguous.port) == ("[2001:db8::10]", 5070)


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_4_5_received_with_and_without_delimiters(received: str) -> None:
    found = parsed(
        message(
            "BYE sip:[2001:db8::10]",
            "To: sip:user@example.com;tag=bd76ya",
            "From: sip:user@example.com;tag=81x2",
            f"Via: SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111",
            "Call-ID: SSG9559905523997077@hlau_4100",
            "Max-Forwards: 70",
            "CSeq: 321 BYE",
        )
    )
    assert (found.via.received, found.via.branch) == ("2001:db8::9:255", "z9hG4bKas3-111")


def test_4_6_a_body_with_ipv6() -> None:
    found = parsed(
        message(
            "INVITE sip:user@[2001:db8::10]",
            "To: sip:user@[2001:db8::10]",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111",
            "Call-ID: SSG9559905523997077@hlau_4100",
            'Contact: "Caller" <sip:caller@[2001:db8::20]>',
            "CSeq: 8612 INVITE",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            body="v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\ns=Live video feed\n"
            "c=IN IP6 2001:db8::20\nt=3338481189 3370017201\nm=audio 6000 RTP/AVP 2\n",
        )
    )
    assert (found.to.uri.user, found.to.uri.host) == ("user", "[2001:db8::10]")
    assert b"IN IP6 2001:db8::20" in found.body


def test_4_7_both_families_in_one_message() -> None:
    found = parsed(
        message(
            "BYE sip:user@host.example.net",
            "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144",
            "Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
            "Call-ID: 997077@lau_4100",
            "Max-Forwards: 70",
            "CSeq: 89187 BYE",
            "To: sip:user@example.net;tag=9817--94",
            "From: sip:user@example.com;tag=81x2",
        )
    )
    assert [(via.host, via.port, via.received) for via in found.vias] == [
        ("[2001:db8::9:1]", 6050, None),
        ("192.0.2.1", None, None),
        ("[2001:db8::9:255]", None, "192.0.2.200"),
    ]


def test_4_8_both_families_in_one_body() -> None:
    found = parsed(
        message(
            "INVITE sip:user@[2001:db8::10]",
            "To: sip:user@[2001:db8::10]",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
            "Call-ID: SSG9559905523997077@hlau_4100",
            'Contact: "Caller" <sip:caller@[2001:db8::9:1]>',
            "Max-Forwards: 70",
            "CSeq: 8912 INVITE",
            "Content-Type: application/sdp",
            body="v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\n"
            "m=audio 22334 RTP/AVP 0\nc=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\n",
        )
    )
    assert found.body.count(b"c=IN IP") == 2


def test_4_9_mapped_addresses() -> None:
    found = parsed(
        message(
            "INVITE sip:user@example.com",
            "To: sip:user@example.com",
            "From: sip:user@east.example.com;tag=81x2",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111",
            "Call-ID: SSG9559905523997077@hlau_4100",
            'Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>',
            "CSeq: 612 INVITE",
            "Max-Forwards: 70",
        )
    )
    assert [via.host for via in found.vias] == ["[::ffff:192.0.2.10]", "[::ffff:192.0.2.2]"]
    assert found.contacts[0].uri.host == "[::ffff:192.0.2.2]"


@pytest.mark.parametrize("host", ["[2001:db8:::192.0.2.1]", "[2001:db8::192.0.2.1]"])
def test_4_10_a_third_colon_is_tolerated(host: str) -> None:
    """Both forms must be tolerated; the third colon only before an embedded IPv4 address."""
    found = parsed(
        message(
            f"OPTIONS sip:user@{host}",
            f"To: sip:user@{host}",
            "From: sip:user@example.com;tag=810x2",
            "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111",
            "Call-ID: G9559905523997077@hlau_4100",
            "CSeq: 689 OPTIONS",
            "Max-Forwards: 70",
        )
    )
    assert found.uri.host == host
    with pytest.raises(MalformedMessage):
        parse_message(register("sip:user@[2001:db8:::1]"))
