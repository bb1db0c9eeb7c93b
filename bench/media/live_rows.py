"""The rows in real time: through sound devices and sockets, by the benches that measure one thing each.

Each runs in a process of its own, one after the other; what cannot be measured here is a row without a value.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench.media.table import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S = 600


def rows(*, quick: bool) -> Iterator[Figure]:
    """All of them."""
    runs = "1" if quick else "5"
    late, why = _measured("bench.audio_loop", "--runs", runs)
    for name, title, target in (
        ("mouth to ear, ms", "mouth to ear", "<= 85"),
        ("round trip, ms", "round trip over an echo", "<= 110"),
    ):
        note = why or f"runs {late.get(name.replace('ms', 'runs'))}"
        yield Figure(title=title, value=late.get(name), unit="ms", target=target, digits=0, note=note)
    seconds = "8" if quick else "30"
    yield from _pacing("in a call", ("--seconds", seconds, "--device", "default"), "<= 0.6", "<= 3", memory="<= 45")
    yield from _pacing("beside two busy loops", ("--seconds", seconds, "--busy", "2"), "<= 2.3", "<= 5")


def _pacing(name: str, arguments: tuple[str, ...], p99: str, worst: str, *, memory: str = "") -> Iterator[Figure]:
    figures, why = _measured("bench.rtp_pacing", *arguments)
    bare = figures.get("a bare loop's p99")
    note = why or f"a bare loop beside it: {bare:.2f} ms"
    key = "deviation from 20 ms, p99"
    yield Figure(title=f"{name}: RTP interval off by, p99", value=figures.get(key), unit="ms", target=p99, note=note)
    key = "deviation from 20 ms, worst"
    yield Figure(title=f"{name}: RTP interval off by, worst", value=figures.get(key), unit="ms", target=worst)
    yield Figure(title=f"{name}: packets missing", value=figures.get("missing"), target="<= 0", digits=0)
    if memory:
        yield Figure(title=f"{name}: CPU of one core", value=figures.get("CPU of one core, %"), unit="%", digits=1)
        yield Figure(title=f"{name}: PSS", value=figures.get("PSS, MB"), unit="MB", target=memory, digits=1)


def _measured(module: str, *arguments: str) -> tuple[dict[str, Any], str]:
    """The figures of a bench, or none and why."""
    command = (sys.executable, "-m", module, *arguments, "--json")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return {}, f"{module} did not end"
    if done.returncode:
        return {}, (done.stderr.strip().splitlines() or [f"{module} failed"])[-1]
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures, ""
