"""The table: every row with its target, what Offhook took, and what the peers took when they were measured.

The peers' figures are of 2026-11-22, behind Asterisk 22, medians of three: SIP.js SessionManager (as it comes, and
with everything on), the original's transportOptions, JsSIP, baresip 1.1 over WS, linphone. `never` is not within two
to four minutes.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.resilience import long_rows, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.resilience.stage import Outcome
    from bench.resilience.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault. ``target`` is the most that the median may be, in the unit of the row."""

    name: str
    title: str
    run: Callable[[World, bool], Outcome]
    target: float | None
    peers: str = ""
    """What the six peers took, in the order of the module's docstring."""

    long: bool = False
    """Only without --quick."""

    runs: int | None = None
    """Where one run costs minutes: fewer than asked for."""

    unit: str = "s"


ROWS = (
    Row(
        name="reset",
        title="S1: reset, refused 3 s",
        run=rows.reset_refused_3_s,
        target=1.0,
        peers="0.7 / 1.5 / 27 / 0.7 / 82 / 57",
    ),
    Row(name="link", title="S1: link down 3 s", run=rows.link_down_3_s, target=1.0),
    Row(name="hole", title="S1: 3 s hole that TCP survives", run=rows.silent_hole_3_s, target=1.5),
    Row(
        name="refused",
        title="S2a: refused 120 s",
        run=rows.refused_120_s,
        target=3.0,
        peers="never / never / 6 / 17 / 67 / 36",
        long=True,
    ),
    Row(
        name="exhausted",
        title="S2b: refused past all attempts, then Retry now",
        run=long_rows.longer_than_all_attempts,
        target=1.5,
        long=True,
        runs=1,
    ),
    Row(
        name="background",
        title="S2b: attempts used up, nobody helps",
        run=long_rows.background_retry,
        target=3.0,
        runs=3,
    ),
    Row(
        name="password",
        title="S3: password wrong for 100 s, then given the new one",
        run=rows.password_wrong,
        target=1.5,
        peers="never / 0.7 / never / never / 82 / 10",
        long=True,
    ),
    Row(
        name="address",
        title="link down 5 s, back with a new address",
        run=rows.link_down_new_address,
        target=1.0,
        peers="never / 94 / 124 / never / 32 / 7",
    ),
    Row(
        name="restart",
        title='S6: PBX killed, back after 10 s without registrations (from "Asterisk Ready.")',
        run=rows.pbx_killed,
        target=1.5,
        peers="never / 1.2 / 19 / 1.1 / 91 / 49",
    ),
    Row(
        name="restart-proxied",
        title="the same behind a proxy that accepts connections meanwhile and breaks them",
        run=rows.pbx_killed_behind_proxy,
        target=1.5,
    ),
    Row(
        name="half-open",
        title="half-open: 30 s hole, old flow stays dead",
        run=rows.half_open,
        target=2.0,
        peers="never / 70 (99) / 99 (129) / never / never / 88 (118)",
    ),
    Row(
        name="dead-flow",
        title="half-open, no hole: from noticing it",
        run=rows.half_open_without_hole,
        target=2.0,
    ),
    Row(
        name="503",
        title="503 with Retry-After: 5, twice",
        run=rows.refused_503_twice,
        target=11.0,
        peers="never / 13 / 35 / never / never / 179",
    ),
    Row(
        name="500",
        title="500 twice",
        run=rows.refused_500_twice,
        target=7.0,
        peers="never / 11 / 35 / never / 178 / 179",
    ),
    Row(name="403", title="403 once", run=rows.refused_403_once, target=3.0, peers="7 / 7 / 31 / never / 123 / 119"),
    Row(
        name="stale",
        title="two stale 401",
        run=rows.two_stale_401,
        target=1.0,
        peers="8 / 10 / 31 / never / 104 / 119",
    ),
    Row(
        name="lost",
        title="one REGISTER answer lost",
        run=rows.answer_lost,
        target=8.0,
        peers="41 / 40 / 63 / never / never / 93",
    ),
    Row(name="lost-200", title="the 200 to a REGISTER lost: until the phone knows", run=rows.accepted_lost, target=8.0),
    Row(
        name="mute",
        title="TCP accepted, then mute for 20 s",
        run=rows.mute_20_s,
        target=6.0,
        peers="never / 1.0 / 30 / never / 85 / 14",
    ),
    Row(
        name="nat30",
        title="S5: NAT forgets flows idle 30 s: deaf seconds of 300",
        run=long_rows.nat_forgets(30.0),
        target=0.0,
        peers="273 / 187 / 243 / 273 / 0 / 0",
        long=True,
        runs=1,
        unit="s deaf",
    ),
    Row(
        name="nat10",
        title="S5: NAT forgets flows idle 10 s: deaf seconds of 300",
        run=long_rows.nat_forgets(10.0),
        target=70.0,
        long=True,
        runs=1,
        unit="s deaf",
    ),
    Row(
        name="call",
        title="call up, signalling reset 3 s: audio / our BYE / new Contact (seconds until our BYE has arrived)",
        run=long_rows.call_up,
        target=2.0,
        peers="no no no / no no no / yes yes no / yes yes no / yes yes no / – yes no",
        runs=3,
    ),
    Row(
        name="fleet",
        title="15 clients cut at once: spread of their second attempt (at least)",
        run=long_rows.fleet,
        target=None,
        peers="0.1 / 0.1 / 0.1 / 2.1 / one attempt / 0.1",
        long=True,
        runs=1,
    ),
    Row(
        name="idle",
        title="ten idle minutes: bytes",
        run=long_rows.idle,
        target=7000.0,
        peers="3,260 / 16,841 / 17,858 / 3,694 / 7,220 / 2,808",
        long=True,
        runs=1,
        unit="bytes",
    ),
)

HEADER = "| fault | target | Offhook: median (each run) | facts of the median run | peers |\n|---|---|---|---|---|"


def line(row: Row, outcomes: Sequence[Outcome]) -> str:
    """One row of the table."""
    target = "" if row.target is None else f"≤ {row.target:g} {row.unit}"
    each = ", ".join(figure(outcome.seconds) for outcome in outcomes)
    middle = median(outcomes)
    facts = "; ".join(f"{name} {figure(value)}" for name, value in middle.facts.items())
    missed = "" if within(row, outcomes) else " **missed**"
    broken = sorted({promise for outcome in outcomes for promise in outcome.broken})
    told = "".join(f" **broken: {promise}**" for promise in broken)
    load = statistics.median(outcome.load for outcome in outcomes)
    loaded = f"; load {load:.1f}" if load else ""
    return (
        f"| {row.title} | {target} | {figure(middle.seconds)} ({each}){missed}{told} | {facts}{loaded} | {row.peers} |"
    )


def median(outcomes: Sequence[Outcome]) -> Outcome:
    """The middle run, "never" being the longest of all; of two in the middle the longer one."""
    ordered = sorted(outcomes, key=lambda outcome: float("inf") if outcome.seconds is None else outcome.seconds)
    return ordered[len(ordered) // 2]


def within(row: Row, outcomes: Sequence[Outcome]) -> bool:
    """Whether the median meets the target."""
    seconds = median(outcomes).seconds
    return seconds is not None and (row.target is None or seconds <= row.target)


def figure(value: float | str | None) -> str:
    """A value for people."""
    match value:
        case None:
            return "never"
        case str():
            return value
        case int():
            return f"{value:,}"
        case _:
            return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
