"""The rows in real time: every phone through sound devices and sockets, against one far end, in the same minutes.

Each part runs in a process of its own. What measures time runs alone, phone after phone; only the clips are listened
to by all phones at once, at sound servers of their own. What cannot be measured is a row without a value.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bench.media.phones import PHONES
from bench.media.table import Figure
from tests.lab.sound import why_unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PATIENCE_S = 900
_LOSSES = ("loss 1 %", "loss 3 %", "loss 5 %", "loss 10 %", "burst loss 5 %")


class Measured:
    """All phones' figures of one part of :mod:`bench.media.live`."""

    def __init__(self, part: str, phones: Sequence[str], *arguments: str, together: bool = False) -> None:
        command = ("bench.media.live",)
        with ThreadPoolExecutor(len(phones) if together else 1) as pool:
            found = list(pool.map(lambda phone: measured(*command, phone, part, *arguments), phones))
        self._figures = dict(zip(phones, (figures for figures, _ in found), strict=True))
        self._why = dict(zip(phones, (why for _, why in found), strict=True))

    def of(self, phone: str, key: str) -> float | None:
        """One figure."""
        value = self._figures[phone].get(key)
        return None if value is None else float(value)

    def row(self, title: str, key: str, unit: str = "", target: str = "", *, digits: int = 2, note: str = "") -> Figure:
        """The row of a figure that all phones have."""
        others = {PHONES[name].title: self.of(name, key) for name in self._figures if name != "offhook"}
        failures = [f"{PHONES[name].title}: {why}" for name, why in self._why.items() if why]
        return Figure(
            title=title,
            value=self.of("offhook", key),
            unit=unit,
            target=target,
            digits=digits,
            note="; ".join([*([note] if note else []), *failures]),
            others=others,
        )

    def runs(self, key: str) -> str:
        """Offhook's single runs."""
        return f"runs {self._figures['offhook'].get(key, '')}"


