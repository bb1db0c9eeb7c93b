"""The simulation finds the bugs of tests/sim/planted.py, put in one after the other; ``make sim-planted`` hunts all."""

from __future__ import annotations

import pytest

from tests.sim.planted import BUGS, Bug, hunt
from tests.sim.scenario import run

_SEEDS = 400
_RARE = {
    "CSeq of dialogs starts anew after a crash",
}
"""These take a schedule in a thousand; the full hunt finds them."""


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name not in _RARE], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_soon(bug: Bug) -> None:
    found = hunt(bug, limit=_SEEDS)
    assert found.seeds, f"not found in {_SEEDS} schedules"


def test_a_plant_is_taken_out_again() -> None:
    """Also one that has been found: what follows runs without it."""
    before = run(1)
    assert before.violation is None
    assert hunt(next(bug for bug in BUGS if bug.name == "a lost connection ends the calls"), limit=1).seeds == 1
    assert run(1) == before
