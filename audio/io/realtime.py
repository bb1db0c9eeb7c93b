"""Keep Python from getting in the way of a packet every 20 ms: priority, the interpreter's switch interval, the
collector.

A full garbage collection stops every thread, for a quarter of a second in a large process; a thread of equal
priority may hold the interpreter for the whole switch interval. While a call is up the first is held off and the
second is made short.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from audio.io import rtkit

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
_HELD_OFF = 1_000_000
_PRIORITY = 10
_NICE = -11
_M_ARENA_MAX, _M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -8, -1, -3  # malloc.h
_GIVEN_BACK = 128 * 1024
"""Octets: what glibc begins with."""


class RealtimeGuard:
    """Process-wide; :meth:`hold` while any call is up. Not thread-safe: the engine's loop owns it."""

    def __init__(self) -> None:
        self._before: tuple[tuple[int, int, int], float] | None = None

    @property
    def held(self) -> bool:
        """Whether the guard is on."""
        return self._before is not None

    def hold(self) -> None:
        """Make what exists permanent, hold off full collections, and switch threads quickly. Idempotent."""
        if self._before is not None:
            return
        threshold = gc.get_threshold()
        self._before = (threshold, sys.getswitchinterval())
        gc.freeze()
        gc.set_threshold(threshold[0], threshold[1], _HELD_OFF)
        sys.setswitchinterval(SWITCH_INTERVAL_S)

    def release(self) -> None:
        """Put everything back as it was found. Idempotent."""
        if self._before is None:
            return
        threshold, interval = self._before
        self._before = None
        gc.unfreeze()
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)


def raise_thread_priority() -> Callable[[], None]:
    """Ask for real-time scheduling of the calling thread, or else a better nice value, or else RealtimeKit for one; the
    result undoes it.

    None is needed to work: a desktop user usually gets one of them, a container often none.
    """
    thread = threading.get_native_id()
    if hasattr(os, "sched_setscheduler"):
        policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            # Children, such as a process that lists devices, must not inherit it.
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
        except OSError as error:
            _log.debug("= no real-time scheduling: %s", error)
        else:
            _log.debug("= real-time scheduling, priority %d", _PRIORITY)
            return lambda: _quietly(lambda: os.sched_setscheduler(0, policy, parameters))
    before = os.getpriority(os.PRIO_PROCESS, thread)
    try:
        os.setpriority(os.PRIO_PROCESS, thread, _NICE)
    except OSError as error:
        _log.debug("= no better nice value: %s", error)
        return _ask_rtkit(thread, before)
    return lambda: _quietly(lambda: os.setpriority(os.PRIO_PROCESS, thread, before))


def _ask_rtkit(thread: int, before: int) -> Callable[[], None]:
    """Have it asked on a thread of its own: the one in a hurry does not wait for an answer."""
    undone = threading.Event()

    def restore() -> None:
        # Back to where it began nobody needs rights for.
        _quietly(lambda: os.setpriority(os.PRIO_PROCESS, thread, before))

    def ask() -> None:
        try:
            rtkit.raise_priority(thread, _NICE)
        except rtkit.RefusedError as error:
            _log.debug("= no help from rtkit: %s", error)
            return
        _log.debug("= nice %d by rtkit", _NICE)
        if undone.is_set():
            restore()

    def undo() -> None:
        undone.set()
        restore()

    threading.Thread(target=ask, name="rtkit", daemon=True).start()
    return undo


def keep_heap_small() -> None:
    """Let all threads share one heap that gives back what is freed, where the C library is glibc.

    It would give each a heap of its own, so that they need not wait for each other; under Python's lock they never do,
    and the holes in five heaps are megabytes. And the largest array ever freed, a table that is computed at the start
    say, would become the measure of what it keeps for later.
    """
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}) or not os.confstr("CS_GNU_LIBC_VERSION"):
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _GIVEN_BACK)
        mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK)
    except (OSError, AttributeError) as error:
        _log.debug("= heaps stay as they are: %s", error)


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        _log.debug("= priority not restored: %s", error)
