"""The table of the resilience bench: what a cell says, what counts as missed, and that runs survive a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bench.peers.registry import PEERS
from bench.resilience import records, table
from bench.resilience.records import Run
from bench.table import cell, within, write_into

if TYPE_CHECKING:
    from pathlib import Path


def run(seconds: float | None, **changes: Any) -> Run:
    """A run of the row `reset` by Offhook."""
    values: dict[str, Any] = {
        "row": "reset",
        "peer": "offhook",
        "version": "1.0",
        "pbx": "Asterisk 22",
        "date": "2026-11-23",
        "cap_s": 60.0,
        "facts": {},
        "broken": [],
        "load": 0.0,
        "spent_s": 1.0,
    }
    return Run(seconds=seconds, **{**values, **changes})


RESET = table.row("reset")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([], "–"),
        ([run(0.5)], "0.50"),
        ([run(0.9), run(0.5), run(0.7)], "0.70 (0.50–0.90, n 3)"),
        ([run(0.5), run(None)], "never (> 60, n 2)"),
        ([run(0.5), run(None), run(0.7)], "0.70 (0.50–never, n 3)"),
        ([run(None, broken=["the run broke: no namespace"])], "broke"),
        ([run(None, broken=["the run broke: no namespace"]), run(0.5)], "0.50"),
        ([run(17858.0)], "17,858"),
    ],
)
def test_a_cell_is_the_median_with_its_range(runs: list[Run], said: str) -> None:
    assert cell(runs) == said


@pytest.mark.parametrize(
    ("runs", "kept"),
    [
        ([run(1.0)], True),
        ([run(1.1)], False),
        ([run(0.1), run(0.2), run(9.0)], True),
        ([run(0.1), run(0.2), run(None)], False),
    ],
)
def test_one_never_or_a_late_median_misses_the_target(runs: list[Run], kept: bool) -> None:
    assert RESET.target == 1.0
    assert within(RESET.target, runs) is kept


def test_the_table_marks_what_is_missed_and_what_is_broken() -> None:
    said = table.markdown([run(3.0, broken=["one success"]), run(0.7, peer="jssip"), run(None, peer="sipjs")])
    (line,) = (line for line in said.splitlines() if line.startswith("| S1: reset"))
    assert line == "| S1: reset, refused 3 s | ≤ 1 s | 3.00 **missed** | 0.70 | never (> 60, n 1) | 27 | 57 |"
    assert "**broken: one success**" in said
    assert "a human was needed in 1 of 1 rows" in said


def test_a_table_of_offhook_alone_has_no_other_column() -> None:
    header = table.markdown([run(0.5)]).splitlines()[0]
    assert header == "| fault | target | Offhook |"


def test_runs_survive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "reports/runs.json"
    runs = [run(0.5, facts={"contacts": 1, "gaps": "0.4 0.6"}), run(None, peer="baresip", broken=["…"])]
    records.save(path, runs)
    assert records.load(path) == runs
    assert len(path.read_text().splitlines()) == len(runs) + 2


def test_a_table_goes_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "some.md"
    path.write_text("before\n<!-- one: begin -->\nold\n<!-- one: end -->\nafter\n")
    write_into(path, "one", "| new |\n")
    assert path.read_text() == "before\n<!-- one: begin -->\n\n| new |\n\n<!-- one: end -->\nafter\n"
    with pytest.raises(ValueError, match="no marks"):
        write_into(path, "two", "")


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in table.ROWS]
    assert len(names) == len(set(names))
    assert set(table._EARLIER) <= set(names)
    assert {peer for _, peer in table._EARLIER_FACTS} <= {*PEERS, "transportOptions", "linphone"}


def test_facts_with_a_line_of_their_own() -> None:
    runs = [run(0.5, row="refused", facts={"attempts": count}) for count in (8, 9, 9)]
    said = table.markdown([*runs, run(None, row="refused", peer="sipjs", facts={"attempts": 3})])
    assert "| ↳ attempts |  | 9 (8–9) | 3 | 4 to 5 | 2 to 3 |" in said.splitlines()
