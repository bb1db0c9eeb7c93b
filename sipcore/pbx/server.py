"""The demo PBX on a WebSocket port: the asyncio shell around :class:`sipcore.pbx.core.Pbx`.

WebSocket clients ──▶ Pbx ──▶ on_event (who decides what a call hears)
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from sipcore.aio.websocket import ServerConnection, listen_websocket
from sipcore.config import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcore.events import FlowId
    from sipcore.pbx.core import LegEvent, Pbx

_T = TypeVar("_T")


class PbxServer:
    """Listens on ``host``; ``port`` 0 lets the system choose, :attr:`address` tells."""

    def __init__(
        self, pbx: Pbx, on_event: Callable[[LegEvent], None], *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._pbx = pbx
        self._on_event = on_event
        self._address = ServerAddress("ws", host, port, "/ws")
        self._connections: dict[FlowId, ServerConnection] = {}
        self._next_flow: FlowId = 1
        self._timer: asyncio.TimerHandle | None = None
        self._closer: Callable[[], None] | None = None
        self._pumping = False
        self._again: asyncio.Task[None] | None = None
        self._mute_until = float("-inf")

    @property
    def address(self) -> ServerAddress:
        """Where phones connect."""
        return self._address

    async def start(self) -> None:
        """Listen; raises OSError where the port is taken."""
        port, self._closer = await listen_websocket(self._address.host, self._address.port, self._connected)
        self._address = ServerAddress("ws", self._address.host, port, "/ws")

    def close(self) -> None:
        """Stop listening and break every connection, as a PBX that dies does."""
        if self._closer is not None:
            self._closer()
            self._closer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self.drop()

    # --- faults, for the demo and the tests -------------------------------------------------------------------

    def drop(self) -> None:
        """Break every connection; new ones are accepted."""
        for connection in list(self._connections.values()):
            connection.abort()

    def restart(self, down_s: float) -> None:
        """Die, refuse connections for ``down_s``, and listen at the same port again."""
        self.close()
        self._again = asyncio.create_task(self._start_again(down_s), name="PBX restart")

    async def _start_again(self, down_s: float) -> None:
        await asyncio.sleep(down_s)
        self._again = None
        await self.start()

    def fall_silent(self, seconds: float) -> None:
        """Read nothing and say nothing on any connection, though all stay open and new ones are accepted."""
        loop = asyncio.get_running_loop()
        self._mute_until = loop.time() + seconds
        for connection in self._connections.values():
            connection.deafen(deaf=True)
        loop.call_later(seconds, self._speak)

    def _speak(self) -> None:
        if asyncio.get_running_loop().time() >= self._mute_until:
            for connection in self._connections.values():
                connection.deafen(deaf=False)

    def run(self, verb: Callable[[float], _T]) -> _T:
        """Call a verb of the PBX with the present time, and carry out what follows."""
        try:
            return verb(time.monotonic())
        finally:
            self._pump()

    async def _connected(self, connection: ServerConnection) -> None:
        flow = self._next_flow
        self._next_flow += 1
        self._connections[flow] = connection
        connection.deafen(deaf=asyncio.get_running_loop().time() < self._mute_until)
        self.run(lambda now: self._pbx.flow_opened(flow, self._address, now))
        try:
            async for data in connection.messages():
                message = data
                self.run(lambda now: self._pbx.receive(message, flow, now))  # noqa: B023 - runs at once
        finally:
            del self._connections[flow]
            self.run(lambda now: self._pbx.flow_lost(flow, now))

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._drain():
                pass
        finally:
            self._pumping = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._pbx.next_timeout()
        if deadline is not None:
            wait = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, lambda: self.run(self._pbx.handle_timeout))

    def _drain(self) -> bool:
        effects, events = self._pbx.effects(), self._pbx.events()
        for effect in effects:
            if (connection := self._connections.get(effect.flow)) is not None:
                connection.send(effect.data)
        for event in events:
            self._on_event(event)
        return bool(effects or events)
