"""A call that goes on for long takes no more memory and collects no more rubbish than a short one."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.codec.g711 import PCMU
from audio.io.realtime import RealtimeGuard
from audio.rtp.packet import RtpPacket
from tests.audio.core.pair import ALICE, make_core, parameters
from tests.audio.sound import speech

if TYPE_CHECKING:
    from collections.abc import Callable

_START = 1000.0
_SPEECH_S = 10.0


def call_of(seed: int) -> Callable[[int, int], None]:
    """Ticks from one number to another of a call with speech both ways, jitter and loss."""
    core = make_core(seed)
    core.configure(parameters(ALICE), _START)
    sound = speech(_SPEECH_S)
    blocks = [np.ascontiguousarray(sound[at : at + 160]) for at in range(0, len(sound), 160)]
    coded = [PCMU.encode(block) for block in blocks]
    draw = np.random.default_rng(seed)

    def run(first: int, last: int) -> None:
        for tick in range(first, last):
            now = _START + tick * 0.020
            if draw.random() > 0.02:
                packet = RtpPacket(0, tick & 0xFFFF, tick * 160 & 0xFFFFFFFF, 0x1234, coded[tick % len(coded)])
                core.receive(packet.serialise(), ALICE, now + float(draw.uniform(0.0, 0.02)))
            core.tick(now, blocks[tick % len(blocks)])
            core.handle_timeout(now)
            core.transmits()
            core.events()

    return run


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ten_thousand_ticks_hold_no_more_than_two_thousand() -> None:
    """Every buffer has its bound: what is allocated in a tick is given back in the next."""
    run = call_of(1)
    run(0, 2000)
    gc.collect()
    tracemalloc.start()
    try:
        run(2000, 2100)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        run(2100, 12_100)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # What the windows of the call hold is replaced and so comes to be traced: some blocks and packets, never a tick's.
    assert grown < 64 * 1024


@pytest.mark.timeout(60)
def test_a_call_has_no_full_collection_and_leaves_no_rubbish() -> None:
    """The guard holds full collections off because there is next to nothing for them: no cycles a tick leaves."""
    run = call_of(2)
    run(0, 200)
    guard = RealtimeGuard()
    threshold = gc.get_threshold()
    gc.collect()
    before = gc.get_stats()[2]["collections"]
    guard.hold()
    try:
        run(200, 5200)
        assert gc.get_stats()[2]["collections"] == before
    finally:
        guard.release()
    assert gc.get_threshold() == threshold
    assert gc.collect() < 500
