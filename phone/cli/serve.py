"""The process of an engine, from the moment it has all it starts with until it ends or hands over."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phone import paths
from phone.cli import say
from phone.config import ConfigError
from phone.engine import Engine, Listeners
from phone.printer import EventPrinter
from phone.server import SocketInUse
from sipcore.errors import TransportError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from phone.ahead import Ahead
    from phone.cli.outcome import Outcome
    from phone.config import Configuration
    from phone.handover import Inheritance
    from phone.locks import EngineLock
    from phone.logging import Log

END_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What an engine starts with."""

    configuration: Configuration
    password: str
    log: Log
    locks: tuple[EngineLock, EngineLock]
    inheritance: Inheritance | None
    ahead: Ahead | None


def serve(start: Start, outcome: Outcome, arguments: argparse.Namespace) -> int:
    """Run the engine; returns the exit status when it ended. Raises OSError."""
    _separate_from_terminal()
    inheritance = start.inheritance
    if inheritance is not None:
        _preload()
    printer = EventPrinter(sys.stdout, on_lost=lambda: None) if arguments.events else None
    # Somebody waits for this very process: a service manager, a shell. The console has seen "ready" and waits no more.
    foreground = arguments.ready_fd is None and inheritance is None
    handed_over = threading.Event()

    def hand_over() -> None:
        if foreground:
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))  # for the keeper to pass on
        handed_over.set()

    def leave() -> None:
        if handed_over.is_set() and foreground:
            _become_keeper()
        os._exit(0)

    listeners = Listeners(
        say=say.narrate,
        on_event=printer.note if printer is not None else lambda _: None,
        on_ready=outcome.ready,
        on_ending=lambda: _end_in_time(leave),
        on_handed_over=hand_over,
    )

    async def run_engine() -> None:
        engine = Engine(
            start.configuration,
            start.password,
            start.log,
            listeners,
            locks=start.locks,
            inheritance=inheritance,
            ahead=start.ahead,
        )
        await engine.run()

    try:
        asyncio.run(run_engine())
    except (SocketInUse, paths.PathError) as error:
        return outcome.fail(str(error), 1)
    except (ConfigError, TransportError) as error:
        return outcome.fail(str(error), 2)
    finally:
        if printer is not None:
            printer.close()
    if handed_over.is_set() and foreground:
        start.log.close()
        _become_keeper()
    return 0


def _preload() -> None:
    """Load what is loaded when it is first needed: nobody waits for it now, and everybody would then."""
    for name in ("sipcore.aio.websocket", "audio.secure.media", "audio.secure.certificate", "audio.ice.agent"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _become_keeper() -> None:
    """Go on under this pid as somebody who waits for the successor and passes signals on to it."""
    keeper = Path(__file__).with_name("keeper.py")
    os.dup2(sys.stderr.fileno(), 2)  # which was a pipe into our log
    os.execv(sys.executable, [sys.executable, "-I", "-S", str(keeper)])  # noqa: S606 - our own file


def _end_in_time(leave: Callable[[], None]) -> None:
    """Three seconds at most, whatever hangs: a sound server, a name server, a thread of theirs."""
    timer = threading.Timer(END_TIMEOUT_S, leave)
    timer.daemon = True
    timer.start()


def _separate_from_terminal() -> None:
    """Nobody types at an engine, and what C libraries print belongs in the log."""
    from audio.io.stderr import guard_stderr

    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    guard_stderr()
