"""Keep one device role served: open it while it is wanted, notice when it stops, and try again.

    idle ──wanted──▶ opening ──▶ open ──finished, or no callback for 0.5 s──▶ lost
                        ▲  └──────failed──────▶ waiting ◀── close, on the backend's thread ──┘
                        └──── after 0.25, 0.5, 1 … s ──┘

All blocking happens on a :class:`BackendThread`; here is only the loop. The call does not notice any of it: the media thread
plays into nothing and sends silence meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from audio.io.backend import DeviceBackend, DeviceFailure, FailureKind, OpenStream
from audio.io.events import AudioDeviceLost, AudioDeviceRestored, AudioEvent, AudioProblem
from audio.io.settings import Role

_log = logging.getLogger(__name__)

T = TypeVar("T")

OPEN_DEADLINE_S = 10.0
FROZEN_AFTER_S = 0.5
_LOOK_EVERY_S = 0.1
_FIRST_RETRY_S = 0.25
_RETRY_MAX_S = 1.0
_HOPELESS_RETRY_S = 5.0
_NAMES = {Role.MICROPHONE: "microphone", Role.SPEAKER: "speaker", Role.RINGER: "ring device"}


class BackendThread:
    """Runs a backend's calls one after the other on a daemon thread: PortAudio allows no two at once, and any of them may
    hang for as long as a sound server does. Nobody waits for a hung one: its waiters give up at their deadline.
    """

    def __init__(self, backend: DeviceBackend) -> None:
        self.backend = backend
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sound-devices", daemon=True)
        self._thread.start()

    def submit(self, action: Callable[[], T], *, unwanted: Callable[[T], None] | None = None) -> Future[T]:
        """Queue ``action``. If its waiter is gone when it is done, the result goes to ``unwanted``."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = action()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        return future

    def end(self) -> None:
        """No more jobs after those queued."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
