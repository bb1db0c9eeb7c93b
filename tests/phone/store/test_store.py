"""History and health figures in SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from phone.protocol.snapshots import HistoryEntry
from phone.store import history as history_module
from phone.store.database import Database
from phone.store.health import Figure, Health
from phone.store.history import History

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86400.0


def entry(peer: str = "600", started_at: float = 1.0) -> HistoryEntry:
    return HistoryEntry(
        id=0,
        direction="out",
        outcome="answered",
        peer=peer,
        peer_uri=f"sip:{peer}@pbx",
        display_name="Ann",
        started_at=started_at,
        answered_at=started_at + 2,
        duration_s=3.5,
        status=200,
        reason="OK",
    )


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
def database(tmp_path: Path, problems: list[str]) -> Database:
    return Database(tmp_path / "state/offhook.db", on_problem=problems.append)


def test_a_call_is_kept_over_a_restart(tmp_path: Path, database: Database) -> None:
    async def main() -> None:
        added = await History(database, "1001@pbx").add(entry())
        assert (added.id, added.account) == (1, "1001@pbx")
        await database.close()
        again = Database(tmp_path / "state/offhook.db", on_problem=lambda _: None)
        assert await History(again, "1001@pbx").recent(10) == (added,)
        assert await History(again, "2002@pbx").recent(10) == ()
        await again.close()

    asyncio.run(main())
    assert (tmp_path / "state/offhook.db").stat().st_mode & 0o777 == 0o600


def test_newest_first_and_the_oldest_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "KEPT_CALLS", 5)

    async def main() -> None:
        other = History(database, "other")
        await other.add(entry("other"))
        history = History(database, "mine")
        for number in range(8):
            await history.add(entry(str(number), float(number)))
        assert [call.peer for call in await history.recent(3)] == ["7", "6", "5"]
        assert len(await history.recent(100)) == 5
        assert len(await other.recent(100)) == 1
        await database.close()

    asyncio.run(main())


def test_at_least_five_hundred_are_kept() -> None:
    """product.md: "500+ kept"."""
    assert history_module.KEPT_CALLS >= 500


def test_text_is_data(database: Database) -> None:
    async def main() -> None:
        nasty = "x'); DROP TABLE history; --"
        history = History(database, nasty)
        await history.add(entry(nasty))
        assert (await history.recent(1))[0].peer == nasty
        await database.close()

    asyncio.run(main())


def test_work_is_done_on_one_other_thread(database: Database) -> None:
    async def main() -> None:
        threads = {await database.run(lambda _: threading.get_ident()) for _ in range(5)}
        assert len(threads) == 1
        assert threading.get_ident() not in threads
        await database.close()

    asyncio.run(main())


@pytest.mark.parametrize("damage", [b"this is no database, " * 50, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_moved_aside(tmp_path: Path, database: Database, problems: list[str], damage: bytes) -> None:
    file = tmp_path / "state/offhook.db"
    file.parent.mkdir()
    file.write_bytes(damage)

    async def main() -> None:
        history = History(database, "1001@pbx")
        await history.add(entry())
        assert len(await history.recent(5)) == 1
        await database.close()

    asyncio.run(main())
    assert len(problems) == 1
    assert "moved to" in problems[0]
    assert file.with_name("offhook.db.damaged").read_bytes() == damage


def test_a_file_that_cannot_be_opened_is_told_and_done_without(tmp_path: Path, problems: list[str]) -> None:
    file = tmp_path / "offhook.db"
    file.mkdir()
    database = Database(file, on_problem=problems.append)

    async def main() -> None:
        history = History(database, "1001@pbx")
        await history.add(entry())
        assert len(await history.recent(5)) == 1
        await database.close()

    asyncio.run(main())
    assert len(problems) == 1
    assert "history is not kept" in problems[0]


def test_failing_work_changes_nothing(database: Database) -> None:
    async def main() -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO health VALUES ('a', 'd', 'f', 1, 1)")
            connection.execute("INSERT INTO health VALUES ('a', 'd', 'f', 1, 1)")

        with pytest.raises(sqlite3.IntegrityError):
            await database.run(work)
        count = await database.run(lambda connection: connection.execute("SELECT COUNT(*) FROM health").fetchone())
        assert count == (0,)
        await database.close()

    asyncio.run(main())


class TestHealth:
    def test_figures(self, database: Database) -> None:
        """R8: success rate, mean time, keep-alive failures, disconnections per day."""

        async def main() -> None:
            health = Health(database, "a")
            now = 100 * DAY
            await health.count(Figure.DISCONNECTED, now)
            await health.count(Figure.DISCONNECTED, now + DAY)
            await health.count(Figure.DISCONNECTED, now + DAY)
            await health.count(Figure.RECONNECTED, now, 2.0)
            await health.count(Figure.RECONNECTED, now, 4.0)
            await health.count(Figure.RECONNECTED, now, 3.0)
            await health.count(Figure.RECONNECTION_FAILED, now)
            for _ in range(9):
                await health.count(Figure.KEEP_ALIVE_ANSWERED, now, 20.0)
            await health.count(Figure.KEEP_ALIVE_MISSED, now)
            await Health(database, "b").count(Figure.DISCONNECTED, now)
            report = await health.report(now)
            assert (report.days, report.disconnections, report.disconnections_per_day) == (2, 3, 1.5)
            assert (report.reconnection_success_rate, report.mean_reconnection_s) == (0.75, 3.0)
            assert (report.keep_alive_failure_rate, report.mean_keep_alive_rtt_ms) == (0.1, 20.0)
            assert (await health.report(now + DAY)).disconnections == 2
            await database.close()

        asyncio.run(main())

    def test_nothing_counted_is_no_rate(self, database: Database) -> None:
        async def main() -> None:
            report = await Health(database, "a").report(0.0)
            assert report.reconnection_success_rate is None
            assert report.keep_alives == 0
            await database.close()

        asyncio.run(main())

    def test_old_days_go(self, database: Database) -> None:
        async def main() -> None:
            health = Health(database, "a")
            await health.count(Figure.DISCONNECTED, 0.0)
            await health.count(Figure.DISCONNECTED, 1000 * DAY)
            assert (await health.report(0.0)).disconnections == 1
            await database.close()

        asyncio.run(main())
