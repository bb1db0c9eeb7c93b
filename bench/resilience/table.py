"""The rows of the table: every fault with its target, and what other phones once took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import table
from bench.peers.registry import PEERS
from bench.resilience import long_rows, new_rows, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.resilience.records import Run
    from bench.resilience.stage import Outcome, Trial


_CALL = "audio / our BYE / new Contact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault. ``target`` is the most that Offhook's median may be, in the unit of the row."""

    name: str
    title: str
    run: Callable[[Trial], Outcome]
    target: float | None
    peers: bool = False
    """Whether other phones are measured with the same fault."""

    calls: bool = False
    """Whether the phone must be able to call, which browsers' cannot under Node."""

    takes_s: float = 15.0
    """About how long a run takes; runs of a minute and more are left out by --quick."""

    runs: int | None = None
    """Where one run costs minutes: fewer than asked for."""

    unit: str = "s"

    none: str = "never"
    """What it means that a run has no figure."""

    also: tuple[str, ...] = ()
    """Facts of its runs that get a line of the table."""

    @property
    def long(self) -> bool:
        return self.takes_s >= 60

    def target_of(self, column: str) -> float | None:
        """The same for whoever is measured."""
        return self.target

    @property
    def said_target(self) -> str:
        """The target's cell."""
        return "" if self.target is None else f"≤ {self.target:g} {self.unit}"


ROWS = (
    Row(name="reset", title="S1: reset, refused 3 s", run=rows.reset_refused_3_s, target=1.0, peers=True),
    Row(name="link", title="S1: link down 3 s", run=rows.link_down_3_s, target=1.0, peers=True),
    Row(name="hole", title="S1: 3 s hole that TCP survives", run=rows.silent_hole_3_s, target=1.5, peers=True),
    Row(
        name="refused",
        title="S2a: refused 120 s",
        run=rows.refused_120_s,
        target=3.0,
        peers=True,
        takes_s=130,
        runs=3,
        also=("attempts",),
    ),
    Row(
        name="exhausted",
        title="S2b: refused past all 10 attempts, then Retry now",
        run=long_rows.longer_than_all_attempts,
        target=1.5,
        takes_s=240,
        runs=1,
    ),
    Row(
        name="exhausted-4",
        title="S2b with small numbers (4 attempts, 0.5 s), then Retry now",
        run=long_rows.longer_than_few_attempts,
        target=1.5,
        takes_s=30,
        runs=3,
    ),
    Row(
        name="background",
        title="S2b: attempts used up, nobody helps",
        run=long_rows.background_retry,
        target=3.0,
        takes_s=30,
        runs=3,
    ),
    Row(
        name="password",
        title="S3: password wrong for 100 s, then Offhook is given the new one (for others the old one is right again)",
        run=rows.password_wrong,
        target=1.5,
        peers=True,
        takes_s=110,
        runs=3,
    ),
    Row(
        name="auth-retry",
        title="S3: password wrong, right again, nobody helps (`auth_retry` 20 s: from its attempt)",
        run=new_rows.auth_retry,
        target=1.0,
        takes_s=35,
        runs=3,
    ),
    Row(
        name="address",
        title="link down 5 s, back with a new address",
        run=rows.link_down_new_address,
        target=1.0,
        peers=True,
    ),
    Row(
        name="cellular",
        title="S4: Wi-Fi off, 1.5 s later a cellular link with another address",
        run=new_rows.wifi_to_cellular,
        target=1.0,
        peers=True,
    ),
    Row(
        name="restart",
        title='S6: PBX killed, back after 10 s without registrations (from "Asterisk Ready.")',
        run=rows.pbx_killed,
        target=1.5,
        peers=True,
        takes_s=35,
    ),
    Row(
        name="restart-proxied",
        title="S6 behind a proxy that accepts connections meanwhile and breaks them",
        run=rows.pbx_killed_behind_proxy,
        target=1.5,
        takes_s=30,
        runs=3,
    ),
    Row(
        name="failover",
        title="two servers, the first is killed for good: from its death",
        run=new_rows.failover,
        target=3.0,
        takes_s=30,
        runs=3,
    ),
    Row(
        name="half-open",
        title="half-open: 30 s hole, old flow stays dead",
        run=rows.half_open,
        target=2.0,
        peers=True,
        takes_s=40,
        also=("noticed after",),
    ),
    Row(
        name="dead-flow",
        title="half-open, no hole: from noticing it",
        run=rows.half_open_without_hole,
        target=2.0,
        takes_s=35,
        runs=3,
    ),
    Row(
        name="503",
        title="503 with Retry-After: 5, twice",
        run=rows.refused_503_twice,
        target=11.0,
        peers=True,
        takes_s=20,
    ),
    Row(name="500", title="500 twice", run=rows.refused_500_twice, target=7.0, peers=True),
    Row(name="403", title="403 once", run=rows.refused_403_once, target=3.0, peers=True),
    Row(name="stale", title="two stale 401", run=rows.two_stale_401, target=1.0, peers=True),
    Row(name="423", title="423 with Min-Expires", run=new_rows.interval_too_brief, target=1.0, peers=True),
    Row(
        name="nonce",
        title="every nonce lives 3 s, refreshes for 40 s: seconds without a registration",
        run=new_rows.nonce_changes,
        target=0.0,
        takes_s=50,
        runs=1,
        unit="s",
    ),
    Row(name="lost", title="one REGISTER answer lost", run=rows.answer_lost, target=8.0, peers=True),
    Row(name="lost-200", title="the 200 to a REGISTER lost: until the phone knows", run=rows.accepted_lost, target=8.0),
    Row(
        name="mute",
        title="TCP accepted, then mute for 20 s",
        run=rows.mute_20_s,
        target=6.0,
        peers=True,
        takes_s=30,
    ),
    Row(
        name="wss-trusted",
        title="wss: the PBX's certificate changes to another trusted one, reset",
        run=new_rows.certificate_trusted,
        target=1.0,
        takes_s=20,
    ),
    Row(
        name="wss-untrusted",
        title="wss: it changes to an untrusted one for 15 s (from the trusted one's return)",
        run=new_rows.certificate_untrusted,
        target=10.0,
        takes_s=40,
    ),
    Row(
        name="preset",
        title='preset "mobile" by name: 15 attempts, keep-alive 60 s; reset',
        run=new_rows.preset_by_name,
        target=1.0,
    ),
    Row(
        name="nat30",
        title="S5: NAT forgets flows idle 30 s: deaf seconds of 300",
        run=long_rows.nat_forgets(30.0),
        target=0.0,
        peers=True,
        takes_s=305,
        runs=1,
        unit="s deaf",
        also=("longest",),
    ),
    Row(
        name="nat10",
        title="S5: NAT forgets flows idle 10 s: deaf seconds of 300",
        run=long_rows.nat_forgets(10.0),
        target=70.0,
        takes_s=305,
        runs=1,
        unit="s deaf",
    ),
    Row(
        name="call",
        title="call up, signalling reset 3 s: until our BYE has arrived",
        run=long_rows.call_up,
        target=2.0,
        peers=True,
        calls=True,
        takes_s=30,
        runs=3,
        also=(_CALL,),
    ),
    Row(
        name="fleet",
        title="15 clients cut at once: spread of their second attempt (at least)",
        run=long_rows.fleet,
        target=None,
        peers=True,
        takes_s=60,
        runs=1,
        none="no second attempt",
        also=("all back after",),
    ),
    Row(
        name="idle",
        title="ten idle minutes: bytes",
        run=long_rows.idle,
        target=7000.0,
        peers=True,
        takes_s=610,
        runs=1,
        unit="bytes",
        also=("CPU %",),
    ),
)

