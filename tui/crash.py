"""What a fault of the console leaves behind: a traceback in a private file, and one sentence for the person.

The engine is another process: whatever breaks here, calls and the registration go on.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from typing import TYPE_CHECKING

from tui.i18n import _

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024 * 1024


class FaultLog:
    """Writes faults into ``file`` (0600), which is begun anew once it has grown too large. Never raises."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._written: set[str] = set()

    def write(self, error: BaseException) -> None:
        """Write a fault down, once: a part that is drawn every second may fail as often."""
        text = "".join(traceback.format_exception(error))
        if text in self._written:
            return
        self._written.add(text)
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self.file.exists() and self.file.stat().st_size > MAX_FILE_BYTES
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if fresh else os.O_APPEND)
            with os.fdopen(os.open(self.file, flags, 0o600), "w", encoding="utf-8", errors="replace") as handle:
                handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} console {os.getpid()}\n{text}\n")
        except OSError as problem:
            _log.debug("= the fault cannot be written down: %s", problem)

    def sentence(self) -> str:
        """What to tell after the console ended because of a fault."""
        return _(
            "The console stopped because of a fault of its own; calls and the registration go on. "
            "Start offhook again; {file} has the details."
        ).format(file=self.file)
