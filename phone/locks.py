"""One engine per profile and per account: locks in the state directory, held for the engine's life.

The kernel drops a lock when its process dies, however it dies, so a file left behind never blocks anybody.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
from typing import TYPE_CHECKING, Any

from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9@._-]")


class AlreadyRunning(Exception):
    """Another engine holds the lock; the message is one sentence that names it."""

    def __init__(self, sentence: str, *, same_profile: bool, pid: int | None = None) -> None:
        super().__init__(sentence)
        self.same_profile = same_profile
        """Whether it is the very engine that was to be started, rather than one that has the account."""

        self.pid = pid


class EngineLock:
    """A held lock; :meth:`release` gives it back early."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        """Whoever has it holds the lock."""
        return self._descriptor

    def mark(self) -> None:
        """Write down who holds the lock."""
        with contextlib.suppress(OSError):  # a full disk: who holds it stays unsaid
            os.ftruncate(self._descriptor, 0)
            holder = {"pid": os.getpid(), "host": socket.gethostname()}
            os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two engines lock two files of one name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_profile(directory: Path, profile: str) -> EngineLock:
    """Take the profile; raises AlreadyRunning, or OSError where the file system cannot lock."""
    return _lock(directory / f"profile-{profile}.lock", f"profile {profile}", same_profile=True)


def lock_account(directory: Path, account: str) -> EngineLock:
    """Take the account, whatever profile it is written in; raises as :func:`lock_profile`."""
    name = _UNSAFE.sub("_", account)[:150]
    return _lock(directory / f"account-{name}.lock", f"account {account}", same_profile=False)


def lock_both(directory: Path, profile: str, account: str) -> tuple[EngineLock, EngineLock]:
    """Take profile and account, or neither; raises as :func:`lock_profile`."""
    first = lock_profile(directory, profile)
    try:
        return first, lock_account(directory, account)
    except BaseException:
        first.release()
        raise


def _lock(file: Path, what: str, *, same_profile: bool) -> EngineLock:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(descriptor)
        os.close(descriptor)
        pid, host = holder.get("pid"), holder.get("host")
        who = f"pid {pid} on {host}" if isinstance(pid, int) else "another process"
        raise AlreadyRunning(
            Phrase(
                "An engine for {what} is already running ({who}); "
                "use offhook ctl, or end it with offhook ctl shutdown.",
                what=what,
                who=who,
            ),
            same_profile=same_profile,
            pid=pid if isinstance(pid, int) else None,
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    lock = EngineLock(descriptor)
    lock.mark()
    return lock


def _holder(descriptor: int) -> dict[str, Any]:
    try:
        data = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:  # between another engine's lock and its writing
        return {}
    return data if isinstance(data, dict) else {}
