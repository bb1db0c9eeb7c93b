"""Typed header fields: RFC 3261 §20, RFC 3262, 3326, 3581, 3891, 4028, 5118, 6665."""

from typing import Any

import pytest

from sipcore.errors import ParseError
from sipcore.message import fields
from sipcore.message.fields import (
    CSeq,
    Event,
    MediaType,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
    SubscriptionState,
    Via,
    WarningValue,
)


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        (Via, "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7", None),
        (Via, "SIP / 2.0 / tcp first.example.com: 4000;ttl=16", "SIP/2.0/TCP first.example.com:4000;ttl=16"),
        (Via, "SIP/2.0/UDP [2001:db8::9:1]:5060;received=2001:db8::9:255;rport", None),
        (Via, "sip/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56", "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56"),
        (CSeq, "4711 INVITE", None),
        (CSeq, "0009    INVITE", "9 INVITE"),
        (CSeq, "4294967295 x", None),
        (RAck, "776656 1 INVITE", None),
        (MediaType, "application/sdp", None),
        (MediaType, 'Multipart / Mixed ; boundary="a;b"', 'multipart/mixed;boundary="a;b"'),
        (RetryAfter, "120", None),
        (RetryAfter, "18000;duration=3600", None),
        (RetryAfter, "120 (I'm in a \\(long\\) meeting)", None),
        (SessionExpires, "1800;refresher=uac", None),
        (SessionExpires, "90", None),
        (Reason, 'SIP;cause=200;text="Call completed elsewhere"', None),
        (Reason, "Q.850 ;cause=16", "Q.850;cause=16"),
        (Replaces, "425928@bobster.example.org;to-tag=7743;from-tag=6472", None),
        (Replaces, "98asjd8@test;from-tag=1;to-tag=2;early-only", "98asjd8@test;to-tag=2;from-tag=1;early-only"),
        (Event, "dialog;id=7", None),
        (Event, "message-summary", None),
        (SubscriptionState, "Active;expires=59", "active;expires=59"),
        (SubscriptionState, "terminated;reason=giveup;retry-after=10", None),
        (WarningValue, "307 isi.edu \"Session parameter 'foo' not understood\"", None),
        (WarningValue, '370 [2001:db8::1]:5060 "a \\"b\\""', None),
    ],
)
def test_round_trip(kind: Any, text: str, canonical: str | None) -> None:
    parsed = kind.parse(text)
    assert str(parsed) == (canonical or text)
    assert kind.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            Via,
            [
                "",
                "SIP/2.0/UDP",
                "SIP/3.0/UDP host",
                "SIP/2.0/UDP host:x",
                "SIP/2.0/UDP host:70000",
                "SIP/2.0/UDP host;;",
                "SIP/2.0/UDP host extra",
                "SIP/2.0/UDP 2001:db8::1",
                "SIP/2.0/UDP [2001:db8::zz]",
                "SIP/2.0/UDP [::1",
            ],
        ),
        (CSeq, ["", "1", "INVITE", "-1 INVITE", "4294967296 INVITE", "1 IN VITE", "1 2 INVITE", "² INVITE"]),
        (RAck, ["", "0 1 INVITE", "1 1", "1 1 INVITE x"]),
        (MediaType, ["", "text", "text/", "/plain", "text/plain x", "text/plain;"[:-1] + ";;"]),
        (RetryAfter, ["", "soon", "-1", "1 (x", "1 x"]),
        (SessionExpires, ["", "x", "90;refresher=both"]),
        (Reason, ["", ";cause=1", "a b"]),
        (Replaces, ["", "x", "x;to-tag=1", "x;from-tag=1", ";to-tag=1;from-tag=2"]),
        (Event, ["", ";id=1", "a b"]),
        (SubscriptionState, ["", "a b;x"]),
        (WarningValue, ["", '1812 overture "In Progress"', "307 host text", "307 host"]),
    ],
)
def test_malformed(kind: Any, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ParseError):
            kind.parse(text)


