"""Faults drawn by a seed. Each happens at a time of its own, lasts, and is over before the run judges.

A fault is a function that does its harm now and returns for how long; what it does must be undone by then.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.sim.world import End

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.line import Line
    from tests.sim.pbx import SimPbx
    from tests.sim.phone import SimPhone
    from tests.sim.watch import Watcher
    from tests.sim.world import Connection, World


class Plan:
    """What happens to one phone in one run."""

    def __init__(self, world: World, pbx: SimPbx, phone: SimPhone, watcher: Watcher) -> None:
        self._world, self._pbx, self._phone, self._watcher = world, pbx, phone, watcher
        self.over_at = world.now
        """When the last fault, or the last thing somebody does, has ended."""
        self.healthy_at = world.now
        """When the last fault has ended."""
        self.faults: list[str] = []
        self.kinds: list[str] = []
        """Faults, and what people do."""

    @property
    def lone_fault(self) -> str:
        """Its name where there is only one."""
        return self.faults[0] if len(self.faults) == 1 else ""

    def draw(self) -> None:
        """Choose one to five faults, what people do with their telephones meanwhile, and put both on the agenda."""
        random = self._world.random
        chosen = [random.choice(FAULTS) for _ in range(random.randint(1, 5))]
        self.faults = [name for name, _ in chosen]
        chosen += [random.choice(DOINGS) for _ in range(random.randint(0, 6))]
        for name, fault in chosen:
            at = self._world.now + random.uniform(5.0, 150.0)
            self.kinds.append(name)
            self._world.at(at, partial(self._begin, name, fault))

    def _begin(self, name: str, fault: Callable[[Plan], float]) -> None:
        lasts_s = fault(self)
        self._world.note(f"! {name} for {lasts_s:.1f} s")
        self.over_at = max(self.over_at, self._world.now + lasts_s)
        if (name, fault) in FAULTS:
            self.healthy_at = max(self.healthy_at, self._world.now + lasts_s)

    # --- the faults --------------------------------------------------------------------------------------------

    def _lasting(self, low: float, high: float, undo: Callable[[], None]) -> float:
        lasts_s = self._world.random.uniform(low, high)
        self._world.after(lasts_s, undo)
        return lasts_s

    def _struck(self) -> list[Connection]:
        """Every connection, or one of two."""
        connections = self._phone.wire.connections
        alive = [connection for connection in connections if connection.is_open[End.PHONE]]
        if len(alive) < 2 or self._world.random.random() < 0.5:
            return connections
        return [self._world.random.choice(alive)]

    def reset(self) -> float:
        """The connection is reset."""
        for connection in self._struck():
            connection.reset()
        return 0.0

    def half_open(self) -> float:
        """The flow dies without a word; new ones work."""
        for connection in self._struck():
            connection.cut = True
        return 0.0

    def refuse(self) -> float:
        """The process is gone for a while, and its registrations with it."""
        if not self._pbx.up:
            return 0.0
        self._pbx.stop(silently=False)
        return self._lasting(0.5, 120.0, self._pbx.start)

    def power_failure(self) -> float:
        """The PBX is gone without a word."""
        if not self._pbx.up:
            return 0.0
        self._pbx.stop(silently=True)
        return self._lasting(5.0, 90.0, self._pbx.start)

    def hole(self) -> float:
        """No packet gets through; TCP may survive it."""
        lasts_s = self._world.random.choice((2.0, 5.0, 12.0, 30.0, 60.0)) * self._world.random.uniform(0.8, 1.2)
        self._phone.wire.hole_until = max(self._phone.wire.hole_until, self._world.now + lasts_s)
        return lasts_s

    def mute(self) -> float:
        """The PBX accepts connections and says nothing."""
        lasts_s = self._world.random.uniform(2.0, 45.0)
        self._pbx.mute_until = max(self._pbx.mute_until, self._world.now + lasts_s)
        return lasts_s

    def busy(self) -> float:
        """The next REGISTERs get an error that says nothing about us; a fresh one is provoked."""
        random = self._world.random
        status = random.choice((500, 503, 504, 480, 403, 408))
        headers = (
            {"Retry-After": str(random.randint(1, 8))} if status in (500, 503, 480) and random.random() < 0.6 else {}
        )
        times = random.randint(1, 2 if status == 403 else 4)
        self._pbx.script.answers = [(status, headers)] * times
        self.reset()
        return self._lasting(20.0, 40.0, self._pbx.script.answers.clear)

    def too_brief(self) -> float:
        """The registrar wants longer registrations."""
        self._pbx.script.answers = [(423, {"Min-Expires": str(self._world.random.randint(601, 3600))})]
        self.reset()
        return self._lasting(5.0, 10.0, self._pbx.script.answers.clear)

    def stale(self) -> float:
        """Right answers are called stale twice."""
        self._pbx.script.stale = 2
        self.reset()
        return 0.0

    def lost_answer(self) -> float:
        """The answer to a REGISTER never comes."""
        self._pbx.script.lose = self._world.random.randint(1, 2)
        self.reset()
        return self._lasting(20.0, 30.0, self._find)

    def _find(self) -> None:
        self._pbx.script.lose = 0

    def slow(self) -> float:
        """REGISTER is answered late."""
        self._pbx.script.delay_s = self._world.random.uniform(1.0, 15.0)
        self.reset()
        return self._lasting(20.0, 60.0, self._quick)

    def _quick(self) -> None:
        self._pbx.script.delay_s = 0.0

    def password(self) -> float:
        """The password is changed at the PBX; later the user types the new one."""
        if self._pbx.passwords[self._phone.name] != "right":
            return 0.0
        self._pbx.passwords[self._phone.name] = "new"
        self.reset()
        return self._lasting(10.0, self._world.random.choice((100.0, 400.0)), self._type_password)

    def _type_password(self) -> None:
        from sipcore.auth.credentials import Credentials

        self._watcher.excuse()
        self._pbx.passwords[self._phone.name] = "right"
        self._phone.credentials = credentials = Credentials(self._phone.name, "right")
        self._wish(lambda now: self._phone.stack.set_credentials(credentials, now))

    def _wish(self, verb: Callable[[float], None]) -> None:
        """What the user wants at once, or once the machine is awake."""

        def tell(now: float) -> None:
            self._watcher.excuse()
            verb(now)

        self._phone.run(tell)

    def link_down(self) -> float:
        """The local link goes, and comes back with the same address or another."""
        if not self._phone.wire.online:
            return 0.0
        self._phone.network(False)
        address = f"192.0.2.{self._world.random.randint(11, 14)}"

        def up() -> None:
            self._watcher.excuse()
            self._phone.network(True, address)

        return self._lasting(0.3, 60.0, up)

    def new_address(self) -> float:
        """Another network takes over without a gap."""
        if self._phone.wire.online:
            self._watcher.excuse()
            self._phone.network(True, f"192.0.2.{self._world.random.randint(20, 90)}")
        return 0.0

    def suspend(self) -> float:
        """The machine sleeps; everything else goes on."""
        if self._phone.asleep_until > self._world.now or self._phone.dead:
            return 0.0
        self._watcher.excuse()
        gap_s = self._world.random.choice((3.0, 20.0, 100.0, 700.0))
        self._phone.sleep(gap_s)
        if gap_s > 20.0:
            for connection in self._phone.wire.connections:
                connection.cut = True
        self._world.after(gap_s, self._watcher.excuse)
        return gap_s

    def nasty_nat(self) -> float:
        """A NAT that forgets flows quickly, for the rest of the run."""
        self._phone.wire.nat_idle_s = self._world.random.choice((12.0, 20.0, 30.0))
        return 0.0

    def user_retries(self) -> float:
        """The user presses Retry now."""
        self._watcher.excuse()
        self._wish(lambda now: self._phone.stack.retry_now(now))
        return 0.0

    def engine_dies(self) -> float:
        """``kill -9``, and another process goes on."""
        if self._phone.dead or self._phone.asleep_until > self._world.now:
            return 0.0
        restart_s = self._world.random.uniform(0.2, 20.0)
        self._watcher.crashed()
        self._phone.crash(restart_s)
        self._world.after(restart_s, self._watcher.excuse)
        return restart_s

    def race(self) -> float:
        """Somebody does something, and while it is under way the connection dies."""
        random = self._world.random
        doing = random.choice(
            (self.user_holds, self.user_hangs_up, self.dials_echo, self.is_called, self.far_end_holds)
        )
        fault = random.choice((self.reset, self.half_open, self.new_address, self.engine_dies))
        lasts_s = doing()
        self._world.after(random.uniform(0.0, 0.1) + random.choice((0.0, 1.0)), lambda: self._also(fault))
        return max(25.0, lasts_s)

    def rings_over_a_loss(self) -> float:
        """A call rings here, its connection dies, and it is answered before that is noticed, meanwhile, or after."""
        random = self._world.random
        picks_up_s = random.uniform(0.5, 25.0)
        self._phone.picks_up = lambda _: picks_up_s
        self._pbx.ring(self._phone.name, patience_s=45.0)
        fault = random.choice((self.reset, self.half_open, self.new_address, self.link_down))
        self._world.after(random.uniform(0.2, picks_up_s), lambda: self._also(fault))
        return 45.0 + 32.0

    def _also(self, fault: Callable[[], float]) -> None:
        lasts_s = fault()
        self.over_at = max(self.over_at, self._world.now + lasts_s)

    # --- what people do ----------------------------------------------------------------------------------------

    def _some_line(self) -> Line | None:
        lines = list(self._phone.lines.values())
        return self._world.random.choice(lines) if lines else None

    def dials_echo(self) -> float:
        """A call that is answered."""
        self._phone.dial("600")
        return 2.0

    def dials_slow(self) -> float:
        """A call that rings for a while."""
        self._phone.dial("601")
        return 20.0

    def dials_nobody(self) -> float:
        """A call that nobody answers."""
        line = self._phone.dial("602")
        if line is None:
            return 0.0
        patience_s = self._world.random.uniform(1.0, 30.0)
        self._world.after(patience_s, lambda: self._phone.hang_up(line))
        return patience_s

    def is_called(self) -> float:
        """Somebody calls and may be answered, unless they give up."""
        random = self._world.random
        picks_up_s = random.choice((0.0, random.uniform(0.5, 15.0), 100.0))
        self._phone.picks_up = lambda _: picks_up_s
        patience_s = random.uniform(5.0, 40.0)
        self._pbx.ring(self._phone.name, patience_s=patience_s)
        return patience_s + 32.0

    def user_hangs_up(self) -> float:
        """In whatever state the call is."""
        if line := self._some_line():
            self._phone.hang_up(line)
        return 0.0

    def user_holds(self) -> float:
        """Hold, or resume."""
        if line := self._some_line():
            self._phone.hold(line, hold=not line.holding)
        return 0.0

    def far_end_hangs_up(self) -> float:
        """Of a call that is up."""
        if calls := self._pbx.switch.up(self._phone.name):
            self._pbx.switch.hang_up(self._world.random.choice(calls))
        return 0.0

    def far_end_holds(self) -> float:
        """For a while."""
        calls = self._pbx.switch.up(self._phone.name)
        if not calls:
            return 0.0
        call = self._world.random.choice(calls)
        self._pbx.switch.hold(call, hold=True)
        return self._lasting(1.0, 30.0, lambda: self._pbx.switch.hold(call, hold=False))


FAULTS: list[tuple[str, Callable[[Plan], float]]] = [
    (fault.__name__, fault)
    for fault in (
        Plan.reset,
        Plan.half_open,
        Plan.refuse,
        Plan.power_failure,
        Plan.hole,
        Plan.mute,
        Plan.busy,
        Plan.too_brief,
        Plan.stale,
        Plan.lost_answer,
        Plan.slow,
        Plan.password,
        Plan.link_down,
        Plan.new_address,
        Plan.suspend,
        Plan.nasty_nat,
        Plan.user_retries,
        Plan.engine_dies,
        Plan.race,
        Plan.rings_over_a_loss,
    )
]

DOINGS: list[tuple[str, Callable[[Plan], float]]] = [
    (doing.__name__, doing)
    for doing in (
        Plan.dials_echo,
        Plan.dials_slow,
        Plan.dials_nobody,
        Plan.is_called,
        Plan.user_hangs_up,
        Plan.user_holds,
        Plan.far_end_hangs_up,
        Plan.far_end_holds,
    )
]
