"""What is heard, and when, one table for Offhook and the other phones that are installed: `make bench-media`.

    python -m bench.media [--quick] [--virtual | --live] [--phones offhook,baresip] [--minutes 10] [--document]

Two kinds of rows: on virtual time through a real media core (the same every time), and in real time through sound
devices and sockets (absolute figures: nothing else should run meanwhile). Exit status 1 when a target was missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bench.media import hour, live_rows, speech, virtual_rows
from bench.media.phones import PHONES
from bench.media.table import Figure, heading, line, markdown, missed
from bench.table import write_into

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/sound.md"


def main() -> int:
    """Measure and print."""
    options = _options()
    phones, lines = live_rows.installed(options.phones)
    peers = [] if options.virtual else [PHONES[name].title for name in phones if name != "offhook"]
    versions = ", ".join(f"{PHONES[name].title} {PHONES[name].version()}" for name in phones)
    about = f"{versions}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, {time.strftime('%F')}"
    print("\n".join([about, *lines]))
    groups: dict[str, list[Figure]] = {}
    for title, figures in _groups(options, phones):
        print(heading(title, peers), flush=True)
        groups[title] = []
        for figure in figures:
            print(line(figure, peers), flush=True)
            groups[title].append(figure)
    found = [figure for figures in groups.values() for figure in figures]
    if options.json:
        options.json.write_text(json.dumps([figure.as_json() for figure in found], indent=1) + "\n")
    if options.document:
        write_into(DOCUMENT, "measured", "\n\n".join([about + ".", markdown(groups, peers)]))
    failures = missed(found)
    print(f"\n{sum(figure.good is True for figure in found)} targets met, {len(failures)} missed")
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.media", description="What is heard, and when.")
    parser.add_argument("--quick", action="store_true", help="fewer clips and runs, two minutes of drift")
    parser.add_argument("--virtual", action="store_true", help="only the rows on virtual time")
    parser.add_argument("--live", action="store_true", help="only the rows in real time")
    parser.add_argument("--phones", default=",".join(PHONES), help="by comma; Offhook is always there")
    parser.add_argument("--minutes", type=float, default=0.0, help="a call of so many, in real time")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--document", action="store_true", help="write the table into docs/sound.md too")
    options = parser.parse_args()
    options.phones = list(dict.fromkeys(["offhook", *options.phones.split(",")]))
    for name in options.phones:
        if name not in PHONES:
            parser.error(f"no phone is called {name!r}; there is {', '.join(PHONES)}")
    return options


def _groups(options: argparse.Namespace, phones: Sequence[str]) -> Iterator[tuple[str, Iterable[Figure]]]:
    if not options.live:
        yield from _virtual(quick=options.quick)
    if not options.virtual:
        yield from live_rows.rows(phones, quick=options.quick, minutes=options.minutes)


def _virtual(*, quick: bool) -> Iterator[tuple[str, Iterable[Figure]]]:
    """The rows on virtual time."""
    if reason := why_unavailable():
        print(f"The rows on virtual time are not measured: {reason}.", file=sys.stderr)
        return
    held_out = [clip for clip in speech.clips() if clip.held_out]
    clips = held_out[::3] if quick else held_out
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        title = f"On virtual time, {len(clips)} clips held out"
        yield title, virtual_rows.quality_rows(pool, clips, 1 if quick else 4)
        yield "Jitter", virtual_rows.jitter_rows(pool, clips)
        yield "Jitter of a mobile link, made traces", virtual_rows.trace_rows(pool, clips)
        yield "Drift", virtual_rows.drift_rows(pool, clips, 2 if quick else 10)
        yield "An hour of call", hour.rows(pool, 10 if quick else 60)


def why_unavailable() -> str | None:
    """Why PESQ cannot be had, or ``None``."""
    if importlib.util.find_spec("pesq") is None:
        return "they need pesq (pip install -c constraints.txt -e '.[bench]', with a C compiler)"
    return speech.why_unavailable()


if __name__ == "__main__":
    sys.exit(main())
