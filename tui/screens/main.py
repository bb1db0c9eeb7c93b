"""The main screen: status, alert slot, calls, recent calls, quality, levels, dial line, key hints; all in fixed places.

Each slot is drawn by itself: one that fails says so in its own place and is tried again with the next state.
"""

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
from tui.widgets.levels import Levels
from tui.widgets.quality import QualityLine
from tui.widgets.recent import RecentList
from tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from textual.app import ComposeResult

    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState
    from tui.widgets.calls import Note
    from tui.widgets.rows import Rows


class MainScreen(Screen[None]):
    """Draws a state; knows no engine and decides nothing."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (110, "-wide")]  # noqa: RUF012 - Textual declares it so

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        on_fault: Callable[[Exception], None] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """``clock`` gives Unix time; ``on_fault`` is told of a slot that cannot be drawn, ``on_ready`` when all can."""
        super().__init__(id="main")
        self._clock = clock
        self._on_fault = on_fault
        self._on_ready = on_ready
        self._slots_there = False
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
        yield Levels(id="levels")
        yield DialLine(id="dialline")
        yield KeyHints(id="hints")

    def on_mount(self) -> None:
        """Titles; nothing has the focus, so that letters and digits act."""
        self.retitle()
        self.set_focus(None)
        self._slots_there = True
        if self._on_ready is not None:
            self._on_ready()

    def retitle(self) -> None:
        """Write every text that does not come with the state, after a change of language too."""
        self.query_one(CallsPane).border_title = _("Calls")
        self.query_one(RecentList).border_title = _("Recent")
        self.query_one(DialLine).retitle()
        self.query_one(KeyHints).on_resize()
        self._seen = None

    @property
    def _complete(self) -> bool:
        """Whether every slot is there: not before the screen is composed, and no more while the console ends."""
        return self._slots_there and len(self.query("#hints, #status, #alert, #calls, #recent, #quality")) == 6

    def prepare(self, *, width: int, levels: bool) -> None:
        """Take on the classes of a width before the screen is styled for the first time."""
        fitting = [name for least, name in self.HORIZONTAL_BREAKPOINTS if width >= least]
        self.set_class(True, fitting[-1], *(["-levels"] if levels else []), update=False)

    def show_levels(self, shown: bool) -> None:
        """Give the levels their row, or take it away."""
        self.set_class(shown, "-levels")

    def draw(self, state: PhoneState, *, attached: bool, quiet: bool, missed: int, note: Note) -> None:
        """Show ``state``; only what differs is repainted."""
        if not self._complete:
            return
        now = self._clock()
        status, recent = self.query_one(StatusLine), self.query_one(RecentList)
        self._slot(status, lambda: status.update_from(state, missed=missed, attached=attached))
        if self._seen is None or self._seen.recent is not state.recent:
            self._slot(recent, lambda: recent.update_from(state.recent, now=now, search=self._search))
        self._seen = state
        self.tick(state, attached=attached, quiet=quiet, note=note)

    def tick(self, state: PhoneState, *, attached: bool, quiet: bool, note: Note) -> None:
        """Once a second while something counts: clocks and countdowns only."""
        if not self._complete:
            return
        now = self._clock()
        alert, calls, quality = self.query_one(AlertSlot), self.query_one(CallsPane), self.query_one(QualityLine)
        self._slot(alert, lambda: alert.update_from(state, now=now, attached=attached, quiet=quiet))
        self._slot(calls, lambda: calls.update_from(state, note=note, now=now))
        self._slot(quality, lambda: quality.update_from(current_call(state), now=now))

    def draw_levels(self, levels: Mapping[str, Any] | None, *, call: CallSlice | None) -> None:
        """Show how loud it is; None while there is nothing to measure."""
        for row in self.query(Levels):  # none any more while the console ends
            row.update_from(levels, call=call)

    def search(self, text: str) -> None:
        """Filter the recent calls."""
        self._search = text if not text[:1].isdigit() else ""
        if self._seen is not None:
            self.query_one(RecentList).update_from(self._seen.recent, now=self._clock(), search=self._search)

    def _slot(self, slot: Rows | CallsPane, draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception as error:  # noqa: BLE001 - the supervisor of the screen: a slot that fails takes nothing along
            slot.show([[(" " + _("This part cannot be drawn; the log of the console says why"), "error")]])
            if self._on_fault is not None:
                self._on_fault(error)
