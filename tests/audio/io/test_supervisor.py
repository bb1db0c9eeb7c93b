"""A device role kept served: opening, loss, freezing, hanging, and what the user is told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from audio.io.backend import BackendThread, DeviceFailure, FailureKind, OpenStream
from audio.io.events import AudioDeviceLost, AudioDeviceRestored, AudioEvent, AudioProblem
from audio.io.settings import Role
from audio.io.supervisor import DeviceSupervisor
from tests.audio.calling import until
from tests.audio.io.fake_backend import FakeBackend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOBODY = DeviceFailure(FailureKind.NO_DEVICE, "There is no microphone: plug one in.")


class Bench:
    """A supervisor, its devices, and everything it did."""

    def __init__(self) -> None:
        self.backend = FakeBackend()
        self.thread = BackendThread(self.backend)
        self.attached: list[OpenStream | None] = []
        self.events: list[AudioEvent] = []
        self.supervisor = DeviceSupervisor(
            Role.MICROPHONE, None, self.thread, attach=self.attached.append, report=self.events.append
        )

    @property
    def open(self) -> bool:
        return self.supervisor.name is not None


def _run(test: Callable[[Bench], Awaitable[None]]) -> None:
    async def body() -> None:
        bench = Bench()
        try:
            await test(bench)
        finally:
            bench.supervisor.release()
            bench.backend.open_gate.set()
            for _, stream in bench.backend.streams:
                stream.close_gate.set()
            bench.thread.end()

    asyncio.run(body())


def test_opens_once_and_gives_back() -> None:
    async def test(bench: Bench) -> None:
        bench.supervisor.want()
        bench.supervisor.want()
        await until(lambda: bench.open, "open")
        assert bench.supervisor.name == "fake"
        (stream,) = [stream for _, stream in bench.backend.streams]
        bench.supervisor.release()
        assert bench.attached == [stream, None]
        await until(stream.closed.is_set, "closed")
        assert bench.events == []
        assert not bench.supervisor.wanted

    _run(test)


def test_a_device_pulled_out_is_told_and_comes_back_by_itself() -> None:
    async def test(bench: Bench) -> None:
        bench.supervisor.want()
        await until(lambda: bench.open, "open")
        bench.backend.failure = NOBODY
        bench.backend.newest(Role.MICROPHONE).vanish()
        await until(lambda: bench.events, "loss told", 1.0)
        assert [type(event) for event in bench.events] == [AudioDeviceLost]
        assert bench.attached[-1] is None
        await until(lambda: bench.backend.refreshed >= 2, "tried again")
        bench.backend.failure = None
        began = time.monotonic()
        await until(lambda: bench.open, "back")
        assert time.monotonic() - began < 2.0
        # The retries' failures in between were not told.
        assert [type(event) for event in bench.events] == [AudioDeviceLost, AudioDeviceRestored]

    _run(test)


def test_a_frozen_device_is_seen_within_a_second_and_its_close_blocks_nobody() -> None:
    async def test(bench: Bench) -> None:
        bench.supervisor.want()
        await until(lambda: bench.open, "open")
        frozen = bench.backend.newest(Role.MICROPHONE)
        frozen.freeze()
        began = time.monotonic()
        await until(lambda: bench.events, "told")
        assert 0.4 < time.monotonic() - began < 1.0
        assert not frozen.closed.is_set()
        longest = 0.0
        for _ in range(30):
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert longest < 0.3, "the loop waited for the close"
        frozen.close_gate.set()
        await until(lambda: bench.open, "open again")
        assert frozen.closed.is_set()
        assert isinstance(bench.events[-1], AudioDeviceRestored)

    _run(test)


def test_a_pause_of_a_server_that_lives_is_no_loss() -> None:
    """A null sink, or a sink after an underrun, may pause for two seconds by itself."""

    async def test(bench: Bench) -> None:
        bench.supervisor.want()
        await until(lambda: bench.open, "open")
        pausing = bench.backend.newest(Role.MICROPHONE)
        pausing.server_lives = True
        pausing.freeze()
        await asyncio.sleep(1.2)
        assert bench.events == []
        pausing.server_lives = False
        began = time.monotonic()
        await until(lambda: bench.events, "told")
        assert time.monotonic() - began < 1.0

    _run(test)


def test_a_problem_is_told_once_however_often_it_is_met() -> None:
    async def test(bench: Bench) -> None:
        bench.backend.failure = NOBODY
        await bench.supervisor.check()
        bench.supervisor.want()
        await until(lambda: bench.backend.refreshed >= 2, "tried again")
        assert bench.events == [AudioProblem(NOBODY.sentence, Role.MICROPHONE)]
        bench.backend.failure = None
        await until(lambda: bench.open, "open")
        assert isinstance(bench.events[-1], AudioDeviceRestored)

    _run(test)


def test_a_stream_that_opens_after_it_was_given_up_is_closed() -> None:
    async def test(bench: Bench) -> None:
        bench.backend.open_gate.clear()
        bench.supervisor.want()
        await asyncio.sleep(0.05)
        bench.supervisor.release()
        bench.backend.open_gate.set()
        await until(lambda: bench.backend.streams and bench.backend.streams[0][1].closed.is_set(), "closed")
        assert bench.attached == []

    _run(test)


def test_jobs_queued_behind_a_hanging_one_are_dropped_with_their_waiter() -> None:
    async def test(bench: Bench) -> None:
        bench.backend.open_gate.clear()
        hanging = bench.thread.submit(bench.backend.open_gate.wait)
        ran: list[int] = []
        for number in range(3):
            try:
                await bench.thread.run(lambda number=number: ran.append(number), 0.02)  # type: ignore[misc]
            except TimeoutError:
                continue
            raise AssertionError("the thread does two things at once")
        bench.backend.open_gate.set()
        assert hanging.result(5.0)
        assert await bench.thread.run(lambda: 7, 5.0) == 7
        assert ran == []

    _run(test)


def test_a_stream_interrupted_on_purpose_opens_again_and_nobody_is_told() -> None:
    async def test(bench: Bench) -> None:
        bench.supervisor.want()
        await until(lambda: bench.open, "open")
        bench.backend.restart()
        await until(lambda: len(bench.backend.streams) == 2 and bench.open, "open again")
        assert bench.events == []
        assert bench.backend.refreshed == 0

    _run(test)
