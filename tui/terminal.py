"""What Textual has no call for: the window title, and leaving when the terminal goes away."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
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


def leave_cleanly_on_signals(leave: Callable[[], None]) -> None:
    """SIGTERM ends the console as quitting does; the engine is another process."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)


def end_with_the_terminal(last_words: Callable[[], None] | None = None, *, descriptor: int = 0) -> None:
    """End the process at once when its terminal goes away (SSH dropped, the window was closed), after ``last_words``.

    Textual's writer thread dies with the terminal and its queue fills up, which blocks the loop before any of its
    signal handlers could run, while its input thread spins on the end of file. There is nothing to restore on a
    terminal that is gone, and calls are the engine's. The watcher sleeps in the kernel and costs nothing.
    """

    def end() -> None:
        try:
            if last_words is not None:
                last_words()
        finally:
            os._exit(0)

    signal.signal(signal.SIGHUP, lambda _number, _frame: end())
    threading.Thread(target=_when_hung_up, args=(descriptor, end), name="terminal watch", daemon=True).start()


def _when_hung_up(descriptor: int, end: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # no event is asked for: a hang-up is reported all the same
    while True:
        for _, event in poll.poll():
            if event & (select.POLLHUP | select.POLLERR):
                end()
            if event & select.POLLNVAL:
                return  # no terminal to watch
