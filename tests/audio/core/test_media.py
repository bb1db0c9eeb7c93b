"""One media core against packets made by hand: what it sends, reports and counts."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.codec import registry
from audio.codec.g711 import PCMA, PCMU
from audio.core import (
    DtmfReceived,
    DtmfSent,
    FirstPacketReceived,
    MediaCore,
    MediaResumed,
    MediaSilent,
    RemoteAddressChanged,
    RemoteByeReceived,
    RemoteSsrcChanged,
    Transmit,
    TransmitKind,
)
from audio.rtp.packet import RtpPacket
from audio.rtp.rtcp import (
    Goodbye,
    Report,
    ReportBlock,
    SenderInfo,
    SourceDescription,
    parse_compound_untrusted,
    serialise_compound,
)
from audio.stream.level import decibels
from sipcore.errors import LocalProtocolError, ParseError
from sipcore.media import PCMA as PCMA_FORMAT
from sipcore.media import PCMU as PCMU_FORMAT
from sipcore.media import Codec, Direction
from tests.audio.core.pair import BOB, make_core, parameters

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

SILENCE = np.zeros(160, dtype=np.int16)
LOUD = np.full(160, 8000, dtype=np.int16)


def configured(**negotiated: object) -> MediaCore:
    core = make_core(1)
    core.configure(parameters(BOB, **negotiated), 0.0)  # type: ignore[arg-type]
    return core


def ticks(core: MediaCore, count: int, *, start: float = 0.0, microphone: np.ndarray | None = LOUD) -> list[Transmit]:
    for number in range(count):
        core.tick(start + number * 0.02, microphone)
    return core.transmits()


def rtp_of(transmits: list[Transmit]) -> list[RtpPacket]:
    return [RtpPacket.parse_untrusted(item.data) for item in transmits if item.kind is TransmitKind.RTP]


def peer_packet(sequence: int, *, payload_type: int = 0, ssrc: int = 77, payload: bytes = b"\x80" * 160) -> bytes:
    return RtpPacket(payload_type, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, ssrc, payload).serialise()


def hear(core: MediaCore, sequences: range, *, start: float = 0.0, **options: object) -> None:
    for number, sequence in enumerate(sequences):
        core.receive(peer_packet(sequence, **options), BOB, start + number * 0.02)  # type: ignore[arg-type]


# -- sending ----------------------------------------------------------------------------------------------------------


def test_every_tick_sends_a_packet_of_20_ms() -> None:
    """Sequence by one, timestamp by 160, marker on the first alone (RFC 3550 §5.1, RFC 3551 §4.1)."""
    transmits = ticks(configured(), 50)
    packets = rtp_of(transmits)
    assert len(packets) == 50
    assert {item.destination for item in transmits} == {BOB}
    assert [packet.marker for packet in packets] == [True] + [False] * 49
    for one, two in itertools.pairwise(packets):
        assert (two.sequence - one.sequence) & 0xFFFF == 1
        assert (two.timestamp - one.timestamp) & 0xFFFFFFFF == 160
    assert packets[-1].payload == PCMU.encode(LOUD)


def test_nothing_is_sent_before_negotiation_and_without_a_microphone_silence_is() -> None:
    core = make_core(1)
    assert ticks(core, 5) == []
    assert core.remote is None
    core.configure(parameters(BOB), 0.1)
    packets = rtp_of(ticks(core, 2, start=0.1, microphone=None))
    assert packets[0].payload == b"\xff" * 160


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
def test_packets_have_the_length_the_peer_wants(ptime: int) -> None:
    packets = rtp_of(ticks(configured(ptime_ms=ptime), 60))
    assert len(packets) == 60 * 20 // ptime
    assert {len(packet.payload) for packet in packets} == {ptime * 8}
    for one, two in itertools.pairwise(packets):
        assert (two.timestamp - one.timestamp) & 0xFFFFFFFF == ptime * 8


@pytest.mark.parametrize("direction", [Direction.RECVONLY, Direction.INACTIVE])
def test_on_hold_nothing_is_sent_and_the_clock_runs(direction: Direction) -> None:
    core = configured()
    before = rtp_of(ticks(core, 1))[0]
    core.configure(parameters(BOB, negotiation=2, direction=direction), 0.02)
    assert ticks(core, 10, start=0.02) == []
    core.configure(parameters(BOB, negotiation=3), 0.22)
    after = rtp_of(ticks(core, 1, start=0.22))[0]
    assert after.marker
    assert (after.sequence - before.sequence) & 0xFFFF == 1
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 11 * 160


def test_renegotiation_keeps_the_stream_and_changes_its_format_and_address() -> None:
    core = configured()
    before = rtp_of(ticks(core, 1))[0]
    moved = ("192.0.2.99", 6000)
    core.configure(parameters(moved, negotiation=2, codec=replace(PCMA_FORMAT, payload_type=98)), 0.02)
    transmits = ticks(core, 1, start=0.02)
    after = rtp_of(transmits)[0]
    assert transmits[0].destination == moved
    assert (after.ssrc, after.payload_type, after.payload) == (before.ssrc, 98, PCMA.encode(LOUD))
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160


def test_a_stale_negotiation_is_ignored_and_an_unknown_codec_refused() -> None:
    core = configured(negotiation=5)
    core.configure(parameters(("192.0.2.99", 6000), negotiation=4), 0.0)
    assert core.remote == BOB
    with pytest.raises(KeyError):
        core.configure(parameters(("192.0.2.99", 6000), negotiation=6, codec=Codec(111, "opus", 48000, 2)), 0.0)
    assert core.remote == BOB


def test_a_late_tick_catches_up_and_a_very_late_one_skips_time() -> None:
    """A dead thread's time passes on the wire too: the timestamp jumps and a talkspurt starts."""
    core = configured()
    core.tick(0.0, LOUD)
    for _ in range(5):
        core.tick(0.12, LOUD)
    on_time = rtp_of(core.transmits())
    assert [(p.timestamp - on_time[0].timestamp) & 0xFFFFFFFF for p in on_time] == [160 * n for n in range(6)]
    core.tick(3.12, LOUD)
    after = rtp_of(core.transmits())[0]
    assert after.marker
    assert (after.timestamp - on_time[0].timestamp) & 0xFFFFFFFF == pytest.approx(3.12 * 8000, abs=160)


