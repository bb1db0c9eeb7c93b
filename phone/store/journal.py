"""The file behind the journal: one row an account, written on the spot, before anything is sent that depends on it.

    write ──▶ journal.db (SQLite, WAL, no fsync, 0600)

What a process has written survives its death without a sync to the disk; that a machine's death may take it does not
matter, since nothing is resumed after that. So a write costs microseconds and may happen on the event loop. A file
of its own, because history and health figures are synced, and a lock of theirs would be waited for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

RESUME_WITHIN_S = 300.0
"""An engine that has been dead for longer left calls nobody waits in any more."""

MAX_TRIES = 3
"""A journal that was read so often without a successor to it kills its readers."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_BUSY_TIMEOUT_S = 0.2
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS journal (
        account TEXT PRIMARY KEY,
        boot TEXT NOT NULL,
        alive_at REAL NOT NULL,
        wall_at REAL NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        record TEXT NOT NULL
    ) WITHOUT ROWID
"""
_WRITE = """
    INSERT INTO journal (account, boot, alive_at, wall_at, record) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (account) DO UPDATE SET boot = ?2, alive_at = ?3, wall_at = ?4, record = ?5, tries = 0
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When an engine was last known to live, on both clocks."""

    boot: str
    """Which boot of the machine ``alive_at`` counts from."""

    alive_at: float
    wall_at: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class Row:
    """What an engine left behind."""

    record: str
    at: Moment
    tries: int
    """How often it has been read since it was written."""

    def fresh(self, boot: str, now: float) -> bool:
        """Whether its calls can be gone on with: the same boot, not long ago, and nobody died of it."""
        of_now = bool(boot) and self.at.boot == boot and 0 <= now - self.at.alive_at < RESUME_WITHIN_S
        return of_now and self.tries < MAX_TRIES


class JournalFile:
    """The row of one account. A file that cannot be used costs the journal, never a call: it is told once."""

    def __init__(self, file: Path, account: str) -> None:
        self._file = file
        self._account = account
        self._connection: sqlite3.Connection | None = None
        self.broken = False
        """Whether something was not kept."""

    def read(self) -> Row | None:
        """What was written last, and count that it was read."""
        with self._guarded():
            connection = self._open()
            select = "SELECT record, boot, alive_at, wall_at, tries FROM journal WHERE account = ?"
            found = connection.execute(select, (self._account,)).fetchone()
            if found is None:
                return None
            connection.execute("UPDATE journal SET tries = tries + 1 WHERE account = ?", (self._account,))
            record, boot, alive_at, wall_at, tries = found
            if isinstance(record, str) and isinstance(boot, str) and isinstance(tries, int):
                return Row(record, Moment(boot, float(alive_at), float(wall_at)), tries)
        return None

    def write(self, record: str, at: Moment) -> bool:
        """Put ``record`` in the place of what was there; whether that worked."""
        written = False
        with self._guarded():
            self._open().execute(_WRITE, (self._account, at.boot, at.alive_at, at.wall_at, record))
            written = True
        return written

    def beat(self, at: Moment) -> None:
        """The engine lives."""
        with self._guarded():
            update = "UPDATE journal SET alive_at = ?2, wall_at = ?3 WHERE account = ?1"
            self._open().execute(update, (self._account, at.alive_at, at.wall_at))

    def clear(self) -> None:
        """Nothing is to be resumed."""
        with self._guarded():
            self._open().execute("DELETE FROM journal WHERE account = ?", (self._account,))

    def close(self) -> None:
        """Give the file back."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, TypeError, ValueError) as error:
            if not self.broken:
                self.broken = True
                _log.warning("! the journal %s cannot be used: %s; no call would survive the engine", self._file, error)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(self._file)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                _log.warning("! the journal %s was damaged and is begun anew: %s", self._file, error)
                for suffix in ("", "-wal", "-shm"):
                    self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
                self._connection = _connect(self._file)
        return self._connection


def boot_id() -> str:
    """Which boot of the machine this is; empty where the system does not say, and then nothing is resumed."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _connect(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(file, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
