"""``offhook`` alone: the console, with an engine started where none runs.

    settings of the console ─▶ does an engine answer? ─ yes ─▶ console
                                      │ no
                                      └─▶ all settings ─▶ engine starts, console is loaded meanwhile ─▶ console
                                                  └ nothing configured ─▶ wizard

What an attached console does not need is not read: whoever opens it is waiting.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from phone import config_layers, paths
from phone.cli import say
from phone.client import NoEngine, connect_socket
from phone.config_layers import ConfigError
from phone.console_settings import ConsoleSettings, console_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from phone.cli.first_run import FirstRun
    from phone.demo.run import Demo
    from phone.protocol.chaos import Chaos

_THREE_WAY = {"auto": None, "yes": True, "no": False}


class Place(NamedTuple):
    """Where the engine is or will be, and how the console looks."""

    config_file: Path
    socket: Path
    log_file: Path
    console: ConsoleSettings


def console(
    arguments: argparse.Namespace, last_words: Callable[[], None] | None = None, chaos: Chaos | None = None
) -> int:
    """Run the console or the demo; returns the exit status. ``last_words`` are said when the terminal goes away, and
    ``chaos`` is the demo's."""
    if arguments.demo:
        return _demo(arguments)
    setup = None
    try:
        place = _place(arguments)
        running = _engine_answers(place.socket)
        if not running:
            setup = _unconfigured(arguments)
    except (ConfigError, paths.PathError) as error:
        say.narrate(str(error))
        return 2
    if _at_terminal():
        return _run(arguments, place, running=running, setup=setup, last_words=last_words, chaos=chaos)
    if setup is None:
        say.narrate("The console needs a terminal; use offhook run --headless and offhook ctl without one.")
        return 1
    say.narrate(f"Nothing is configured; write server and username under [account] in {setup.file}.")
    return 2


def _place(arguments: argparse.Namespace) -> Place:
    """Read what concerns the console; raises ConfigError or PathError."""
    profile, config = paths.check_profile(arguments.profile), arguments.config
    absent = {config: ""} if config is not None and not config.exists() else {}
    settings = config_layers.read(os.environ, profile=profile, config=config, instead=absent)
    return Place(
        config_file=config or paths.user_config_file(profile=profile),
        socket=config_layers.find_socket(arguments.socket, profile, settings, os.environ),
        log_file=arguments.log or paths.log_file(profile=profile),
        console=console_settings(settings),
    )


def _unconfigured(arguments: argparse.Namespace) -> FirstRun | None:
    """What the wizard needs where there is no account; raises ConfigError for settings no engine would start with."""
    from phone.cli.first_run import FirstRun
    from phone.cli.settings import options_of
    from phone.settings import Settings

    settings = Settings(options_of(arguments))
    return FirstRun(settings) if settings.load().account is None else None


def _at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _engine_answers(socket: Path) -> bool:
    try:
        connect_socket(socket, 1.0).close()
    except NoEngine:
        return False
    return True


def _run(
    arguments: argparse.Namespace,
    place: Place,
    *,
    running: bool,
    setup: FirstRun | None,
    last_words: Callable[[], None] | None,
    chaos: Chaos | None,
) -> int:
    options = engine_options(arguments)

    async def spawn() -> None:
        import asyncio

        from phone.spawn import spawn_engine

        await asyncio.to_thread(spawn_engine, place.socket, place.log_file, options)

    settings = place.console
    try:
        from tui.app import ConsoleOptions, run

        started = None
        if not running and setup is None:
            from phone.spawn import begin_engine

            started = begin_engine(place.socket, place.log_file, options)
        ended_well = run(
            ConsoleOptions(
                socket=place.socket,
                spawn=spawn,
                started=started,
                setup=setup,
                language=settings.language,
                theme=settings.theme,
                ssh=_THREE_WAY[settings.ssh] if arguments.ssh is None else arguments.ssh,
                meters=_THREE_WAY[settings.meters],
                keys=settings.keys,
                last_words=last_words,
                chaos=chaos,
                fault_log=place.log_file.with_name("console.log"),
            )
        )
    except ImportError as error:
        say.narrate(f"The console cannot be loaded ({error}); use offhook run --headless and offhook ctl.")
        return 1
    except NoEngine as error:
        say.narrate(str(error))
        return 1
    except ValueError as error:  # keys that clash
        say.narrate(f"{place.config_file}, [console.keys]: {error}.")
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

    def inside(demo: Demo, socket: Path, last_words: Callable[[], None]) -> int:
        arguments.demo, arguments.config, arguments.socket = False, demo.config, socket
        return console(arguments, last_words, demo.chaos)

    try:
        return run(inside)
    except DemoFailed as error:
        say.narrate(str(error))
        return 1
