"""What Textual has no call for: the window title, and leaving cleanly when the terminal goes away."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from tui.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App


def set_title(app: App[Any], text: str) -> None:
    """Write the terminal's title (OSC 2). ``text`` is cleaned, so no escape sequence leaves this way."""
    driver = app._driver
    title = clean(text, 80)
    if driver is None or app.is_headless or getattr(app, "_offhook_title", None) == title:
        return
    app._offhook_title = title  # type: ignore[attr-defined]
    driver.write(f"\x1b]2;{title}\x07")


def leave_cleanly_on_hangup(leave: Callable[[], None]) -> None:
    """A closed SSH session (SIGHUP) ends the console as quitting does; the engine is another process."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGHUP, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
