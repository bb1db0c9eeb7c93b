"""How the start of an engine went, for the person and for a parent that waits."""

from __future__ import annotations

import os

from phone.cli import say

READY = "ready"
RUNNING = "running"
"""Followed by the sentence for a parent that cannot find the engine it lost against."""


class Outcome:
    """Tells a waiting parent, over the ready pipe, how the start went: ``ready``, or a sentence."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def ready(self) -> None:
        """The engine answers."""
        self.tell(READY)

    def tell(self, line: str) -> None:
        """Say it once; later words have no reader."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, line.encode() + b"\n")
            os.close(self._descriptor)
        except OSError:
            pass  # the console has gone; the engine stays
        self._descriptor = None

    def fail(self, sentence: str, status: int) -> int:
        """Say why there is no engine; returns ``status``."""
        say.narrate(sentence)
        self.tell(sentence)
        return status
