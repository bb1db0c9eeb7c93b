"""What a lab test does when it cannot run, and what it leaves when it fails.

OFFHOOK_LAB=required turns a skip into a failure. A failed test leaves what explains it in `reports/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest

REPORTS = Path(__file__).resolve().parents[2] / "reports"


@runtime_checkable
class Witness(Protocol):
    """Something that can tell what happened."""

    def save_evidence(self, directory: Path) -> None: ...


WITNESSES = pytest.StashKey[list[Witness]]()
"""What a test made itself; fixtures are asked anyway."""
_NONE: list[Witness] = []


def require(reason: str | None) -> None:
    """Skip the test with a reason, or fail it where the lab is required; None lets it go on."""
    if reason is not None and os.environ.get("OFFHOOK_LAB") == "required":
        pytest.fail(f"OFFHOOK_LAB=required, but {reason}", pytrace=False)
    if reason is not None:
        pytest.skip(reason)


def save_evidence(item: pytest.Item) -> None:
    """Let everything a failed test used say what it saw."""
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    found = [value for value in arguments.values() if isinstance(value, Witness)]
    witnesses = found + item.stash.get(WITNESSES, _NONE)
    if witnesses:
        directory = REPORTS / re.sub(r"[^\w.-]+", "_", item.nodeid)
        directory.mkdir(parents=True, exist_ok=True)
        for witness in witnesses:
            witness.save_evidence(directory)
