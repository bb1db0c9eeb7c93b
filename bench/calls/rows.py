"""What happens to a call: the rows of the table, each a fault and what is measured after it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.calls.stage import HANGING_UP, PAUSE, Measure, Trial
from tests.lab.call_scene import DTLS, KINDS, PLAIN, Kind, pause, restart_websocket

if TYPE_CHECKING:
    from collections.abc import Callable

HALF_OPEN_S = REFUSED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault. ``target_ms`` is the most Offhook's gap may be, by kind."""

    name: str
    title: str
    fault: Callable[[Trial], Measure]
    target_ms: dict[str, float]
    distant: bool = False
    phones: tuple[str, ...] = ("offhook",)
    """Who can have it happen to them."""

    kinds: tuple[Kind, ...] = KINDS
    none: str = "never heard again"
    also: tuple[str, ...] = (HANGING_UP, PAUSE)

    def target_of(self, column: str) -> float | None:
        """By the kind in the column's name."""
        return self.target_ms.get(column.partition(" ")[2])

    @property
    def said_target(self) -> str:
        """One figure where all kinds have the same."""
        most = {self.target_ms[kind.name] for kind in self.kinds}
        if len(most) == 1:
            return f"≤ {most.pop():.0f} ms"
        return "; ".join(f"{kind.name} ≤ {self.target_ms[kind.name]:.0f} ms" for kind in self.kinds)


def reset_3_s(trial: Trial) -> Measure:
    """Connections reset, new ones refused for three seconds."""
    since = time.time()
    trial.relay.refuse()
    trial.relay.reset()
    pause(3)
    trial.relay.accept()
    return Measure(since)


def refused_60_s(trial: Trial) -> Measure:
    """The same for a minute."""
    since = time.time()
    trial.relay.refuse()
    trial.relay.reset()
    trial.outage(REFUSED_S)
    trial.relay.accept()
    return Measure(since)


def half_open_60_s(trial: Trial) -> Measure:
    """The connection swallows everything, and so do those made in the minute that follows."""
    since = time.time()
    trial.relay.mute()
    trial.relay.half_open()
    trial.outage(HALF_OPEN_S)
    trial.relay.speak()
    return Measure(since)


def websocket_restarted(trial: Trial) -> Measure:
    """The PBX's web server is away for two seconds; its calls are not."""
    since = time.time()
    restart_websocket(trial.pbx, trial.relay.reset, 2)
    return Measure(since)


def new_address(trial: Trial) -> Measure:
    """The cable is out for two seconds, and what is plugged in then is another network."""
    trial.namespace.leave(trial.cable)
    pause(2)
    up = time.time()
    cable = trial.namespace.add_link()
    return Measure(up, resumes=True, address=cable.theirs)


def killed(trial: Trial) -> Measure:
    """`kill -9` for what holds the call, and it is started again."""
    trial.caller.kill()
    trial.caller.mark()
    restart = time.time()
    trial.caller.restart()
    return Measure(restart, resumes=True)


def engine_restarted(trial: Trial) -> Measure:
    """`offhook ctl restart`."""
    since = time.time()
    trial.offhook.engine.ctl("restart", check=False, timeout_s=60)
    return Measure(since)


def console_killed(trial: Trial) -> Measure:
    """What the user looks at gets SIGKILL."""
    since = time.time()
    trial.caller.kill_console()
    return Measure(since, costs_signalling=False)


def terminal_closed(trial: Trial) -> Measure:
    """Its terminal goes away as a lost SSH session's does, or its tab is closed."""
    since = time.time()
    trial.caller.close_terminal()
    return Measure(since, costs_signalling=False)


_ALL = ("offhook", "jssip", "baresip")
_ON_WS = ("offhook", "jssip")
_NO_GAP = {kind.name: 0.0 for kind in KINDS}

ROWS = (
    Row(name="reset", title="signalling reset 3 s", fault=reset_3_s, target_ms=_NO_GAP, phones=_ALL),
    Row(name="refused", title="signalling refused 60 s", fault=refused_60_s, target_ms=_NO_GAP, phones=_ALL),
    Row(name="half-open", title="signalling half-open 60 s", fault=half_open_60_s, target_ms=_NO_GAP, phones=_ALL),
    Row(name="websocket", title="PBX WebSocket restarted", fault=websocket_restarted, target_ms=_NO_GAP, phones=_ON_WS),
    Row(
        name="address",
        title="new address, link down 2 s",
        fault=new_address,
        target_ms={kind.name: 1000.0 for kind in KINDS},
        distant=True,
        phones=_ALL,
    ),
    Row(
        name="kill",
        title="engine kill -9, started again (others: the program)",
        fault=killed,
        target_ms={"plain": 1500.0, "SDES": 3000.0, "DTLS": 3000.0},
        phones=_ALL,
    ),
    Row(
        name="restart",
        title="offhook ctl restart",
        fault=engine_restarted,
        target_ms={"plain": 100.0, "SDES": 3000.0, "DTLS": 3000.0},
    ),
    Row(
        name="console",
        title="console killed (others: the program)",
        fault=console_killed,
        target_ms=_NO_GAP,
        kinds=(PLAIN, DTLS),
        phones=_ALL,
    ),
    Row(
        name="terminal",
        title="terminal closed (JsSIP: its tab)",
        fault=terminal_closed,
        target_ms=_NO_GAP,
        kinds=(PLAIN, DTLS),
        phones=_ALL,
    ),
)
