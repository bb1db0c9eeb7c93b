"""The table of `make bench-calls`: what it says of runs, and when a promise counts as kept."""

from __future__ import annotations

import math

from bench.calls.__main__ import Line
from bench.calls.callers import CALLERS
from bench.calls.rows import ROWS
from bench.calls.stage import Run
from tests.lab.call_scene import DTLS, PLAIN

RESET = next(row for row in ROWS if row.name == "reset")
ADDRESS = next(row for row in ROWS if row.name == "address")


def good(*, by_pbx: bool, gap_ms: float = 0.0) -> Run:
    return Run(gap_ms=gap_ms, pause_ms=23.0, up=True, bye=True, by_pbx=by_pbx)


def test_a_line_shows_the_worst_of_its_runs() -> None:
    line = Line(ADDRESS, "offhook", PLAIN, [good(by_pbx=True, gap_ms=140.4), good(by_pbx=False, gap_ms=152)])
    assert line.kept
    assert str(line) == "| new address, link down 2 s | offhook | plain | 152 | 1000 | 23 | yes | yes | yes | 0 |"


def test_other_phones_have_no_target() -> None:
    never = Run(up=True, left=1, by_pbx=False)
    line = Line(ADDRESS, "jssip", DTLS, [good(by_pbx=True), never])
    assert "| never heard again |  | 23 | yes | yes | no | 1 |" in str(line)


def test_every_promise_of_a_row_counts() -> None:
    for broken in (
        good(by_pbx=True, gap_ms=20),
        Run(gap_ms=0, up=False, bye=True),
        Run(gap_ms=0, up=True, bye=False),
        Run(gap_ms=0, up=True, bye=True, left=1),
        Run(gap_ms=math.inf, up=True, bye=True),
        Run(gap_ms=0, up=True, bye=True, trouble="it broke"),
    ):
        assert not Line(RESET, "offhook", PLAIN, [good(by_pbx=False), broken]).kept


def test_a_run_that_broke_says_why() -> None:
    assert "Chromium is missing" in str(Line(RESET, "jssip", DTLS, [Run(trouble="Chromium is missing")]))


def test_every_row_has_a_target_for_its_kinds_and_known_phones() -> None:
    for row in ROWS:
        assert all(kind.name in row.target_ms for kind in row.kinds)
        assert set(row.phones) <= set(CALLERS)
    assert len({row.name for row in ROWS}) == len(ROWS)
