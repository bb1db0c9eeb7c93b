"""The phone's signalling with everything it needs: stack, driver, connections, network monitor.

    verbs ──▶ UserAgent ──▶ Driver ──▶ Stack
    on_event ◀─────────────────┘

For one account, on one running event loop. Verbs are synchronous and must be called on that loop; what they lead to
is told by events.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import TYPE_CHECKING, TypeVar

from sipcore.aio.clock import Clock, SystemClock
from sipcore.aio.connection import ConnectOptions
from sipcore.aio.connections import Connections
from sipcore.aio.driver import Driver
from sipcore.aio.netmon import NetworkMonitor, NetworkView
from sipcore.errors import RegistrationFailed, TransportError
from sipcore.events import (
    Event,
    ReconnectionFailed,
    Registered,
    RegistrationChanged,
    RegistrationState,
    TransportChanged,
    TransportState,
)
from sipcore.ids import IdSource, RandomSource
from sipcore.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipcore.auth.credentials import Credentials
    from sipcore.config import StackConfig
    from sipcore.stack import StackSnapshot

_T = TypeVar("_T")

_CLOSE_S = 3.0
_UPGRADE_SHARE = 0.25
"""Of ``connection_timeout``: once TCP and TLS are up, a PBX that means to answer an upgrade does so at once."""


def tls_context(extra_ca: Path | str | None = None) -> ssl.SSLContext:
    """Verification by the system's authorities and those in the file ``extra_ca``.

    Raises TransportError with a sentence where the file cannot be used.
    """
    context = ssl.create_default_context()
    if extra_ca:
        try:
            context.load_verify_locations(cafile=str(extra_ca))
        except (OSError, ssl.SSLError) as error:
            raise TransportError(f"tls_ca: {extra_ca} cannot be read as certificates in PEM form.") from error
    return context


class UserAgent:
    """Registers, keeps registered, and calls."""

    def __init__(
        self,
        config: StackConfig,
        credentials: Credentials,
        *,
        on_event: Callable[[Event], None],
        tls_ca: Path | str | None = None,
        rng: RandomSource | None = None,
        clock: Clock | None = None,
        monitor_network: bool = True,
    ) -> None:
        """Build everything; nothing happens before :meth:`start`. Raises TransportError for an unusable ``tls_ca``."""
        ids = IdSource(rng if rng is not None else random.SystemRandom())
        self._listener = on_event
        self.stack = Stack(config, credentials, ids)
        self._driver = Driver(self.stack, self._on_event, clock or SystemClock())
        resilience = config.resilience
        options = ConnectOptions(
            tls_context(tls_ca),
            dead_after_s=max(1.0, resilience.ping_timeout),
            upgrade_timeout_s=resilience.connection_timeout * _UPGRADE_SHARE,
        )
        self._connections = Connections(self._driver, options, ids)
        self._driver.attach(self._connections)
        self._monitor = (
            NetworkMonitor(self._on_network, lambda: self._connections.peer_address(self.stack.server))
            if monitor_network
            else None
        )
        self._waiters: list[asyncio.Future[None]] = []
        self._finished: asyncio.Event = asyncio.Event()
        self._closed = False

    # --- life --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Watch the network, connect and register. Returns at once; events tell the rest."""
        if self._monitor is not None:
            self._monitor.start()
        self.run(self.stack.start)

    async def register_with_retry(self, attempts: int = 3, delay: float = 2.0) -> None:
        """R1 by hand: register in a new series of ``attempts``; returns once registered.

        Raises RegistrationFailed once the attempts, or those to connect, are used up.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        try:
            self.run(lambda now: self.stack.register(now, attempts=attempts, delay_s=delay))
            await done
        finally:
            if done in self._waiters:
                self._waiters.remove(done)

    async def close(self) -> None:
        """Hang up, un-register and disconnect; three seconds at most."""
        if self._closed:
            return
        self._closed = True
        if self._monitor is not None:
            self._monitor.close()
        self.run(self.stack.shutdown)
        if not self.stack.finished:
            try:
                async with asyncio.timeout(_CLOSE_S - 1.0):
                    await self._finished.wait()
            except TimeoutError:
                pass  # a PBX that does not answer is not waited for
        self._driver.stop()
        await self._connections.aclose()

    def stop(self) -> None:
        """Nothing is sent, taken in or told any more: another process goes on with everything."""
        self._closed = True
        if self._monitor is not None:
            self._monitor.close()
        self._driver.stop()

    async def abandon(self) -> None:
        """After :meth:`stop`: let go of the connection without a word of SIP."""
        await self._connections.aclose()

    # --- verbs -------------------------------------------------------------------------------------------------

    def run(self, verb: Callable[[float], _T]) -> _T:
        """Call a verb of the stack with the present time, and carry out what follows from it."""
        return self._driver.run(verb)

    def keep_with(self, keep: Callable[[StackSnapshot], None]) -> None:
        """Have ``keep`` told of the stack before anything it wants sent is sent, to write it down."""
        self._driver.keep = keep

    @property
    def local_address(self) -> str:
        """Our address towards the PBX: where media sockets are to be bound; empty before there was a connection."""
        return self.stack.local_address

    # --- inside ------------------------------------------------------------------------------------------------

    def _on_network(self, view: NetworkView) -> None:
        self.run(lambda now: self.stack.network_changed(view.online, now, source_address=view.source_address))

    def _on_event(self, event: Event) -> None:
        match event:
            case Registered():
                self._settle(None)
            case ReconnectionFailed(attempts=attempts, reason=reason):
                self._settle(RegistrationFailed(attempts, reason))
            case TransportChanged(state=TransportState.CONNECTED) if self._monitor is not None and not self._closed:
                self._monitor.connected()
            case RegistrationChanged(state=RegistrationState.UNREGISTERED, reason=reason):
                self._settle(RegistrationFailed(0, reason or "unregistered"))
            case _:
                pass
        if self._closed and self.stack.finished:
            self._finished.set()
        self._listener(event)

    def _settle(self, error: RegistrationFailed | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
