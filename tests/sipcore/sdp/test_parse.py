"""RFC 8866 descriptions in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.errors import ParseError
from sipcore.sdp.parse import MAX_BODY_BYTES, MAX_LINE_CHARACTERS, MAX_LINES, MAX_MEDIA, parse
from sipcore.sdp.types import Attribute, Connection, MediaDescription, Origin, SessionDescription
from tests.sipcore.sdp.bodies import ASTERISK_WEBRTC_OFFER, BROWSER_OFFER, sdp

# RFC 8866 §5, the example, with b= added.
EXAMPLE = b"""v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
p=+1 617 555-6011
c=IN IP4 198.51.100.1
b=AS:128
t=0 0
m=audio 49170 RTP/AVP 0
m=audio 49180 RTP/AVP 0
m=video 51372 RTP/AVP 99
c=IN IP6 2001:db8::2
a=rtpmap:99 h263-1998/90000
"""


def test_example_of_rfc8866() -> None:
    """§5: session and media levels, bare LF."""
    description = parse(EXAMPLE)
    assert description.origin == Origin("jdoe", 3724394400, 3724394405, Connection("198.51.100.1"))
    assert description.session_name == "Call to John Smith"
    assert description.bandwidths == ("AS:128",)
    audio, _, video = description.media
    assert (audio.port, audio.formats) == (49170, ("0",))
    assert description.connection_of(audio) == Connection("198.51.100.1", "IP4")
    assert description.connection_of(video) == Connection("2001:db8::2", "IP6")
    assert video.attributes == (Attribute("rtpmap", "99 h263-1998/90000"),)


def test_written_with_crlf_and_in_order() -> None:
    """§9: v o s c b t a, then the media."""
    description = parse(EXAMPLE)
    written = bytes(description)
    assert written.count(b"\n") == written.count(b"\r\n")
    assert [line[:1] for line in written.decode().split("\r\n")] == [*"voscbtmmmca", ""]
    assert parse(written) == description


@pytest.mark.parametrize("body", [ASTERISK_WEBRTC_OFFER, BROWSER_OFFER])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_line_ends(body: bytes, line_end: bytes) -> None:
    """Any line end, blank lines and a missing last one."""
    assert parse(body.replace(b"\r\n", line_end)) == parse(body)
    assert parse(body.rstrip() + b"\r\n\r\n") == parse(body)
    assert parse(body.rstrip()) == parse(body)


def test_attributes() -> None:
    """Property and value attributes, values with colons, case counts."""
    description = parse(sdp("m=audio 1 RTP/AVP 0", "a=sendrecv", "a=x:1:2", "a=x:3", "a=X:4", "a=empty:"))
    media = description.media[0]
    assert media.attributes[0] == Attribute("sendrecv")
    assert list(media.values("x")) == ["1:2", "3"]
    assert media.value("X") == "4"
    assert media.value("empty") == ""
    assert media.attributes[-1] == Attribute("empty", "")
    assert media.has("sendrecv")
    assert not description.has("sendrecv")
    assert media.value("sendonly") is None


def test_ports_with_count() -> None:
    """§5.14: "m=audio 49170/2"."""
    media = parse(sdp("m=audio 49170/2 RTP/AVP 31")).media[0]
    assert (media.port, media.port_count) == (49170, 2)
    assert next(media.lines()) == "m=audio 49170/2 RTP/AVP 31"


def test_tolerated() -> None:
    """What is wrong and common: no s= and t=, spaces in the user name, lines out of order, foreign bytes."""
    body = b"v=0\r\nt=0 0\r\no=Sonus UAC 1 2 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 8 RTP/AVP 0\r\n"
    description = parse(body)
    assert description.origin.username == "Sonus UAC"
    assert description.session_name == "-"
    assert "\ufffd" in parse(sdp("m=audio 8 RTP/AVP 0", "i=caf").replace(b"i=caf", b"i=caf\xe9")).media[0].title  # type: ignore[operator]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n\r\n",
        b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=- x 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=- 1 -1 IN IP4 192.0.2.1\r\n",
        "v=0\r\no=- ١ 1 IN IP4 192.0.2.1\r\n".encode(),
        b"v=0\r\no=- 1 " + b"9" * 21 + b" IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4\r\n",
        sdp("m=audio RTP/AVP 0"),
        sdp("m=audio 65536 RTP/AVP 0"),
        sdp("m=audio 1/99999 RTP/AVP 0"),
        sdp("m=audio -1 RTP/AVP 0"),
        sdp("m=audio 1 RTP/AVP"),
        sdp("a=:value"),
        sdp("nonsense"),
        sdp("a=nul\0"),
        b"{'sdp': 1}",
    ],
)
def test_refused(body: bytes) -> None:
    """Everything else is a ParseError."""
    with pytest.raises(ParseError):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"v" * (MAX_BODY_BYTES + 1),
        sdp("a=" + "x" * MAX_LINE_CHARACTERS),
        sdp(*["a=x"] * MAX_LINES),
        sdp(*["m=audio 1 RTP/AVP 0"] * (MAX_MEDIA + 1)),
    ],
)
def test_limits(body: bytes) -> None:
    """Too much of anything would be answered 413."""
    with pytest.raises(ParseError) as caught:
        parse(body)
    assert caught.value.status_hint == 413


_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.+", min_size=1, max_size=12)
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30).map(str.strip)
_NUMBER = st.integers(0, 2**63)
_CONNECTION = st.builds(Connection, st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.sampled_from(["IP4", "IP6"]))
_ATTRIBUTES = st.lists(st.builds(Attribute, _TOKEN, st.none() | _TEXT), max_size=6).map(tuple)
_BANDWIDTHS = st.lists(st.builds("AS:{}".format, st.integers(0, 999)), max_size=2).map(tuple)
_MEDIA = st.builds(
    MediaDescription,
    media=st.sampled_from(["audio", "video", "image", "application"]),
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "UDP/TLS/RTP/SAVPF", "udptl"]),
    formats=st.lists(_TOKEN, min_size=1, max_size=6).map(tuple),
    port_count=st.integers(1, 9),
    title=st.none() | _TEXT,
    connection=st.none() | _CONNECTION,
    bandwidths=_BANDWIDTHS,
    attributes=_ATTRIBUTES,
)
DESCRIPTIONS = st.builds(
    SessionDescription,
    origin=st.builds(Origin, _TOKEN, _NUMBER, _NUMBER, _CONNECTION),
    session_name=_TEXT,
    connection=st.none() | _CONNECTION,
    bandwidths=_BANDWIDTHS,
    time=st.just(("0 0",)),
    attributes=_ATTRIBUTES,
    media=st.lists(_MEDIA, max_size=4).map(tuple),
)


@given(DESCRIPTIONS)
def test_round_trip(description: SessionDescription) -> None:
    """What is written is read back equal."""
    assert parse(bytes(description)) == description


@given(st.binary(max_size=300) | st.builds(lambda tail: b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\n" + tail, st.binary()))
def test_any_bytes(body: bytes) -> None:
    """Only ParseError comes out of it, and what was parsed can be written."""
    try:
        description = parse(body)
    except ParseError:
        return
    assert parse(bytes(description)) == description
