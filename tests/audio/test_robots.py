"""The far ends without people."""

from __future__ import annotations

import io
import random
import wave

import numpy as np
import pytest

from audio.codec.g711 import PCMU
from audio.core import FirstPacketReceived, Transmit, TransmitKind
from audio.robots import Announcement, DigitsRobot, EchoRobot, VoiceRobot, welcome
from audio.rtp.packet import RtpPacket
from audio.rtp.rtcp import Report, SenderInfo, parse_compound_untrusted
from audio.stream.recorder import WavRecorder
from audio.stream.tones import Country, ToneGenerator, ToneKind, say_digits
from sipcore.ids import IdSource
from tests.audio.core.pair import ALICE, BOB, make_core, parameters
from tests.audio.sound import likeness, local_likeness, speech


def test_the_echo_returns_every_packet_under_its_own_name() -> None:
    robot = EchoRobot(IdSource(random.Random(1)))
    sent = [RtpPacket(0, n, n * 160, 7, bytes([n]) * 160, marker=n == 0) for n in range(5)]
    for number, packet in enumerate(sent):
        robot.receive(packet.serialise(), ALICE, number * 0.02)
    robot.receive(b"\x80nonsense", ALICE, 0.1)
    robot.receive(b"\x16dtls", ALICE, 0.1)
    echoed = robot.transmits()
    assert {item.destination for item in echoed} == {ALICE}
    back = [RtpPacket.parse_untrusted(item.data) for item in echoed]
    assert [(p.payload, p.timestamp, p.marker) for p in back] == [(p.payload, p.timestamp, p.marker) for p in sent]
    assert {p.ssrc for p in back} & {7} == set()
    assert [(p.sequence - back[0].sequence) & 0xFFFF for p in back] == list(range(5))
    assert robot.transmits() == []


def test_the_echo_answers_reports_so_that_the_round_trip_is_known() -> None:
    robot = EchoRobot(IdSource(random.Random(1)), wall_offset_s=1.7e9)
    info = SenderInfo(ntp=0x1122334455667788, rtp_timestamp=0, packet_count=2, octet_count=2)
    report = Report(ssrc=7, sender=info).serialise()
    robot.receive_rtcp(report, ALICE, 0.0)
    assert robot.transmits() == []  # not a source it hears
    for number in range(3):
        robot.receive(RtpPacket(0, number, 0, 7, b"").serialise(), ALICE, 0.0)
    robot.transmits()
    robot.receive_rtcp(report, ALICE, 0.1)
    robot.receive_rtcp(report[:7], ALICE, 0.1)
    robot.receive(report, ALICE, 0.2)
    on_rtcp, muxed = robot.transmits()
    assert (on_rtcp.kind, muxed.kind) == (TransmitKind.RTCP, TransmitKind.RTP)
    answer = parse_compound_untrusted(on_rtcp.data)[0]
    assert isinstance(answer, Report)
    assert (answer.blocks[0].ssrc, answer.blocks[0].last_sr) == (7, 0x33445566)


def call(robot: VoiceRobot | EchoRobot, said: np.ndarray, seconds: float, digits: str = "") -> np.ndarray:
    """A caller talks to the robot over a loopback without delay; what the caller hears."""
    caller = make_core(1)
    caller.configure(parameters(BOB), 0.0)
    if isinstance(robot, VoiceRobot):
        robot.core.configure(parameters(ALICE), 0.0)
    heard = []
    for number in range(int(seconds * 50)):
        now = number * 0.02
        if number == 10 and digits:
            caller.send_dtmf(digits, now)
        block = said[number * 160 : number * 160 + 160]
        heard.append(caller.tick(now, np.concatenate([block, np.zeros(160 - len(block), np.int16)])))
        for data, _, kind in caller.transmits():
            (robot.receive if kind is TransmitKind.RTP else robot.receive_rtcp)(data, ALICE, now + 0.001)
        robot.tick(now + 0.002)
        for item in robot.transmits():
            _deliver(caller, item, now + 0.003)
    return np.concatenate(heard)


def _deliver(caller: object, item: Transmit, now: float) -> None:
    getattr(caller, "receive" if item.kind is TransmitKind.RTP else "receive_rtcp")(item.data, BOB, now)


def test_a_caller_hears_himself_from_the_echo() -> None:
    said = speech(4.0)
    alike, delay = likeness(PCMU.decode(PCMU.encode(said)), call(EchoRobot(IdSource(random.Random(2))), said, 5.0))
    assert alike > 0.99
    assert delay / 8 < 70


def test_an_announcement_is_heard_and_the_caller_is_recorded() -> None:
    said = speech(3.0, seed=5)
    file = io.BytesIO()
    robot = VoiceRobot(make_core(3), Announcement(welcome()), recorder=WavRecorder(file))
    heard = call(robot, said, 4.0)
    robot.close(4.0)
    assert likeness(welcome(), heard)[0] > 0.95
    assert any(isinstance(event, FirstPacketReceived) for event in robot.events())
    file.seek(0)
    with wave.open(file) as reader:
        recorded = np.frombuffer(reader.readframes(10**6), dtype="<i2")
    assert local_likeness(said, recorded) > 0.95
    assert parse_compound_untrusted(robot.transmits()[-1].data)


def test_a_tone_may_be_said_for_ever() -> None:
    robot = VoiceRobot(make_core(3), ToneGenerator(ToneKind.BUSY, Country.EU))
    heard = call(robot, np.zeros(0, np.int16), 3.0)
    assert likeness(ToneGenerator(ToneKind.BUSY, Country.EU).read(16_000), heard)[0] > 0.95


@pytest.mark.parametrize(("digits", "expected"), [("123#", "123"), ("42", "42")])
def test_digits_are_said_back(digits: str, expected: str) -> None:
    """After # at once, else after a pause."""
    robot = DigitsRobot(make_core(3))
    heard = call(robot, np.zeros(0, np.int16), 6.0, digits)
    assert robot.digits == digits
    assert likeness(say_digits(expected), heard)[0] > 0.95


def test_an_announcement_repeats_only_if_told_to() -> None:
    once, again = Announcement(np.ones(10, np.int16)), Announcement(np.ones(160, np.int16), repeat=True)
    assert once.read(160).sum() == 10
    assert once.finished
    assert once.read(160).sum() == 0
    assert [again.read(160).sum() for _ in range(3)] == [160] * 3
    once.say(np.full(5, 2, np.int16))
    assert once.read(160).sum() == 10
