"""The top line: registration, voicemail, missed calls, round trip, sound.

● REGISTERED 1001@pbx │ VM 2 │ Missed 1 │ PBX 12 ms │ sound ok
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from tui.i18n import _
from tui.text import clean
from tui.widgets.rows import Piece, Row, Rows

if TYPE_CHECKING:
    from phone.state import PhoneState

_SEPARATOR: Piece = (" │ ", "dim")


def registration_word(state: PhoneState) -> tuple[str, str, str]:
    """Glyph, word and role; the word carries the meaning where there is no colour."""
    match state.registration.state:
        case "registered":
            return "●", _("REGISTERED"), "ok"
        case "registering" if state.transport.state == "connected":
            return "◐", _("REGISTERING"), "warn"
        case "registering":
            return "◐", _("CONNECTING"), "warn"
        case "failed":
            return "✗", _("FAILED"), "error"
        case _:
            return "○", _("NOT REGISTERED"), "dim"


def status_row(state: PhoneState, *, missed: int, attached: bool, width: int = 200) -> Row:
    """The pieces of the line; where ``width`` is short, what matters least is left out, whole words at a time."""
    if not attached:
        return [("✗ ", "error"), (_("ENGINE GONE"), "error")]
    glyph, word, role = registration_word(state)
    account = clean(state.registration.account, 80)
    head: Row = [(f"{glyph} ", role), (word, role)]
    said = _said(state, missed)
    for name, least in _WAYS:
        who = {"whole": account, "user": account.partition("@")[0], "none": ""}[name]
        row = [*head, *([(" ", ""), (who, "strong")] if who else [])]
        row += [piece for weight, text in said if weight >= least for piece in (_SEPARATOR, text)]
        if sum(cell_len(text) for text, _ in row) <= width:
            return row
    return head


_WAYS = (("whole", 0), ("whole", 1), ("user", 1), ("user", 2), ("user", 3), ("user", 4), ("none", 4))
"""From the longest line to the shortest: how the account is written, and how much a piece must matter to be there."""


def _said(state: PhoneState, missed: int) -> list[tuple[int, Piece]]:
    """What there is to say, in its order, with how much it matters."""
    said: list[tuple[int, Piece]] = []
    if state.transport.network == "offline":
        said.append((4, (_("network offline"), "warn")))
    if state.voicemail.waiting:
        count = "" if state.voicemail.new is None else f" {state.voicemail.new}"
        said.append((2, (_("VM") + count, "accent")))
    if missed:
        said.append((3, (_("Missed {n}").format(n=missed), "accent")))
    if state.transport.rtt_ms is not None:
        said.append((1, (_("PBX {ms} ms").format(ms=round(state.transport.rtt_ms)), "dim")))
    if state.audio.problem is not None:
        said.append((4, (_("no sound"), "warn")))
    else:
        said.append((0, (_("sound ok"), "dim")))
    return said


class StatusLine(Rows):
    """One row, see :func:`status_row`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[PhoneState, int, bool] | None = None

    def update_from(self, state: PhoneState, *, missed: int, attached: bool) -> None:
        """Show ``state``."""
        self._shown = (state, missed, attached)
        self.show([status_row(state, missed=missed, attached=attached, width=self.size.width or 80)])

    def on_resize(self) -> None:
        """The same in another width."""
        if self._shown is not None:
            state, missed, attached = self._shown
            self.update_from(state, missed=missed, attached=attached)
