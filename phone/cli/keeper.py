"""Stays where an engine was that handed over: whoever waits for that process goes on waiting, and signals arrive.

    service manager, shell ── waits, SIGTERM ──▶ keeper (the pid of the first engine) ── SIGTERM ──▶ the present engine

Run as a file of its own, with nothing of the project loaded: it may be there for months.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGTERM, signal.SIGINT)


def _children() -> list[int]:
    try:
        return [int(word) for word in Path("/proc/thread-self/children").read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []


def _forward(number: int, _: object) -> None:
    for child in _children():
        try:
            os.kill(child, number)
        except OSError:
            pass  # it has just ended


def _adopt_grandchildren() -> None:
    """The engine's own successor becomes our child when that engine ends."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass  # no Linux: one restart is followed, the next is not


def main() -> int:
    """Wait for every child; returns the status of the last engine."""
    _adopt_grandchildren()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in _FORWARDED:
        signal.signal(number, _forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FORWARDED)  # what came before was kept for us
    status = 0
    while True:
        try:
            _, raw = os.wait()
        except ChildProcessError:
            return status if status >= 0 else 128 - status
        status = os.waitstatus_to_exitcode(raw)


if __name__ == "__main__":
    sys.exit(main())
