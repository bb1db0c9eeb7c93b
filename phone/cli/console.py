"""``offhook`` alone: the console, with an engine started where none runs."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from phone import paths
from phone.cli import say
from phone.cli.settings import options_of
from phone.client import NoEngine, connect_socket

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from phone.config import Configuration


def console(arguments: argparse.Namespace) -> int:
    """Run the console or the demo; returns the exit status."""
    if arguments.demo:
        return _demo(arguments)
    from phone.config import ConfigError, load

    try:
        configuration = load(options_of(arguments))
        if not _engine_answers(configuration):
            configuration.require_account()
    except (ConfigError, paths.PathError) as error:
        say.narrate(str(error))
        return 2
    if not sys.stdout.isatty():
        say.narrate("The console needs a terminal; use offhook run --headless and offhook ctl without one.")
        return 1
    return _run(arguments, configuration)


def _engine_answers(configuration: Configuration) -> bool:
    try:
        connect_socket(configuration.socket, 1.0).close()
    except NoEngine:
        return False
    return True


def _run(arguments: argparse.Namespace, configuration: Configuration) -> int:
    try:
        from tui.app import ConsoleOptions, run
    except ImportError as error:
        say.narrate(f"The console cannot be loaded ({error}); use offhook run --headless and offhook ctl.")
        return 1
    from phone.spawn import spawn_engine

    options = engine_options(arguments)

    async def spawn() -> None:
        await asyncio.to_thread(spawn_engine, configuration.socket, configuration.log_file, options)

    try:
        if not _engine_answers(configuration):
            spawn_engine(configuration.socket, configuration.log_file, options)
        run(ConsoleOptions(socket=configuration.socket, spawn=spawn))
    except (NoEngine, ValueError) as error:
        say.narrate(str(error))
        return 1
    return 0


def engine_options(arguments: argparse.Namespace) -> list[str]:
    """The command line's options for an engine that is started on its behalf."""
    options = ["--profile", arguments.profile]
    for name in ("config", "socket", "log"):
        if (path := getattr(arguments, name)) is not None:
            options += [f"--{name}", os.fspath(path.absolute())]
    return [*options, *(["--verbose"] if arguments.verbose else [])]


def _demo(arguments: argparse.Namespace) -> int:
    from phone.demo.run import DemoFailed, run

    def inside(config: Path, socket: Path) -> int:
        arguments.demo, arguments.config, arguments.socket = False, config, socket
        return console(arguments)

    try:
        return run(inside)
    except DemoFailed as error:
        say.narrate(str(error))
        return 1
