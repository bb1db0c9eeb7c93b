"""The calls pane: one row a call, the DTMF echo, and what to do when there is none.

> 1 TALK  Alice Example   1004           4:12
  2 HELD  Bob Support     1007           3:10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.i18n import _
from tui.text import clean, duration, fit
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState


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


def call_row(call: CallSlice, number: int, *, current: bool, now: float, width: int) -> Row:
    """One call in ``width`` cells: marker, number, state, who, how long."""
    word, role = state_word(call)
    clock = duration(now - call.answered_at) if call.answered_at is not None else ""
    lock = "▣ " if call.security else ""
    peer = clean(call.peer, 60)
    name = clean(call.display_name, 60)
    room = width - 2 - 2 - 8 - 1 - len(lock) - 8
    who = fit(name, max(0, room // 2)) + " " + fit(peer, max(0, room - room // 2 - 1)) if name else fit(peer, room)
    return [
        ("> " if current else "  ", "accent"),
        (f"{number} ", "dim"),
        (fit(word, 8), role),
        (" ", ""),
        (who, "strong" if current else ""),
        (lock, "ok"),
        (clock.rjust(8), ""),
    ]


def calls_rows(state: PhoneState, *, dtmf: str, now: float, width: int) -> list[Row]:
    """All calls, then a blank, then the echo of sent digits or a hint."""
    if not state.calls:
        return [[(_("No call. Type a number to dial."), "dim")]]
    current = current_call(state)
    rows = [
        call_row(call, number, current=call is current, now=now, width=width)
        for number, call in enumerate(state.calls, start=1)
    ]
    rows.append([])
    if dtmf:
        rows.append([(_("DTMF sent:") + " ", "dim"), (" ".join(dtmf[-20:]), "accent")])
    elif current is not None and current.state == "active" and current.media_silent:
        rows.append([(_("Nothing is heard from the far end"), "warn")])
    elif current is not None and current.state == "active":
        rows.append([(_("Digits are sent as tones to the far end"), "dim")])
    return rows


class CallsPane(Rows):
    """See :func:`calls_rows`."""

    def update_from(self, state: PhoneState, *, dtmf: str, now: float) -> None:
        """Show the calls of ``state``."""
        self.show(calls_rows(state, dtmf=dtmf, now=now, width=self.size.width or 40))
