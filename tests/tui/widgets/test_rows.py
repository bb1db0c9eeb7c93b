"""Only the cells that differ are repainted, and the list keeps its cursor."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from tui.widgets.choice import Choice
from tui.widgets.list_rows import ListRows
from tui.widgets.rows import Piece, Rows, _changed_cells

ROLES = st.sampled_from(["", "ok", "dim"])
PIECES = st.lists(st.tuples(st.text(alphabet="ab日 é", max_size=6), ROLES), max_size=4)


def cells(row: list[Piece]) -> list[tuple[str, str]]:
    """Each cell's character; a wide one takes two."""
    return [(c, role) for text, role in row for c in text for _ in range(cell_len(c))]


@given(PIECES, PIECES)
def test_everything_outside_of_the_repainted_span_is_equal(old: list[Piece], new: list[Piece]) -> None:
    span = _changed_cells(old, new)
    before, after = cells(old), cells(new)
    width = max(len(before), len(after))
    start, end = span or (0, 0)
    for x in [*range(start), *range(end, width)]:
        assert before[x : x + 1] == after[x : x + 1] or not (before[x : x + 1] or after[x : x + 1])


@pytest.mark.parametrize(
    ("old", "new", "span"),
    [
        ([("0:59", "")], [("1:00", "")], (0, 4)),
        ([("4:12", "")], [("4:13", "")], (3, 4)),
        ([("a", "ok")], [("a", "dim")], (0, 1)),
        ([("a", "ok"), ("b", "ok")], [("ab", "ok")], None),
        ([], [("ab", "")], (0, 2)),
        ([("ab", "")], [], (0, 2)),
        ([("日x", "")], [("日y", "")], (2, 3)),
    ],
)
def test_spans(old: list[Piece], new: list[Piece], span: tuple[int, int] | None) -> None:
    assert _changed_cells(old, new) == span


class Stage(App[None]):
    """One widget on an empty screen."""

    CSS = "Rows { height: 4; width: 20; }"

    def __init__(self, widget: Rows) -> None:
        super().__init__()
        self.widget = widget
        self.heard: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.widget

    def on_list_rows_chosen(self, event: ListRows.Chosen) -> None:
        self.heard.append(event.key)

    def on_choice_changed(self, event: Choice.Changed) -> None:
        self.heard.append(event.value)


def items(*keys: str) -> list[tuple[str, list[Piece]]]:
    return [(key, [(key or "heading", "")]) for key in keys]


def test_the_cursor_skips_headings_and_stays_on_its_key() -> None:
    async def scenario() -> None:
        listed = ListRows()
        app = Stage(listed)
        async with app.run_test() as pilot:
            listed.show_items(items("", "3", "2", "", "1"))
            listed.focus()
            seen = [listed.selected]
            await pilot.press("down", "down", "down")
            seen.append(listed.selected)
            listed.show_items(items("", "4", "3", "2", "", "1"))
            assert [*seen, listed.selected] == ["3", "1", "1"]
            await pilot.press("home", "enter")
            assert app.heard == ["4"]
            listed.show_items([])
            assert listed.selected is None
            await pilot.press("enter", "up")
            assert app.heard == ["4"]

    asyncio.run(scenario())


def test_a_long_list_scrolls_with_the_cursor() -> None:
    async def scenario() -> None:
        listed = ListRows()
        async with Stage(listed).run_test() as pilot:
            listed.show_items(items(*"abcdefgh"))
            listed.focus()
            await pilot.press("end")
            assert listed.plain() == ["e", "f", "g", "h"]
            await pilot.press("home")
            assert listed.plain() == ["a", "b", "c", "d"]

    asyncio.run(scenario())


def test_a_choice_turns_and_tells() -> None:
    async def scenario() -> None:
        choice = Choice(("auto", "dark", "light"), "dark", texts={"light": "bright"})
        app = Stage(choice)
        async with app.run_test() as pilot:
            choice.focus()
            await pilot.press("right")
            assert choice.plain() == ["‹ bright ›"]
            await pilot.press("space", "left")
            await pilot.pause()
            assert (choice.value, app.heard) == ("light", ["light", "auto", "light"])
            choice.use("elsewhere")
            await pilot.press("right")
            assert choice.value == "auto"

    asyncio.run(scenario())
