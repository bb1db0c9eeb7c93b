"""RTP packets, RFC 3550 §5.1 and §5.3.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rtp.packet import HEADER_LENGTH, HeaderExtension, RtpPacket
from sipcore.errors import ParseError

extensions = st.none() | st.builds(
    HeaderExtension,
    st.integers(0, 0xFFFF),
    st.integers(0, 5).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words)),
)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=400),
    marker=st.booleans(),
    csrc=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=extensions,
    padding=st.integers(0, 255),
)


@given(packets)
def test_what_is_written_is_read(packet: RtpPacket) -> None:
    assert RtpPacket.parse_untrusted(packet.serialise()) == packet


def test_the_bytes_of_a_plain_packet() -> None:
    """§5.1: version 2, marker and payload type in the second octet, then sequence, timestamp, SSRC in network order."""
    packet = RtpPacket(0, 0x0102, 0x03040506, 0x0708090A, b"\xff\xfe", marker=True)
    assert packet.serialise() == bytes.fromhex("80800102030405060708090a") + b"\xff\xfe"


def test_the_bytes_of_every_option() -> None:
    packet = RtpPacket(8, 1, 2, 3, b"ab", csrc=(4,), extension=HeaderExtension(0xBEDE, b"wxyz"), padding=3)
    assert packet.serialise() == bytes.fromhex("b1080001 00000002 00000003 00000004 bede0001 7778797a 6162 000003")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        bytes.fromhex("40000001 00000002 00000003"),  # version 1
        bytes.fromhex("82000001 00000002 00000003 00000004"),  # two CSRCs, one there
        bytes.fromhex("90000001 00000002 00000003 bede"),  # extension header cut off
        bytes.fromhex("90000001 00000002 00000003 bede0002 00000000"),  # extension longer than the packet
        bytes.fromhex("a0000001 00000002 00000003"),  # padding claimed; the "count" is the SSRC's last octet
        bytes.fromhex("a0000001 00000002 00000003 aabb00"),  # padding of 0 octets
        bytes.fromhex("a0000001 00000002 00000003 aabb04"),  # padding reaches into the header
        b"\x80" + bytes(1500),
    ],
    ids=lambda data: data.hex()[:40],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    """A.1's header checks; nothing but ParseError comes out."""
    with pytest.raises(ParseError):
        RtpPacket.parse_untrusted(data)


def test_a_packet_may_be_empty_or_all_padding() -> None:
    assert RtpPacket.parse_untrusted(bytes.fromhex("80000001 00000002 00000003")).payload == b""
    assert RtpPacket.parse_untrusted(bytes.fromhex("a0000001 00000002 00000003 00000004")).payload == b""


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_a_parse_error(data: bytes) -> None:
    for candidate in (data, b"\x80" + data, b"\xbf" + data):
        try:
            packet = RtpPacket.parse_untrusted(candidate)
        except ParseError:
            continue
        assert len(packet.payload) <= len(candidate) - HEADER_LENGTH


@pytest.mark.parametrize(
    "packet",
    [
        RtpPacket(0, 0, 0, 0, b"", csrc=(0,) * 16),
        RtpPacket(0, 0, 0, 0, b"", padding=256),
        RtpPacket(0, 0, 0, 0, b"", extension=HeaderExtension(0, b"abc")),
    ],
)
def test_impossible_packets_are_not_written(packet: RtpPacket) -> None:
    with pytest.raises(ValueError):
        packet.serialise()
