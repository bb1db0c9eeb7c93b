"""What is heard, and when: `make bench-media`.

    python -m bench.media [--quick] [--virtual | --live] [--json FILE]

Two groups of rows: on virtual time through a real media core (the same every time), and in real time through sound
devices and sockets (absolute figures: nothing else should run meanwhile). Exit status 1 when a target was missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bench.media import live_rows, speech, virtual_rows
from bench.media.table import Figure, heading, line, missed

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.media", description="What is heard, and when.")
    parser.add_argument("--quick", action="store_true", help="fewer clips, two minutes of drift")
    parser.add_argument("--virtual", action="store_true", help="only the rows on virtual time")
    parser.add_argument("--live", action="store_true", help="only the rows in real time")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    if not arguments.live:
        figures += virtual(quick=arguments.quick)
    if not arguments.virtual:
        figures += shown("In real time", live_rows.rows(quick=arguments.quick))
    if arguments.json:
        arguments.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")
    failures = missed(figures)
    print(f"\n{sum(figure.good is True for figure in figures)} targets met, {len(failures)} missed")
    return 1 if failures else 0


def virtual(*, quick: bool) -> list[Figure]:
    """The rows on virtual time."""
    if reason := why_unavailable():
        print(f"The rows on virtual time are not measured: {reason}.", file=sys.stderr)
        return []
    held_out = [clip for clip in speech.clips() if clip.held_out]
    clips = held_out[::3] if quick else held_out
    figures: list[Figure] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        title = f"On virtual time, {len(clips)} clips held out"
        figures += shown(title, virtual_rows.quality_rows(pool, clips, 1 if quick else 4))
        figures += shown("Jitter", virtual_rows.jitter_rows(pool, clips))
        figures += shown("Jitter of a mobile link, made traces", virtual_rows.trace_rows(pool, clips))
        figures += shown("Drift", virtual_rows.drift_rows(pool, clips, 2 if quick else 10))
    return figures


def why_unavailable() -> str | None:
    """Why PESQ cannot be had, or ``None``."""
    if importlib.util.find_spec("pesq") is None:
        return "they need pesq (pip install -c constraints.txt -e '.[bench]', with a C compiler)"
    return speech.why_unavailable()


def shown(title: str, figures: Iterable[Figure]) -> list[Figure]:
    """Print a group as it comes."""
    print(heading(title), flush=True)
    kept = []
    for figure in figures:
        print(line(figure), flush=True)
        kept.append(figure)
    return kept


if __name__ == "__main__":
    sys.exit(main())
