"""What happens to a call: the rows of the table, each a fault and what is measured after it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.calls.stage import Measure, Trial
from bench.terminal import Terminal
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


def engine_killed(trial: Trial) -> Measure:
    """`kill -9`, and the engine is started again."""
    engine = trial.offhook.engine
    engine.kill()
    trial.caller.mark()
    restart = time.time()
    engine.launch()
    return Measure(restart, resumes=True)


def engine_restarted(trial: Trial) -> Measure:
    """`offhook ctl restart`."""
    since = time.time()
    trial.offhook.engine.ctl("restart", check=False)
    return Measure(since)


def console_killed(trial: Trial) -> Measure:
    """A console attaches, draws, and gets SIGKILL."""
    return asyncio.run(_console(trial, lambda terminal: terminal.process.send_signal(signal.SIGKILL)))


def terminal_closed(trial: Trial) -> Measure:
    """A console attaches, draws, and its terminal goes away as a lost SSH session's does."""
    return asyncio.run(_console(trial, lambda terminal: terminal.process.send_signal(signal.SIGHUP)))


async def _console(trial: Trial, end: Callable[[Terminal], None]) -> Measure:
    engine = trial.offhook.engine
    terminal = Terminal(
        (sys.executable, "-m", "phone.cli", "--config", str(engine.config_file), "--socket", str(engine.socket)),
        size=(80, 24),
        directory=engine.directory,
        environment=engine.environment,
    )
    try:
        await terminal.shows(b"600")
        trial.offhook.expects_nothing = True
        since = time.time()
        end(terminal)
        terminal.process.wait(5)
    finally:
        terminal.close()
    return Measure(since)


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
        title="engine kill -9",
        fault=engine_killed,
        target_ms={"plain": 1500.0, "SDES": 3000.0, "DTLS": 3000.0},
    ),
    Row(
        name="restart",
        title="offhook ctl restart",
        fault=engine_restarted,
        target_ms={"plain": 100.0, "SDES": 3000.0, "DTLS": 3000.0},
    ),
    Row(name="console", title="console killed", fault=console_killed, target_ms=_NO_GAP, kinds=(PLAIN, DTLS)),
    Row(name="terminal", title="terminal closed", fault=terminal_closed, target_ms=_NO_GAP, kinds=(PLAIN, DTLS)),
)
