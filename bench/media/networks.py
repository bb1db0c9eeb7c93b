"""What networks do to a stream of packets: for each, when it arrives after the start, or ``None``.

All seeded, all with a path of 10 ms beneath; the same list can be played to anybody.
"""

from __future__ import annotations

import random

Arrivals = list[float | None]

_BASE_S = 0.010
_FRAME_S = 0.020
_FIRST_SAFE = 10
"""Packets at the start that are never lost: a call does not begin with its loss."""


def clean(count: int, _seed: int = 0) -> Arrivals:
    """Every packet on time."""
    return [number * _FRAME_S + _BASE_S for number in range(count)]


def loss(count: int, seed: int, share: float) -> Arrivals:
    """Packets lost independently of each other."""
    draw = random.Random(f"loss {seed} {share}")
    arrivals = clean(count)
    return [at if number < _FIRST_SAFE or draw.random() >= share else None for number, at in enumerate(arrivals)]


def bursts(count: int, seed: int, share: float, length: float = 4.0) -> Arrivals:
    """Gilbert-Elliott: ``share`` of the packets lost, ``length`` in a row on average."""
    draw = random.Random(f"bursts {seed} {share}")
    leave = 1.0 / length
    enter = leave * share / (1.0 - share)
    bad = False
    arrivals: Arrivals = []
    for number, at in enumerate(clean(count)):
        bad = draw.random() >= leave if bad else draw.random() < enter
        arrivals.append(None if bad and number >= _FIRST_SAFE else at)
    return arrivals


def reorder(count: int, seed: int, share: float) -> Arrivals:
    """So many packets take 25 ms longer, and come after their successor."""
    draw = random.Random(f"reorder {seed} {share}")
    return [at + 0.025 if draw.random() < share else at for at in clean(count) if at is not None]


def jitter(count: int, seed: int, spread_s: float, *, until_s: float = 1e9) -> Arrivals:
    """Each packet takes 0 to ``spread_s`` longer, evenly; they overtake each other. Calm after ``until_s``."""
    draw = random.Random(f"jitter {seed} {spread_s}")
    return [at + (draw.uniform(0.0, spread_s) if at < until_s else 0.0) for at in clean(count) if at is not None]


def drift(count: int, ppm: float) -> Arrivals:
    """The sender's clock runs ``ppm`` fast."""
    return [number * _FRAME_S / (1.0 + ppm * 1e-6) + _BASE_S for number in range(count)]


def bloat(count: int, seed: int) -> Arrivals:
    """A mobile link: a queue that fills over seconds and drains, with stalls of the radio; in order, nothing lost.

    Against its fastest packet some 43 % come more than 100 ms late.
    """
    draw = random.Random(f"bloat {seed}")
    arrivals: Arrivals = []
    level = target = 0.05
    stall = 0.0
    last = 0.0
    for number in range(count):
        if draw.random() < 0.008:  # another neighbour starts or stops its download
            target = draw.choice((0.03, 0.06, 0.09, 0.13, 0.18, 0.24))
        level += (target - level) * 0.03
        if draw.random() < 0.004:
            stall = draw.uniform(0.04, 0.12)
        stall = max(stall - _FRAME_S, 0.0)
        at = number * _FRAME_S + _BASE_S + level + stall + draw.expovariate(1 / 0.008)
        last = max(at, last + 0.0002)
        arrivals.append(last)
    return arrivals


def late_in_fixed_buffer(arrivals: Arrivals, buffer_s: float = 0.100) -> float:
    """Share of packets a buffer loses that plays everything ``buffer_s`` after the fastest could come."""
    delays = [at - number * _FRAME_S for number, at in enumerate(arrivals) if at is not None]
    fastest = min(delays)
    return sum(delay - fastest > buffer_s for delay in delays) / len(delays)
