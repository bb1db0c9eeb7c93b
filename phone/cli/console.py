"""``offhook`` alone: the console, with an engine started where none runs."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from phone import paths
from phone.cli import say
from phone.cli.first_run import FirstRun
from phone.cli.settings import options_of
from phone.client import NoEngine, connect_socket

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from phone.config import Configuration


_THREE_WAY = {"auto": None, "yes": True, "no": False}


def console(arguments: argparse.Namespace, last_words: Callable[[], None] | None = None) -> int:
    """Run the console or the demo; returns the exit status. ``last_words`` are said when the terminal goes away."""
    if arguments.demo:
        return _demo(arguments)
    from phone.config import ConfigError
    from phone.settings import Settings

    settings = Settings(options_of(arguments))
    try:
        configuration = settings.load()
    except (ConfigError, paths.PathError) as error:
        say.narrate(str(error))
        return 2
    if configuration.account is not None or _engine_answers(configuration):
        if _at_terminal():
            return _run(arguments, configuration, last_words=last_words)
        say.narrate("The console needs a terminal; use offhook run --headless and offhook ctl without one.")
        return 1
    if _at_terminal():
        return _run(arguments, configuration, FirstRun(settings))
    say.narrate(f"Nothing is configured; write server and username under [account] in {settings.file}.")
    return 2


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _engine_answers(configuration: Configuration) -> bool:
    try:
        connect_socket(configuration.socket, 1.0).close()
    except NoEngine:
        return False
    return True


def _run(
    arguments: argparse.Namespace,
    configuration: Configuration,
    setup: FirstRun | None = None,
    last_words: Callable[[], None] | None = None,
) -> int:
    try:
        from tui.app import ConsoleOptions, run
    except ImportError as error:
        say.narrate(f"The console cannot be loaded ({error}); use offhook run --headless and offhook ctl.")
        return 1
    from phone.spawn import spawn_engine

    options = engine_options(arguments)

    async def spawn() -> None:
        await asyncio.to_thread(spawn_engine, configuration.socket, configuration.log_file, options)

    console = configuration.console
    try:
        if setup is None and not _engine_answers(configuration):
            spawn_engine(configuration.socket, configuration.log_file, options)
        ended_well = run(
            ConsoleOptions(
                socket=configuration.socket,
                spawn=spawn,
                setup=setup,
                language=console.language,
                theme=console.theme,
                ssh=_THREE_WAY[console.ssh] if arguments.ssh is None else arguments.ssh,
                meters=_THREE_WAY[console.meters],
                keys=console.keys,
                last_words=last_words,
                fault_log=configuration.log_file.with_name("console.log"),
            )
        )
    except NoEngine as error:
        say.narrate(str(error))
        return 1
    except ValueError as error:  # keys that clash
        say.narrate(f"{configuration.config_file}, [console.keys]: {error}.")
        return 2
    return 0 if ended_well else 1


def engine_options(arguments: argparse.Namespace) -> list[str]:
    """The command line's options for an engine that is started on its behalf."""
    options = ["--profile", arguments.profile]
    for name in ("config", "socket", "log"):
        if (path := getattr(arguments, name)) is not None:
            options += [f"--{name}", os.fspath(path.absolute())]
    return [*options, *(["--verbose"] if arguments.verbose else [])]


def _demo(arguments: argparse.Namespace) -> int:
    from phone.demo.run import DemoFailed, run

    def inside(config: Path, socket: Path, last_words: Callable[[], None]) -> int:
        arguments.demo, arguments.config, arguments.socket = False, config, socket
        return console(arguments, last_words)

    try:
        return run(inside)
    except DemoFailed as error:
        say.narrate(str(error))
        return 1
