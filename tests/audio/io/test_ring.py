"""The ring between a device's callback and the media thread."""

from __future__ import annotations

import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.io.ring import FrameRing

_STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "read", "read_into", "skip"]), st.integers(0, 40)), min_size=1, max_size=60
)


def _samples(start: int, count: int) -> bytes:
    return b"".join((number % 65536).to_bytes(2, "little") for number in range(start, start + count))


@given(capacity=st.integers(1, 24), steps=_STEPS)
def test_ring_behaves_like_a_bounded_queue_that_refuses_the_newest(capacity: int, steps: list[tuple[str, int]]) -> None:
    ring = FrameRing(capacity)
    model: deque[bytes] = deque()
    next_number = overruns = underruns = 0
    for verb, count in steps:
        match verb:
            case "write":
                data = _samples(next_number, count)
                next_number += count
                accepted = min(count, capacity - len(model))
                overruns += count - accepted
                model.extend(data[2 * i : 2 * i + 2] for i in range(accepted))
                assert ring.write(data) == accepted
            case "read":
                available = min(count, len(model))
                assert ring.read(count) == b"".join(model.popleft() for _ in range(available))
            case "read_into":
                available = min(count, len(model))
                underruns += count - available
                target = bytearray(b"\xff" * (2 * count))
                assert ring.read_into(memoryview(target)) == available
                assert target == b"".join(model.popleft() for _ in range(available)) + bytes(2 * (count - available))
            case _:
                skipped = min(count, len(model))
                for _ in range(skipped):
                    model.popleft()
                assert ring.skip(count) == skipped
        assert ring.fill == len(model)
        assert (ring.overruns, ring.underruns) == (overruns, underruns)
    assert ring.written - ring.taken == ring.fill


def test_a_ring_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError):
        FrameRing(0)


def test_one_writer_and_one_reader_need_no_lock() -> None:
    """Every sample a writing thread could place arrives at the reading thread once, in order and whole."""
    ring = FrameRing(997)
    total = 50_000

    def write() -> None:
        sent = 0
        while sent < total:
            block = _samples(sent, min(480, total - sent))
            while block:
                block = block[2 * ring.write(block) :]
            sent += 480

    writer = threading.Thread(target=write)
    writer.start()
    received = bytearray()
    while len(received) < 2 * total:
        received += ring.read(331)
    writer.join(5)
    assert bytes(received) == _samples(0, total)
