"""A list of rows with a cursor: arrows move, Enter selects; it repaints two rows a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tui.widgets.rows import Piece, Row, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events


class ListRows(Rows, can_focus=True):
    """Rows of which one is under the cursor; keeps the cursor on the same key when the content changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-10000)", show=False),
        Binding("end", "move(10000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Enter was pressed on the row with ``key``."""

        key: str

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._items: list[tuple[str, Row]] = []
        self._cursor = 0
        self._top = 0

    @property
    def selected(self) -> str | None:
        """The key under the cursor; None for an empty list or a heading."""
        return self._items[self._cursor][0] or None if self._items else None

    def show_items(self, items: Sequence[tuple[str, Row]]) -> None:
        """Replace the content; an empty key makes a heading, which the cursor skips."""
        kept = self.selected
        self._items = list(items)
        keys = [key for key, _ in self._items]
        self._cursor = keys.index(kept) if kept in keys else next((i for i, key in enumerate(keys) if key), 0)
        self._draw()

    def action_move(self, step: int) -> None:
        """Move the cursor by ``step`` rows, over headings."""
        places = [place for place, (key, _) in enumerate(self._items) if key]
        if not places:
            return
        here = places.index(self._cursor) if self._cursor in places else 0
        self._cursor = places[max(0, min(len(places) - 1, here + step))]
        self._draw()

    def action_choose(self) -> None:
        """Tell whoever listens which row was chosen."""
        if self.selected:
            self.post_message(self.Chosen(self.selected))

    def on_focus(self) -> None:
        """Show the cursor."""
        self._draw()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self._draw(focused=False)

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor visible."""
        self._draw()

    def _draw(self, focused: bool | None = None) -> None:
        height = self.size.height or len(self._items)  # before the first layout nothing is out of sight
        if self._cursor < self._top:
            self._top = max(0, self._cursor - 1)
        elif self._cursor >= self._top + height:
            self._top = self._cursor - height + 1
        marked = self.has_focus if focused is None else focused
        shown: list[list[Piece]] = []
        for place, (_, row) in enumerate(self._items[self._top : self._top + height], start=self._top):
            chosen = marked and place == self._cursor
            shown.append([(text, "selected") for text, _ in row] if chosen else row)
        self.show(shown)
