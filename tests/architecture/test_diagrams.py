"""The diagrams in docs are those of the tables in the code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tests.architecture.diagrams import DOCUMENT, TABLES, document

if TYPE_CHECKING:
    from pathlib import Path


def test_the_document_is_up_to_date() -> None:
    """Otherwise run `python -m tests.architecture.diagrams`."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_every_table_of_the_code_is_drawn() -> None:
    """A module with TRANSITIONS belongs into the list."""
    root = DOCUMENT.parents[1]
    found = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in (root / "sipcore").rglob("*.py")
        if _has_table(path)
    }
    assert found == set(TABLES)


def test_every_state_is_in_the_picture() -> None:
    """With its table's every row."""
    text = document()
    for name in TABLES:
        module = importlib.import_module(name)
        for state in module.State:
            assert f"| {state.name} |" in text
        for before, event in module.TRANSITIONS:
            assert f"| {before.name} | {event.name} |" in text


def _has_table(path: Path) -> bool:
    return "\nTRANSITIONS: dict[" in path.read_text(encoding="utf-8")
