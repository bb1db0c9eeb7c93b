"""What a call's far end hears of the faults of docs/resilience.md "Calls", one table: `make bench-calls`.

    python -m bench.calls [--rows reset,address] [--phones offhook,jssip,baresip] [--quick] [--runs 2]
                          [--json FILE] [--beside FILE ...] [--document]

Each row runs twice for each kind of call: once the PBX hangs up afterwards, once the phone. Needs what the lab needs
(Debian, root); other phones are installed on demand, and one that cannot be had is named with the reason. Exits 1 where
Offhook breaks a promise of its row.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
import traceback
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from bench.calls.callers import CALLERS
from bench.calls.rows import ROWS, Row
from bench.calls.stage import HANGING_UP, PAUSE, Finding, Trial, World
from bench.peers.cache import MissingError
from bench.resilience import records
from bench.table import Sheet, figure, markdown, within, write_into
from tests.lab import net, root, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.call_scene import Kind

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs/resilience.md"
_CAP_S = 60.0

SHEET = Sheet(
    rows=ROWS,
    columns={
        f"{name} {kind.name}": f"{model.title}, {kind.name}" for name, model in CALLERS.items() for kind in model.kinds
    },
    ours=tuple(f"offhook {kind.name}" for kind in CALLERS["offhook"].kinds),
)


def main() -> int:
    """Run the rows asked for; print the table; return the exit status."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it in the background
        signal.signal(number, signal.default_int_handler)
    runs: list[records.Run] = []
    if options.runs:
        if reason := root.why_unavailable() or net.why_unavailable() or wire.why_unavailable():
            print(f"bench-calls: {reason}", file=sys.stderr)
            return 2
        kept = records.load(options.json) if options.json.exists() else []
        for run in _measure(options):
            runs.append(run)
            mine = {(run.row, run.peer) for run in runs}
            records.save(options.json, [*(run for run in kept if (run.row, run.peer) not in mine), *runs])
    elif options.json.exists():
        options.beside.insert(0, options.json)
    mine = {(run.row, run.peer) for run in runs}
    beside = [run for path in options.beside for run in records.load(path)]
    text = markdown([*runs, *(run for run in beside if (run.row, run.peer) not in mine)], SHEET)
    print("\n" + text)
    if options.document:
        write_into(DOCUMENT, "calls measured", text)
    return int(any(run.broken or not kept_promise(run) for run in runs if run.peer in SHEET.ours))


def kept_promise(run: records.Run) -> bool:
    """Whether the gap is what the row allows."""
    row = next(row for row in ROWS if row.name == run.row)
    return within(row.target_of(run.peer), [run])


def _measure(options: argparse.Namespace) -> Iterator[records.Run]:
    versions = {phone: version for phone in options.phones if (version := _prepared(phone)) is not None}
    with World() as world:
        print(f"{root.asterisk_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        for row in options.rows:
            for phone, version in versions.items():
                for kind in CALLERS[phone].kinds:
                    if phone in row.phones and kind in row.kinds:
                        for number in range(options.runs):
                            run = _run(world, row, phone, kind, version, by_pbx=number % 2 == 0, quick=options.quick)
                            told = "; ".join([*(str(fact) for fact in run.facts.values()), *run.broken])
                            print(f"{row.name} {run.peer}: {figure(run.seconds)} {told}", file=sys.stderr, flush=True)
                            yield run


def _prepared(phone: str) -> str | None:
    title = CALLERS[phone].title
    try:
        version = CALLERS[phone].prepare()
    except MissingError as missing:
        print(f"{title}: left out. {missing}", file=sys.stderr, flush=True)
        return None
    print(f"{title}: {version}", file=sys.stderr, flush=True)
    return version


def _run(world: World, row: Row, phone: str, kind: Kind, version: str, *, by_pbx: bool, quick: bool) -> records.Run:
    began, finding, broken = time.monotonic(), None, []
    try:
        with Trial(world, phone, kind, distant=row.distant, quick=quick) as trial:
            finding = trial.measure(row.fault, by_pbx=by_pbx)
            if phone == "offhook":
                broken = finding.broken()
    except Exception as error:  # noqa: BLE001  one run that breaks must not hide the others
        traceback.print_exc()
        broken = [f"{records.BROKE}: {error!s:.120}"]
    return records.Run(
        row=row.name,
        peer=f"{phone} {kind.name}",
        version=version,
        pbx=root.asterisk_version(),
        date=date.today().isoformat(),  # noqa: DTZ011  the date of whoever measures
        seconds=None if finding is None or math.isinf(finding.gap_ms) else round(finding.gap_ms, 1),
        cap_s=_CAP_S,
        facts={} if finding is None else _facts(finding),
        broken=broken,
        load=os.getloadavg()[0],
        spent_s=time.monotonic() - began,
    )


def _facts(finding: Finding) -> dict[str, float | str]:
    pause = {} if math.isinf(finding.pause_ms) else {PAUSE: round(finding.pause_ms)}
    return {HANGING_UP: finding.hanging_up, **pause}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.calls", description=__doc__)
    parser.add_argument("--rows", help=f"only these, by comma: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--phones", default=os.environ.get("PHONES", "offhook"), help=", ".join(CALLERS))
    parser.add_argument("--quick", action="store_true", help="outages of a minute last six seconds")
    parser.add_argument("--runs", type=int, default=2, help="of each row and kind; 0: only print what is kept")
    parser.add_argument("--json", type=Path, default=PROJECT / "reports/calls.json", help="collect runs here")
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="*",
        default=sorted(Path(__file__).parent.glob("measured-*.json")),
        help="runs kept",
    )
    parser.add_argument("--document", action="store_true", help="write the table into docs/resilience.md as well")
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
