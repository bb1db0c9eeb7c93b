"""The main screen: status, alert slot, calls, recent calls, quality, dial line, key hints; all in fixed places."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.containers import Container
from textual.screen import Screen

from tui.i18n import _
from tui.widgets.alert import AlertSlot
from tui.widgets.calls import CallsPane, current_call
from tui.widgets.dial_line import DialLine
from tui.widgets.key_hints import KeyHints
from tui.widgets.quality import QualityLine
from tui.widgets.recent import RecentList
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from phone.state import PhoneState


class MainScreen(Screen[None]):
    """Draws a state; knows no engine and decides nothing."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (110, "-wide")]  # noqa: RUF012 - Textual declares it so

    def __init__(self) -> None:
        super().__init__()
        self._search = ""
        self._seen: PhoneState | None = None

    def compose(self) -> ComposeResult:
        """The slots from top to bottom."""
        yield StatusLine(id="status")
        yield AlertSlot(id="alert")
        with Container(id="body"):
            yield CallsPane(id="calls")
            yield RecentList(id="recent")
        yield QualityLine(id="quality")
        yield DialLine(id="dialline")
        yield KeyHints(id="hints")

    def on_mount(self) -> None:
        """Titles; nothing has the focus, so that letters and digits act."""
        self.retitle()
        self.set_focus(None)

    def retitle(self) -> None:
        """Write every text that does not come with the state, after a change of language too."""
        self.query_one(CallsPane).border_title = _("Calls")
        self.query_one(RecentList).border_title = _("Recent")
        self.query_one(KeyHints).on_resize()

    def draw(self, state: PhoneState, *, attached: bool, quiet: bool, missed: int, dtmf: str) -> None:
        """Show ``state``; only what differs is repainted."""
        if not self.is_mounted:
            return
        now = time.time()
        self.query_one(StatusLine).update_from(state, missed=missed, attached=attached)
        self.query_one(AlertSlot).update_from(state, now=now, attached=attached, quiet=quiet)
        self.query_one(CallsPane).update_from(state, dtmf=dtmf, now=now)
        self.query_one(QualityLine).update_from(current_call(state))
        if self._seen is None or self._seen.recent is not state.recent:
            self.query_one(RecentList).update_from(state.recent, now=now, search=self._search)
        self._seen = state

    def tick(self, state: PhoneState, *, attached: bool, quiet: bool, dtmf: str) -> None:
        """Once a second while something counts: clocks and countdowns only."""
        now = time.time()
        self.query_one(AlertSlot).update_from(state, now=now, attached=attached, quiet=quiet)
        self.query_one(CallsPane).update_from(state, dtmf=dtmf, now=now)

    def search(self, text: str) -> None:
        """Filter the recent calls."""
        self._search = text if not text[:1].isdigit() else ""
        if self._seen is not None:
            self.query_one(RecentList).update_from(self._seen.recent, now=time.time(), search=self._search)
