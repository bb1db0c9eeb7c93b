"""The top line: registration, voicemail, missed calls, round trip, sound.

● REGISTERED 1001@pbx │ VM 2 │ Missed 1 │ PBX 12 ms │ sound ok
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def status_row(state: PhoneState, *, missed: int, attached: bool) -> Row:
    """The pieces of the line."""
    if not attached:
        return [("✗ ", "error"), (_("ENGINE GONE"), "error")]
    glyph, word, role = registration_word(state)
    row: Row = [(f"{glyph} ", role), (word, role), (" ", ""), (clean(state.registration.account, 40), "strong")]
    if state.transport.network == "offline":
        row += [_SEPARATOR, (_("network offline"), "warn")]
    if state.voicemail.waiting:
        count = "" if state.voicemail.new is None else f" {state.voicemail.new}"
        row += [_SEPARATOR, (_("VM") + count, "accent")]
    if missed:
        row += [_SEPARATOR, (_("Missed {n}").format(n=missed), "accent")]
    if state.transport.rtt_ms is not None:
        row += [_SEPARATOR, (_("PBX {ms} ms").format(ms=round(state.transport.rtt_ms)), "dim")]
    problem = state.audio.problem is not None
    row += [_SEPARATOR, (_("no sound") if problem else _("sound ok"), "warn" if problem else "dim")]
    return row


class StatusLine(Rows):
    """One row, see :func:`status_row`."""

    def update_from(self, state: PhoneState, *, missed: int, attached: bool) -> None:
        """Show ``state``."""
        self.show([status_row(state, missed=missed, attached=attached)])
