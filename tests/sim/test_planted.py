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

_LIKELY = {
    "a second REGISTER while one is in flight": 99,
    "Retry-After is not read": 31,
    "attempts go on while the link is down": 139,
    "a dead flow is never noticed": 94,
    "a resumed machine trusts its connection": 193,
    "a new address is ignored": 55,
    "a hold in flight is lost with the connection": 383,
    "an unanswered call rings on after a loss": 144,
    "481 to a re-INVITE is ignored": 36,
    "a 200 is sent once": 43,
    "BYEs are not kept over a crash": 67,
}
"""The seeds that ``make sim-planted`` names, tried first. One that has come to find nothing costs time and no proof:
all are tried then.
"""


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name not in _RARE], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_soon(bug: Bug) -> None:
    found = hunt(bug, limit=_SEEDS, likely=_LIKELY.get(bug.name, 1))
    assert found.seeds, f"not found in {_SEEDS} schedules"


def test_a_plant_is_taken_out_again() -> None:
    """Also one that has been found: what follows runs without it."""
    before = run(1)
    assert before.violation is None
    assert hunt(next(bug for bug in BUGS if bug.name == "a lost connection ends the calls"), limit=1).seeds == 1
    assert run(1) == before