def test_mute_sends_faint_noise_without_a_click() -> None:
    core = configured()
    ticks(core, 2)
    core.set_mute(True)
    assert core.muted
    muted = [PCMU.decode(packet.payload).astype(np.int32) for packet in rtp_of(ticks(core, 10, start=0.04))]
    assert np.abs(np.diff(muted[0])).max() < 600
    assert all(np.abs(block).max() > 0 for block in muted[1:])
    assert core.statistics(0.24).level_in_dbfs > -20
    core.set_mute(False)
    loud = rtp_of(ticks(core, 2, start=0.24))
    assert loud[1].payload == PCMU.encode(LOUD)


@pytest.mark.parametrize("codec", [PCMU_FORMAT, PCMA_FORMAT])
def test_what_a_muted_phone_sends_is_as_faint_as_a_quiet_line(codec: Codec) -> None:
    core = configured(codec=codec)
    core.set_mute(True)
    ticks(core, 2)
    coder = registry.create(codec)
    heard = np.concatenate([coder.decode(packet.payload) for packet in rtp_of(ticks(core, 100, start=0.04))])
    assert decibels(float(np.sqrt((heard.astype(np.float64) ** 2).mean()))) == pytest.approx(-69.0, abs=0.7)


@pytest.mark.parametrize("muted", [True, False])
def test_muting_and_unmuting_does_not_click(muted: bool) -> None:
    """What a tone of 437.5 Hz leaves beyond 1 kHz is 20 dB below what a cut in the midst of a wave would."""
    tone = (12000 * np.sin(2 * np.pi * 437.5 * np.arange(3200) / 8000)).astype(np.int16)
    core = configured()
    core.set_mute(not muted)
    core.tick(0.0, tone[:160])
    spoken = []
    for number in range(20):
        if number == 10:
            core.set_mute(muted)
        core.tick(0.02 + 0.02 * number, tone[160 * number : 160 * number + 160])
        spoken.append(core.spoken)
    sounding = np.arange(3200) < 1605
    cut = tone * (sounding if muted else ~sounding)
    assert beyond_db(np.concatenate(spoken)) <= beyond_db(cut) - 20.0


