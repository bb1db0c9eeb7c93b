"""The connection's timeline above, the end of the engine's log below; Escape leaves.

The log is asked for once a second, and only while it is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import RichLog

from phone.client import EngineGone, Refused
from phone.protocol import commands as cmd
from tui.actions import keys_of
from tui.i18n import _
from tui.text import clean
from tui.told import told
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.screens.settings import Sender
    from tui.timeline import Timeline

POLL_S = 1.0
LINES = 300
_WIDEST = 400


def log_lines(reply: Any) -> list[str]:
    """The lines of an answer, safe to draw."""
    lines = reply.get("lines", ()) if isinstance(reply, dict) else ()
    return [_printable(str(line)) for line in lines]


def added(before: list[str], now: list[str]) -> list[str]:
    """What ``now`` has after the end of ``before``; all of it where nothing of it is known."""
    if not before:
        return now
    last = before[-1]
    for place in range(len(now) - 1, -1, -1):
        if now[place] == last and now[: place + 1] == before[len(before) - place - 1 :]:
            return now[place + 1 :]
    return now


def _printable(line: str) -> str:
    """A line of the log with its indentation, which :func:`clean` would take away."""
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + clean(line, _WIDEST)


class LogScreen(Screen[None]):
    """Two scrolling panes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+l", "dismiss(None)", show=False)]

    def __init__(self, sender: Sender, timeline: Timeline) -> None:
        super().__init__(classes="log")
        self._sender = sender
        self._timeline = timeline
        self._shown: list[str] = []
        self._events_shown = 0
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Timeline, log, hints."""
        yield RichLog(id="timeline", max_lines=LINES, wrap=False, markup=False, highlight=False)
        yield RichLog(id="log", max_lines=2000, wrap=False, markup=False, highlight=False)
        yield Rows(id="log-hints")

    async def on_mount(self) -> None:
        """Titles, first look, then a look a second."""
        self.query_one("#timeline", RichLog).border_title = _("Connection")
        self.query_one("#log", RichLog).border_title = _("Engine's log")
        row = [(" Esc", "accent"), (" " + _("Back") + " ", "dim"), (" Tab", "accent"), (" " + _("Next pane"), "dim")]
        self.query_one("#log-hints", Rows).show([row])
        if not list(self._timeline):
            words = _("Nothing has happened since this console was opened; {key} shows what was before.")
            self.query_one("#timeline", RichLog).write(words.format(key=keys_of("app.health")))
        await self.look()
        self.set_interval(POLL_S, self.look)

    async def look(self) -> None:
        """Add what is new."""
        lines = list(self._timeline)
        for line in lines[self._events_shown :]:
            self.query_one("#timeline", RichLog).write(line)
        self._events_shown = len(lines)
        log = self.query_one("#log", RichLog)
        try:
            now = log_lines(await self._sender.send(cmd.TailLog(LINES)))
        except (Refused, EngineGone) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.write(told(self._problem))
            return
        for line in added(self._shown, now):
            log.write(line)
        self._shown = now
