"""R1 and R2 told event by event, on virtual time: every number of docs/resilience.md, and nothing besides."""

from __future__ import annotations

import re

import pytest

from sipcore import events as ev
from sipcore.config import Resilience
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.world import World

_TOLD = (
    ev.RegistrationAttempt,
    ev.RegistrationRefused,
    ev.ReconnectionAttempting,
    ev.ReconnectionFailed,
    ev.ReconnectionSuccess,
    ev.RetryScheduled,
    ev.Registered,
)


class Story:
    """A phone, a PBX, and what was told with its time since :meth:`begin`; settings by name."""

    def __init__(self, seed: int = 1, **settings: float) -> None:
        self.world = World(seed)
        self.pbx = SimPbx(self.world, {"1001": "right"})
        values = {"fleet_spread": 0.0, "probe_interval": 0.0} | settings
        self.told: list[tuple[float, object]] = []
        self.phone = SimPhone(
            self.world,
            self.pbx,
            settings=Resilience(**values),  # type: ignore[arg-type]
            watch=self._note,
        )
        self.began = self.world.now

    def _note(self, thing: object) -> None:
        if isinstance(thing, _TOLD):
            self.told.append((self.world.now - self.began, thing))

    def register(self) -> None:
        """The first registration, which is no part of the story."""
        self.phone.run(self.phone.stack.start)
        self.wait(1.0)
        self.begin()

    def begin(self) -> None:
        self.told.clear()
        self.began = self.world.now

    def wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)

    @property
    def lines(self) -> list[str]:
        """``2.0 attempt 2/3`` and the like; waits of R2 are drawn and stand as they are."""
        return [f"{at:.0f} {_line(thing)}" for at, thing in self.told]


def _line(thing: object) -> str:
    match thing:
        case ev.RegistrationAttempt(attempt=attempt, maximum=maximum):
            return f"register {attempt}/{maximum}"
        case ev.RegistrationRefused(attempt=attempt, maximum=maximum, status=status):
            return f"refused {attempt}/{maximum} {status}"
        case ev.ReconnectionAttempting(attempt=attempt, maximum=maximum):
            return f"connect {attempt}/{maximum}"
        case ev.ReconnectionFailed(attempts=attempts):
            return f"failed after {attempts}"
        case ev.ReconnectionSuccess():
            return "success"
        case ev.RetryScheduled(what=what, attempt=attempt, maximum=maximum, wait_s=wait_s):
            return f"{what} {attempt}/{maximum} in {wait_s:.0f}"
        case ev.Registered(refresh=refresh):
            return "refreshed" if refresh else "registered"
        case _:
            return type(thing).__name__


def test_r1_to_the_second() -> None:
    """At once, after 2, after 4; failure 8 s after the last; then silence, and a quiet success."""
    story = Story()
    story.register()
    story.pbx.script.answers = [(500, {})] * 3
    story.phone.wire.connections[-1].reset()
    story.wait(60.0)
    assert story.lines == [
        "0 connect 1/10",
        "0 register 1/3",
        "0 refused 1/3 500",
        "0 registration 2/3 in 2",
        "2 register 2/3",
        "2 refused 2/3 500",
        "2 registration 3/3 in 4",
        "6 register 3/3",
        "6 refused 3/3 500",
        "14 failed after 3",
    ]
    story.wait(40.0)
    assert [line.partition(" ")[2] for line in story.lines[10:]] == ["registered", "success"]
    assert 14 + 48 <= story.told[-1][0] <= 14 + 73


def test_r1_by_hand() -> None:
    """``register_with_retry(3, 2.0)``."""
    story = Story()
    story.register()
    story.pbx.script.answers = [(503, {})] * 2
    story.phone.run(lambda now: story.phone.stack.register(now, attempts=2, delay_s=1.0))
    story.wait(20.0)
    assert story.lines == [
        "0 register 1/2",
        "0 refused 1/2 503",
        "0 registration 2/2 in 1",
        "1 register 2/2",
        "1 refused 2/2 503",
        # The binding lives: nobody is told of a failure before it ends.
    ]
    assert story.phone.stack.registration_state is ev.RegistrationState.REGISTERED


@pytest.mark.parametrize("maximum", [1, 4, 10])
def test_r2_attempts_gaps_and_failure(maximum: int) -> None:
    """Attempt n of the maximum, each announced once with its wait; after the last the failure and nothing else."""
    story = Story(max_reconnection_attempts=maximum)
    story.register()
    story.pbx.stop(silently=False)
    story.wait(600.0)
    plain = [re.sub(r" in \d+$", "", line.partition(" ")[2]) for line in story.lines]
    expected = [f"connect 1/{maximum}"]
    for attempt in range(2, maximum + 1):
        expected += [f"transport {attempt}/{maximum}", f"connect {attempt}/{maximum}"]
    assert plain == [*expected, f"failed after {maximum}"]
    waits = [thing.wait_s for _, thing in story.told if isinstance(thing, ev.RetryScheduled)]
    series = [min(2.0 * 2**n, 30.0) for n in range(maximum - 1)]
    assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits, series, strict=True))
    story.pbx.start()
    story.wait(80.0)
    assert [line.partition(" ")[2] for line in story.lines[len(expected) + 1 :]] == [
        "register 1/3" if "register 1/3" in story.lines[-1] else "registered",
        "success",
    ]


@pytest.mark.parametrize(("attempts", "maximum"), [(1, 1), (2, 3), (3, 4)])
def test_no_attempt_is_counted_beyond_its_maximum(attempts: int, maximum: int) -> None:
    """Whatever fails, in whatever order."""
    story = Story(
        register_attempts=attempts, max_reconnection_attempts=maximum, probe_interval=0.5, background_retry=5.0
    )
    story.register()
    for round_ in range(4):
        story.pbx.stop(silently=round_ % 2 == 1)
        story.wait(100.0)
        story.pbx.script.answers = [(500, {})] * (attempts + 1)
        story.pbx.start()
        story.wait(100.0)
    for _, thing in story.told:
        if isinstance(thing, ev.RetryScheduled | ev.RegistrationAttempt | ev.ReconnectionAttempting):
            assert 1 <= thing.attempt <= thing.maximum
    assert story.phone.stack.registration_state is ev.RegistrationState.REGISTERED
