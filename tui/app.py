"""The door to the console: sets up language, keys and the terminal's profile, then loads Textual and runs.

    run ── load what the first frame needs ──▶ ConsoleApp ── first frame ──▶ load the rest, collect garbage

Textual reads its environment when it is imported, hence the late import.
"""

from __future__ import annotations

import gc
import importlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phone import paths
from tui import theme as themes
from tui.actions import use_keys
from tui.crash import FaultLog
from tui.i18n import set_language
from tui.late import load_waiting, wait_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from phone.protocol.chaos import Chaos
    from phone.protocol.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """What the command line and the settings say about the console."""

    socket: Path
    spawn: Callable[[], Awaitable[None]] | None = None
    """Starts an engine where none runs; raises phone.client.NoEngine with a sentence."""

    started: Callable[[], None] | None = None
    """Waits for an engine that is being started while the console is loaded; raises NoEngine."""

    setup: Setup | None = None
    """Given while nothing is configured: the wizard runs first."""

    language: str = "auto"
    theme: str = "auto"
    ssh: bool | None = None
    """The cheap profile: None decides by SSH_CONNECTION and SSH_TTY."""

    meters: bool | None = None
    """Sound meters in a call: None shows them unless the profile is the cheap one."""

    keys: Mapping[str, str] = field(default_factory=dict)
    last_words: Callable[[], None] | None = None
    """Called when the terminal has gone away, just before the process ends."""

    chaos: Chaos | None = None
    """Of a demo: faults to try."""

    fault_log: Path | None = None
    """Where a fault of the console is written down; None: beside the engine's log."""


def run(options: ConsoleOptions) -> bool:
    """Run the console until it is left; raises ValueError with a sentence for keys that clash.

    Returns whether it ended well; a fault of the console was told. The engine is untouched in any case.
    """
    set_language("" if options.language == "auto" else options.language)
    use_keys(options.keys)
    ssh = themes.over_ssh() if options.ssh is None else options.ssh
    profile = themes.prepare(ssh=ssh, theme=options.theme)
    faults = FaultLog(options.fault_log or paths.log_file().with_name("console.log"))

    gc.disable()  # nothing of a start is garbage
    _without_tls("asyncio")
    wait_with("phone.protocol.commands", "phone.protocol.events")
    from tui.bridge import Bridge
    from tui.console import ConsoleApp, Profile
    from tui.terminal import end_with_the_terminal

    app = ConsoleApp(
        Bridge(options.socket, spawn=options.spawn),
        Profile(
            theme=profile if options.theme == "auto" else options.theme,
            default_theme=profile,
            meters=not ssh if options.meters is None else options.meters,
            meters_by_default=not ssh,
            poll_s=0.25 if ssh else 0.1,
        ),
        faults=faults,
        setup=options.setup,
        chaos=options.chaos,
        on_shown=_settle,
    )
    if options.started is not None:
        options.started()
    if sys.stdin.isatty():
        end_with_the_terminal(options.last_words)
    app.run(mouse=not ssh)
    if app.failed:
        sys.stderr.write(faults.sentence() + "\n")
    return not app.failed


def _without_tls(module: str) -> None:
    """Import a module as if there were no TLS: the console speaks over a Unix socket, and OpenSSL takes 3 MB.

    Whoever imports ``ssl`` later finds it.
    """
    if module in sys.modules or "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment] # the documented way to make an import fail
    try:
        importlib.import_module(module)
    finally:
        del sys.modules["ssl"]


def _settle() -> None:
    """Once the first frame is out: load what waits, and leave what is there now to no garbage collection."""
    load_waiting()
    gc.freeze()
    gc.enable()