def beyond_db(samples: NDArray[Any]) -> float:
    """Power beyond 1 kHz, under a window that hides the ends."""
    spectrum = np.abs(np.fft.rfft(samples * np.blackman(len(samples)))) ** 2
    return float(10 * np.log10(spectrum[np.fft.rfftfreq(len(samples), 1 / 8000) > 1000.0].sum()))


def test_a_recorder_gets_what_is_sent_and_hears_over_mute() -> None:
    """What is put over the microphone reaches the far end of a muted phone; silence is recorded while none may."""
    core = configured()
    core.set_mute(True)
    ticks(core, 2)
    core.tick(0.04, LOUD, over=LOUD)
    assert np.abs(core.spoken.astype(int) - LOUD).max() < 100
    core.configure(parameters(BOB, negotiation=2, direction=Direction.RECVONLY), 0.06)
    assert not core.speaks
    core.tick(0.06, LOUD)
    assert not core.spoken.any()


# -- DTMF -------------------------------------------------------------------------------------------------------------


def test_digits_take_the_place_of_audio() -> None:
    """RFC 4733: while an event is sent no audio is, and the sequence goes on through both."""
    core = configured()
    ticks(core, 5)
    assert core.send_dtmf("7", 0.1)
    packets = rtp_of(ticks(core, 20, start=0.1))
    kinds = [packet.payload_type for packet in packets]
    assert kinds == [101] * 7 + [0] * 13
    numbers = [packet.sequence for packet in packets]
    assert [(b - a) & 0xFFFF for a, b in itertools.pairwise(numbers)] == [1] * 19
    assert (packets[7].timestamp - packets[0].timestamp) & 0xFFFFFFFF == 7 * 160
    assert core.events() == [DtmfSent("7")]


def test_the_first_digit_comes_after_some_sound() -> None:
    """A PBX that has just answered may pass a digit on twice that comes before any."""
    core = configured()
    assert core.send_dtmf("7", 0.0)
    kinds = [packet.payload_type for packet in rtp_of(ticks(core, 20))]
    assert kinds == [0] * 4 + [101] * 7 + [0] * 9


def test_digits_are_refused_where_they_cannot_be_sent() -> None:
    assert not make_core(1).send_dtmf("1", 0.0)
    assert not configured(dtmf=None).send_dtmf("1", 0.0)
    assert not configured(direction=Direction.RECVONLY).send_dtmf("1", 0.0)
    with pytest.raises(LocalProtocolError):
        configured().send_dtmf("1?", 0.0)


def test_received_digits_are_told_once_with_their_length() -> None:
    core = configured()
    hear(core, range(3))
    for number, (duration, end) in enumerate([(160, 0), (320, 0), (480, 0x80), (480, 0x80), (480, 0x80)]):
        payload = bytes([5, end | 10]) + duration.to_bytes(2)
        packet = RtpPacket(101, 3 + number, 480, 77, payload, number == 0)
        core.receive(packet.serialise(), BOB, 0.06 + number * 0.02)
    assert [event for event in core.events() if isinstance(event, DtmfReceived)] == [DtmfReceived("5", 60)]


