"""One hour of a call on virtual time: whether memory stays flat and the buffer where it is."""

from __future__ import annotations

import gc
import os
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audio.codec.g711 import PCMU
from audio.rtp.packet import RtpPacket
from bench.media.table import Figure
from tests.audio.core.pair import ALICE, make_core, parameters
from tests.audio.sound import speech

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

_FRAME = 160
_TICKS_PER_MINUTE = 3000
_SPEECH_S = 60.0
_DRIFT = 50e-6
_JITTER_S = 0.020
_LOSS = 0.01
_START = 1000.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def rows(pool: Executor, minutes: int) -> Iterator[Figure]:
    """After a tenth of the time against the end, in a process of its own."""
    blocks, memory, drift = pool.submit(hold, minutes).result()
    name = f"{minutes} min"
    yield Figure(title=f"{name}: Python objects more", value=blocks, target="<= 300", digits=0)
    yield Figure(title=f"{name}: memory grows by", value=memory, unit="MB", target="<= 1", digits=1)
    note = "sender 50 ppm fast, jitter 20 ms, loss 1 %"
    yield Figure(title=f"{name}: buffer moves by", value=drift, unit="ms", target="<= 5", digits=1, note=note)


def hold(minutes: int) -> tuple[float, float, float]:
    """Objects and MB more at the end than after a tenth, and by how much the buffer's delay has moved."""
    core = make_core(7)
    core.configure(parameters(ALICE), _START)
    sound = speech(_SPEECH_S)
    coded = [PCMU.encode(np.ascontiguousarray(sound[at : at + _FRAME])) for at in range(0, len(sound), _FRAME)]
    draw = np.random.default_rng(7)
    playout = core._inbound.playout
    sent = count()
    due, delays = 0.0, np.zeros(minutes * _TICKS_PER_MINUTE)
    before = (0, 0.0)
    for tick in range(minutes * _TICKS_PER_MINUTE):
        now = _START + tick * 0.020
        while due <= tick * 0.020:
            number = next(sent)
            packet = RtpPacket(0, number & 0xFFFF, number * _FRAME & 0xFFFFFFFF, 0x1234, coded[number % len(coded)])
            late = float(draw.uniform(0.0, _JITTER_S))
            if draw.random() >= _LOSS:
                core.receive(packet.serialise(), ALICE, _START + due + late)
            due = (number + 1) * 0.020 / (1.0 + _DRIFT)
        core.tick(now, None)
        core.transmits()
        if (timeout := core.next_timeout()) is not None and timeout <= now:
            core.handle_timeout(now)
        core.events()
        delays[tick] = playout.delay_s(now) * 1000
        if tick == minutes * _TICKS_PER_MINUTE // 10:
            before = _weight()
    after = _weight()
    tenth = len(delays) // 10
    moved = float(np.median(delays[-tenth:]) - np.median(delays[tenth : 2 * tenth]))
    return after[0] - before[0], after[1] - before[1], abs(moved)


def _weight() -> tuple[int, float]:
    gc.collect()
    return sys.getallocatedblocks(), int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB
