"""A block of text in a fixed place that repaints only the cells that changed.

    show([[("● ", "ok"), ("REGISTERED", "strong")], …])  ─▶ differing cells of each row ─▶ refresh(Region)

A row is a list of (text, role) pieces; a role is a component class ``rows--ROLE`` of the stylesheet, so themes decide
about colours and no markup is ever parsed. Over SSH this costs tens of bytes where a relayout costs kilobytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui.text import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.style import Style

Piece = tuple[str, str]
Row = list[Piece]

ROLES = ("dim", "ok", "warn", "error", "accent", "strong", "selected", "alert")


class Rows(Widget, can_focus=False):
    """Rows of (text, role) pieces, cut to the widget's size."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rows--{role}" for role in ROLES}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: list[Row] = []

    def show(self, rows: Iterable[Sequence[Piece]]) -> None:
        """Replace the content; repaints the cells that differ and nothing else."""
        before, self._rows = self._rows, [list(row) for row in rows]
        for y in range(max(len(before), len(self._rows))):
            old = before[y] if y < len(before) else []
            new = self._rows[y] if y < len(self._rows) else []
            if (span := _changed_cells(old, new)) is not None:
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def plain(self) -> list[str]:
        """The text without roles, for tests and for copying."""
        return ["".join(text for text, _ in row).rstrip() for row in self._rows]

    def render_line(self, y: int) -> Strip:
        """One row as it is painted (overrides the Textual method)."""
        base = self.rich_style
        segments = [Segment(text, self._style(role)) for text, role in self._rows[y]] if y < len(self._rows) else []
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, role: str) -> Style:
        return self.get_component_rich_style(f"rows--{role}") if role else self.rich_style


def wrapped_row(row: Sequence[Piece], width: int) -> list[Row]:
    """A row whose last piece goes on below where it is too long; the pieces before it are kept free there."""
    if not row:
        return [[]]
    *before, (text, role) = row
    used = sum(cell_len(piece) for piece, _ in before)
    first, *rest = wrapped(text, max(10, width - used))
    return [[*before, (first, role)], *([(" " * used, ""), (line, role)] for line in rest)]


def _cells(row: Sequence[Piece]) -> list[tuple[str, str]]:
    return [(character, role) for text, role in row for character in text]


def _changed_cells(old: Sequence[Piece], new: Sequence[Piece]) -> tuple[int, int] | None:
    """The cells from the first to the last difference of two rows, as a half-open range; None when equal."""
    if old == new:
        return None
    before, after = _cells(old), _cells(new)
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    start = cell_len("".join(character for character, _ in after[:first]))
    widths = (cell_len("".join(character for character, _ in cells)) for cells in (before, after))
    end = max(widths)
    if cell_len("".join(c for c, _ in before)) == cell_len("".join(c for c, _ in after)):
        tail = 0
        while tail < min(len(before), len(after)) - first and before[-1 - tail] == after[-1 - tail]:
            tail += 1
        end -= cell_len("".join(character for character, _ in after[len(after) - tail :]))
    return None if end <= start else (start, end)
