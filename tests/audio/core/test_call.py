"""Two media cores in a call over bad networks, on virtual time: what is said arrives."""

from __future__ import annotations

import numpy as np
import pytest

from audio.core import DtmfReceived, FirstPacketReceived, RemoteByeReceived
from sipcore.media import PCMA, PCMU, Codec
from tests.audio.core.pair import Pair
from tests.audio.netem import NetworkModel
from tests.audio.sound import likeness, local_likeness, speech

SPEECH = speech(7.0, seed=1)
OTHER = speech(7.0, seed=2)


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_on_a_clean_network_both_hear_each_other(codec: Codec) -> None:
    pair = Pair(alice_says=SPEECH, bob_says=OTHER, codec=codec)
    pair.run(8.0)
    for said, listener in ((SPEECH, pair.bob), (OTHER, pair.alice)):
        alike, delay = likeness(said, listener.recording)
        assert alike > 0.99
        assert delay / 8 <= 60
        statistics = listener.core.statistics(pair.now)
        assert (statistics.lost, statistics.late, statistics.concealed_ms) == (0, 0, 0)
        assert statistics.mos is not None
        assert statistics.mos > 4.3
        assert statistics.rtt_ms == pytest.approx(20.0, abs=1.0)
        assert sum(isinstance(event, FirstPacketReceived) for event in listener.events) == 1


@pytest.mark.parametrize(
    ("model", "alike", "delay_ms"),
    [
        (NetworkModel(loss=0.03), 0.95, 60),
        (NetworkModel(burst_loss=0.05), 0.85, 60),
        (NetworkModel(jitter_s=0.03), 0.9, 80),
        (NetworkModel(jitter_s=0.1), 0.9, 170),
        (NetworkModel(jitter_s=0.06, in_order=False), 0.9, 130),
        (NetworkModel(reorder=0.05), 0.9, 80),
        (NetworkModel(duplicate=0.1), 0.98, 60),
        (NetworkModel(delay_s=0.3), 0.98, 360),
        (NetworkModel(loss=0.05, jitter_s=0.05, duplicate=0.02, in_order=False), 0.85, 130),
    ],
    ids=["loss", "bursts", "jitter 30", "jitter 100", "jitter unordered", "reorder", "duplicates", "far", "all"],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_bad_network_what_is_said_is_still_recognised(
    model: NetworkModel, alike: float, delay_ms: float, seed: int
) -> None:
    pair = Pair(alice_says=SPEECH, bob_says=OTHER, model=model, seed=seed)
    pair.run(8.0)
    heard = pair.bob.recording
    assert local_likeness(SPEECH, heard) >= alike
    statistics = pair.bob.core.statistics(pair.now)
    assert statistics.lost <= pair.alice.network.lost + 5  # some are still under way
    assert statistics.late <= 0.03 * statistics.packets_received
    assert statistics.buffer_ms + model.delay_s * 1000 <= delay_ms
    assert statistics.concealed_ms <= 25 * (pair.alice.network.lost + statistics.late) + 400


def test_the_same_seed_replays_the_call_bit_for_bit() -> None:
    model = NetworkModel(loss=0.05, jitter_s=0.05, duplicate=0.02)
    calls = [Pair(alice_says=SPEECH, bob_says=OTHER, model=model, seed=5) for _ in range(2)]
    for pair in calls:
        pair.run(3.0)
    assert calls[0].alice.sent == calls[1].alice.sent
    assert np.array_equal(calls[0].bob.recording, calls[1].bob.recording)


@pytest.mark.parametrize("ptime", [10, 30, 60])
def test_other_packet_times(ptime: int) -> None:
    pair = Pair(alice_says=SPEECH, ptime_ms=ptime)
    pair.run(8.0)
    assert local_likeness(SPEECH, pair.bob.recording) > 0.98


def test_digits_arrive_over_a_lossy_network() -> None:
    pair = Pair(alice_says=SPEECH, model=NetworkModel(loss=0.1, jitter_s=0.04), seed=3)
    pair.run(0.5)
    assert pair.alice.core.send_dtmf("0123456789*#ABCD", pair.now)
    pair.run(4.0)
    assert "".join(e.digit for e in pair.bob.events if isinstance(e, DtmfReceived)) == "0123456789*#ABCD"


def test_a_drifting_sound_card_is_followed() -> None:
    """Bob's clock is 1500 ppm slow: 30 ms in 20 s, and still no packet is late and nothing piles up."""
    pair = Pair(alice_says=speech(20.0, seed=8))
    pair.bob.clock = 1.0015
    pair.run(20.0)
    statistics = pair.bob.core.statistics(pair.now)
    assert statistics.late == 0
    assert statistics.buffer_ms < 70


def test_an_hour_leaves_nothing_behind() -> None:
    """Half a minute stands for it: what a core holds then is what it held after ten seconds."""
    pair = Pair(alice_says=SPEECH, model=NetworkModel(loss=0.02, jitter_s=0.02))
    pair.run(10.0)
    jitter = pair.bob.core._inbound.jitter
    sizes = [len(jitter._entries), len(jitter._window._bins)]
    pair.alice.heard.clear()
    pair.bob.heard.clear()
    pair.run(20.0)
    assert len(jitter._entries) <= sizes[0] + 3
    assert len(jitter._window._bins) <= 10
    assert pair.bob.core.statistics(pair.now).buffer_ms < 90


def test_hanging_up_is_told_by_rtcp() -> None:
    pair = Pair(alice_says=SPEECH)
    pair.run(1.0)
    pair.alice.core.close(pair.now)
    pair._collect(pair.alice)
    pair.run(0.1)
    assert RemoteByeReceived(pair.alice.core.ssrc) in pair.bob.events
