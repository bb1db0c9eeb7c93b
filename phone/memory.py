"""What the phone remembers: the calls that are over, and how healthy the connection was.

    events ──▶ Memory ──▶ store.history, store.health (a worker thread)

A store that fails is reported once and costs history, never a call.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar

from phone.protocol import events as ev
from phone.protocol.health import HealthReport, Incident
from phone.state import RECENT_CALLS
from phone.store.health import Figure, Health
from phone.store.history import History

if TYPE_CHECKING:
    from phone.protocol.snapshots import HistoryEntry
    from phone.store.database import Database

_log = logging.getLogger(__name__)
T = TypeVar("T")

REPORT_DAYS = 30


class Memory:
    """Everything kept for one account."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._history = History(database, account)
        self._health = Health(database, account)
        self._pending: set[asyncio.Future[Any]] = set()
        self._relied_on = False

    async def recent(self, limit: int = RECENT_CALLS) -> tuple[HistoryEntry, ...]:
        """The newest calls that are over, newest first."""
        return await self._guarded(self._history.recent(limit), ())

    async def add(self, entry: HistoryEntry) -> HistoryEntry:
        """Write a call down; returns it with its id."""
        return await self._guarded(self._history.add(entry), entry)

    async def report(self, now: float) -> HealthReport | None:
        """The health figures of the last 30 days."""
        future: asyncio.Future[HealthReport | None] = asyncio.ensure_future(self._report(now - REPORT_DAYS * 86400))
        return await self._guarded(future, None)

    async def _report(self, since: float) -> HealthReport | None:
        return await self._health.report(since)

    def note(self, event: ev.Event) -> None:
        """Count an event where it says something about health."""
        match event:
            case ev.Registered():
                self._relied_on = True
            case ev.RegistrationChanged(state="unregistered"):
                self._relied_on = False  # what follows was asked for
            case ev.TransportDisconnected() if self._relied_on:
                self._relied_on = False
                self._count(Figure.DISCONNECTED, event.at)
                self._write_down(Incident(at=event.at, kind="lost", reason=event.reason))
            case ev.ReconnectionSuccess():
                self._count(Figure.RECONNECTED, event.at, event.elapsed_s)
                back = Incident(at=event.at, kind="reconnected", seconds=event.elapsed_s, count=event.attempts)
                self._write_down(back)
            case ev.ReconnectionFailed():
                self._count(Figure.RECONNECTION_FAILED, event.at)
                self._write_down(Incident(at=event.at, kind="failed", reason=event.reason, count=event.attempts))
            case ev.RegistrationFailed():
                self._write_down(Incident(at=event.at, kind="refused", reason=event.reason, count=event.status))
            case ev.NetworkOffline():
                self._write_down(Incident(at=event.at, kind="offline"))
            case ev.NetworkOnline():
                self._write_down(Incident(at=event.at, kind="online"))
            case ev.KeepAlive(result="answered"):
                self._count(Figure.KEEP_ALIVE_ANSWERED, event.at, event.rtt_ms or 0.0)
            case ev.KeepAlive(result="missed"):
                self._count(Figure.KEEP_ALIVE_MISSED, event.at)
            case _:
                pass

    async def close(self) -> None:
        """Finish writing and close the store."""
        await asyncio.gather(*self._pending, return_exceptions=True)
        await self._database.close()

    def _count(self, figure: Figure, at: float, amount: float = 0.0) -> None:
        self._kept(self._health.count(figure, at, amount))

    def _write_down(self, incident: Incident) -> None:
        self._kept(self._health.write_down(incident))

    def _kept(self, future: asyncio.Future[None]) -> None:
        self._pending.add(future)
        future.add_done_callback(self._counted)

    def _counted(self, future: asyncio.Future[Any]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and (error := future.exception()):
            _log.warning("! a health figure was not kept: %s", error)

    async def _guarded(self, future: asyncio.Future[T], otherwise: T) -> T:
        self._pending.add(future)
        try:
            return await future
        except (sqlite3.Error, OSError) as error:
            _log.warning("! the store failed: %s", error)
            return otherwise
        finally:
            self._pending.discard(future)
