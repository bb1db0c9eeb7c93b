"""Calls that are over, newest first, grouped by day; Enter calls back."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from tui.i18n import _
from tui.text import clean, duration, fit
from tui.widgets.list_rows import ListRows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual import events

    from phone.protocol.snapshots import HistoryEntry
    from tui.widgets.rows import Row


def local_day(at: float) -> datetime.date:
    """The day of a Unix time where the user is."""
    return datetime.datetime.fromtimestamp(at).astimezone().date()


def day_heading(day: datetime.date, today: datetime.date) -> str:
    """Today, Yesterday, or the date."""
    age = (today - day).days
    if age <= 0:
        return _("Today")
    return _("Yesterday") if age == 1 else day.isoformat()


def outcome_word(entry: HistoryEntry) -> tuple[str, str]:
    """``in``, ``out`` or what became of it, with a role."""
    if entry.outcome == "answered":
        return (_("in") if entry.direction == "in" else _("out")), "dim"
    words = {
        "missed": (_("MISS"), "error"),
        "cancelled": (_("canc"), "dim"),
        "rejected": (_("rej"), "dim"),
        "busy": (_("busy"), "warn"),
        "failed": (_("fail"), "warn"),
        "elsewhere": (_("else"), "dim"),
    }
    return words[entry.outcome]


def entry_row(entry: HistoryEntry, width: int) -> Row:
    """One call in ``width`` cells."""
    word, role = outcome_word(entry)
    clock = datetime.datetime.fromtimestamp(entry.started_at).astimezone().strftime("%H:%M")
    who = clean(entry.display_name, 60) or clean(entry.peer, 60)
    length = duration(entry.duration_s) if entry.answered_at is not None else ""
    room = max(4, width - 6 - 5 - 7)
    return [(clock + " ", "dim"), (fit(word, 5), role), (fit(who, room), ""), (length.rjust(7), "dim")]


def recent_items(entries: Iterable[HistoryEntry], *, now: float, width: int, search: str = "") -> list[tuple[str, Row]]:
    """Headings (empty key) and calls (their id), filtered by ``search`` in name and number."""
    items: list[tuple[str, Row]] = []
    today, shown = local_day(now), None
    wanted = search.casefold()
    for entry in entries:
        if wanted and wanted not in f"{entry.display_name} {entry.peer}".casefold():
            continue
        if (day := local_day(entry.started_at)) != shown:
            shown = day
            items.append(("", [(day_heading(day, today), "strong")]))
        items.append((str(entry.id), entry_row(entry, width)))
    if not items:
        items.append(("", [(_("Nothing found") if wanted else _("No calls yet"), "dim")]))
    return items


class RecentList(ListRows):
    """See :func:`recent_items`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[tuple[HistoryEntry, ...], float, str] | None = None

    def on_resize(self, event: events.Resize) -> None:
        """The same calls in another width."""
        if self._shown is not None:
            entries, now, search = self._shown
            self.update_from(entries, now=now, search=search)
        super().on_resize(event)

    def update_from(self, entries: Iterable[HistoryEntry], *, now: float, search: str = "") -> None:
        """Show ``entries``."""
        self._shown = (tuple(entries), now, search)
        entries = self._shown[0]
        self.show_items(recent_items(entries, now=now, width=self.size.width or 36, search=search))
