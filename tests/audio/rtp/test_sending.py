"""Numbering of our own packets, RFC 3550 §5.1, §6.4.1; RFC 3551 §4.1."""

from __future__ import annotations

import random

from audio.rtp import ntp
from audio.rtp.demux import DatagramKind, classify_untrusted
from audio.rtp.sending import SenderState
from sipcore.ids import IdSource


def make(seed: int = 1) -> SenderState:
    return SenderState(IdSource(random.Random(seed)))


def test_ssrc_sequence_and_timestamp_start_at_random() -> None:
    """§5.1: "The initial value of the sequence number SHOULD be random", the timestamp's and the SSRC likewise."""
    firsts = [(sender.ssrc, sender.audio(0, b"").sequence, sender.timestamp) for sender in map(make, range(20))]
    for values in zip(*firsts, strict=True):
        assert len(set(values)) > 15


def test_sequence_and_timestamp_wrap() -> None:
    sender = make()
    before = sender.audio(0, b"")
    for _ in range(70_000):
        packet = sender.audio(0, b"")
        sender.advance(160_000)
    assert packet.sequence == (before.sequence + 70_000) & 0xFFFF
    assert 0 <= sender.timestamp <= 0xFFFFFFFF
    packet.serialise()


def test_the_marker_is_on_the_first_packet_of_a_talkspurt() -> None:
    sender = make()
    assert [sender.audio(0, b"x").marker for _ in range(3)] == [True, False, False]
    sender.pause()
    assert [sender.audio(0, b"x").marker for _ in range(2)] == [True, False]


def test_the_clock_runs_while_nothing_is_sent() -> None:
    sender = make()
    first = sender.audio(0, b"x")
    sender.advance(160)
    sender.advance(160)
    assert (sender.audio(0, b"x").timestamp - first.timestamp) & 0xFFFFFFFF == 320


def test_the_sender_info_pairs_wall_time_with_the_media_clock() -> None:
    sender = make()
    sender.audio(0, b"12345")
    info = sender.sender_info(unix_s=1000.25, since_clock_s=0.01)
    assert info.ntp == ntp.from_unix(1000.25)
    assert (info.rtp_timestamp - sender.timestamp) & 0xFFFFFFFF == 80
    assert (info.packet_count, info.octet_count) == (1, 5)


def test_demultiplexing_by_first_octets() -> None:
    """RFC 7983 §7 and RFC 5761 §4, every first octet."""
    kinds = {first: classify_untrusted(bytes([first, 0])) for first in range(256)}
    assert {f for f, kind in kinds.items() if kind is DatagramKind.STUN} == set(range(4))
    assert {f for f, kind in kinds.items() if kind is DatagramKind.DTLS} == set(range(20, 64))
    assert {f for f, kind in kinds.items() if kind is DatagramKind.TURN_CHANNEL} == set(range(64, 80))
    assert {f for f, kind in kinds.items() if kind is DatagramKind.RTP} == set(range(128, 192))
    assert {s for s in range(256) if classify_untrusted(bytes([128, s])) is DatagramKind.RTCP} == set(range(192, 224))
    assert classify_untrusted(b"") is classify_untrusted(b"\x80") is DatagramKind.UNKNOWN
