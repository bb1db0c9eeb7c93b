"""Runs as data: what one session measured can be printed beside another's.

One file is `{"runs": [...]}` with a run on each line; merging two is putting their lines together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BROKE = "the run broke"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one row by one phone."""

    row: str
    peer: str
    version: str
    """The phone's."""

    pbx: str
    date: str
    """ISO, without the time."""

    seconds: float | None
    """In the unit of the row; None is "never", which is not within ``cap_s`` of the fault's end."""

    cap_s: float
    facts: dict[str, float | str]
    broken: list[str]
    load: float
    """Of the machine while it ran; 0 where nobody looked."""

    spent_s: float

    @property
    def broke(self) -> bool:
        """Whether the bench itself failed, so that nothing was found out."""
        return any(promise.startswith(BROKE) for promise in self.broken)


def load(path: Path) -> list[Run]:
    """The runs in a file."""
    return [Run(**run) for run in json.loads(path.read_text())["runs"]]


def save(path: Path, runs: Iterable[Run]) -> None:
    """Write a file anew, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(run), ensure_ascii=False) for run in runs)
    beside = path.with_name(path.name + ".new")
    beside.write_text(f'{{"runs": [\n{lines}\n]}}\n')
    beside.replace(path)
