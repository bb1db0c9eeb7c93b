"""One run: a phone, a PBX, people who call each other, faults by seed, and the judgement.

register ── calls and faults ── all over ── time to settle ── judged ── both sides hang up ── shut down ── judged
"""

from __future__ import annotations

from dataclasses import dataclass

from sipcore.config import Resilience
from tests.sim.call import Manner
from tests.sim.call_watch import CallWatch
from tests.sim.faults import Plan
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.watch import Violation, Watcher
from tests.sim.world import World

SETTLE_S = 150.0
"""Background retry (72 s), a connection attempt (20 s) and a slow PBX's time-out (32 s), and some more."""

SOON_S = {
    "reset": 1.5,
    "refuse": 7.0,
    "power_failure": 12.0,
    "half_open": 27.0,
    "hole": 3.0,
    "mute": 5.0,
    "stale": 2.0,
    "password": 2.0,
    "link_down": 2.0,
    "new_address": 2.0,
    "suspend": 3.8,
    "engine_dies": 2.0,
}
"""How soon after the end of a fault that comes alone the phone is registered again; the fleet's spread comes on top."""

_FAULTS_S = 151.0
_REST_S = 80.0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one seed."""

    seed: int
    kinds: tuple[str, ...]
    lone_fault: str
    """Its name where there was only one."""
    violation: str | None
    recovered: tuple[float, ...]
    """How long each reconnection took, as told to the user."""
    healed_s: float | None
    """From the end of the last fault until registered again; None where that was no loss."""
    survived: int
    """How many calls were up after everything."""
    silenced: int
    """How many were given up because nothing was heard and nobody could be asked."""
    notes: tuple[str, ...]


class Run:
    """One seed's world and everybody in it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = world = World(seed)
        self.settings = settings = Resilience(
            max_reconnection_attempts=world.random.choice((10, 10, 3)),
            fleet_spread=world.random.choice((0.5, 0.5, 5.0)),
        )
        self.watcher = Watcher(world, settings)
        manner = Manner(
            cancels_on_close=world.random.random() < 0.5,
            session_expires=world.random.choice((0, 0, 90)),
            challenges_dialogs=world.random.random() < 0.3,
            loses=world.random.choice((0.0, 0.0, 0.2)),
            # By number rather than by lot: the others' luck stays what it is.
            outbound={0: "gruu", 6: "ob", 11: "gruu", 13: "ob"}.get(seed % 16, ""),
        )
        self.watcher.two_flows = bool(manner.outbound)
        expires_s = world.random.choice((60, 120, 300, 600))
        self.pbx = SimPbx(world, {"1001": "right"}, expires_s=expires_s, manner=manner)
        self.pbx.challenges_options = world.random.random() < 0.5
        self.phone = SimPhone(world, self.pbx, settings=settings, watch=self._seen, watch_message=self.watcher.message)
        self.phone.on_news = self.watcher.excuse
        self.watcher.online = lambda: self.phone.told_online
        self.phone.wire.kernel_gives_up = world.random.random() < 0.7
        self.calls = CallWatch(self.pbx, self.phone, settings, self.watcher.fail)
        self.phone.on_answer = self.calls.answered
        self.plan = Plan(world, self.pbx, self.phone, self.watcher)
        self.survived = 0

    @property
    def healed_s(self) -> float | None:
        """From the end of the last fault until registered again; None where that was no loss any more."""
        registered_at, healthy_at = self.watcher.registered_at, self.plan.healthy_at
        return None if registered_at is None or registered_at <= healthy_at else registered_at - healthy_at

    def _seen(self, thing: object) -> None:
        self.watcher.seen(thing)
        self.calls.seen(thing)

    # --- the play ----------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Everything in its order; raises Violation."""
        self._wait(0.0)
        self.phone.run(self.phone.stack.start)
        self._wait(2.0)
        if self.world.random.random() < 0.5:
            self.phone.dial()
            self._wait(3.0)
        self.plan.draw()
        self._wait(_FAULTS_S)
        while self.plan.over_at + SETTLE_S > self.world.now:
            self.world.run_until(self.plan.over_at + SETTLE_S)
        self._judge()
        self._shut_down()

    def _judge(self) -> None:
        phone = self.phone
        self.watcher.settled(state=phone.stack.registration_state, reachable=self.pbx.reachable(phone.name))
        bound_s = SOON_S.get(self.plan.lone_fault, SETTLE_S) + self.settings.fleet_spread
        if self.healed_s is not None and self.healed_s > bound_s:
            self.watcher.fail(
                f"registered {self.healed_s:.1f} s after {self.plan.lone_fault}, not within {bound_s:.1f}"
            )
        self.watcher.pbx_saw(lapsed=self.pbx.lapsed, wrong=self.pbx.wrong)
        self.calls.settled()
        self.survived = len(phone.calls)
        phone.picks_up = lambda _: None
        call_id = self.pbx.ring(phone.name)
        self._wait(5.0)
        self.watcher.rung(None if call_id is None else self.pbx.switch.outcomes.get(call_id))
        for line in list(phone.lines.values()):
            if self.world.random.random() < 0.5:
                phone.hang_up(line)
            else:
                self.pbx.switch.hang_up(self.pbx.dialogs[line.sip])
        self._wait(5.0)
        self.calls.over()

    def _shut_down(self) -> None:
        phone = self.phone
        self.watcher.excuse()
        self.watcher.flows.forget()
        phone.run(phone.stack.shutdown)
        self._wait(_REST_S)
        stack = phone.stack
        self.watcher.ended(finished=stack.finished, deadline=stack.next_timeout(), live=stack.transactions)
        if any(binding.works for binding in self.pbx.bindings.values()):
            self.watcher.fail("a binding is left at the PBX")

    def _wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)


def run(seed: int) -> Report:
    """Run one seed; never raises for what it finds."""
    play = Run(seed)
    violation = None
    try:
        play.play()
    except Violation as error:
        violation = str(error)
    except Exception as error:
        violation = f"at {play.world.now - 1000.0:.3f}: {type(error).__name__}: {error}"
    plan = play.plan
    return Report(
        seed,
        tuple(plan.kinds),
        plan.lone_fault,
        violation,
        tuple(play.watcher.recovered),
        play.healed_s,
        play.survived,
        play.calls.silenced,
        tuple(play.world.notes),
    )
