"""The pump: order, one timer, sleep, and listeners that fail."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from sipcore.aio.clock import SleepDetector, SystemClock
from sipcore.aio.driver import Driver
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, ServerAddress, StackConfig
from sipcore.events import Effect, Event, OpenFlow, RegistrationState
from sipcore.ids import IdSource
from sipcore.stack import Stack, StackSnapshot

if TYPE_CHECKING:
    import pytest

SERVER = ServerAddress.parse("wss://pbx.example/ws")


class HandClock:
    """A clock moved by hand; ``asleep`` is how much of it the machine slept."""

    def __init__(self) -> None:
        self.time = 100.0
        self.asleep = 0.0

    def boot_time(self) -> float:
        return self.time

    def awake_time(self) -> float:
        return self.time - self.asleep


class Sink:
    def __init__(self) -> None:
        self.effects: list[Effect] = []

    def carry_out(self, effect: Effect) -> None:
        self.effects.append(effect)


class RecordingStack(Stack):
    """A stack that remembers what it was told about time."""

    def __init__(self) -> None:
        account = Account(servers=(SERVER,), username="1001", domain="pbx.example", auth_username="1001")
        super().__init__(StackConfig(account=account), Credentials("1001", "x"), IdSource(random.Random(1)))
        self.told: list[str] = []

    def resumed(self, gap_s: float, now: float) -> None:
        self.told.append(f"resumed {gap_s:g}")
        super().resumed(gap_s, now)

    def handle_timeout(self, now: float) -> None:
        self.told.append("timeout")
        super().handle_timeout(now)


def test_effects_and_events_come_out_and_the_timer_is_set() -> None:
    async def run() -> None:
        stack, sink, events = RecordingStack(), Sink(), list[Event]()
        driver = Driver(stack, events.append, HandClock())
        driver.attach(sink)
        driver.run(stack.start)
        assert [type(effect) for effect in sink.effects] == [OpenFlow]
        assert events
        driver.failed(1, "refused")
        assert stack.registration_state is RegistrationState.REGISTERING
        driver.stop()

    asyncio.run(run())


def test_a_sleep_is_told_before_anything_else() -> None:
    async def run() -> None:
        stack, clock = RecordingStack(), HandClock()
        driver = Driver(stack, lambda event: None, clock)
        driver.attach(Sink())
        clock.time += 300.0
        clock.asleep += 300.0
        driver.run(stack.handle_timeout)
        assert stack.told == ["resumed 300", "timeout"]
        clock.time += 300.0
        driver.run(stack.handle_timeout)
        assert stack.told == ["resumed 300", "timeout", "timeout"], "time that passed awake is no sleep"
        driver.stop()

    asyncio.run(run())


def test_it_never_sleeps_over_five_seconds() -> None:
    async def run() -> float:
        stack = RecordingStack()
        driver = Driver(stack, lambda event: None, HandClock())
        driver.attach(Sink())
        driver.pump()
        timer = driver._timer
        assert timer is not None
        wait = timer.when() - asyncio.get_running_loop().time()
        driver.stop()
        return wait

    assert 4.0 < asyncio.run(run()) <= 5.0


def test_a_listener_that_fails_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        stack, sink = RecordingStack(), Sink()

        def listener(event: Event) -> None:
            raise RuntimeError("broken")

        driver = Driver(stack, listener, HandClock())
        driver.attach(sink)
        driver.run(stack.start)
        assert sink.effects
        driver.stop()

    asyncio.run(run())
    assert "the listener failed on" in caplog.text


def test_a_listener_may_call_verbs() -> None:
    async def run() -> None:
        stack, sink = RecordingStack(), Sink()
        names: list[str] = []

        def listener(event: Event) -> None:
            names.append(type(event).__name__)
            if len(names) == 1:
                driver.run(stack.unregister)

        driver = Driver(stack, listener, HandClock())
        driver.attach(sink)
        driver.run(stack.start)
        assert stack.registration_state is RegistrationState.UNREGISTERED
        assert names[-1] in ("TransportChanged", "RegistrationChanged")
        driver.stop()

    asyncio.run(run())


def test_the_system_clock_has_not_slept_between_two_readings() -> None:
    detector = SleepDetector(SystemClock())
    assert detector.read()[1] == 0.0


def test_the_stack_is_written_down_before_anything_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    """What a message promises has to outlive the process; and a journal that fails stops nothing."""

    async def run() -> list[str]:
        order: list[str] = []

        class OrderedSink(Sink):
            def carry_out(self, effect: Effect) -> None:
                order.append("effect")

        stack = RecordingStack()
        driver = Driver(stack, lambda event: order.append("event"), HandClock())
        driver.attach(OrderedSink())

        def keep(snapshot: StackSnapshot) -> None:
            order.append(f"kept {len(snapshot.calls.calls)}")
            raise OSError("the disk is full")

        driver.keep = keep
        driver.run(stack.start)
        driver.stop()
        return order

    order = asyncio.run(run())
    assert order[0] == "kept 0"
    assert order[1] == "effect"
    assert "event" in order
    assert "the disk is full" in caplog.text