_MEASURED = ("transportOptions", "linphone")
_EARLIER = {
    "reset": ("27", "57"),
    "refused": ("6", "36"),
    "password": ("never", "10"),
    "address": ("124", "7"),
    "restart": ("19", "49"),
    "half-open": ("99", "88"),
    "503": ("35", "179"),
    "500": ("35", "179"),
    "403": ("31", "119"),
    "stale": ("31", "119"),
    "lost": ("63", "93"),
    "mute": ("30", "14"),
    "nat30": ("243", "0"),
    "fleet": ("0.1", "0.1"),
    "idle": ("17,858", "2,808"),
}
"""The original's `transportOptions` and linphone, on 2026-11-22: medians of three behind the same Asterisk."""

_EARLIER_FACTS = {
    (_CALL, "jssip"): "yes / yes / no, 2026-11-22",
    (_CALL, "sipjs"): "no / no / no, 2026-11-22",
    (_CALL, "sipjs-on"): "no / no / no, 2026-11-22",
    (_CALL, "transportOptions"): "yes / yes / no",
    (_CALL, "linphone"): "– / yes / no",
    ("attempts", "transportOptions"): "4 to 5",
    ("attempts", "linphone"): "2 to 3",
    ("noticed after", "transportOptions"): "129",
    ("noticed after", "linphone"): "118",
}
"""Of the same day; the browser phones' calls were a browser's, under Node there is no WebRTC to call with."""


def row(name: str) -> Row:
    """The row of that name."""
    return next(row for row in ROWS if row.name == name)


SHEET = table.Sheet(
    rows=ROWS,
    columns={name: kind.title for name, kind in PEERS.items()},
    ours=("offhook",),
    earlier={
        "transportOptions": "the original's transportOptions, 2026-11-22",
        "linphone": "linphone, 2026-11-22",
    },
    known={
        **{(row, name): value for row, pair in _EARLIER.items() for name, value in zip(_MEASURED, pair, strict=True)},
        **_EARLIER_FACTS,
    },
    verdict=lambda runs: _helpless_rows(runs),
    shows_facts=True,
)


def markdown(runs: Iterable[Run]) -> str:
    """The whole table, with versions and dates beneath; rows nobody ran are left out."""
    return table.markdown(runs, SHEET)


def _helpless_rows(runs: Iterable[Run]) -> str:
    """In how many rows a phone had not come back by itself when the run ended."""
    runs = list(runs)
    helpless = {run.row for run in runs if _helpless(run)}
    return f"a human was needed in {len(helpless)} of {len({run.row for run in runs})} rows"


def _helpless(run: Run) -> bool:
    never = run.seconds is None and row(run.row).none == "never"
    return (never or run.facts.get("rings after it in") == "never") and not run.broke
