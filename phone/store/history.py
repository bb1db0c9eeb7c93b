"""Calls that are over: who, when, how it went, how long."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from phone.protocol.snapshots import HistoryEntry

if TYPE_CHECKING:
    import asyncio
    import sqlite3

    from phone.store.database import Database

KEPT_CALLS = 5000
"""Per account; the oldest go."""

_COLUMNS = tuple(item.name for item in dataclasses.fields(HistoryEntry))


class History:
    """The history of one account."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    def add(self, entry: HistoryEntry) -> asyncio.Future[HistoryEntry]:
        """Write a call down; the result is the entry with its id."""
        values = dataclasses.asdict(entry) | {"account": self._account}
        names = [name for name in _COLUMNS if name != "id"]
        insert = f"INSERT INTO history ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"  # noqa: S608 - our own column names

        def work(connection: sqlite3.Connection) -> HistoryEntry:
            number = connection.execute(insert, values).lastrowid or 0
            connection.execute(
                "DELETE FROM history WHERE account = ?1 AND id <= (SELECT id FROM history WHERE account = ?1 "
                "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (self._account, KEPT_CALLS),
            )
            return dataclasses.replace(entry, id=number, account=self._account)

        return self._database.run(work)

    def recent(self, limit: int) -> asyncio.Future[tuple[HistoryEntry, ...]]:
        """The newest calls, newest first."""
        select = f"SELECT {', '.join(_COLUMNS)} FROM history WHERE account = ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own column names

        def work(connection: sqlite3.Connection) -> tuple[HistoryEntry, ...]:
            rows = connection.execute(select, (self._account, limit)).fetchall()
            return tuple(HistoryEntry(**dict(zip(_COLUMNS, row, strict=True))) for row in rows)

        return self._database.run(work)
