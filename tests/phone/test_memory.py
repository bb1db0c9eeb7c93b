"""What counts as a disconnection, and what becomes of a store that fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from phone.memory import Memory
from phone.protocol import events as ev
from phone.protocol.health import Incident
from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import HistoryEntry
from phone.store.database import Database

if TYPE_CHECKING:
    from pathlib import Path

    from phone.protocol.health import HealthReport

REGISTERED = ev.Registered(at=1, account="a", expires_s=60)
LOST = ev.TransportDisconnected(at=2, server="x", reason="reset")


def report(tmp_path: Path, *events: ev.Event) -> HealthReport:
    async def main() -> HealthReport:
        memory = Memory(Database(tmp_path / "db", on_problem=lambda _: None), "a")
        for event in events:
            memory.note(event)
        found = await memory.report(3)
        assert found is not None
        await memory.close()
        return found

    return asyncio.run(main())


def test_a_loss_is_counted_once_per_registration(tmp_path: Path) -> None:
    assert report(tmp_path, REGISTERED, LOST, LOST, REGISTERED, LOST).disconnections == 2


def test_neither_a_first_failure_nor_a_wish_is_a_loss(tmp_path: Path) -> None:
    wish = ev.RegistrationChanged(at=2, state="unregistered")
    assert report(tmp_path, LOST, REGISTERED, wish, LOST).disconnections == 0


def test_reconnections_and_keep_alives(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        ev.ReconnectionSuccess(at=1, elapsed_s=3, attempts=1),
        ev.ReconnectionFailed(at=1, attempts=10, reason=""),
        ev.KeepAlive(at=1, result="sent"),
        ev.KeepAlive(at=1, result="answered", rtt_ms=30),
        ev.KeepAlive(at=1, result="missed"),
    )
    assert (found.reconnection_success_rate, found.mean_reconnection_s) == (0.5, 3.0)
    assert (found.keep_alives, found.mean_keep_alive_rtt_ms) == (2, 30.0)


def test_the_timeline_has_every_reason_newest_first(tmp_path: Path) -> None:
    """What the health screen and ``ctl stats`` show, across a restart and in any language."""
    why = Phrase("{where} broke the connection.", where="pbx:8089")
    found = report(
        tmp_path,
        REGISTERED,
        ev.TransportDisconnected(at=2, server="x", reason=why),
        ev.TransportDisconnected(at=2.5, server="x", reason="an attempt that failed is no loss"),
        ev.ReconnectionSuccess(at=2.9, elapsed_s=0.9, attempts=2),
        ev.RegistrationFailed(at=2.95, attempt=1, max=3, status=403, reason="Forbidden"),
    )
    assert found.incidents == (
        Incident(at=2.95, kind="refused", reason="Forbidden", count=403),
        Incident(at=2.9, kind="reconnected", seconds=0.9, count=2),
        Incident(at=2, kind="lost", reason="pbx:8089 broke the connection."),
    )
    lost = found.incidents[-1].reason
    assert isinstance(lost, Phrase)
    assert lost.parameters == {"where": "pbx:8089"}


def test_a_store_that_fails_costs_history_only(tmp_path: Path) -> None:
    async def main() -> None:
        database = Database(tmp_path / "db", on_problem=lambda _: None)
        memory = Memory(database, "a")
        await database.run(lambda connection: connection.execute("DROP TABLE history"))
        entry = HistoryEntry(id=0, direction="in", outcome="missed", peer="x", started_at=1.0)
        assert await memory.add(entry) == entry
        assert await memory.recent() == ()
        await memory.close()

    asyncio.run(main())
