"""What a call's far end hears of the faults of docs/resilience.md "Calls", one table: `make bench-calls`.

    python -m bench.calls [--rows reset,address] [--phones offhook,jssip,baresip] [--quick]

Each row runs twice for each kind of call: once the PBX hangs up afterwards, once the phone. Needs what the lab needs
(Debian, root), jssip Chromium and Node 20 besides. Exits 1 where Offhook breaks a promise of its row.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.browser.__main__ import Failed
from bench.calls.callers import CALLERS
from bench.calls.rows import ROWS, Row
from bench.calls.stage import Run, Trial, World
from bench.peers.cache import MissingError
from tests.lab import net, root, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.call_scene import Kind

_COLUMNS = (
    *("fault in a call", "phone", "kind", "gap ms, worst", "target", "longest pause ms"),
    *("call up", "BYE from the PBX", "from the phone", "channels left"),
)
_HEADER = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"


@dataclass(frozen=True, slots=True)
class Line:
    """What the runs of one row found for one phone and kind."""

    row: Row
    phone: str
    kind: Kind
    runs: Sequence[Run]

    @property
    def kept(self) -> bool:
        """Whether everything promised was so."""
        target = self.row.target_ms[self.kind.name]
        return all(
            not run.trouble and run.up and run.bye and not run.left and run.gap_ms <= target for run in self.runs
        )

    def __str__(self) -> str:
        troubles = [run.trouble for run in self.runs if run.trouble]
        if troubles:
            return f"| {self.row.title} | {self.phone} | {self.kind.name} | {troubles[0]} | | | | | | |"
        ways = {True: "-", False: "-"}
        ways |= {run.by_pbx: "yes" if run.bye else "no" for run in self.runs}
        target = f"{self.row.target_ms[self.kind.name]:.0f}" if self.phone == "offhook" else ""
        cells = [
            *(self.row.title, self.phone, self.kind.name),
            _milliseconds(max(run.gap_ms for run in self.runs)),
            target,
            _milliseconds(max(run.pause_ms for run in self.runs)),
            "yes" if all(run.up for run in self.runs) else f"{sum(run.up for run in self.runs)} of {len(self.runs)}",
            ways[True],
            ways[False],
            str(max(run.left for run in self.runs)),
        ]
        return f"| {' | '.join(cells)} |"


def main() -> int:
    """Run the rows asked for; print the table; return the exit status."""
    options = _options()
    if reason := root.why_unavailable() or net.why_unavailable() or wire.why_unavailable():
        print(f"bench-calls: {reason}", file=sys.stderr)
        return 2
    lines = []
    with World() as world:
        print(f"{root.asterisk_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
        for row in options.rows:
            for phone in [phone for phone in options.phones if phone in row.phones]:
                for kind in row.kinds:
                    if kind in CALLERS[phone][1]:
                        runs = [_run(world, row, phone, kind, by_pbx, quick=options.quick) for by_pbx in (True, False)]
                        lines.append(Line(row, phone, kind, runs))
                        print(lines[-1], file=sys.stderr, flush=True)
    print("\n".join([_HEADER, *map(str, lines)]))
    return int(not all(line.kept for line in lines if line.phone == "offhook"))


def _run(world: World, row: Row, phone: str, kind: Kind, by_pbx: bool, *, quick: bool) -> Run:
    try:
        with Trial(world, phone, kind, distant=row.distant, quick=quick) as trial:
            return trial.measure(row.fault, by_pbx=by_pbx)
    except (Failed, MissingError) as missing:
        return Run(trouble=str(missing), by_pbx=by_pbx)
    except Exception as error:  # noqa: BLE001  one run that breaks must not hide the others
        traceback.print_exc()
        return Run(trouble=f"the run broke: {error!s:.120}", by_pbx=by_pbx)


def _milliseconds(value: float) -> str:
    return "never heard again" if math.isinf(value) else f"{value:.0f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.calls", description=__doc__)
    parser.add_argument("--rows", help=f"only these, by comma: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--phones", default="offhook", help=f"these, by comma: {', '.join(CALLERS)}")
    parser.add_argument("--quick", action="store_true", help="outages of a minute last six seconds")
    options = parser.parse_args()
    names = options.rows.split(",") if options.rows else [row.name for row in ROWS]
    for name in names:
        if name not in [row.name for row in ROWS]:
            parser.error(f"no row is called {name!r}")
    options.rows = [row for row in ROWS if row.name in names]
    options.phones = options.phones.split(",")
    for name in options.phones:
        if name not in CALLERS:
            parser.error(f"no phone is called {name!r}")
    return options


if __name__ == "__main__":
    sys.exit(main())
