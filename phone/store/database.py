"""The SQLite file behind history and health figures: one connection on one worker thread, never on the event loop.

    engine loop ── submit(work) ──▶ worker thread ── connection ──▶ offhook.db (WAL, 0600)

A file that is damaged is moved aside with a sentence for the user, and a new one begun: a phone without its history
is still a phone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sqlite3
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)
T = TypeVar("T")

_BUSY_TIMEOUT_S = 5.0  # engines of several profiles share the file
_MIGRATIONS = (
    """
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        direction TEXT NOT NULL,
        outcome TEXT NOT NULL,
        peer TEXT NOT NULL,
        peer_uri TEXT NOT NULL,
        display_name TEXT NOT NULL,
        started_at REAL NOT NULL,
        answered_at REAL,
        duration_s REAL NOT NULL,
        status INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE INDEX history_by_time ON history (account, started_at DESC);
    CREATE TABLE health (
        account TEXT NOT NULL,
        day TEXT NOT NULL,
        figure TEXT NOT NULL,
        count INTEGER NOT NULL,
        total REAL NOT NULL,
        PRIMARY KEY (account, day, figure)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        at REAL NOT NULL,
        incident TEXT NOT NULL
    );
    CREATE INDEX incidents_by_time ON incidents (account, at DESC);
    """,
)


class Database:
    """Opens the file lazily on its worker thread; every method may be called from the loop."""

    def __init__(self, file: Path, *, on_problem: Callable[[str], None]) -> None:
        """``on_problem`` is called on the worker thread with a sentence when the file cannot be used."""
        self._file = file
        self._on_problem = on_problem
        self._worker = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Do ``work`` on the worker thread, in order, in one transaction. Its failure is the future's."""
        return asyncio.wrap_future(self._worker.submit(self._work, work))

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._open()
        with self._connection:
            return work(self._connection)

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._file)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not _damaged(error):
                self._on_problem(f"The database {self._file} cannot be opened ({error}); history is not kept.")
                return _connect(None)
            aside = self._file.with_name(f"{self._file.name}.damaged")
            _log.warning("! %s is damaged: %s", self._file, error)
            with contextlib.suppress(OSError):
                self._file.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
            self._on_problem(f"The database was damaged and has been moved to {aside}; a new one was begun.")
            return _connect(self._file)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                await self.run(lambda connection: connection.execute("PRAGMA optimize"))
            await asyncio.wrap_future(self._worker.submit(self._close))
        self._worker.shutdown(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _damaged(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _connect(file: Path | None) -> sqlite3.Connection:
    """Open and bring up to date; None keeps everything in memory."""
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(":memory:" if file is None else file, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection)
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()
        if damage != ("ok",):
            raise sqlite3.DatabaseError(str(damage[0]))
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(_MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
