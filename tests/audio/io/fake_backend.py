"""Devices that are absent, vanish, hang or freeze at the test's word, behind the port PortAudio is behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from audio.io.matching import CallbackCapture, CallbackPlayout, CaptureEnd, PlayoutEnd
from audio.io.ring import FrameRing

if TYPE_CHECKING:
    from audio.io.backend import DeviceFailure, OpenStream
    from audio.io.settings import Role


class FakeStream:
    """An open stream of :class:`FakeBackend`; the test is the device behind it."""

    def __init__(self, name: str, ring: FrameRing, rate: int, *, captures: bool, converts: bool = False) -> None:
        self.name = name
        self.ring = ring
        self.end: CaptureEnd | PlayoutEnd = (
            CaptureEnd(CallbackCapture(ring, rate, self._since_callback))
            if captures
            else PlayoutEnd(CallbackPlayout(ring, rate, self._since_callback))
        )
        self.rate = rate
        self.converts = converts
        self.finished = False
        self.frozen = False
        self.interrupted = False
        self.server_lives = False
        self.closed = threading.Event()
        self.close_gate = threading.Event()
        self.close_gate.set()
        self.last_callback = time.monotonic()
        self._froze_at = 0.0

    def _since_callback(self) -> float:
        return time.monotonic() - self.last_callback

    def age(self, now: float) -> float:
        """Seconds since the last callback."""
        return now - self._froze_at if self.frozen else 0.0

    def freeze(self) -> None:
        """No callback from now on, and :meth:`close` blocks until ``close_gate`` is set again: a hung sound server."""
        self._froze_at = time.monotonic()
        self.frozen = True
        self.close_gate.clear()

    def vanish(self) -> None:
        """The device is pulled out."""
        self.finished = True

    async def answers(self) -> bool:
        """Whether the server behind it lives."""
        return self.server_lives

    def raise_rate(self, rate: int) -> None:
        """What a server that converts makes of it."""
        self.interrupted = self.interrupted or (self.converts and self.rate < rate)

    def close(self) -> None:
        """As blocking as the real one."""
        self.close_gate.wait()
        self.closed.set()


class FakeBackend:
    """Stands where PortAudio stands. ``failure`` makes every opening raise it; ``open_gate`` makes opening hang.

    With ``converts`` it opens devices at the rate of the calls to come, as a sound server does, else at their own.
    """

    def __init__(self, rate: int = 48000, *, converts: bool = False) -> None:
        self.rate = self.own_rate = rate
        self.converts = converts
        self.failure: DeviceFailure | None = None
        self.absent: dict[Role, DeviceFailure] = {}
        """Failures of single roles."""

        self.open_gate = threading.Event()
        self.open_gate.set()
        self.streams: list[tuple[Role, FakeStream]] = []
        self.refreshed = 0
        self.pinned = False
        self.restarts = 0

    def load(self) -> None:
        """Nothing to load."""

    def refresh(self) -> None:
        """Count it."""
        self.refreshed += 1

    def restart(self) -> None:
        """Interrupt every stream and count it."""
        self.restarts += 1
        for _, stream in self.streams:
            stream.interrupted = True

    def check(self, role: Role, name: str | None) -> None:
        """Fail as opening would."""
        self.open_gate.wait()
        if (failure := self.absent.get(role, self.failure)) is not None:
            raise failure

    def open(self, role: Role, name: str | None) -> OpenStream:
        """A stream whose ring the test fills or empties."""
        self.check(role, name)
        rate = self.rate if self.converts else self.own_rate
        ring = FrameRing(rate // 2)
        stream = FakeStream(name or "fake", ring, rate, captures=role.captures, converts=self.converts)
        self.streams.append((role, stream))
        return stream

    def shut_down(self) -> None:
        """Nothing to give back."""

    def newest(self, role: Role) -> FakeStream:
        """The stream opened last for ``role``."""
        return next(stream for opened, stream in reversed(self.streams) if opened is role)
