"""The journal's file: written on the spot, private, and never in the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

from phone.store.journal import JournalFile, Moment

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = Moment("boot", 10.0, 1000.0)


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    """One row an account; each reading is counted until the next writing."""
    file = JournalFile(tmp_path / "journal.db", "1001@pbx")
    assert file.read() is None
    file.write("one", NOW)
    file.write("two", NOW)
    other = JournalFile(tmp_path / "journal.db", "1001@pbx")
    assert [(row.record, row.at, row.tries) for row in (other.read(), other.read()) if row] == [
        ("two", NOW, 0),
        ("two", NOW, 1),
    ]
    other.beat(Moment("boot", 20.0, 1010.0))
    beaten = file.read()
    assert beaten is not None
    assert (beaten.at.alive_at, beaten.at.wall_at, beaten.record, beaten.tries) == (20.0, 1010.0, "two", 2)
    file.write("three", NOW)
    again = file.read()
    assert again is not None
    assert again.tries == 0
    assert JournalFile(tmp_path / "journal.db", "1002@pbx").read() is None
    file.clear()
    assert file.read() is None


def test_it_is_private_and_survives_a_killed_process(tmp_path: Path) -> None:
    """Nothing is closed, synced or flushed before SIGKILL."""
    script = (
        "import os, signal, sys; from pathlib import Path; from phone.store.journal import JournalFile, Moment\n"
        "file = JournalFile(Path(sys.argv[1]), 'a'); file.write('first', Moment('b', 1.0, 2.0))\n"
        "file.write('last', Moment('b', 1.0, 2.0)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "journal.db"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=20)
    assert done.returncode == -signal.SIGKILL
    row = JournalFile(path, "a").read()
    assert row is not None
    assert row.record == "last"
    assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is worth nothing without its content."""
    path = tmp_path / "journal.db"
    path.write_bytes(os.urandom(4096))
    file = JournalFile(path, "a")
    assert file.read() is None
    assert "damaged" in caplog.text
    file.write("new", NOW)
    row = file.read()
    assert row is not None
    assert row.record == "new"


def test_a_file_that_cannot_be_used_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A call is worth more than its journal."""
    (tmp_path / "journal.db").mkdir()
    file = JournalFile(tmp_path / "journal.db", "a")
    file.write("one", NOW)
    file.beat(NOW)
    assert file.read() is None
    file.close()
    assert len(caplog.records) == 1
    assert file.broken


def test_another_engine_that_writes_is_not_waited_for_long(tmp_path: Path) -> None:
    """Engines of several profiles share the file; a lock costs a moment, not a call."""
    path = tmp_path / "journal.db"
    file = JournalFile(path, "a")
    file.write("one", NOW)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        file.write("two", NOW)
        other.execute("ROLLBACK")
    other.close()
    row = file.read()
    assert row is not None
    assert row.record == "one"
