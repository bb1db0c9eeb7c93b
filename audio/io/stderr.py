"""Keep what C libraries print on file descriptor 2 off the screen and in the log.

ALSA, JACK and PortAudio write to descriptor 2 whatever happens, and loading PortAudio points it at /dev/null for a
while. Python's own ``sys.stderr`` is given a descriptor of its own first, so that neither reaches it.

    sys.stderr ─▶ a copy of the old 2         C libraries ─▶ 2 ─▶ pipe ─▶ a thread ─▶ log, at debug level
"""

from __future__ import annotations

import logging
import os
import sys
import threading

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_guarded = threading.Event()

_LINES_MAX = 2000
"""Should anything write our own log to descriptor 2, it would go round in circles: stop somewhere."""


def guard_stderr() -> None:
    """Separate descriptor 2 from ``sys.stderr``. Once per process; later calls do nothing."""
    with _lock:
        if _guarded.is_set():
            return
        _guarded.set()
        try:
            kept = os.dup(2)
        except OSError:
            return  # closed from the start: there is nothing to protect
        old = sys.stderr
        sys.stderr = os.fdopen(kept, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
        _move_handlers(old)
        read_end, write_end = os.pipe()
        os.dup2(write_end, 2)
        os.close(write_end)
        threading.Thread(target=_relay, args=(read_end,), name="stderr-relay", daemon=True).start()


def _move_handlers(old: object) -> None:
    """Log handlers made before hold the old stream, whose descriptor is about to become the pipe."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for logger in loggers:
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(sys.stderr)


def _relay(read_end: int) -> None:
    with os.fdopen(read_end, encoding="utf-8", errors="backslashreplace") as lines:
        for number, line in enumerate(lines):
            if number < _LINES_MAX and (text := line.strip()):
                _log.debug("%s", text)
