"""The table of `make bench-calls`: what it says of runs, and when a promise counts as kept."""

from __future__ import annotations

from typing import Any

from bench.calls.__main__ import SHEET, kept_promise
from bench.calls.callers import CALLERS
from bench.calls.rows import ROWS
from bench.calls.stage import HANGING_UP, PAUSE, Finding
from bench.resilience.records import Run
from bench.table import markdown

ADDRESS = next(row for row in ROWS if row.name == "address")


def run(peer: str, gap_ms: float | None, **changes: Any) -> Run:
    """A run of the row `address`."""
    values: dict[str, Any] = {
        "row": "address",
        "version": "1.0",
        "pbx": "Asterisk 22",
        "date": "2026-11-28",
        "cap_s": 60.0,
        "facts": {HANGING_UP: "from the PBX: yes", PAUSE: 23},
        "broken": [],
        "load": 0.5,
        "spent_s": 1.0,
    }
    return Run(peer=peer, seconds=gap_ms, **{**values, **changes})


def test_a_row_has_a_column_for_each_phone_and_kind_of_call() -> None:
    ours = [run("offhook plain", 140.4), run("offhook plain", 152.0), run("offhook DTLS", 1001.0)]
    never = run("jssip DTLS", None, facts={HANGING_UP: "from the PBX: no call, a channel left"})
    lines = markdown([*ours, never], SHEET).splitlines()
    assert lines[0] == "| fault | target | Offhook, plain | Offhook, SDES | Offhook, DTLS | JsSIP, DTLS |"
    assert lines[2] == (
        "| new address, link down 2 s | ≤ 1000 ms | 152.0 (140.4–152.0, n 2) | – | 1,001 **missed** "
        "| never heard again (n 1) |"
    )
    assert lines[3] == (
        "| ↳ BYE arrives |  | from the PBX: yes | – | from the PBX: yes | from the PBX: no call, a channel left |"
    )
    assert lines[4] == "| ↳ longest pause ms |  | 23 | – | 23 | – |"
    assert "- Offhook, plain 1.0 behind Asterisk 22, 2026-11-28, 2 runs, load 0.5 to 0.5" in lines


def test_targets_differ_by_kind() -> None:
    kill = next(row for row in ROWS if row.name == "kill")
    assert kill.said_target == "plain ≤ 1500 ms; SDES ≤ 3000 ms; DTLS ≤ 3000 ms"
    assert kept_promise(run("offhook DTLS", 2900.0, row="kill"))
    assert not kept_promise(run("offhook plain", 2900.0, row="kill"))
    assert not kept_promise(run("offhook plain", None, row="kill"))


def test_every_promise_of_a_row_counts() -> None:
    assert Finding(gap_ms=0, up=True, bye=True).broken() == []
    assert Finding(up=False).broken() == ["the call is not up"]
    assert Finding(up=True, bye=False, by_pbx=True).broken() == ["BYE from the PBX: no"]
    assert Finding(up=True, bye=True, left=1).broken() == ["channels left: 1"]


def test_every_row_has_a_target_for_its_kinds_and_known_phones() -> None:
    for row in ROWS:
        assert all(row.target_of(f"offhook {kind.name}") is not None for kind in row.kinds)
        assert set(row.phones) <= set(CALLERS)
    assert len({row.name for row in ROWS}) == len(ROWS)
