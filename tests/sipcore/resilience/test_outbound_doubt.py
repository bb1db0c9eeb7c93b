"""A flow is lost: is the other one still there? (docs/resilience.md "Two flows")"""

from __future__ import annotations

import pytest

from sipcore import events as ev
from tests.sim.world import PING, End
from tests.sipcore.resilience.two_flows import Lab


def _cut(lab: Lab, *flows: int) -> None:
    """They swallow everything from now on, and no kernel notices."""
    lab.phone.wire.kernel_gives_up = False
    for flow in flows:
        lab.connection(flow).cut = True


@pytest.mark.parametrize("flow", [1, 2])
def test_the_flow_that_is_left_is_asked_at_once(flow: int) -> None:
    """Not when its own next ping is due: half a second after the other was lost it has answered."""
    lab = Lab()
    lab.wait(5.0)
    lab.begin()
    lab.connection(flow).reset()
    lab.wait(0.5)
    assert [effect.flow for effect in lab.of(ev.PingFlow)] == [3 - flow]
    lab.wait(5.0)
    assert lab.reg_ids == ["1", "2"]
    assert lab.news == []


@pytest.mark.parametrize(("first", "other"), [(1, 2), (2, 1)], ids=["lead first", "standby first"])
def test_a_network_that_swallows_both_flows_is_found_out_by_the_first(first: int, other: int) -> None:
    """One has just been heard of, so its own pings would take ten seconds longer: it is asked, and has three."""
    lab = Lab()
    _cut(lab, first)
    lab.wait(12.0)
    lab.connection(other).send(End.PBX, PING)
    lab.wait(1.0)
    _cut(lab, other)
    lost_at: dict[int, float] = {}
    while len(lost_at) < 2:
        lab.wait(0.25)
        for effect in lab.of(ev.CloseFlow):
            lost_at.setdefault(effect.flow, lab.world.now)
    assert list(lost_at) == [first, other]
    assert lost_at[other] - lost_at[first] <= 3.5


def test_a_second_flow_that_is_given_up_puts_the_first_in_no_doubt() -> None:
    """The registrar confirms outbound no more: we close the flow, and nobody has lost anything."""
    lab = Lab()
    lab.pbx.manner.outbound = ""
    lab.phone.run(lab.phone.stack.register)
    lab.begin()
    lab.wait(5.0)
    assert lab.flows == [1]
    assert lab.of(ev.PingFlow) == []
