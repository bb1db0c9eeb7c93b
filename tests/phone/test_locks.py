"""One engine per profile and per account."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from phone.locks import AlreadyRunning, lock_account, lock_profile

_HOLD = """
import sys
from pathlib import Path
from phone.locks import lock_profile
lock = lock_profile(Path(sys.argv[1]), "default")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = lock_profile(tmp_path, "default")
    with pytest.raises(AlreadyRunning) as caught:
        lock_profile(tmp_path, "default")
    assert f"pid {os.getpid()} on {socket.gethostname()}" in str(caught.value)
    assert caught.value.pid == os.getpid()
    lock_profile(tmp_path, "work").release()
    lock.release()
    lock_profile(tmp_path, "default").release()


def test_an_account_is_locked_whatever_its_profile(tmp_path: Path) -> None:
    lock = lock_account(tmp_path, "../1001@pbx")
    with pytest.raises(AlreadyRunning, match=r"account \.\./1001@pbx"):
        lock_account(tmp_path, "../1001@pbx")
    assert all(file.parent == tmp_path for file in tmp_path.rglob("*"))
    lock.release()


def test_death_releases(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
            lock_profile(tmp_path, "default")
        holder.kill()
    lock_profile(tmp_path, "default").release()


def test_a_lock_is_held_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk keeps no phone from starting: only who holds the lock stays unsaid."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    lock = lock_profile(tmp_path, "default")
    with pytest.raises(AlreadyRunning, match="another process"):
        lock_profile(tmp_path, "default")
    lock.release()
