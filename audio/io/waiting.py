"""Where the media thread sleeps: until a deadline, a datagram, or a word from another thread.

other threads ── wake ──▶ pipe ─┐
watched descriptors ────────────┼─▶ until(deadline) ─▶ those that have something
deadline, to the microsecond ───┘
"""

from __future__ import annotations

import os
import select
import time

_POLL_STEP_S = 0.001


class Waiting:
    """One sleeper; :meth:`wake` is for any thread, all else for the sleeper's."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._watched = [self._read]

    def wake(self) -> None:
        """Let the sleeper look around; never blocks. OSError after :meth:`close`."""
        try:
            os.write(self._write, b"\0")
        except BlockingIOError:
            pass  # enough wakes are waiting already

    def watch(self, descriptor: int) -> None:
        """Wake up for it from now on; once is enough."""
        if descriptor not in self._watched:
            self._watched.append(descriptor)

    def forget(self, descriptor: int) -> None:
        """Sleep on, whatever it has. To be called before it is closed."""
        if descriptor in self._watched:
            self._watched.remove(descriptor)

    def until(self, deadline: float | None) -> list[int]:
        """Sleep, at most until ``deadline`` on the monotonic clock; the watched descriptors that have something."""
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            # Of the ways to wait it is the one that takes fractions of a millisecond.
            ready, _, _ = select.select(self._watched, (), (), timeout)
        except ValueError:
            ready = self._poll(timeout)  # a descriptor beyond 1023
        if self._read in ready:
            ready.remove(self._read)
            try:
                os.read(self._read, 4096)
            except BlockingIOError:
                pass
        return ready

    def _poll(self, timeout: float | None) -> list[int]:
        poll = select.poll()
        for descriptor in self._watched:
            poll.register(descriptor, select.POLLIN)
        began = time.monotonic()
        # It counts whole milliseconds; the rest of the last one is slept.
        ready = [descriptor for descriptor, _ in poll.poll(None if timeout is None else int(timeout * 1000))]
        rest_s = 0.0 if timeout is None else timeout - (time.monotonic() - began)
        if not ready and 0.0 < rest_s < _POLL_STEP_S:
            time.sleep(rest_s)
        return ready

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._write)
        os.close(self._read)
