"""The table of flows: carries out OpenFlow, Transmit, PingFlow, CloseFlow and ProbeServer.

effects ──▶ Connections ──▶ udp · stream · websocket
FlowListener ◀── opened failed closed received pong probed
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from sipcore.aio.dns import targets_of
from sipcore.aio.failures import describe
from sipcore.aio.sockets import connect_tcp
from sipcore.aio.stream import open_stream
from sipcore.aio.udp import open_udp
from sipcore.errors import Phrase, TransportError
from sipcore.events import CloseFlow, Effect, FlowId, OpenFlow, PingFlow, ProbeServer, Transmit

if TYPE_CHECKING:
    from sipcore.aio.connection import Connection, ConnectOptions
    from sipcore.config import ServerAddress
    from sipcore.ids import IdSource

_log = logging.getLogger(__name__)

_ABORT_GRACE_S = 1.5


class FlowListener(Protocol):
    """What the table reports, always from the event loop and never from within a call of its own."""

    def opened(self, flow: FlowId, local_address: tuple[str, int]) -> None:
        """OpenFlow succeeded."""
        ...

    def failed(self, flow: FlowId, reason: str) -> None:
        """OpenFlow did not."""
        ...

    def closed(self, flow: FlowId, reason: str) -> None:
        """The far end, or the network, ended it."""
        ...

    def received(self, flow: FlowId, data: bytes) -> None:
        """Bytes came in."""
        ...

    def pong(self, flow: FlowId) -> None:
        """A ping was answered."""
        ...

    def probed(self, server: ServerAddress, ok: bool) -> None:
        """ProbeServer's finding."""
        ...


@dataclass(frozen=True, slots=True)
class _Ear:
    """Tells the listener which flow it is that something happened to."""

    flow: FlowId
    table: Connections

    def received(self, data: bytes) -> None:
        self.table.listener.received(self.flow, data)

    def pong(self) -> None:
        self.table.listener.pong(self.flow)

    def closed(self, reason: str) -> None:
        self.table.ended(self.flow, reason)


class _DeafEar:
    """For a connection that is opened only to see whether it opens."""

    def received(self, data: bytes) -> None:
        """Nobody listens."""

    def pong(self) -> None:
        """Nobody asked."""

    def closed(self, reason: str) -> None:
        """It is closed anyway."""


class Connections:
    """Every connection of one account."""

    def __init__(self, listener: FlowListener, options: ConnectOptions, ids: IdSource) -> None:
        self.listener = listener
        self._options = options
        self._ids = ids
        self._open: dict[FlowId, Connection] = {}
        self._opening: dict[FlowId, asyncio.Task[None]] = {}
        self._probes: set[asyncio.Task[None]] = set()
        self._peers: dict[ServerAddress, str] = {}

    def carry_out(self, effect: Effect) -> None:
        """Do what an effect asks for. Effects on flows that are gone are ignored."""
        match effect:
            case OpenFlow():
                self._opening[effect.flow] = asyncio.create_task(self._connect(effect))
            case Transmit(flow=flow, data=data):
                if connection := self._open.get(flow):
                    connection.send(data)
            case PingFlow(flow=flow):
                if connection := self._open.get(flow):
                    connection.ping()
            case CloseFlow(flow=flow, reason=reason):
                self._close(flow, reason)
            case ProbeServer():
                task = asyncio.create_task(self._probe(effect))
                self._probes.add(task)
                task.add_done_callback(self._probes.discard)
            case _:
                assert_never(effect)

    def peer_address(self, server: ServerAddress) -> str | None:
        """IP address of the far end of the last flow to ``server``; None before one opened."""
        return self._peers.get(server)

    def ended(self, flow: FlowId, reason: str) -> None:
        """A connection ended by itself."""
        if self._open.pop(flow, None) is not None:
            self.listener.closed(flow, reason)

    async def aclose(self) -> None:
        """Close everything, and wait until it is closed, a moment at most."""
        tasks = [*self._opening.values(), *self._probes]
        for task in tasks:
            task.cancel()
        closing = list(self._open)
        for flow in closing:
            self._close(flow, "shut down")
        if tasks:
            await asyncio.wait(tasks, timeout=_ABORT_GRACE_S)

    def _close(self, flow: FlowId, reason: str) -> None:
        if task := self._opening.pop(flow, None):
            task.cancel()
        if connection := self._open.pop(flow, None):
            _log.info("closing flow %d: %s", flow, reason)
            connection.close()

    async def _connect(self, effect: OpenFlow) -> None:
        flow, server = effect.flow, effect.server
        try:
            async with asyncio.timeout(effect.timeout_s):
                connection = await self._open_connection(server, _Ear(flow, self))
        except (OSError, TransportError) as error:
            reason = describe(error, server)
            if isinstance(error, TimeoutError):
                where = f"{server.host}:{server.port}"
                reason = Phrase(
                    "No answer from {where} in {seconds:g} s: check address, port and firewall.",
                    where=where,
                    seconds=effect.timeout_s,
                )
            if self._opening.pop(flow, None) is not None:
                self.listener.failed(flow, reason)
            return
        if self._opening.pop(flow, None) is None:
            connection.close()  # closed while it opened
            return
        self._open[flow] = connection
        self._peers[server] = connection.peer_address
        self.listener.opened(flow, connection.local_address)

    async def _open_connection(self, server: ServerAddress, ear: _Ear | _DeafEar) -> Connection:
        targets = await targets_of(server, self._ids)
        match server.scheme:
            case "ws" | "wss":
                # Imported late: an account on another transport does without the library.
                from sipcore.aio.websocket import open_websocket

                return await open_websocket(server, targets, ear, self._options)
            case "tcp" | "tls":
                return await open_stream(server, targets, ear, self._options)
            case "udp":
                return await open_udp(server, targets, ear)

    async def _probe(self, effect: ProbeServer) -> None:
        ok = False
        with contextlib.suppress(OSError, TransportError):
            async with asyncio.timeout(effect.timeout_s):
                if effect.deep:
                    (await self._open_connection(effect.server, _DeafEar())).close()
                else:
                    targets = await targets_of(effect.server, self._ids)
                    sock, _ = await connect_tcp(targets, dead_after_s=self._options.dead_after_s)
                    sock.close()
                ok = True
        self.listener.probed(effect.server, ok)