def test_via_parameters() -> None:
    """RFC 3581 §3 and §4: rport is empty in the request and filled in by the server."""
    via = Via.parse("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff")
    assert (via.host, via.port, via.sent_by, via.branch) == ("10.1.1.1", 4540, "10.1.1.1:4540", "z9hG4bKkjshdyff")
    assert (via.wants_rport, via.rport, via.received) == (True, None, None)
    seen = via.with_param("received", "192.0.2.1").with_param("rport", "9988")
    assert str(seen) == "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjshdyff;received=192.0.2.1"
    assert (seen.rport, seen.received) == (9988, "192.0.2.1")
    assert Via.parse("SIP/2.0/UDP a").branch is None
    with pytest.raises(ParseError):
        _ = Via.parse("SIP/2.0/UDP a;rport=99999").rport


def test_received_comes_with_or_without_brackets() -> None:
    """RFC 5118 §4.5."""
    for text in ("2001:db8::9:255", "[2001:db8::9:255]"):
        assert Via.parse(f"SIP/2.0/UDP [2001:db8::9:1];received={text}").received == "2001:db8::9:255"


def test_several_vias_on_a_line() -> None:
    assert [via.transport for via in Via.parse_many('SIP/2.0/UDP a , SIP/2.0/TCP b;x=","')] == ["UDP", "TCP"]


def test_numbers_and_their_limits() -> None:
    assert fields.parse_seconds("0060") == 60
    assert fields.parse_seconds("3600;refresher=uac") == 3600
    assert fields.parse_seconds("1" + "0" * 5000) == fields.MAX_UINT32
    assert fields.parse_max_forwards("0068") == 68
    assert fields.parse_content_length("0") == 0
    for bad in ("", "-1", "+1", "1.5", "1_0", "x", "٣"):
        with pytest.raises(ParseError):
            fields.parse_seconds(bad)
    for parse, bad in (
        (fields.parse_max_forwards, "256"),
        (fields.parse_content_length, "-999"),
        (fields.parse_content_length, "five"),
        (fields.parse_content_length, "9" * 30),
        (fields.parse_rseq, "0"),
        (fields.parse_rseq, "4294967296"),
    ):
        with pytest.raises(ParseError):
            parse(bad)


def test_what_the_fields_tell() -> None:
    assert MediaType.parse("Application/SDP;charset=UTF-8").essence == "application/sdp"
    assert MediaType.parse("a/b;charset=UTF-8").param("Charset") == "UTF-8"
    assert (RetryAfter.parse("5 (busy);duration=60").comment, RetryAfter.parse("5;duration=60").duration) == (
        "busy",
        60,
    )
    assert RetryAfter.parse("5").duration is None
    assert (SessionExpires.parse("90;refresher=UAS").refresher, SessionExpires.parse("90").refresher) == ("uas", None)
    reason = Reason.of("SIP", 200, "Call completed elsewhere")
    assert str(reason) == 'SIP;cause=200;text="Call completed elsewhere"'
    assert (reason.cause, reason.text) == (200, "Call completed elsewhere")
    assert (Reason.of("Q.850", 16).text, Reason.parse("SIP").cause) == (None, None)
    assert Replaces.parse("a@b;to-tag=1;from-tag=2;early-only") == Replaces("a@b", "1", "2", early_only=True)
    assert (Event.parse("dialog;id=7").id, Event.parse("dialog").id) == ("7", None)
    state = SubscriptionState.parse("Terminated;reason=Probation;retry-after=30;expires=9")
    assert (state.state, state.reason, state.retry_after, state.expires) == ("terminated", "probation", 30, 9)
    state = SubscriptionState.parse("active")
    assert (state.reason, state.retry_after, state.expires) == (None, None, None)
    assert WarningValue.parse('301 isi.edu "a \\"b\\""') == WarningValue(301, "isi.edu", 'a "b"')
