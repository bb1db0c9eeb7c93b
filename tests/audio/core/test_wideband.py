"""Calls of G.722: 16 kHz sound on the 8 kHz clock of RTP, alone and beside G.711 (RFC 3551 §4.5.2)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.codec import g722
from audio.core import DtmfReceived
from audio.core.decoding import Decoders
from audio.rtp.packet import RtpPacket
from audio.stream.resample import convert
from sipcore.media import COMFORT_NOISE, G722, PCMA, PCMU, TELEPHONE_EVENT, Codec, Direction
from tests.audio.core.pair import ALICE, BOB, Pair, parameters
from tests.audio.netem import NetworkModel
from tests.audio.sound import likeness, speech
from tests.audio.wideband import RATE, Samples, needs_g722, share, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = needs_g722


def packets(sent: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse_untrusted(data) for data in sent if not 192 <= data[1] <= 223]


def test_what_only_wideband_carries_is_heard() -> None:
    pair = Pair(alice_says=tone(3.0), codec=G722, frame=320)
    pair.run(3.0)
    assert pair.bob.core.sample_rate == RATE
    assert {len(frame) for frame in pair.bob.heard[5:]} == {320}
    assert share(pair.bob.recording[RATE : 2 * RATE]) > 0.98
    assert pair.bob.core.statistics(pair.now).codec == "G722"


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_timestamps_count_8000_a_second(ptime_ms: int) -> None:
    """§4.5.2: 20 ms of 16 kHz sound are 160 units, and 160 octets."""
    pair = Pair(alice_says=tone(2.0), codec=G722, frame=320, ptime_ms=ptime_ms)
    pair.run(1.0)
    sent = packets(pair.alice.sent)
    assert {len(packet.payload) for packet in sent} == {8 * ptime_ms}
    steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)}
    assert steps == {8 * ptime_ms}
    assert share(pair.bob.recording[RATE // 2 : RATE - 640]) > 0.95


def test_digits_keep_their_clock() -> None:
    pair = Pair(alice_says=tone(3.0), codec=G722, frame=320)
    pair.run(0.5)
    assert pair.alice.core.send_dtmf("5#", pair.now, duration_ms=100)
    pair.run(1.0)
    assert [event for event in pair.bob.events if isinstance(event, DtmfReceived)] == [
        DtmfReceived("5", 100),
        DtmfReceived("#", 100),
    ]
    events = [packet for packet in packets(pair.alice.sent) if packet.payload_type == 101]
    assert max(int.from_bytes(packet.payload[2:4], "big") for packet in events) == 800


def test_a_narrow_microphone_and_a_call_without_one() -> None:
    """A device of 8 kHz serves a wideband call; none at all is silence."""
    pair = Pair(alice_says=tone(2.0, 1000.0, 8000), codec=G722)
    pair.run(2.0)
    assert share(pair.bob.recording[RATE : RATE + RATE // 2], 1000.0) > 0.95
    assert not pair.alice.recording[RATE:].astype(int).max() > 40


def envelope(sound: Samples, frequency: float, rate: int) -> NDArray[np.float64]:
    """How loud a frequency is, 1 being full scale, every 2 ms."""
    size = rate // 500
    pieces = sound[: len(sound) // size * size].reshape(-1, size) / 32768
    turns = np.exp(-2j * np.pi * frequency * np.arange(size) / rate)
    return np.asarray(2 * np.abs(pieces @ turns) / size)


def renegotiate(pair: Pair, negotiation: int, codec: Codec, ptime_ms: int = 20) -> None:
    """Both ends apply another round."""
    for core, remote in ((pair.alice.core, BOB), (pair.bob.core, ALICE)):
        core.configure(parameters(remote, negotiation=negotiation, codec=codec, ptime_ms=ptime_ms), pair.now)


CHANGES = ((2, G722, 16000), (3, PCMA, 8000), (4, G722, 16000), (5, PCMU, 8000), (6, G722, 16000))


def test_a_changed_codec_goes_on_in_both_directions() -> None:
    """Re-INVITE from G.711 to G.722 and back, again and again: one stream, one time line, each with its own sound."""
    pair = Pair(alice_says=tone(9.0, 3000.0), bob_says=tone(9.0, 3000.0), frame=320)
    pair.run(1.5)
    assert pair.alice.core.sample_rate == 8000
    for negotiation, codec, rate in CHANGES:
        renegotiate(pair, negotiation, codec)
        before = len(pair.bob.heard)
        pair.run(1.5)
        for end in (pair.alice, pair.bob):
            assert end.core.sample_rate == rate
            assert share(np.concatenate(end.heard[before + 25 :]), 3000.0, rate) > 0.95
            assert end.core.statistics(pair.now).concealed_ms <= 20
    sent = packets(pair.alice.sent)
    assert len({packet.ssrc for packet in sent}) == 1
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)} == {160}


def test_no_change_of_codec_is_a_hole_or_a_thump() -> None:
    """A far end that comes back to G.722 has a coder that knows nothing: a decoder that went on would shout."""
    pair = Pair(alice_says=tone(9.0, 1000.0), bob_says=tone(9.0, 1000.0), frame=320)
    pair.run(1.0)
    for negotiation, codec, _ in CHANGES:
        renegotiate(pair, negotiation, codec)
        before = len(pair.bob.heard)
        pair.run(1.0)
        for end in (pair.alice, pair.bob):
            loud = [value for frame in end.heard[before - 5 :] for value in envelope(frame, 1000.0, len(frame) * 50)]
            print(f"to {codec.encoding}: {min(loud):.3f} to {max(loud):.3f}")
            assert max(loud) < 1.3 * 8000 / 32768
            assert sum(value < 0.5 * 8000 / 32768 for value in loud) <= 2


@pytest.mark.parametrize("first", [G722, PCMU])
def test_another_packet_time_loses_no_sound(first: Codec) -> None:
    """Each packet begins where the one before ended, whatever became of ptime and format meanwhile."""
    second = PCMA if first is G722 else G722
    pair = Pair(alice_says=tone(9.0, 1000.0), codec=first, frame=320)
    pair.run(0.5)
    rounds = [(first, 10), (first, 60), (first, 30), (second, 60), (first, 40), (second, 10), (second, 20)]
    for negotiation, (codec, ptime_ms) in enumerate(rounds, 2):
        renegotiate(pair, negotiation, codec, ptime_ms)
        already = len(packets(pair.alice.sent))
        pair.run(0.53)
        sizes = {len(packet.payload) for packet in packets(pair.alice.sent)[already:]}
        assert sizes == {8 * ptime_ms}
        assert {packet.payload_type for packet in packets(pair.alice.sent)[already:]} == {codec.payload_type}
    sent = packets(pair.alice.sent)
    for one, following in itertools.pairwise(sent):
        assert (following.timestamp - one.timestamp) & 0xFFFFFFFF == len(one.payload)
        assert (following.sequence - one.sequence) & 0xFFFF == 1
    assert sum(packet.marker for packet in sent) == 1
    assert pair.bob.core.statistics(pair.now).lost == 0
    # Longer packets come later, which a buffer that has seen short ones learns by one that is late.
    assert pair.bob.core.statistics(pair.now).concealed_ms <= 150
    assert share(np.concatenate(pair.bob.heard[-20:]), 1000.0, len(pair.bob.heard[-1]) * 50) > 0.95


@pytest.mark.parametrize("address", [BOB[0], "0.0.0.0"])
def test_a_far_end_that_holds_is_heard_in_wideband_and_sent_nothing(address: str) -> None:
    """sendonly of RFC 3264 and c=0.0.0.0 of RFC 2543; the way back is as if nothing had been."""
    pair = Pair(alice_says=tone(6.0), bob_says=tone(6.0), codec=G722, frame=320)
    pair.run(1.0)
    held = parameters((address, BOB[1]), negotiation=2, codec=G722, direction=Direction.RECVONLY)
    pair.alice.core.configure(held, pair.now)
    pair.bob.core.configure(parameters(ALICE, negotiation=2, codec=G722, direction=Direction.SENDONLY), pair.now)
    pair.run(0.2)
    already, before = len(packets(pair.alice.sent)), len(pair.alice.heard)
    pair.run(1.0)
    assert len(packets(pair.alice.sent)) == already
    assert share(np.concatenate(pair.alice.heard[before:])) > 0.98
    renegotiate(pair, 3, G722)
    before = len(pair.bob.heard)
    pair.run(1.0)
    again = packets(pair.alice.sent)[already:]
    assert [packet.marker for packet in again] == [True] + [False] * (len(again) - 1)
    assert share(np.concatenate(pair.bob.heard[before + 10 :])) > 0.98
    assert max(int(np.abs(frame).max()) for frame in pair.bob.heard[before:]) < 1.3 * 8000


def test_other_numbers_for_digits_and_noise_in_mid_call() -> None:
    """A later round may give formats other payload types: each end sends with the other's, and understands its own."""
    said = np.concatenate([tone(1.0), np.zeros(2 * RATE, dtype=np.int16)] * 4)
    pair = Pair(alice_says=said, codec=G722, frame=320, dtx=True)
    for negotiation, (event, noise) in enumerate([(96, 98), (101, 13), (110, 13)], 2):
        digits, comfort = replace(TELEPHONE_EVENT, payload_type=event), replace(COMFORT_NOISE, payload_type=noise)
        for end, remote in ((pair.alice, BOB), (pair.bob, ALICE)):
            agreed = parameters(remote, negotiation=negotiation, codec=G722, dtmf=digits)
            end.core.configure(replace(agreed, send_cn=comfort, receive_cn=comfort), pair.now)
        already = len(packets(pair.alice.sent))
        assert pair.alice.core.send_dtmf("7", pair.now)
        pair.run(3.0)
        sent = packets(pair.alice.sent)[already:]
        assert {packet.payload_type for packet in sent} == {9, event, noise}
        assert len(sent) < 110  # of 150 ticks, the silent ones cost a packet a second
        assert [event for event in pair.bob.events if isinstance(event, DtmfReceived)] == [DtmfReceived("7", 100)]
        pair.bob.events.clear()
        assert pair.bob.core.statistics(pair.now).concealed_ms == 0


