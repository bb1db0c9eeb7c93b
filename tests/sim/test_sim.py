"""The deterministic simulation: ``OFFHOOK_SIM_SEEDS`` schedules of faults (500 by default), no violation."""

from __future__ import annotations

import os

import pytest

from tests.sim.scenario import run

SEEDS = int(os.environ.get("OFFHOOK_SIM_SEEDS") or "500")
_PARTS = 10


@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(_PARTS))
def test_no_schedule_of_faults_violates_an_invariant(part: int) -> None:
    """A seed named here replays with ``python -m tests.sim.run --seeds 1 --first SEED``."""
    found = [report for seed in range(1 + part, SEEDS + 1, _PARTS) if (report := run(seed)).violation is not None]
    assert not found, "\n".join(
        f"seed {report.seed}: {report.violation} ({', '.join(report.kinds)})" for report in found
    )


def test_a_seed_replays_exactly() -> None:
    assert run(17) == run(17)
