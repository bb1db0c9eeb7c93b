"""One run: a phone, a PBX, faults by seed, and the judgement.

register ── a call, perhaps ── faults ── all over ── time to settle ── judged ── shut down ── judged
"""

from __future__ import annotations

from dataclasses import dataclass

from sipcore.config import Resilience
from tests.sim.faults import Plan
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.watch import Violation, Watcher
from tests.sim.world import World

SETTLE_S = 150.0
"""Background retry (72 s), a connection attempt (20 s) and a slow PBX's time-out (32 s), and some more."""

_REST_S = 80.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one seed."""

    seed: int
    kinds: tuple[str, ...]
    violation: str | None
    recovered: tuple[float, ...]
    """How long each reconnection took, as told to the user."""
    healed_s: float | None
    """From the end of the last fault until registered again; None where that was no loss."""
    notes: tuple[str, ...]


def run(seed: int) -> Report:
    """Run one seed; never raises for what it finds."""
    world = World(seed)
    settings = Resilience()
    watcher = Watcher(world, settings)
    pbx = SimPbx(world, {"1001": "right"}, expires_s=world.random.choice((60, 120, 300, 600)))
    phone = SimPhone(world, pbx, settings=settings, watch=watcher.seen, watch_message=watcher.message)
    phone.wire.kernel_gives_up = world.random.random() < 0.7
    plan = Plan(world, pbx, phone, watcher)
    violation = None
    try:
        _play(world, pbx, phone, watcher, plan)
    except Violation as error:
        violation = str(error)
    except Exception as error:
        violation = f"at {world.now - 1000.0:.3f}: {type(error).__name__}: {error}"
    healed_s = None
    if watcher.registered_at is not None and watcher.registered_at > plan.over_at:
        healed_s = watcher.registered_at - plan.over_at
    return Report(seed, tuple(plan.kinds), violation, tuple(watcher.recovered), healed_s, tuple(world.notes))


def _play(world: World, pbx: SimPbx, phone: SimPhone, watcher: Watcher, plan: Plan) -> None:
    phone.run(phone.stack.start)
    world.run_until(world.now + 2.0)
    if world.random.random() < 0.5:
        phone.dial()
        world.run_until(world.now + 3.0)
    talking = set(phone.calls)
    plan.draw()
    world.run_until(world.now + 151.0)
    while plan.over_at + SETTLE_S > world.now:
        world.run_until(plan.over_at + SETTLE_S)
    call_id = pbx.ring("1001")
    world.run_until(world.now + 5.0)
    watcher.settled(
        state=phone.stack.registration_state,
        reachable=pbx.reachable("1001"),
        rung=None if call_id is None else pbx.rung.get(call_id),
    )
    if talking and not plan.forgets_calls:
        _check_calls(pbx, phone, watcher, talking)
    watcher.excuse()
    phone.run(phone.stack.shutdown)
    world.run_until(world.now + _REST_S)
    watcher.ended(finished=phone.stack.finished, deadline=phone.stack.next_timeout(), live=phone.stack.transactions)
    if pbx.bindings:
        watcher.fail("a binding is left at the PBX")


def _check_calls(pbx: SimPbx, phone: SimPhone, watcher: Watcher, talking: set[str]) -> None:
    """A call whose media lives is never dropped, and the PBX knows where to send its BYE."""
    if phone.calls != talking:
        watcher.fail("a call was dropped")
    if len(pbx.refreshed) != len(set(pbx.refreshed)):
        watcher.fail("a call was refreshed twice on one flow")
    for dialog in pbx.dialogs.values():
        if dialog.connection.cut or not all(dialog.connection.is_open.values()):
            watcher.fail("the PBX has not been told the new Contact of a call")
