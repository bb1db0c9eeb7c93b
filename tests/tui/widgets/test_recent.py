"""The list of calls that are over: days, words, filter."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from tests.tui.scenes import NOW, RECENT, freeze_clock
from tui.widgets.recent import day_heading, outcome_word, recent_items


@pytest.fixture(autouse=True)
def utc() -> None:
    freeze_clock()


def lines(search: str = "", width: int = 34) -> list[str]:
    return [
        "".join(text for text, _ in row).rstrip()
        for _, row in recent_items(RECENT, now=NOW, width=width, search=search)
    ]


def test_calls_are_grouped_by_day() -> None:
    assert lines() == [
        "Today",
        "14:08 in   Alice Example      0:42",
        "13:41 MISS +442079460007",
        "13:30 out  Bob Support        3:10",
        "13:01 busy 603",
        "Yesterday",
        "13:13 in   Carol              1:55",
        "2026-09-19",
        "06:40 out  600             1:01:40",
    ]


def test_headings_have_no_key() -> None:
    keys = [key for key, _ in recent_items(RECENT, now=NOW, width=34)]
    assert keys == ["", "6", "5", "4", "3", "", "2", "", "1"]


def test_names_and_numbers_are_searched() -> None:
    assert [line[11:] for line in lines("bob") if ":" in line[:5]] == ["Bob Support        3:10"]
    assert len([line for line in lines("4420") if ":" in line[:5]]) == 2
    assert lines("nobody") == ["Nothing found"]


def test_an_empty_list_says_so() -> None:
    assert [row for _, row in recent_items((), now=NOW, width=34)] == [[("No calls yet", "dim")]]


@pytest.mark.parametrize(("age", "heading"), [(0, "Today"), (-1, "Today"), (1, "Yesterday"), (2, "2026-09-19")])
def test_days(age: int, heading: str) -> None:
    today = datetime.date(2026, 9, 21)
    assert day_heading(today - datetime.timedelta(days=age), today) == heading


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        ("missed", "MISS"),
        ("cancelled", "canc"),
        ("rejected", "rej"),
        ("busy", "busy"),
        ("failed", "fail"),
        ("elsewhere", "else"),
    ],
)
def test_words(outcome: str, word: str) -> None:
    assert outcome_word(replace(RECENT[0], outcome=outcome))[0] == word  # type: ignore[arg-type]
