"""The guard against the garbage collector and slow thread switches."""

from __future__ import annotations

import gc
import os
import sys
import threading

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