def test_a_digit_whose_end_is_lost_ends_by_itself() -> None:
    core = configured()
    hear(core, range(3))
    core.receive(RtpPacket(101, 3, 480, 77, b"\x0b\x0a\x01\x40", True).serialise(), BOB, 0.06)
    ticks(core, 30, start=0.08)
    assert DtmfReceived("#", 40) in core.events()


# -- receiving --------------------------------------------------------------------------------------------------------


def test_the_first_packet_is_told_once_and_its_sound_is_heard() -> None:
    core = configured()
    hear(core, range(10))
    assert core.events() == [FirstPacketReceived(BOB, 77)]
    heard = np.concatenate([core.tick(0.2 + n * 0.02, None) for n in range(5)])
    assert np.abs(heard.astype(np.int32)).max() == int(PCMU.decode(b"\x80")[0])
    assert core.statistics(0.3).packets_received == 10


def test_another_ssrc_and_another_address_are_told() -> None:
    core = configured()
    hear(core, range(10))
    hear(core, range(500, 510), start=0.2, ssrc=78)
    moved = (BOB[0], 7777)
    for number in range(510, 514):
        core.receive(peer_packet(number, ssrc=78), moved, 0.4 + number * 0.001)
    assert core.events() == [FirstPacketReceived(BOB, 77), RemoteSsrcChanged(78), RemoteAddressChanged(moved)]
    assert core.remote == moved
    assert rtp_of(ticks(core, 1, start=0.5))
    assert core.statistics(0.5).packets_received == 24


def test_what_cannot_be_used_is_counted_and_never_raises() -> None:
    core = configured()
    hear(core, range(4))
    core.receive(b"", BOB, 0.1)
    core.receive(b"\x80", BOB, 0.1)
    core.receive(b"\xb0" + bytes(20), BOB, 0.1)
    core.receive(peer_packet(4, payload_type=50), BOB, 0.1)
    core.receive(peer_packet(5, payload=b""), BOB, 0.1)
    core.receive_rtcp(b"\x81\xc8\x00", BOB, 0.1)
    core.receive(peer_packet(9, ssrc=5), ("203.0.113.5", 5), 0.1)
    statistics = core.statistics(0.2)
    assert statistics.discarded == 6
    assert statistics.strangers == 1


def test_stun_and_dtls_go_to_their_handler() -> None:
    """RFC 7983 §7."""
    seen: list[bytes] = []
    core = make_core(1, on_non_rtp=lambda data, source, now: seen.append(data))
    core.receive(b"\x00\x01stun", BOB, 0.0)
    core.receive(b"\x16\xfe\xffdtls", BOB, 0.0)
    assert seen == [b"\x00\x01stun", b"\x16\xfe\xffdtls"]
    configured().receive(b"\x16\xfe\xffdtls", BOB, 0.0)


def test_silence_and_its_end_are_told_once() -> None:
    core = configured()
    hear(core, range(10))
    core.events()
    ticks(core, 250, start=0.2)
    (silent,) = core.events()
    assert isinstance(silent, MediaSilent)
    assert silent.silent_s == pytest.approx(3.0, abs=0.05)
    hear(core, range(300, 303), start=5.2)
    (resumed,) = core.events()
    assert isinstance(resumed, MediaResumed)
    assert resumed.silent_s == pytest.approx(5.0, abs=0.05)


def test_silence_is_expected_while_the_peer_may_not_send() -> None:
    core = configured(direction=Direction.SENDONLY)
    ticks(core, 250)
    assert core.events() == []
    core.configure(parameters(BOB, negotiation=2), 5.0)
    ticks(core, 160, start=5.0)
    (silent,) = core.events()
    assert isinstance(silent, MediaSilent)
    assert silent.silent_s == pytest.approx(3.0, abs=0.05)


def test_on_hold_nothing_is_played() -> None:
    core = configured(direction=Direction.SENDONLY)
    hear(core, range(20))
    assert not any(core.tick(0.4 + n * 0.02, None).any() for n in range(10))


# -- RTCP -------------------------------------------------------------------------------------------------------------


