"""`run --events`: every line flushed, and nobody waited for."""

from __future__ import annotations

import io
import json
import os
import threading

from phone.printer import EventPrinter
from phone.protocol import events as ev
from phone.protocol.snapshots import CallMedia


class Recorder(io.StringIO):
    """Remembers what was there at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def test_one_object_a_line_each_flushed() -> None:
    stream = Recorder()
    printer = EventPrinter(stream, on_lost=lambda: None)
    printer.note(ev.NetworkOffline(at=1.5))
    printer.note(ev.MediaMeasured(at=1.0, call="a", media=CallMedia()))
    printer.note(ev.AudioProblem(at=2.0, problem="x", detail="two\nlines \ud800"))
    printer.close()
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["networkOffline", "audioProblem"]
    assert json.loads(lines[0]) == {"event": "networkOffline", "at": 1.5}
    assert stream.flushed == [lines[0] + "\n", "\n".join(lines) + "\n"]


def test_a_reader_that_dawdles_holds_up_nobody() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        printer = EventPrinter(stream, on_lost=lambda: None)
        for _ in range(3000):  # more than a pipe holds
            printer.note(ev.AudioProblem(at=2.0, problem="x", detail="y" * 100))
        drain = threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reading, 65536), b"")])
        drain.start()
        printer.close()
    drain.join(5)
    os.close(reading)


def test_a_reader_that_left_is_noticed_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lost = threading.Event()
    stream = os.fdopen(writing, "w")
    printer = EventPrinter(stream, on_lost=lost.set)
    for _ in range(3):
        printer.note(ev.NetworkOffline(at=1.0))
    assert lost.wait(5)
    printer.close()
    try:
        stream.close()
    except BrokenPipeError:
        pass  # what was buffered has no reader either
