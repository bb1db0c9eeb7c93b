"""RTCP packets and compounds, RFC 3550 §6.4 to §6.6 and A.2."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rtp.rtcp import (
    Goodbye,
    Report,
    ReportBlock,
    RtcpPacket,
    SenderInfo,
    SourceDescription,
    parse_compound_untrusted,
    serialise_compound,
)
from sipcore.errors import ParseError

u32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock,
    ssrc=u32,
    fraction_lost=st.integers(0, 255),
    cumulative_lost=st.integers(-(1 << 23), (1 << 23) - 1),
    highest_sequence=u32,
    jitter=u32,
    last_sr=u32,
    delay_since_last_sr=u32,
)
senders = st.builds(SenderInfo, ntp=st.integers(0, (1 << 64) - 1), rtp_timestamp=u32, packet_count=u32, octet_count=u32)
reports = st.builds(Report, ssrc=u32, sender=st.none() | senders, blocks=st.lists(blocks, max_size=3).map(tuple))
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
descriptions = st.builds(SourceDescription, chunks=st.lists(st.tuples(u32, names), max_size=3).map(tuple))
goodbyes = st.builds(Goodbye, ssrcs=st.lists(u32, max_size=4).map(tuple), reason=names)

REPORT = Report(ssrc=1)


@given(reports, st.lists(reports | descriptions | goodbyes, max_size=2))
def test_what_is_written_is_read(first: Report, rest: list[RtcpPacket]) -> None:
    compound = (first, *rest)
    data = serialise_compound(compound)
    assert len(data) % 4 == 0
    assert parse_compound_untrusted(data) == compound


def test_the_bytes_of_a_sender_report() -> None:
    """§6.4.1, field by field; the cumulative loss is a signed 24-bit number."""
    block = ReportBlock(
        ssrc=0x11121314,
        fraction_lost=0x80,
        cumulative_lost=-2,
        highest_sequence=0x00010002,
        jitter=5,
        last_sr=0x21222324,
        delay_since_last_sr=6,
    )
    info = SenderInfo(ntp=0x0102030405060708, rtp_timestamp=9, packet_count=10, octet_count=11)
    assert Report(ssrc=0xAABBCCDD, sender=info, blocks=(block,)).serialise() == bytes.fromhex(
        "81c8000c aabbccdd 01020304 05060708 00000009 0000000a 0000000b"
        "11121314 80fffffe 00010002 00000005 21222324 00000006"
    )


def test_the_bytes_of_sdes_and_bye() -> None:
    """§6.5: a chunk ends with one to four nulls on a 32-bit boundary; §6.6: the reason is padded likewise."""
    assert SourceDescription(chunks=((1, "ab"),)).serialise() == bytes.fromhex("81ca0003 00000001 01026162 00000000")
    assert SourceDescription(chunks=((1, "a"),)).serialise() == bytes.fromhex("81ca0002 00000001 01016100")
    assert Goodbye(ssrcs=(1,), reason="bye").serialise() == bytes.fromhex("81cb0002 00000001 03627965")


def test_cumulative_loss_is_clamped() -> None:
    """A.3: "clamped at 0x7fffff for positive loss or 0x800000 for negative loss"."""
    block = ReportBlock(
        ssrc=1, fraction_lost=0, cumulative_lost=1 << 30, highest_sequence=0, jitter=0, last_sr=0, delay_since_last_sr=0
    )
    (report,) = parse_compound_untrusted(Report(ssrc=1, blocks=(block,)).serialise())
    assert isinstance(report, Report)
    assert report.blocks[0].cumulative_lost == 0x7FFFFF


def test_other_packet_types_and_other_items_are_skipped() -> None:
    application = bytes.fromhex("80cc0002 00000001 6e616d65")
    tool_then_cname = bytes.fromhex("81ca0004 00000001 0602 7878 0103 6d65 2100 0000")
    data = REPORT.serialise() + application + tool_then_cname
    assert parse_compound_untrusted(data) == (REPORT, SourceDescription(chunks=((1, "me!"),)))


def test_padding_is_allowed_on_the_last_packet_alone() -> None:
    bye = bytes.fromhex("a1cb0002 00000001 00000004")
    assert parse_compound_untrusted(REPORT.serialise() + bye) == (REPORT, Goodbye(ssrcs=(1,)))
    with pytest.raises(ParseError):
        parse_compound_untrusted(REPORT.serialise() + bye + bye)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9\x00\x01",
        Goodbye(ssrcs=(1,)).serialise(),  # does not start with a report
        bytes.fromhex("a0c90001 00000001"),  # padding bit on the first
        bytes.fromhex("80c90002 00000001"),  # longer than the datagram
        bytes.fromhex("81c90001 00000001"),  # one block counted, none there
        bytes.fromhex("80c80001 00000001"),  # sender info missing
        REPORT.serialise() + b"\x80\xca",
        REPORT.serialise() + bytes.fromhex("40ca0000"),
        REPORT.serialise() + bytes.fromhex("81ca0000"),  # chunk missing
        REPORT.serialise() + bytes.fromhex("81ca0002 00000001 01ff6100"),  # item longer than the chunk
        REPORT.serialise() + bytes.fromhex("81ca0002 00000001 01026162"),  # no null
        REPORT.serialise() + bytes.fromhex("82cb0001 00000001"),
        REPORT.serialise() + bytes.fromhex("a1cb0001 00000009"),  # padding longer than the packet
        REPORT.serialise() * 200,
    ],
    ids=lambda data: data.hex()[:48],
)
def test_hostile_compounds_are_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_compound_untrusted(data)


@given(st.integers(200, 204), st.integers(0, 0xFF), st.binary(max_size=60))
def test_any_bytes_behind_a_report_are_packets_or_a_parse_error(kind: int, first: int, body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    data = REPORT.serialise() + struct.pack("!BBH", 0x80 | first & 0x3F, kind, len(body) // 4) + body
    try:
        packets = parse_compound_untrusted(data)
    except ParseError:
        return
    assert packets[0] == REPORT


def test_more_than_31_sources_do_not_fit() -> None:
    with pytest.raises(ValueError):
        Goodbye(ssrcs=(0,) * 32).serialise()
