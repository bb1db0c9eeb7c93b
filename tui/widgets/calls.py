"""The calls pane: a row a call, below them the DTMF echo or a hint, each in a place that never moves.

    > 1 TALK  Alice Example   1004     │    4:12
      2 HELD  Bob Support     1007     │    3:10

    DTMF sent: 1 4 #

The clocks are a widget of their own: Textual sends a line from the beginning of a widget to the last change in it, so
a clock at the end of a row would cost the row each second.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.containers import Container, Horizontal

from tui.i18n import _
from tui.text import clean, duration, fit
from tui.widgets.rows import Piece, Row, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult

    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState


CLOCK_CELLS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the row below the calls is to echo."""

    dtmf: str = ""
    """Digits sent in the current call."""

    text: str = ""
    """What a key has just done; it goes before everything else."""


def current_call(state: PhoneState) -> CallSlice | None:
    """The call that keys act on: the one being talked on, else one being set up, else the last on hold."""

    def rank(call: CallSlice) -> int:
        if call.state == "active" and not call.held:
            return 0
        if call.direction == "out" and call.state in ("calling", "ringing", "early"):
            return 1
        return 2 if call.state == "active" else 3

    usable = [call for call in state.calls if call.state != "ending"]
    return min(reversed(usable), key=rank, default=None)


def state_word(call: CallSlice) -> tuple[str, str]:
    """Word and role of a call's state."""
    match call.state:
        case "calling":
            return _("CALL"), "accent"
        case "ringing":
            return (_("RING"), "alert") if call.direction == "in" else (_("RING"), "accent")
        case "early":
            return _("EARLY"), "accent"
        case "active" if call.held:
            return _("HELD"), "warn"
        case "active" if call.held_by_peer:
            return _("ON HOLD"), "warn"
        case "active" if call.muted:
            return _("MUTED"), "warn"
        case "active":
            return _("TALK"), "ok"
        case _:
            return _("END"), "dim"


def call_row(call: CallSlice, number: int, *, current: bool, width: int) -> Row:
    """One call in ``width`` cells: marker, number, state, who."""
    word, role = state_word(call)
    lock = "▣ " if call.security else ""
    tape = f"● {_('REC')} " if call.recording else ""
    peer = clean(call.peer, 60)
    name = clean(call.display_name, 60)
    room = max(0, width - 2 - 2 - 8 - 1 - cell_len(tape) - len(lock))
    who = fit(name, room // 2) + " " + fit(peer, max(0, room - room // 2 - 1)) if name else fit(peer, room)
    return [
        ("> " if current else "  ", "accent"),
        (f"{number} ", "dim"),
        (fit(word, 8), role),
        (" ", ""),
        (who, "strong" if current else ""),
        *([(tape, "error")] if tape else []),
        (lock, "ok"),
    ]


def call_rows(state: PhoneState, *, width: int) -> list[Row]:
    """All calls in ``width`` cells, or what to do when there is none."""
    if not state.calls:
        return [[(_("No call. Type a number to dial."), "dim")]]
    current = current_call(state)
    return [
        call_row(call, number, current=call is current, width=width) for number, call in enumerate(state.calls, start=1)
    ]


def clock_rows(state: PhoneState, *, now: float) -> list[Row]:
    """How long each call has lasted since its answer."""
    clocks = ("" if call.answered_at is None else duration(now - call.answered_at) for call in state.calls)
    return [[(clock.rjust(CLOCK_CELLS), "")] if clock else [] for clock in clocks]


def note_row(state: PhoneState, *, note: Note) -> Row:
    """The echo of a key or of sent digits, else what is wrong with the call, else a hint."""
    current, dtmf = current_call(state), note.dtmf
    if note.text:
        return [(note.text, "accent")]
    if dtmf and current is not None:
        return [(_("DTMF sent:") + " ", "dim"), (" ".join(dtmf[-20:]), "accent")]
    if current is None or current.state != "active":
        return []
    if current.signalling_lost and not current.media_silent:
        return [(_("Signalling lost, audio up"), "warn")]
    if current.media_silent:
        return [(_("Nothing is heard from the far end"), "warn")]
    if current.microphone_silent:
        return [(_("Nothing is heard from your microphone"), "warn")]
    return [(_("Digits are sent as tones to the far end"), "dim")]


class CallsPane(Container):
    """Rows, clocks and the note below them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[PhoneState, Note, float] | None = None

    def compose(self) -> ComposeResult:
        """The three parts."""
        with Horizontal(id="call-lines"):
            yield Rows(id="call-rows")
            yield Rows(id="call-clocks")
        yield Rows(id="call-note")

    def update_from(self, state: PhoneState, *, note: Note, now: float) -> None:
        """Show the calls of ``state``."""
        self._shown = (state, note, now)
        rows = self.query_one("#call-rows", Rows)
        self.show(call_rows(state, width=rows.size.width or 35))
        self.query_one("#call-clocks", Rows).show(clock_rows(state, now=now))
        self.query_one("#call-note", Rows).show([note_row(state, note=note)])

    def show(self, rows: Iterable[Sequence[Piece]]) -> None:
        """Replace the rows of the calls."""
        self.query_one("#call-rows", Rows).show(rows)

    def plain(self) -> list[str]:
        """The text without roles."""
        lines, clocks = self.query_one("#call-rows", Rows).plain(), self.query_one("#call-clocks", Rows).plain()
        width = max([0, *(len(line) for line in lines)])
        both = [f"{line:<{width}} {clock}".rstrip() for line, clock in zip_longest(lines, clocks, fillvalue="")]
        return [*both, "", *self.query_one("#call-note", Rows).plain()]

    def on_resize(self) -> None:
        """The same calls in another width, once the parts have theirs."""
        self.call_after_refresh(self._again)

    def _again(self) -> None:
        if self._shown is not None and self.is_attached:
            state, note, now = self._shown
            self.update_from(state, note=note, now=now)
