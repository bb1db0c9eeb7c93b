"""Joins the console to an engine: attach, follow, and come back when the engine went away.

    EngineClient ── state, events ──▶ Bridge ──▶ Viewer.on_state, Viewer.on_engine_event
    verbs ── commands ──▶ Bridge ──▶ EngineClient

A vanished engine is started again once by itself; after that the user decides (Retry now).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from phone.client import EngineClient, EngineGone, NoEngine, Refused
from phone.paths import PathError
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.codec import Json, ProtocolError
from phone.state import PhoneState

if TYPE_CHECKING:
    from pathlib import Path

Spawn = Callable[[], Awaitable[None]]
"""Starts an engine and returns once it is ready; raises NoEngine with a sentence."""

RECONNECT_S = 1.0


class Viewer(Protocol):
    """Who is told; on the loop's thread."""

    def on_state(self, state: PhoneState, *, attached: bool) -> None:
        """The newest state; ``attached`` is False while there is no engine and the state is the last one known."""
        ...

    def on_engine_event(self, event: ev.Event) -> None:
        """Something happened."""
        ...


class Bridge:
    """One console's connection to the engine at ``path``."""

    def __init__(self, path: Path, *, spawn: Spawn | None = None) -> None:
        self._path = path
        self._spawn = spawn
        self._spawned_engine = ""
        self._client: EngineClient | None = None
        self._viewer: Viewer | None = None
        self._lost = asyncio.Event()
        self._wanted = asyncio.Event()
        self._last = PhoneState()

    async def run(self, viewer: Viewer) -> None:
        """Follow engines until cancelled."""
        self._viewer = viewer
        try:
            while True:
                if await self._attach():
                    await self._lost.wait()
                    viewer.on_state(self._last, attached=False)
                    await self._revive()
                else:
                    viewer.on_state(self._last, attached=False)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wanted.wait(), RECONNECT_S)
        finally:
            if self._client is not None:
                await self._client.close()

    async def send(self, command: cmd.Command) -> Any:
        """Carry out a command; raises Refused or EngineGone, both with a sentence."""
        if self._client is None or not self._client.connected:
            raise EngineGone("There is no connection to the engine.")
        return await self._client.call(command)

    async def start_engine(self) -> None:
        """Start an engine now, because the user asked; raises NoEngine with a sentence where that fails."""
        if self._spawn is not None:
            await self._spawn()
        self._wanted.set()

    async def _attach(self) -> bool:
        self._lost.clear()
        self._wanted.clear()
        client = EngineClient(self._path, on_state=self._state, on_event=self._event, on_lost=self._lost.set)
        self._client = client
        try:
            await client.connect()
        except (NoEngine, EngineGone, Refused, PathError, OSError):
            await client.close()
            return False
        return True

    async def _revive(self) -> None:
        """Start a vanished engine, once for each that vanished by itself."""
        engine = self._client.engine if self._client is not None else ""
        if engine and engine != self._spawned_engine:
            self._spawned_engine = engine
            with contextlib.suppress(NoEngine):  # the screen says that there is none
                await self.start_engine()

    def _state(self, state: PhoneState) -> None:
        self._last = state
        if self._viewer is not None:
            self._viewer.on_state(state, attached=True)

    def _event(self, data: Json) -> None:
        try:
            event = ev.event_from_json(data)
        except ProtocolError:
            return  # an event of a newer engine
        if self._viewer is not None:
            self._viewer.on_engine_event(event)
