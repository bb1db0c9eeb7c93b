"""The bridge against a real control socket: attach, follow, come back, start an engine once by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from phone.client import EngineGone, NoEngine
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from tests.tui.engine import Engine, registered, talking
from tui.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from phone.state import PhoneState


class Seen:
    """A viewer that remembers."""

    def __init__(self) -> None:
        self.states: list[tuple[PhoneState, bool]] = []
        self.events: list[ev.Event] = []

    def on_state(self, state: PhoneState, *, attached: bool) -> None:
        self.states.append((state, attached))

    def on_engine_event(self, event: ev.Event) -> None:
        self.events.append(event)

    @property
    def attached(self) -> bool:
        return bool(self.states) and self.states[-1][1]


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - looks at what other tasks have done
            await asyncio.sleep(0.005)


def test_it_follows_states_and_events_and_sends_commands(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine, seen = Engine(tmp_path / "engine.sock", registered()), Seen()
        await engine.server.start()
        bridge = Bridge(engine.path)
        following = asyncio.create_task(bridge.run(seen))
        await until(lambda: seen.attached)
        busy = registered(calls=(talking("a"),))
        engine.change(busy)
        await until(lambda: seen.states[-1] == (busy, True))
        engine.server.publish(ev.NetworkOffline(at=1.0))
        await until(lambda: seen.events == [ev.NetworkOffline(at=1.0)])
        await bridge.send(cmd.Hangup("a"))
        assert engine.commands == [cmd.Hangup("a")]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await engine.server.close()

    asyncio.run(scenario())


def test_a_vanished_engine_is_started_again_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine, seen = Engine(tmp_path / "engine.sock", registered()), Seen()
        await engine.server.start()
        spawned = 0

        async def spawn() -> None:
            nonlocal spawned
            spawned += 1
            await engine.come_back()

        bridge = Bridge(engine.path, spawn=spawn)
        following = asyncio.create_task(bridge.run(seen))
        await until(lambda: seen.attached)
        await engine.die()
        await until(lambda: any(not attached for _, attached in seen.states) and seen.attached)
        assert spawned == 1
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await engine.server.close()

    asyncio.run(scenario())


def test_without_an_engine_commands_are_refused_and_a_start_that_fails_is_said(tmp_path: Path) -> None:
    async def spawn() -> None:
        raise NoEngine("The engine cannot be started.")

    async def scenario() -> None:
        bridge = Bridge(tmp_path / "engine.sock", spawn=spawn)
        with pytest.raises(EngineGone):
            await bridge.send(cmd.Status())
        with pytest.raises(NoEngine, match="cannot be started"):
            await bridge.start_engine()

    asyncio.run(scenario())
