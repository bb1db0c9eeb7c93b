"""The guard against the garbage collector and slow thread switches."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest

from audio.io import rtkit
from audio.io.realtime import SWITCH_INTERVAL_S, RealtimeGuard, raise_thread_priority


def test_guard_holds_and_puts_everything_back() -> None:
    threshold, interval, frozen = gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()
    guard = RealtimeGuard()
    guard.hold()
    guard.hold()
    try:
        assert gc.get_threshold()[:2] == threshold[:2]
        assert gc.get_threshold()[2] >= 1_000_000
        assert gc.get_freeze_count() > frozen
        assert abs(sys.getswitchinterval() - SWITCH_INTERVAL_S) < 1e-5
    finally:
        guard.release()
        guard.release()
    assert gc.get_threshold() == threshold
    assert gc.get_freeze_count() == 0
    assert abs(sys.getswitchinterval() - interval) < 1e-5


def test_no_full_collection_happens_while_held() -> None:
    guard = RealtimeGuard()
    full: list[str] = []

    def watch(phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            full.append(phase)

    gc.callbacks.append(watch)
    guard.hold()
    try:
        rubbish: list[list[object]] = []
        for _ in range(200_000):
            ring: list[object] = []
            ring.append(ring)
            rubbish.append(ring)
        assert full == []
    finally:
        guard.release()
        gc.callbacks.remove(watch)


def test_thread_priority_is_undone_for_that_thread_alone() -> None:
    """Whatever this machine allows: afterwards the thread is what it was, and the process was never touched."""
    ours = (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
    seen: list[tuple[int, int]] = []

    def work() -> None:
        me = threading.get_native_id()
        seen.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, me)))
        restore = raise_thread_priority()
        restore()
        seen.append((os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, me)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert seen[0] == seen[1]
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == ours


def test_rtkit_is_asked_where_nothing_is_allowed_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user without any rights: a bus's answer comes later and never holds the thread up."""
    asked, answered = threading.Event(), threading.Event()
    set_to: list[int] = []
    nices: list[int] = []

    def raise_priority(thread: int, nice: int) -> None:
        nices.append(nice)
        asked.set()
        answered.wait(5)

    def forbidden(*_: object) -> None:
        raise PermissionError

    def set_priority(_which: int, _who: int, nice: int) -> None:
        if nice < 0:
            raise PermissionError
        set_to.append(nice)

    monkeypatch.setattr(rtkit, "raise_priority", raise_priority)
    monkeypatch.setattr(os, "sched_setscheduler", forbidden, raising=False)
    monkeypatch.setattr(os, "setpriority", set_priority)
    undo = raise_thread_priority()
    assert asked.wait(5)
    assert nices == [-11]
    undo()
    assert len(set_to) == 1
    answered.set()
    for thread in threading.enumerate():
        if thread.name == "rtkit":
            thread.join(5)
    assert len(set_to) == 2, "granted after the call was over, and taken back"


_BLOCKS = """
import ctypes, re, sys
from pathlib import Path
from audio.io.realtime import keep_heap_small
if sys.argv[1:]:
    keep_heap_small()
def resident():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+)", status)[1])
large = bytearray(30_000_000)
del large
before = resident()
blocks = [bytearray(b"x" * 100_000) for _ in range(100)]
blocks.clear()
print(resident() - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library than glibc")
def test_the_heap_gives_back_what_was_freed() -> None:
    """glibc by itself keeps twice as much as the largest array that was ever freed."""

    def left(*arguments: str) -> int:
        """KiB of ten megabytes."""
        command = [sys.executable, "-c", _BLOCKS, *arguments]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert left("small") < 1000 < 8000 < left()
