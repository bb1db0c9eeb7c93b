"""What every test shares: hypothesis profiles, the lab's fixtures, and evidence of failures."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.evidence import save_evidence

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["tests.lab.fixtures"]

# Two shared cores: a deadline in wall time would test the machine. CI replays the same examples at every run.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# One call of a lab test may take a minute; a unit test never more than pyproject's 20 s.
_LAB_TIMEOUT_S = 120
_LAB_MARKS = ("lab", "audio", "journey")


# A shell's background job ignores Ctrl+C, and so would every program the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.get_closest_marker(name) for name in _LAB_MARKS) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LAB_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        save_evidence(item)
    return report
