"""A block of text in a fixed place that repaints only the cells that changed.

    show([[("● ", "ok"), ("REGISTERED", "strong")], …])  ─▶ differing cells of each row ─▶ refresh(Region)

A row is a list of (text, role) pieces; a role is a style in the theme's colours, and no markup is ever parsed in texts.
Over SSH this costs tens of bytes where a relayout costs kilobytes.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

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

# Not component classes of the stylesheet: those are computed for every widget, used or not, each time one is styled.
ROLES = {
    "dim": "auto 60%",
    "ok": "bold $text-success",
    "warn": "bold $text-warning",
    "error": "bold $text-error",
    "accent": "$text-accent",
    "strong": "bold",
    "selected": "reverse",
    "alert": "bold reverse $text-error",
}
"""Style of each role, in Textual's words."""

ROLES_OF_16_COLOURS = {
    **ROLES,
    "dim": "ansi_bright_black",
    "ok": "bold ansi_green",
    "warn": "bold ansi_yellow",
    "error": "bold ansi_red",
    "accent": "ansi_cyan",
    "alert": "bold reverse ansi_red",
}
"""The same where the terminal's own palette is used."""


class Rows(Widget, can_focus=False):
    """Rows of (text, role) pieces, cut to the widget's size."""

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
        pieces = groupby(self._rows[y], key=itemgetter(1)) if y < len(self._rows) else ()
        segments = [Segment("".join(text for text, _ in group), self._style(role)) for role, group in pieces]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, role: str) -> Style:
        if not role:
            return self.rich_style
        roles = ROLES_OF_16_COLOURS if self.app.native_ansi_color else ROLES
        return (self.visual_style + self.app.stylesheet.parse_style(roles[role])).rich_style


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
