"""In step with the far end: when in its 20 ms the media thread should tick, so that what has come is played soonest.

    packets     │a       │a       │a              each is due 20 ms after it came, at the earliest
    ticks          │  ▲     │  ▲     │  ▲          a tick just before that lets it wait for the next one, 20 ms more

Ticks are moved once, when a call's first sound has come and nothing is heard of it yet.
"""

from __future__ import annotations

_AFTER_S = 0.006
"""From a packet to the tick: what a buffer waits for at first (25 ms) is over in the tick after that, and what the
network takes longer now and then does not cost a whole tick."""


def shift_s(next_tick: float, arrival: float, tick_s: float) -> float:
    """What brings the next tick in step with a packet that came at ``arrival``; half a tick at most either way."""
    later = (arrival + _AFTER_S - next_tick) % tick_s
    return later if later <= tick_s / 2 else later - tick_s