def test_a_hold_does_not_begin_the_stream_anew() -> None:
    """A predicting codec that forgot would be heard as a thump."""
    pair = Pair(alice_says=tone(4.0), codec=G722, frame=320)
    pair.run(1.0)
    before = len(pair.bob.heard)
    for core, remote in ((pair.alice.core, BOB), (pair.bob.core, ALICE)):
        core.configure(parameters(remote, negotiation=2, codec=G722), pair.now)
    pair.run(0.5)
    joint = np.concatenate(pair.bob.heard[before - 5 : before + 10])
    assert share(joint) > 0.98


def test_the_far_end_may_send_the_other_format() -> None:
    """What is received may be any format of ours; its sound is made the call's."""
    pair = Pair(alice_says=tone(3.0, 1000.0), bob_says=tone(3.0, 1000.0), codec=G722, frame=320)
    asymmetric = parameters(ALICE, negotiation=2, codec=PCMU)
    pair.bob.core.configure(asymmetric, pair.now)
    pair.alice.core.configure(parameters(BOB, negotiation=2, codec=G722), pair.now)
    pair.run(2.0)
    assert {packet.payload_type for packet in packets(pair.bob.sent)} == {0}
    assert {packet.payload_type for packet in packets(pair.alice.sent)} == {9}
    assert share(pair.alice.recording[RATE : RATE + RATE // 2], 1000.0) > 0.95
    heard = np.concatenate(pair.bob.heard[50:90])
    assert len(heard) == 40 * 160
    assert share(heard, 1000.0, 8000) > 0.95


@pytest.mark.parametrize("loss", [0.03, 0.10])
def test_lost_packets_are_concealed(loss: float) -> None:
    """Speech through loss keeps more of itself than with silence in the holes."""
    said = convert(speech(8.0), 8000, RATE)
    lossless, lossy = (
        Pair(alice_says=said, codec=G722, frame=320, model=NetworkModel(loss=value), seed=3) for value in (0.0, loss)
    )
    for pair in (lossless, lossy):
        pair.run(8.0)
    alike, _ = likeness(lossless.bob.recording, lossy.bob.recording)
    statistics = lossy.bob.core.statistics(lossy.now)
    assert statistics.lost > 5
    assert statistics.concealed_ms > 0
    assert alike > 1.0 - 1.5 * loss


def test_jitter_and_drift_are_steered_at_16_khz() -> None:
    said = np.tile(tone(1.0, 440.0, RATE), 31)
    pair = Pair(alice_says=said, codec=G722, frame=320, model=NetworkModel(delay_s=0.02, jitter_s=0.03), seed=5)
    pair.bob.clock = 1.0 + 200e-6
    pair.run(30.0)
    statistics = pair.bob.core.statistics(pair.now)
    assert statistics.late <= 3
    assert statistics.buffer_ms < 120
    assert share(pair.bob.recording[-2 * RATE :], 440.0) > 0.9


def test_a_packet_is_decoded_once_though_it_was_shown_before() -> None:
    """What concealment sees of packets to come must not move the predictor."""
    sound = tone(0.2)
    coder = g722.G722()
    payloads = [coder.encode(sound[place : place + 320]) for place in range(0, len(sound), 320)]
    plain, shown = Decoders(), Decoders()
    for decoders in (plain, shown):
        decoders.rate = RATE
        decoders.learn(G722)
    expected = [plain.decode(9, payload) for payload in payloads]
    heard = []
    for place, payload in enumerate(payloads):
        if place == 4:
            for _ in range(3):
                for following in payloads[place : place + 2]:
                    shown.preview(9, following)
        heard.append(shown.decode(9, payload))
    assert np.array_equal(np.concatenate(heard), np.concatenate(expected))


@pytest.mark.parametrize(("before", "after"), [(RATE, 8000), (8000, RATE)])
def test_a_packet_shown_before_the_rate_changed_has_the_new_rate_in_its_turn(before: int, after: int) -> None:
    """The call moves to the other codec while a hole is filled: what follows it was decoded for the call of before."""
    payload = g722.G722().encode(tone(0.02, 440.0))
    decoders = Decoders()
    decoders.learn(G722)
    decoders.rate = before
    assert len(decoders.preview(9, payload)) == before // 50
    decoders.rate = after
    assert len(decoders.preview(9, payload)) == after // 50
    assert len(decoders.decode(9, payload)) == after // 50