def report_of(core: MediaCore, now: float) -> tuple[float, Transmit]:
    due = core.next_timeout()
    assert due is not None
    while True:
        now = max(now, due)
        core.handle_timeout(now)
        for item in core.transmits():
            if item.kind is TransmitKind.RTCP or item.data[1] >= 200:
                return now, item
        due = core.next_timeout()
        assert due is not None


def test_a_sender_report_with_our_name_goes_to_the_rtcp_port() -> None:
    """RFC 3550 §6.1: a report first, then SDES with CNAME."""
    core = configured()
    hear(core, range(20))
    ticks(core, 20)
    now, item = report_of(core, 0.4)
    assert item.destination == (BOB[0], BOB[1] + 1)
    report, names = parse_compound_untrusted(item.data)
    assert isinstance(report, Report)
    assert report.sender is not None
    assert (report.sender.packet_count, report.sender.octet_count) == (20, 3200)
    assert report.blocks[0].ssrc == 77
    assert names == SourceDescription(chunks=((core.ssrc, core.cname),))
    assert 1.0 < now < 3.2


def test_a_receiver_that_sends_nothing_makes_receiver_reports() -> None:
    core = configured(direction=Direction.RECVONLY)
    _, item = report_of(core, 0.0)
    report = parse_compound_untrusted(item.data)[0]
    assert isinstance(report, Report)
    assert report.sender is None


def test_with_rtcp_mux_everything_leaves_and_arrives_by_the_rtp_socket() -> None:
    """RFC 5761."""
    core = configured(rtcp_mux=True)
    hear(core, range(5))
    _, item = report_of(core, 0.1)
    assert (item.destination, item.kind) == (BOB, TransmitKind.RTP)
    core.receive(serialise_compound((Report(ssrc=77), Goodbye(ssrcs=(77,)))), BOB, 0.2)
    assert RemoteByeReceived(77) in core.events()


def test_a_report_about_us_gives_round_trip_and_the_far_ends_view() -> None:
    core = configured()
    hear(core, range(5))
    ticks(core, 5)
    now, item = report_of(core, 0.1)
    sent = parse_compound_untrusted(item.data)[0]
    assert isinstance(sent, Report)
    assert sent.sender is not None
    block = ReportBlock(
        ssrc=core.ssrc,
        fraction_lost=64,
        cumulative_lost=9,
        highest_sequence=0,
        jitter=80,
        last_sr=sent.sender.ntp >> 16 & 0xFFFFFFFF,
        delay_since_last_sr=65536,
    )
    info = SenderInfo(ntp=1 << 40, rtp_timestamp=0, packet_count=1, octet_count=1)
    core.receive_rtcp(serialise_compound((Report(ssrc=77, sender=info, blocks=(block,)),)), (BOB[0], 9), now + 1.150)
    statistics = core.statistics(now + 1.2)
    assert statistics.rtt_ms == pytest.approx(150, abs=0.1)
    assert (statistics.remote_loss, statistics.remote_jitter_ms) == (0.25, 10.0)
    _, answer = report_of(core, now + 1.2)
    assert answer.destination == (BOB[0], 9)  # symmetric RTCP, RFC 4961


def test_reports_of_strangers_are_dropped() -> None:
    core = configured()
    hear(core, range(5))
    core.receive_rtcp(serialise_compound((Report(ssrc=5), Goodbye(ssrcs=(77,)))), ("203.0.113.5", 5), 0.2)
    assert RemoteByeReceived(77) not in core.events()
    assert core.statistics(0.2).strangers == 1


def test_closing_says_goodbye_and_then_nothing() -> None:
    core = configured()
    ticks(core, 3)
    core.close(0.06)
    core.close(0.08)
    (item,) = core.transmits()
    packets = parse_compound_untrusted(item.data)
    assert isinstance(packets[0], Report)
    assert packets[-1] == Goodbye(ssrcs=(core.ssrc,))
    hear(core, range(5), start=0.1)
    core.configure(parameters(BOB, negotiation=9), 0.1)
    assert not core.tick(0.2, LOUD).any()
    assert not core.send_dtmf("1", 0.2)
    assert (core.transmits(), core.events(), core.next_timeout()) == ([], [], None)


