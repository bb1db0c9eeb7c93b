"""Tables of runs: every row with its target, what Offhook took, and what every other phone took.

    runs ── by row and column ──▶ cell: median (range, number) ──▶ Markdown ──▶ a document, between its marks

A cell is the median and, of more than one run, the range and their number. `never` is not within the cap of the run;
of two in the middle the longer one counts.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.resilience.records import Run


class Row(Protocol):
    """One line of a table."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def none(self) -> str:
        """What it means that a run has no figure."""
        ...

    @property
    def also(self) -> tuple[str, ...]:
        """Facts of its runs that get a line of the table."""
        ...

    @property
    def said_target(self) -> str:
        """The target's cell."""
        ...

    def target_of(self, column: str) -> float | None:
        """The most that the median of a column of ours may be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a table is of. A column is named by the ``peer`` of its runs."""

    rows: Sequence[Row]
    columns: Mapping[str, str]
    """Titles by name, in order."""

    ours: tuple[str, ...]
    """Those of Offhook, which are always there and have targets."""

    earlier: Mapping[str, str] = field(default_factory=dict)
    """More columns, beside others' only, of which there is nothing but what is known."""

    known: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By row or fact, and column: what is printed where no run has it."""

    verdict: Callable[[Sequence[Run]], str] | None = None
    """What is to be said of all runs of a column."""

    shows_facts: bool = False
    """Whether the facts of the median runs of ours are listed beneath."""


def markdown(runs: Iterable[Run], sheet: Sheet) -> str:
    """The whole table, with versions and dates beneath; rows nobody ran are left out."""
    by_cell = {key: list(group) for key, group in groupby(sorted(runs, key=_cell_of), key=_cell_of)}
    columns = [name for name in sheet.columns if name in sheet.ours or any(peer == name for _, peer in by_cell)]
    earlier = list(sheet.earlier) if len(columns) > len(sheet.ours) else []
    titles = ["fault", "target", *(sheet.columns[name] for name in columns), *(sheet.earlier[name] for name in earlier)]
    lines = [_line(titles), _line(["---"] * len(titles))]
    facts = []
    for row in sheet.rows:
        found = {name: by_cell.get((row.name, name), []) for name in columns}
        if not any(found.values()):
            continue
        cells = [cell(found[name], row.none) + _mark(row, name, found[name], sheet) for name in columns]
        cells += [sheet.known.get((row.name, name), "") for name in earlier]
        lines.append(_line([row.title, row.said_target, *cells]))
        for fact in row.also:
            told = [_told(fact, name, found.get(name), sheet) for name in (*columns, *earlier)]
            lines.append(_line([f"↳ {fact}", "", *told]))
        facts += [_facts(row, ours) for name in sheet.ours if sheet.shows_facts and (ours := found[name])]
    beneath = ["Of Offhook's median run:\n", *facts] if facts else []
    return "\n".join([*lines, "", *_who(by_cell, sheet), "", *beneath]).rstrip() + "\n"


def write_into(document: Path, name: str, text: str) -> None:
    """Put a table between its marks in a document."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    head, found, rest = document.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document.name} has no marks for {name!r}")
    document.write_text(f"{head}{begin}\n{text}\n{end}{tail}")


def cell(runs: Sequence[Run], none: str = "never") -> str:
    """The median, the range and how many."""
    if not runs:
        return "–"
    runs = [run for run in runs if not run.broke]
    if not runs:
        return "broke"
    middle = median(runs).seconds
    if middle is None and none != "never":
        return f"{none} (n {len(runs)})"
    if middle is None:
        return f"never (> {max(run.cap_s for run in runs):g}, n {len(runs)})"
    if len(runs) == 1:
        return figure(middle)
    known = [run.seconds for run in runs if run.seconds is not None]
    most = figure(max(known)) if len(known) == len(runs) else "never"
    return f"{figure(middle)} ({figure(min(known))}–{most}, n {len(runs)})"


def median(runs: Sequence[Run]) -> Run:
    """The middle run, "never" being the longest of all; of two in the middle the longer one."""
    ordered = sorted(runs, key=lambda run: float("inf") if run.seconds is None else run.seconds)
    return ordered[len(ordered) // 2]


def within(target: float | None, runs: Sequence[Run]) -> bool:
    """Whether no run is "never" and the median meets the target."""
    seconds = median(runs).seconds
    if seconds is None or any(run.seconds is None for run in runs):
        return False
    return target is None or round(seconds, 2) <= target


def figure(value: float | str | None) -> str:
    """A value for people."""
    match value:
        case None:
            return "never"
        case str():
            return value
        case int():
            return f"{value:,}"
        case _:
            return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _mark(row: Row, column: str, runs: Sequence[Run], sheet: Sheet) -> str:
    missed = column in sheet.ours and runs and not within(row.target_of(column), runs)
    return " **missed**" if missed else ""


def _told(fact: str, column: str, runs: Sequence[Run] | None, sheet: Sheet) -> str:
    """A cell of a fact: what the runs say, else what is known."""
    known = sheet.known.get((fact, column), "")
    if runs is None:
        return known
    told = _fact(fact, runs)
    return told if told != "–" else known or told


def _fact(name: str, runs: Sequence[Run]) -> str:
    known = [float(value) for run in runs if isinstance(value := run.facts.get(name), (int, float))]
    if not known:
        said = {str(value) for run in runs if (value := run.facts.get(name)) is not None}
        return "; ".join(sorted(said)) or "–"
    least, middle, most = min(known), statistics.median_high(known), max(known)
    return f"{middle:g}" if least == most else f"{middle:g} ({least:g}–{most:g})"


def _facts(row: Row, runs: Sequence[Run]) -> str:
    facts = [f"{name} {figure(value)}" for name, value in median(runs).facts.items()]
    facts += [f"**broken: {promise}**" for promise in sorted({promise for run in runs for promise in run.broken})]
    load = statistics.median(run.load for run in runs)
    facts += [f"load {load:.1f}"] if load else []
    return f"- `{row.name}`: {'; '.join(facts)}"


def _who(by_cell: Mapping[tuple[str, str], Sequence[Run]], sheet: Sheet) -> list[str]:
    """A line for each column: its version, its PBX, when, and how busy the machine was."""
    lines = []
    for name, title in sheet.columns.items():
        runs = [run for (_, peer), found in by_cell.items() if peer == name for run in found]
        if runs:
            versions, pbxs, dates = ({getattr(run, what) for run in runs} for what in ("version", "pbx", "date"))
            known = ", ".join(sorted(versions)), ", ".join(sorted(pbxs)), ", ".join(sorted(dates))
            loads = [run.load for run in runs if run.load]
            busy = f", load {min(loads):.1f} to {max(loads):.1f}" if loads else ""
            verdict = f": {sheet.verdict(runs)}" if sheet.verdict else ""
            lines.append(f"- {title} {known[0]} behind {known[1]}, {known[2]}, {len(runs)} runs{busy}{verdict}")
    return lines


def _cell_of(run: Run) -> tuple[str, str]:
    return run.row, run.peer


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
