"""Every promise of resilience behind a real PBX, one table: `make bench-resilience`.

    python -m bench.resilience [--rows reset,503] [--peers offhook,jssip] [--runs 5] [-j 2] [--quick] [--cap 240]
                               [--json FILE] [--beside FILE ...] [--document]

Needs what the lab needs (Debian, root); other phones are installed on demand, and one that cannot be had is named
with the reason. Rows that take a minute and more are left out with --quick, or shortened where they are asked
for by name. Exits 1 where a run of Offhook says "never" or breaks a promise of its row; a missed target is told
in the table.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from itertools import chain
from pathlib import Path

from bench.peers.cache import MissingError
from bench.peers.registry import PEERS
from bench.resilience import records, table
from bench.resilience.stage import CAP_QUICK_S, CAP_S
from bench.resilience.workers import Job, run_all
from bench.table import write_into
from tests.lab import net, root

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs/resilience.md"
MEASURED = Path(__file__).parent


def main() -> int:
    """Run the rows asked for; print the table; return the exit status."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background
        signal.signal(number, signal.default_int_handler)
    runs: list[records.Run] = []
    jobs = _jobs(options)
    if jobs:
        if reason := root.why_unavailable() or net.why_unavailable():
            print(f"bench-resilience: {reason}", file=sys.stderr)
            return 2
        root.ensure_root()
        load = os.getloadavg()[0]
        print(f"{len(jobs)} runs, {options.jobs} side by side; {os.cpu_count()} cores, load {load:.1f} at the start")
        cells = {(job.row, job.peer) for job in jobs}
        kept = [run for run in _known(options.json) if (run.row, run.peer) not in cells]
        long = [job for job in jobs if table.row(job.row).long]
        short = [job for job in jobs if not table.row(job.row).long]
        # A long row does nothing but wait: twice as many of them fit beside each other.
        for run in chain(run_all(long, 2 * options.jobs), run_all(short, options.jobs)):
            runs.append(run)
            records.save(options.json, [*kept, *runs])
    elif options.json.exists():
        options.beside.insert(0, options.json)
    beside = [run for path in options.beside for run in records.load(path)]
    mine = {(run.row, run.peer) for run in runs}
    text = table.markdown([*runs, *(run for run in beside if (run.row, run.peer) not in mine)])
    print("\n" + text)
    if options.document:
        write_into(DOCUMENT, "measured", text)
    ours = [run for run in runs if run.peer == "offhook"]
    return int(any(run.seconds is None or run.broken for run in ours))


def _known(path: Path) -> list[records.Run]:
    """What is in the file already; its other rows stay."""
    return records.load(path) if path.exists() else []


def _jobs(options: argparse.Namespace) -> list[Job]:
    """What is to be run, the longest first, so that nobody waits for one at the end."""
    found: list[tuple[float, Job]] = []
    peers = [name for name in options.peers if options.runs and _can_be_had(name)]
    for row in options.rows:
        for peer in peers:
            if peer != "offhook" and not (row.peers and PEERS[peer].calls >= row.calls):
                continue
            takes = row.takes_s + (0 if peer == "offhook" else options.cap / 2)
            job = Job(row=row.name, peer=peer, quick=options.quick, cap_s=options.cap)
            found += [(takes, job)] * min(options.runs, row.runs or options.runs)
    return [job for _, job in sorted(found, key=lambda one: -one[0])]


def _can_be_had(name: str) -> bool:
    try:
        print(f"{PEERS[name].title}: {PEERS[name].prepare()}", file=sys.stderr, flush=True)
    except MissingError as missing:
        print(f"{PEERS[name].title}: left out. {missing}", file=sys.stderr, flush=True)
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.resilience", description=__doc__)
    names = [row.name for row in table.ROWS]
    environment = os.environ
    parser.add_argument("--rows", help=f"only these, by comma: {', '.join(names)}")
    parser.add_argument("--peers", default=environment.get("PEERS", "offhook"), help=", ".join(PEERS))
    parser.add_argument("--runs", type=int, default=5, help="of each row, 5 by default; 0: only print what is kept")
    parser.add_argument("-j", "--jobs", type=int, default=int(environment.get("JOBS", "2")), help="runs side by side")
    parser.add_argument("--quick", action="store_true", help="leave out what takes a minute and more")
    parser.add_argument("--cap", type=float, help='seconds after which it is "never": 240, with --quick 60')
    parser.add_argument("--json", type=Path, default=PROJECT / "reports/resilience.json", help="collect runs here")
    parser.add_argument(
        "--beside", type=Path, nargs="*", default=sorted(MEASURED.glob("peers-*.json")), help="runs kept before"
    )
    parser.add_argument("--document", action="store_true", help="write the table into docs/resilience.md as well")
    options = parser.parse_args()
    wanted = options.rows.split(",") if options.rows else None
    options.peers = options.peers.split(",")
    options.cap = options.cap or (CAP_QUICK_S if options.quick else CAP_S)
    for name in wanted or ():
        if name not in names:
            parser.error(f"no row is called {name!r}")
    for name in options.peers:
        if name not in PEERS:
            parser.error(f"no phone is called {name!r}; there is {', '.join(PEERS)}")
    options.rows = [row for row in table.ROWS if (row.name in wanted if wanted else not (row.long and options.quick))]
    return options


if __name__ == "__main__":
    sys.exit(main())