def test_who_never_sent_says_no_goodbye() -> None:
    """§6.3.7: "must not send a BYE packet" when it never sent RTP or RTCP."""
    core = configured()
    core.close(0.0)
    assert core.transmits() == []


# -- figures ----------------------------------------------------------------------------------------------------------


def test_statistics_before_media_know_little() -> None:
    statistics = make_core(1).statistics(0.0)
    assert (statistics.codec, statistics.mos, statistics.rtt_ms, statistics.last_received_s) == (None, None, None, None)
    assert statistics.packets_sent == 0


def test_loss_is_that_of_the_last_seconds() -> None:
    core = configured()
    draw = random.Random(1)
    for number in range(1500):
        lossy = number < 500
        if not (lossy and draw.random() < 0.2):
            core.receive(peer_packet(number), BOB, number * 0.02)
        core.tick(number * 0.02 + 0.005, LOUD)
        if number == 499:
            early = core.statistics(number * 0.02)
    late = core.statistics(30.0)
    assert early.loss == pytest.approx(0.2, abs=0.05)
    assert early.concealed > 0.1
    assert early.mos is not None
    assert late.mos is not None
    assert (late.loss, late.concealed) == (0.0, 0.0)
    assert late.lost == pytest.approx(100, abs=25)
    assert late.mos > early.mos + 0.8
    assert late.codec == "PCMU"
    assert late.level_in_dbfs == pytest.approx(-12.2, abs=0.2)


# -- SRTP seam --------------------------------------------------------------------------------------------------------


@dataclass
class XorSecurity:
    """Stands in for SRTP: flips every octet behind the header and appends a tag."""

    ready: bool = True
    rtcp_ready: bool = True
    refused: list[bytes] = field(default_factory=list)

    def protect_rtp(self, packet: bytes) -> bytes:
        return packet[:12] + bytes(octet ^ 0x55 for octet in packet[12:]) + b"TAG1"

    protect_rtcp = protect_rtp

    def unprotect_rtp(self, packet: bytes) -> bytes:
        if not packet.endswith(b"TAG1"):
            self.refused.append(packet)
            raise ParseError("authentication failed")
        return packet[:12] + bytes(octet ^ 0x55 for octet in packet[12:-4])

    unprotect_rtcp = unprotect_rtp


def test_with_keys_everything_is_protected_and_what_is_not_authentic_is_dropped() -> None:
    security = XorSecurity()
    core = configured()
    core.set_secure(security)
    data = ticks(core, 1)[0].data
    assert RtpPacket.parse_untrusted(security.unprotect_rtp(data)).payload == PCMU.encode(LOUD)
    for number in range(3):
        core.receive(security.protect_rtp(peer_packet(number)), BOB, 0.02 * number)
    core.receive(peer_packet(3), BOB, 0.1)
    core.receive_rtcp(security.protect_rtcp(Report(ssrc=77).serialise() + Goodbye(ssrcs=(77,)).serialise()), BOB, 0.1)
    statistics = core.statistics(0.1)
    assert (statistics.packets_received, statistics.discarded) == (3, 1)
    assert RemoteByeReceived(77) in core.events()
    _, item = report_of(core, 0.2)
    assert parse_compound_untrusted(security.unprotect_rtcp(item.data))


def test_before_there_are_keys_nothing_leaves_and_nothing_is_let_in() -> None:
    core = configured()
    core.set_secure(XorSecurity(ready=False, rtcp_ready=False))
    hear(core, range(5))
    due = core.next_timeout()
    assert due is not None
    core.handle_timeout(due + 5)
    assert ticks(core, 5) == []
    assert core.statistics(0.1).packets_received == 0
