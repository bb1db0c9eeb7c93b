"""Prints events for ``run --events`` on a thread of its own: a reader that dawdles must not hold up a call."""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING, TextIO

from phone.protocol.events import UNPUBLISHED, Event, event_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_WAITING = 10_000
_JOIN_S = 1.0


class EventPrinter:
    """One JSON object a line, each flushed."""

    def __init__(self, stream: TextIO, *, on_lost: Callable[[], None]) -> None:
        """``on_lost`` is called on another thread when nobody reads any more."""
        self._stream = stream
        self._on_lost = on_lost
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._print, name="event printer", daemon=True)
        self._thread.start()

    def note(self, event: Event) -> None:
        """Print ``event`` soon; it is lost where thousands wait already."""
        if event.event in UNPUBLISHED:
            return
        try:
            self._lines.put_nowait(json.dumps(event_to_json(event)) + "\n")
        except queue.Full:
            pass

    def close(self) -> None:
        """Print what is left, for at most a second."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_JOIN_S)

    def _print(self) -> None:
        reading = True
        while (line := self._lines.get()) is not None:
            if not reading:
                continue  # and nothing is kept
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):
                reading = False
                self._on_lost()
