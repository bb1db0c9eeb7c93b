"""Silence that is not sent, and what the far end hears of it: two of our own ends (RFC 3389)."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.core import MediaResumed, MediaSilent
from audio.core.suppression import HANGOVER_S, SilenceSuppressor, Speak
from audio.rtp.packet import RtpPacket
from sipcore.media import COMFORT_NOISE, PCMU
from tests.audio.core.pair import BOB, Pair, make_core, parameters
from tests.audio.netem import NetworkModel
from tests.audio.sound import likeness, speech

Samples = NDArray[np.int16]
TALK_S, PAUSE_S = 2.0, 20.0
ROOM_RMS = 30.0


def room(seconds: float, rms: float = ROOM_RMS) -> Samples:
    return np.asarray(np.random.default_rng(1).normal(0.0, rms, round(seconds * 8000)), dtype=np.int16)


def said() -> Samples:
    """Talk, a long pause in a room, talk."""
    return np.concatenate([speech(TALK_S, pauses=False), room(PAUSE_S), speech(TALK_S, seed=2, pauses=False)])


def call(sound: Samples, *, dtx: bool = True, accepted: bool = True, **pair: object) -> Pair:
    made = Pair(alice_says=sound, **pair)  # type: ignore[arg-type]
    made.alice.core = make_core(2, dtx=dtx)
    agreed = parameters(BOB, codec=PCMU)
    made.alice.core.configure(dataclasses.replace(agreed, send_cn=COMFORT_NOISE if accepted else None), made.now)
    return made


def packets(sent: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse_untrusted(data) for data in sent if not 192 <= data[1] <= 223]


def test_a_long_pause_is_noise_of_the_announced_level_and_no_alarm() -> None:
    pair = call(said())
    pair.run(2 * TALK_S + PAUSE_S)
    sent = packets(pair.alice.sent)
    noises = [packet for packet in sent if packet.payload_type == 13]
    assert len(sent) < (2 * TALK_S + 1.0) * 50 + PAUSE_S * 2.5
    assert PAUSE_S * 0.8 <= len(noises) <= PAUSE_S * 2.5
    dbov = 20 * np.log10(ROOM_RMS / (8031 * 4))
    assert np.median([-packet.payload[0] for packet in noises]) == pytest.approx(dbov, abs=1.5)
    assert not [event for event in pair.bob.events if isinstance(event, MediaSilent | MediaResumed)]
    heard = pair.bob.recording
    pause = heard[round((TALK_S + 1.5) * 8000) : round((TALK_S + PAUSE_S - 1.0) * 8000)].astype(np.float64)
    assert 20 * np.log10(np.sqrt((pause**2).mean()) / ROOM_RMS) == pytest.approx(0.0, abs=2.0)
    assert pair.bob.core.statistics(pair.now).concealed_ms <= 40


def test_talk_is_whole_and_begins_with_a_mark() -> None:
    """RFC 3551 §4.1: the first packet after silence has the marker bit; the media clock has gone on meanwhile."""
    sound = said()
    pair = call(sound)
    pair.run(2 * TALK_S + PAUSE_S + 0.5)
    tail = sound[-round(TALK_S * 8000) :]
    alike, _ = likeness(tail, pair.bob.recording[-round((TALK_S + 1.0) * 8000) :])
    assert alike > 0.97
    audio = [packet for packet in packets(pair.alice.sent) if packet.payload_type == 0]
    jumps = [b for a, b in itertools.pairwise(audio) if b.timestamp - a.timestamp & 0xFFFFFFFF > 160]
    assert jumps
    assert all(packet.marker for packet in jumps)
    sequences = [packet.sequence for packet in packets(pair.alice.sent)]
    assert {(b - a) & 0xFFFF for a, b in itertools.pairwise(sequences)} == {1}


@pytest.mark.parametrize(("dtx", "accepted"), [(False, True), (True, False)])
def test_silence_is_sent_as_ever(dtx: bool, accepted: bool) -> None:
    """By default, and to a far end that has not agreed to comfort noise."""
    pair = call(room(4.0), dtx=dtx, accepted=accepted)
    pair.run(4.0)
    assert {packet.payload_type for packet in packets(pair.alice.sent)} == {0}
    assert len(packets(pair.alice.sent)) == pytest.approx(200, abs=2)


def test_a_muted_call_keeps_a_sign_of_life_each_second() -> None:
    pair = call(speech(8.0, pauses=False))
    pair.alice.core.set_mute(True)
    pair.run(8.0)
    sent = packets(pair.alice.sent)
    noises = [packet for packet in sent if packet.payload_type == 13]
    assert len(sent) - len(noises) <= (HANGOVER_S + 0.1) * 50
    assert 7 <= len(noises) <= 9


def test_lost_announcements_and_jitter_leave_no_hole() -> None:
    pair = call(said(), model=NetworkModel(loss=0.1, jitter_s=0.03), seed=4)
    pair.run(2 * TALK_S + PAUSE_S)
    assert not [event for event in pair.bob.events if isinstance(event, MediaSilent)]


def test_a_breath_is_no_end_of_talk() -> None:
    suppressor = SilenceSuppressor()
    loud, quiet = speech(0.5, pauses=False)[800:960], room(0.02)
    for _ in range(5):
        assert suppressor.decide(loud) is Speak.SOUND
        for _ in range(round(HANGOVER_S / 0.02) - 1):
            assert suppressor.decide(quiet) is Speak.SOUND


def test_steady_noise_becomes_the_floor() -> None:
    """A fan as loud as a soft voice is not sent for ever."""
    suppressor = SilenceSuppressor()
    decisions = [suppressor.decide(block) for block in np.split(room(30.0, 400.0), 1500)]
    assert decisions[0] is Speak.SOUND
    assert decisions[-25:].count(Speak.SOUND) == 0
