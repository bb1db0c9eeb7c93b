"""The door to the console: sets up language, keys and the terminal's profile, then loads Textual and runs.

Textual reads its environment when it is imported, hence the late import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tui import theme as themes
from tui.actions import use_keys
from tui.i18n import set_language

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """What the command line and the settings say about the console."""

    socket: Path
    spawn: Callable[[], Awaitable[None]] | None = None
    """Starts an engine where none runs; raises phone.client.NoEngine with a sentence."""

    language: str = ""
    theme: str = ""
    ssh: bool | None = None
    """The cheap profile: None decides by SSH_CONNECTION and SSH_TTY."""

    keys: Mapping[str, str] = field(default_factory=dict)


def run(options: ConsoleOptions) -> bool:
    """Run the console until it is left; raises ValueError for keys that clash.

    Returns True when the user asked to hang up as well. The engine is untouched in any case.
    """
    set_language(options.language)
    use_keys(options.keys)
    ssh = themes.over_ssh() if options.ssh is None else options.ssh
    fallback = themes.prepare(ssh=ssh)

    from tui.bridge import Bridge
    from tui.console import ConsoleApp
    from tui.dialogs.quit import Leave

    app = ConsoleApp(Bridge(options.socket, spawn=options.spawn), theme=options.theme or fallback)
    return app.run(mouse=not ssh) is Leave.HANG_UP
