"""When datagrams came, as the kernel tells."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from audio.io.arrivals import _SO_TIMESTAMPNS, _TIMESPEC, READ_AT_ONCE, _waited_s, read_arrivals, stamp_arrivals
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels stamp datagrams each in their own way")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Who reads, not blocking, and who sends."""
    reader, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with reader, sender:
        for sock in (reader, sender):
            sock.bind(("127.0.0.1", 0))
        reader.setblocking(False)
        sender.connect(reader.getsockname())
        yield reader, sender


def test_a_datagram_read_later_came_when_it_came(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    assert stamp_arrivals(reader)

    def told() -> tuple[float, float, float] | None:
        """A kernel begins to note times a moment after it is asked to."""
        before = time.monotonic()
        sender.send(b"x")
        after = time.monotonic()
        time.sleep(0.02)
        ((_, source, at),) = read_arrivals(reader)
        assert source == sender.getsockname()
        return (before, at, after) if at < time.monotonic() - 0.015 else None

    found = wait_until(told, what="a datagram has the time it came")
    assert found is not None
    before, at, after = found
    assert before - 0.001 <= at <= after + 0.001


def test_without_a_stamp_a_datagram_comes_when_it_is_read(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    sender.send(b"x")
    before = time.monotonic()
    ((data, _, at),) = read_arrivals(reader)
    assert data == b"x"
    assert before <= at <= time.monotonic()


def test_a_flood_is_read_in_pieces(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    for number in range(READ_AT_ONCE + 5):
        sender.send(bytes([number]))
    assert [data[0] for data, _, _ in read_arrivals(reader)] == list(range(READ_AT_ONCE))
    assert [data[0] for data, _, _ in read_arrivals(reader)] == list(range(READ_AT_ONCE, READ_AT_ONCE + 5))
    assert list(read_arrivals(reader)) == []


def test_a_closed_port_of_the_far_end_is_passed_over(pair: tuple[socket.socket, socket.socket]) -> None:
    reader, sender = pair
    reader.connect(sender.getsockname())
    gone = sender.getsockname()
    sender.close()
    reader.send(b"nobody listens")
    wait_until(lambda: reader.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, what="the kernel tells of it")
    reader.send(b"nobody listens")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(gone)
        again.sendto(b"here", reader.getsockname())
        assert [data for data, _, _ in read_arrivals(reader)] == [b"here"]


@pytest.mark.parametrize("off_s", [-3600.0, -0.6, 0.1, 3600.0])
def test_a_wall_clock_that_was_set_meanwhile_moves_nothing(off_s: float) -> None:
    told = int((time.time() + off_s) * 1e9)
    stamp = _TIMESPEC.pack(told // 1_000_000_000, told % 1_000_000_000)
    assert _waited_s([(socket.SOL_SOCKET, _SO_TIMESTAMPNS, stamp)]) == 0.0
    assert _waited_s([(socket.SOL_SOCKET, _SO_TIMESTAMPNS, stamp[:8]), (socket.SOL_SOCKET, 1, b"")]) == 0.0


def test_what_an_empty_datagram_hides_comes_with_the_next_read(pair: tuple[socket.socket, socket.socket]) -> None:
    """How long the next datagram is does not tell an empty one from none."""
    reader, sender = pair
    for data in (b"", b"", b"one", b"", b"two"):
        sender.send(data)
    assert [data for data, _, _ in read_arrivals(reader)] == [b"", b"", b"one"]
    assert [data for data, _, _ in read_arrivals(reader)] == [b"", b"two"]
