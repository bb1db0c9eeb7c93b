"""Runs seeds: ``python -m tests.sim.run --seeds 10000``; ``--seeds 1 --first S`` replays one with its trace."""

from __future__ import annotations

import argparse
import collections
import logging
import statistics
import sys
import time

from tests.sim.scenario import run


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was found; exit status 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    began = time.perf_counter()
    kinds: collections.Counter[str] = collections.Counter()
    waits: list[float] = []
    failures = 0
    for seed in range(options.first, options.first + options.seeds):
        report = run(seed)
        kinds.update(report.kinds)
        if report.healed_s is not None:
            waits.append(report.healed_s)
        if report.violation is not None or options.seeds == 1:
            failures += report.violation is not None
            _write(f"seed {seed}: {report.violation or 'no violation'}; faults: {', '.join(report.kinds)}")
            if options.seeds == 1:
                _write("\n".join(report.notes))
    _write(f"{options.seeds} seeds, {failures} violations, {time.perf_counter() - began:.1f} s")
    if waits and options.seeds > 1:
        waits.sort()
        _write(
            f"registered again after the last fault's end: median {statistics.median(waits):.1f} s, "
            f"95 % within {waits[int(len(waits) * 0.95)]:.1f} s, worst {waits[-1]:.1f} s"
        )
        _write("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())))
    return 1 if failures else 0


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
