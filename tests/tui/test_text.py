"""What comes from the network is one line of printable characters of a known width."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text import clean, duration, fit


@given(st.text(max_size=400))
def test_nothing_that_steers_a_terminal_survives(text: str) -> None:
    cleaned = clean(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in cleaned)
    assert len(cleaned) <= 200
    assert clean(cleaned) == cleaned


@given(st.text(max_size=80), st.integers(min_value=0, max_value=60))
def test_a_fitted_text_has_exactly_the_width(text: str, width: int) -> None:
    assert cell_len(fit(clean(text), width)) == width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;pwn\x07", "]0;pwn"),
        ("a\nb\tc", "a b c"),
        ("  Alice   Example ", "Alice Example"),
        ("[red]x[/]", "[red]x[/]"),
        ("abc\u202edef", "abcdef"),
        ("e" + "\u0301" * 50, "e\u0301\u0301"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_cut_shows_as_an_ellipsis() -> None:
    assert fit("Alice Example", 8) == "Alice E…"
    assert fit("日本語", 5) == "日本…"
    assert fit("x", 3) == "x  "


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (-5, "0:00"), (9.9, "0:09"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
