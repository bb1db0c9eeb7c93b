"""A thousand phones after a PBX restart (resilience.md 3.8): they come back soon, and not all at once."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from sipcore import events as ev
from sipcore.config import Resilience
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.world import World

PHONES = 1000
OUTAGE_S = 60.0


@pytest.mark.timeout(120)
def test_a_thousand_phones_come_back_spread_out() -> None:
    """At most 10 % in any one second, the median within 7 s."""
    world = World(1)
    pbx = SimPbx(world, {str(number): "right" for number in range(PHONES)})
    settings = Resilience(fleet_spread=12.0)
    back: list[float] = []
    began = False

    def watch(thing: object) -> None:
        if began and isinstance(thing, ev.Registered):
            back.append(world.now)

    phones = [SimPhone(world, pbx, name=str(number), settings=settings, watch=watch) for number in range(PHONES)]
    for phone in phones:
        phone.run(phone.stack.start)
    world.run_until(world.now + 5.0)
    began = True
    pbx.stop(silently=False)
    world.run_until(world.now + OUTAGE_S)
    pbx.start()
    restarted = world.now
    world.run_until(restarted + 40.0)
    waits = [at - restarted for at in back]
    assert len(waits) >= PHONES
    worst = max(Counter(int(wait) for wait in waits).values())
    assert worst <= PHONES * 0.10, f"{worst} in one second"
    assert statistics.median(waits) <= 7.0
