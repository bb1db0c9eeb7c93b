"""The port to whatever opens sound devices: PortAudio, or a fake in its place. Everything here may block, or hang."""

from __future__ import annotations

import asyncio
import enum
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.matching import CaptureEnd, PlayoutEnd
    from audio.io.settings import Role

T = TypeVar("T")


class FailureKind(enum.Enum):
    """Why there is no sound; each has its own next step."""

    NO_LIBRARY = "no library"
    NO_DEVICE = "no device"
    NOT_FOUND = "not found"
    HANGS = "hangs"
    REFUSED = "refused"


class DeviceFailure(Exception):
    """A device cannot be had; the text is one sentence that says what and what to do."""

    def __init__(self, kind: FailureKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


class OpenStream(Protocol):
    """A running stream in one direction."""

    @property
    def name(self) -> str:
        """The device's name, for people."""
        ...

    @property
    def end(self) -> CaptureEnd | PlayoutEnd:
        """What the media thread reads from, or writes to: one for the life of the stream."""
        ...

    @property
    def rate(self) -> int:
        """Hz the device is given or gives."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stream ended by itself: unplugged, or its server gone."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether we ended it ourselves, to look at the devices anew: to be opened again at once, and nobody told."""
        ...

    def age(self, now: float) -> float:
        """Seconds without a sign of life at monotonic ``now``, not counting what the device may take to start."""
        ...

    async def answers(self) -> bool:
        """Whether what is behind the stream is known to live, asked when it has been still for a while."""
        ...

    def raise_rate(self, rate: int) -> None:
        """A call at ``rate`` is to be served: end as :attr:`interrupted` where a lower one was our choice."""
        ...

    def close(self) -> None:
        """Stop and give back; blocks, for ever if the sound server hangs."""
        ...


class DeviceBackend(Protocol):
    """Opens devices. All calls are made one after the other, by one thread that may be lost to any of them."""

    rate: int
    """Hz of the calls to come, for devices that are opened at whatever rate is asked for."""

    def load(self) -> None:
        """Load the library. Raises :class:`DeviceFailure`."""
        ...

    def refresh(self) -> None:
        """Look again at what is plugged in, if no stream is open. Raises :class:`DeviceFailure`."""
        ...

    @property
    def pinned(self) -> bool:
        """Whether open streams keep :meth:`refresh` from looking."""
        ...

    def restart(self) -> None:
        """As :meth:`refresh`, at the cost of the open streams: they end as :attr:`OpenStream.interrupted`."""
        ...

    def check(self, role: Role, name: str | None) -> None:
        """Raise what :meth:`open` would, as far as that can be told without opening anything."""
        ...

    def open(self, role: Role, name: str | None) -> OpenStream:
        """Start a stream on the device whose name is or contains ``name``, or on the default.

        Raises :class:`DeviceFailure`.
        """
        ...

    def shut_down(self) -> None:
        """Give the library back."""
        ...


class BackendThread:
    """Runs a backend's calls one after the other on a daemon thread, for a loop that never waits longer than it
    wants to.

    PortAudio allows no two calls at once, and any of them may hang for as long as a sound server does. Jobs queued
    behind a hung one are dropped when their waiter gives up.
    """

    def __init__(self, backend: DeviceBackend) -> None:
        self.backend = backend
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sound-devices", daemon=True)
        self._thread.start()

    async def run(
        self, action: Callable[[], T], deadline_s: float, *, unwanted: Callable[[T], None] | None = None
    ) -> T:
        """The result of ``action``, or :class:`TimeoutError`. A result that comes after that is given to ``unwanted``,
        again on the thread.
        """
        future = self.submit(action)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), deadline_s)
        except (TimeoutError, asyncio.CancelledError):
            if unwanted is not None:
                future.add_done_callback(lambda done: self._reclaim(done, unwanted))
            raise

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """Queue ``action``; nobody need wait for it."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = action()
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        return future

    def end(self) -> None:
        """No more jobs after those queued."""
        self._jobs.put(None)

    def _reclaim(self, done: Future[T], unwanted: Callable[[T], None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self.submit(lambda: unwanted(done.result()))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
