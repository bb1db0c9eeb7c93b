"""Every promise of resilience behind a real PBX, one table: `make bench-resilience`.

    python -m bench.resilience [--rows reset,503] [--runs 5] [--quick]

Needs what the lab needs (Debian, root). Rows that take minutes are left out with --quick, or shortened where they are
asked for by name. Exits 1 where a run says "never" or breaks a promise of its row; a missed target is told in
the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback

from bench.resilience import table
from bench.resilience.peer import PEERS
from bench.resilience.stage import Outcome
from bench.resilience.world import World
from tests.lab import net, root


def main() -> int:
    """Run the rows asked for; print the table; return the exit status."""
    options = _options()
    if reason := root.why_unavailable() or net.why_unavailable():
        print(f"bench-resilience: {reason}", file=sys.stderr)
        return 2
    lines, failed = [], False
    with World() as world:
        print(f"{root.asterisk_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n")
        for row in options.rows:
            runs = min(options.runs, row.runs or options.runs)
            outcomes = [_run(row, world, quick=options.quick) for _ in range(runs)]
            lines.append(table.line(row, outcomes))
            failed = failed or any(outcome.seconds is None or outcome.broken for outcome in outcomes)
    print("\n".join((table.HEADER, *lines)))
    return int(failed)


def _run(row: table.Row, world: World, *, quick: bool) -> Outcome:
    began = time.monotonic()
    try:
        outcome = row.run(world, quick)
    except Exception as error:  # noqa: BLE001  one row that breaks must not hide the others
        traceback.print_exc()
        outcome = Outcome(broken=[f"the run broke: {error}"])
    spent = time.monotonic() - began
    facts = {**outcome.facts, **({"broken": outcome.broken} if outcome.broken else {})}
    print(f"{row.name}: {table.figure(outcome.seconds)} {facts} [{spent:.0f} s]", file=sys.stderr, flush=True)
    return outcome


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.resilience", description=__doc__)
    names = [row.name for row in table.ROWS]
    parser.add_argument("--rows", help=f"only these, by comma: {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=5, help="of each row, 5 by default")
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    options = parser.parse_args()
    wanted = options.rows.split(",") if options.rows else None
    for name in wanted or ():
        if name not in names:
            parser.error(f"no row is called {name!r}")
    for name in os.environ.get("PEERS", "offhook").split(","):
        if name not in PEERS:
            parser.error(f"no peer is called {name!r}; there is {', '.join(PEERS)}")
    options.rows = [row for row in table.ROWS if (row.name in wanted if wanted else not (row.long and options.quick))]
    return options


if __name__ == "__main__":
    sys.exit(main())
