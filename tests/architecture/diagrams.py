"""Draws docs/state-machines.md from the transition tables, so that the pictures cannot lie.

`python -m tests.architecture.diagrams` writes the file; test_diagrams.py checks that it is up to date.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TABLES = (
    "sipcore.transaction.invite_client",
    "sipcore.transaction.client",
    "sipcore.transaction.invite_server",
    "sipcore.transaction.server",
    "sipcore.dialog.session",
    "sipcore.resilience.flow_table",
    "sipcore.resilience.registration_table",
)
"""Modules with ``TRANSITIONS`` as ``{(state, input): (state, effects)}``; a state nobody enters is a start."""

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "state-machines.md"

_HEAD = """# State machines

Generated from the tables in the code by `python -m tests.architecture.diagrams`; do not edit.
What is not drawn changes nothing. Each table below its diagram lists what is carried out, in order.
"""

Table = Mapping[tuple[enum.Enum, enum.Enum], tuple[enum.Enum, tuple[enum.Enum, ...]]]


def document() -> str:
    """The whole file."""
    return "\n".join([_HEAD, *(part for name in TABLES for part in _section(name))])


def _section(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    table: Table = module.TRANSITIONS
    states: type[enum.Enum] = module.State
    summary = (inspect.getdoc(module) or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
    yield f"## `{name}`\n\n{summary}\n"
    yield "```mermaid\nstateDiagram-v2"
    yield from _arrows(table, states)
    yield "```\n"
    yield "| state | input | next | effects |\n|---|---|---|---|"
    for (before, event), (after, effects) in _ordered(table, states):
        words = ", ".join(effect.name for effect in effects) or "–"
        yield f"| {before.name} | {event.name} | {after.name} | {words} |"
    yield ""


def _arrows(table: Table, states: type[enum.Enum]) -> Iterator[str]:
    """One arrow per pair of states, labelled with every input that takes it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), (after, _) in _ordered(table, states):
        arrows.setdefault((before.name, after.name), []).append(event.name)
    entered = {after for before, after in arrows if before != after}
    left = {before for before, after in arrows if before != after}
    for state in states:
        if state.name not in entered:
            yield f"    [*] --> {state.name}"
    if all(state.name in entered for state in states):
        yield f"    [*] --> {next(iter(states)).name}"
    for (before_name, after_name), events in arrows.items():
        yield f"    {before_name} --> {after_name}: {'<br>'.join(events)}"
    for state in states:
        if state.name not in left:
            yield f"    {state.name} --> [*]"


def _ordered(table: Table, states: type[enum.Enum]) -> list[Any]:
    """The rows by state, in the order of the enumeration, each state's in the order of the table."""
    order = {state: number for number, state in enumerate(states)}
    return sorted(table.items(), key=lambda row: order[row[0][0]])


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
