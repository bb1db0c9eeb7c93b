"""One clip through a real :class:`~audio.core.MediaCore` on virtual time, and how well it was heard.

clip ─ G.711 ─▶ packets ─ arrivals ─▶ MediaCore ─▶ heard ─▶ PESQ against the clip
                    ╰─ the same losses ─▶ last block, halved each time ─▶ PESQ: the yardstick
"""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from audio.codec.g711 import PCMU
from audio.core import FRAME_SAMPLES
from audio.rtp.packet import RtpPacket
from tests.audio.core.pair import ALICE, make_core, parameters

if TYPE_CHECKING:
    from audio.core import MediaStatistics
    from bench.media.networks import Arrivals
    from bench.media.speech import Samples

FRAME_S = 0.020
_START = 1000.0
_ALIGN_S = 0.5
_REACH = 6000
_FAINT_RMS = 300.0


@dataclass(slots=True)
class Heard:
    """What came out."""

    sound: Samples
    statistics: MediaStatistics
    buffer_ms: list[float] = field(default_factory=list)
    """The core's own word on its delay, every 20 ms."""

    changes: list[tuple[float, float]] = field(default_factory=list)
    """Each change of the sound's length in ms, and the RMS of the 40 ms around it."""

    rescued: int = 0
    """Packets that came after their turn and were played all the same, a little later."""


def packets(sound: Samples) -> list[bytes]:
    """A sender's packets of 20 ms."""
    blocks = len(sound) // FRAME_SAMPLES
    return [
        RtpPacket(
            0,
            (1000 + number) & 0xFFFF,
            (number * FRAME_SAMPLES) & 0xFFFFFFFF,
            0x1234,
            PCMU.encode(sound[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]),
            marker=number == 0,
        ).serialise()
        for number in range(blocks)
    ]


def listen(sound: Samples, arrivals: Arrivals, *, seed: int = 0, clock: float = 1.0, extra_s: float = 0.5) -> Heard:
    """Play a clip to a core whose ticks come at a random phase, ``clock`` ticks of its own in one of the sender's."""
    core = make_core(seed + 1)
    core.configure(parameters(ALICE), _START)
    order = sorted(
        (arrival, number)
        for number, arrival in enumerate(arrivals[: len(sound) // FRAME_SAMPLES])
        if arrival is not None
    )
    data = packets(sound)
    phase = random.Random(seed).uniform(0.0, FRAME_S)
    heard: list[Samples] = []
    delays: list[float] = []
    changes: list[tuple[float, float]] = []
    changed = next_packet = 0
    playout = core._inbound.playout
    ticks = int((len(sound) / 8000 + extra_s) / FRAME_S)
    now = _START
    for tick in range(ticks):
        now = _START + phase + tick * FRAME_S * clock
        while next_packet < len(order) and _START + order[next_packet][0] <= now:
            arrival, number = order[next_packet]
            core.receive(data[number], ALICE, _START + arrival)
            next_packet += 1
        heard.append(core.tick(now, None))
        delays.append(playout.delay_s(now) * 1000)
        if playout.stretched + playout.shortened != changed:
            around = np.concatenate(heard[-2:]).astype(np.float64)
            changes.append(((playout.stretched + playout.shortened - changed) / 8, float(np.sqrt(np.mean(around**2)))))
            changed = playout.stretched + playout.shortened
        core.transmits()
        core.events()
    return Heard(np.concatenate(heard), core.statistics(now), delays, changes, playout.jitter.statistics.rescued)


def halved_repeat(sound: Samples, lost: list[bool]) -> Samples:
    """The yardstick: the last block again, halved each time, and nothing smoothed."""
    coded = PCMU.decode(PCMU.encode(sound))
    last = np.zeros(FRAME_SAMPLES)
    made = []
    for number, gone in enumerate(lost[: len(coded) // FRAME_SAMPLES]):
        block = coded[number * FRAME_SAMPLES : (number + 1) * FRAME_SAMPLES]
        last = last * 0.5 if gone else block.astype(np.float64)
        made.append(np.rint(last).astype(np.int16))
    return np.concatenate(made)


def pesq_score(said: Samples, heard: Samples) -> float:
    """Narrowband PESQ (P.862.1 scale)."""
    return float(importlib.import_module("pesq").pesq(8000, said, heard, "nb"))


def delays_ms(said: Samples, heard: Samples) -> list[float]:
    """How late each half second was heard, by correlation; pieces too faint to tell are left out."""
    size = round(_ALIGN_S * 8000)
    found = []
    for start in range(0, len(said) - size, size):
        piece = said[start : start + size].astype(np.float64)
        window = heard[start : start + size + _REACH].astype(np.float64)
        if np.sqrt(np.mean(piece**2)) < _FAINT_RMS or len(window) < size + 80:
            continue
        length = 1 << (len(piece) + len(window)).bit_length()
        product = np.fft.rfft(window, length) * np.conj(np.fft.rfft(piece, length))
        correlation = np.fft.irfft(product, length)[: len(window) - size + 1]
        squares = np.concatenate([[0.0], np.cumsum(window**2)])
        energy = np.sqrt((squares[size:] - squares[:-size]) * (piece @ piece)) + 1.0
        place = int(np.argmax(correlation / energy))
        if correlation[place] / energy[place] > 0.5:
            found.append(place / 8)
    return found
