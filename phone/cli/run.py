"""``offhook run --headless``: the engine in the foreground, or on behalf of the console that started it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from phone import paths, secrets
from phone.cli import say
from phone.cli.settings import options_of
from phone.config import ConfigError, load
from phone.locks import AlreadyRunning
from phone.logging import Log
from phone.server import SocketInUse
from sipcore.errors import TransportError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from phone.config import Configuration
    from phone.handover import Inheritance
    from sipcore.config import Account

_log = logging.getLogger(__name__)

READY = "ready"
RUNNING = "running"
"""Followed by the sentence for a parent that cannot find the engine it lost against."""

END_TIMEOUT_S = 3.0


class _Outcome:
    """Tells a waiting parent, over the ready pipe, how the start went: ``ready``, or a sentence."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def tell(self, line: str) -> None:
        """Say it once; later words have no reader."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, line.encode() + b"\n")
            os.close(self._descriptor)
        except OSError:
            pass  # the console has gone; the engine stays
        self._descriptor = None

    def fail(self, sentence: str, status: int) -> int:
        """Say why there is no engine; returns ``status``."""
        say.narrate(sentence)
        self.tell(sentence)
        return status


def run(arguments: argparse.Namespace) -> int:
    """Run the engine; returns the exit status when it ended."""
    outcome = _Outcome(arguments.ready_fd)
    if not arguments.headless:
        return outcome.fail("Say offhook run --headless for an engine without a screen, or offhook for the console.", 2)
    try:
        configuration = load(options_of(arguments))
        account = configuration.require_account()
        paths.make_private(paths.state_directory())
        inheritance = _inherit(arguments.successor_fd)
        password = _find_password(configuration, account) if inheritance is None else inheritance.password
        log = Log(configuration.log_file, verbose=configuration.verbose, echo=configuration.verbose)
    except (ConfigError, paths.PathError) as error:
        return outcome.fail(str(error), 2)
    except secrets.SecretError as error:
        return outcome.fail(str(error), 1)
    except OSError as error:
        sentence = f"The log {error.filename} cannot be written: {error.strerror}; choose another with --log."
        return outcome.fail(sentence, 1)
    if inheritance is not None and inheritance.account != account.address_of_record:
        return outcome.fail("The settings name another account now; end the engine, then start it.", 1)
    log.redaction.add(password)
    _separate_from_terminal()
    try:
        return _run_engine(configuration, password, log, outcome, inheritance, arguments)
    finally:
        log.close()


def _inherit(descriptor: int | None) -> Inheritance | None:
    if descriptor is None:
        return None
    from phone.handover import Inheritance

    return Inheritance.receive(descriptor)


def _find_password(configuration: Configuration, account: Account) -> str:
    """Raises SecretError."""
    secret = secrets.find(account, command=configuration.password_command, prompt=secrets.terminal_prompt())
    if secret is not None:
        return secret.password
    say.narrate(
        f"No password is known for {secrets.account_name(account)}; "
        "store it with offhook config set-password, or set OFFHOOK_PASSWORD."
    )
    return ""


def _run_engine(
    configuration: Configuration,
    password: str,
    log: Log,
    outcome: _Outcome,
    inheritance: Inheritance | None,
    arguments: argparse.Namespace,
) -> int:
    from phone.engine import Engine, Listeners
    from phone.printer import EventPrinter

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
        on_ready=lambda: outcome.tell(READY),
        on_ending=lambda: _end_in_time(leave),
        on_handed_over=hand_over,
    )

    async def run_engine() -> None:
        await Engine(configuration, password, log, listeners, inheritance=inheritance).run()

    try:
        asyncio.run(run_engine())
    except AlreadyRunning as error:
        say.narrate(str(error))
        outcome.tell(f"{RUNNING} {error}" if error.same_profile else str(error))
        return 1
    except (SocketInUse, paths.PathError) as error:
        return outcome.fail(str(error), 1)
    except OSError as error:
        what = error.filename or "The engine's files"
        return outcome.fail(f"{what} cannot be used: {error.strerror}; correct that, or set XDG_STATE_HOME.", 1)
    except (ConfigError, TransportError) as error:
        return outcome.fail(str(error), 2)
    except Exception:  # noqa: BLE001 - the last supervisor: whatever it is, the log has it and the person a sentence
        _log.exception("! the engine failed")
        return outcome.fail(f"The engine failed, which is a mistake of ours; {configuration.log_file} says where.", 1)
    finally:
        if printer is not None:
            printer.close()
    if handed_over.is_set() and foreground:
        log.close()
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
