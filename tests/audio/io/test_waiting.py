"""The media thread's sleep: deadlines, descriptors, wakes."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from audio.io.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

BEYOND_SELECT = 1500


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    sleeper = Waiting()
    yield sleeper
    sleeper.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.mark.parametrize("many", [False, True])
def test_it_sleeps_until_the_deadline_and_no_whole_millisecond_longer_or_shorter(waiting: Waiting, many: bool) -> None:
    """The best of some: a busy machine may always be late."""
    if many:
        _watch_beyond(waiting)
    late = []
    for _ in range(20):
        deadline = time.monotonic() + 0.0037
        assert waiting.until(deadline) == []
        late.append(time.monotonic() - deadline)
    assert min(late) >= -0.0001
    assert min(late) < 0.0006


def _watch_beyond(waiting: Waiting) -> int:
    """A descriptor that select() does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft <= BEYOND_SELECT:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    read, write = os.pipe()
    os.dup2(read, BEYOND_SELECT)
    os.close(read)
    waiting.watch(BEYOND_SELECT)
    return write


def test_a_deadline_that_has_passed_is_a_look_around(
    waiting: Waiting, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    waiting.watch(one.fileno())
    assert waiting.until(time.monotonic() - 1.0) == []
    other.send(b"x")
    assert waiting.until(time.monotonic() - 1.0) == [one.fileno()]


def test_what_is_watched_ends_the_sleep_and_what_is_forgotten_does_not(
    waiting: Waiting, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    waiting.watch(one.fileno())
    waiting.watch(one.fileno())
    other.send(b"x")
    assert waiting.until(None) == [one.fileno()]
    waiting.forget(one.fileno())
    waiting.forget(one.fileno())
    assert waiting.until(time.monotonic() + 0.01) == []
    waiting.watch(one.fileno())
    assert waiting.until(None) == [one.fileno()]


def test_a_descriptor_of_any_number_ends_the_sleep(waiting: Waiting) -> None:
    write = _watch_beyond(waiting)
    os.write(write, b"x")
    assert waiting.until(None) == [BEYOND_SELECT]
    os.close(write)
    os.close(BEYOND_SELECT)


def test_a_wake_ends_the_sleep_at_once_or_the_next_one(waiting: Waiting) -> None:
    waiting.wake()
    assert waiting.until(None) == []
    threading.Timer(0.05, waiting.wake).start()
    assert waiting.until(None) == []
    assert waiting.until(time.monotonic() + 0.01) == []


def test_any_number_of_wakes_is_one_and_none_blocks(waiting: Waiting) -> None:
    for _ in range(100_000):
        waiting.wake()
    while waiting.until(time.monotonic() + 0.001) != []:
        pass


def test_after_the_end_a_wake_says_so() -> None:
    waiting = Waiting()
    waiting.close()
    with pytest.raises(OSError):
        waiting.wake()
