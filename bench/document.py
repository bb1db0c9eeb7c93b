"""What a bench found, put in a document between its marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_into(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks called ``name``, in place of what stands there."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    head, found, rest = document.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document.name} has no marks for {name!r}")
    document.write_text(f"{head}{begin}\n{text}\n{end}{tail}")