def installed(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The phones that can be measured, and a line for each that cannot."""
    there = [name for name in wanted if PHONES[name].version()]
    missing = [f"{PHONES[name].title} is not installed: {PHONES[name].install}" for name in wanted if name not in there]
    return there, missing


def rows(phones: Sequence[str], *, quick: bool, minutes: float = 0.0) -> Iterator[tuple[str, Iterator[Figure]]]:
    """Groups of them."""
    if reason := why_unavailable():
        print(f"The rows in real time are not measured: {reason}.", file=sys.stderr)
        return
    runs = "1" if quick else "3"
    yield "Delay, through devices", _late(phones, runs)
    yield "The wire", _signals(phones)
    yield "In a call", _steady(phones, "8" if quick else "20")
    yield "What a call costs", _cost(phones, 1 if quick else 5)
    yield "What is heard, through devices", _quality(phones, "1" if quick else "3")
    yield "Memory by what is loaded", _memory()
    yield "Sound devices that fail in a call", _faults()
    if minutes:
        yield f"A call of {minutes:g} minutes", _long(minutes)


def _late(phones: Sequence[str], runs: str) -> Iterator[Figure]:
    got = Measured("late", phones, "--runs", runs)
    for title, target in (
        ("mouth to ear", "<= 85"),
        ("mouth to ear, devices found idle", "<= 85"),
        ("round trip", "<= 110"),
    ):
        note = got.runs(f"{title}, runs")
        yield got.row(title, f"{title}, ms", "ms", target, digits=0, note=note)


def _signals(phones: Sequence[str]) -> Iterator[Figure]:
    got = Measured("signals", phones)
    yield got.row("200 OK to first RTP", "200 to first RTP, ms", "ms", "<= 30", digits=1)
    yield got.row("far BYE to 200 OK", "far BYE to 200, ms", "ms", "<= 5", digits=1)
    yield got.row("hang-up to BYE", "hang-up to BYE, ms", "ms", "<= 5", digits=1)


def _steady(phones: Sequence[str], seconds: str) -> Iterator[Figure]:
    got = Measured("steady", phones, "--seconds", seconds)
    for key, title, p99, worst in (
        ("quiet", "", "<= 0.6", "<= 3"),
        ("busy", "beside two busy loops: ", "<= 2.3", "<= 5"),
        ("console", "with the console repainting: ", "<= 0.6", "<= 3"),
    ):
        load = got.of("offhook", f"{key}: load")
        note = "" if load is None else f"load {load:.1f}"
        yield got.row(f"{title}RTP interval off by, p99", f"{key}: off p99, ms", "ms", p99, note=note)
        yield got.row(f"{title}RTP interval off by, worst", f"{key}: off worst, ms", "ms", worst)
        yield got.row(f"{title}packets missing", f"{key}: missing", "", "<= 0", digits=0)


def _cost(phones: Sequence[str], rounds: int) -> Iterator[Figure]:
    """In turns, and medians: what else the machine does, and how fast it is, changes within a minute."""
    got = [Measured("cost", phones, "--seconds", "10") for _ in range(rounds)]

    def median(phone: str, key: str) -> float | None:
        found = [value for one in got if (value := one.of(phone, key)) is not None]
        return statistics.median(found) if found else None

    baresip = median("baresip", "CPU %") if "baresip" in phones else None
    twice = "" if baresip is None else f"<= {2 * baresip:.1f}"
    for title, key, unit, target, note in (
        ("CPU of one core", "CPU %", "%", twice, "target: twice baresip's"),
        ("PSS", "PSS MB", "MB", "<= 45", ""),
    ):
        others = {PHONES[name].title: median(name, key) for name in phones if name != "offhook"}
        value = median("offhook", key)
        yield Figure(title=title, value=value, unit=unit, target=target, digits=1, note=note, others=others)


def _quality(phones: Sequence[str], clips: str) -> Iterator[Figure]:
    got = Measured("quality", phones, "--runs", clips, together=True)
    yield got.row("PESQ, clean", "clean: PESQ", "", ">= 4.1", note=got.runs("clean: scores"))
    yield got.row("PESQ, jitter 60 ms", "jitter 60 ms: PESQ", "", ">= 4.1", note=got.runs("jitter 60 ms: scores"))
    for name in _LOSSES:
        yield got.row(f"PESQ, {name}", f"{name}: PESQ", note=got.runs(f"{name}: scores"))
    yield got.row("wire to ear, clean", "clean: delay, ms", "ms", digits=0)
    yield got.row("wire to ear, jitter 60 ms", "jitter 60 ms: delay, ms", "ms", digits=0)


def _memory() -> Iterator[Figure]:
    figures, why = measured("bench.media.memory")
    for name, size in figures.items():
        yield Figure(title=name, value=size, unit="MB", digits=1)
    encrypted, why_not = measured("bench.media.memory", "--encryption")
    title = "all, with what a DTLS-SRTP call loads"
    yield Figure(title=title, value=encrypted.get("all"), unit="MB", digits=1, note=why or why_not)


def _faults() -> Iterator[Figure]:
    figures, why = measured("bench.device_faults")
    for name in ("headset pulled", "server killed", "server frozen 10 s"):
        row = figures.get(name, {})
        yield Figure(
            title=f"{name}: told after", value=row.get("told_ms"), unit="ms", target="<= 1000", digits=0, note=why
        )
        yield Figure(title=f"{name}: sound back after", value=row.get("back_ms"), unit="ms", target="<= 2000", digits=0)
        title = f"{name}: longest time without RTP"
        yield Figure(title=title, value=row.get("gap_ms"), unit="ms", target="<= 40", digits=0)
        yield Figure(title=f"{name}: packets missing", value=row.get("missing"), target="<= 0", digits=0)


def _long(minutes: float) -> Iterator[Figure]:
    got = Measured("long", ("offhook",), "--seconds", str(60 * minutes))
    yield got.row("PSS grows by", "grown, MB", "MB", "<= 1", digits=1, note="from the first minute's end")
    yield got.row("packets missing", "missing", "", "<= 0", digits=0)


def measured(module: str, *arguments: str) -> tuple[dict[str, Any], str]:
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
