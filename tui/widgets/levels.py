"""How loud it is, as bars between their names: ``Mic ██████····  ████······ Speaker``.

Textual sends a line from the beginning of a widget to its last change: a name between the bars would be sent each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from tui.i18n import _
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phone.protocol.snapshots import CallSlice

CELLS = 10
QUIETEST_DBFS = -60.0
LOUD_DBFS = -6.0
"""From here on a voice is about to be clipped."""

SILENCE_DBFS = -96.0


def bar(dbfs: float) -> tuple[str, str]:
    """A bar of ten cells and its role."""
    share = (dbfs - QUIETEST_DBFS) / -QUIETEST_DBFS
    filled = max(0, min(CELLS, round(share * CELLS)))
    return "█" * filled + "·" * (CELLS - filled), "warn" if dbfs > LOUD_DBFS else "ok" if filled else "dim"


def levels_row(
    input_dbfs: float, output_dbfs: float, *, muted: bool = False, dead: bool = False, recorded: bool = False
) -> Row:
    """Both bars, whether the call is recorded, and whether the microphone is muted, or gives nothing."""
    heard, role = bar(output_dbfs)
    row: Row = [(_("Mic") + " ", ""), bar(SILENCE_DBFS if muted else input_dbfs)]
    row += [("  " + heard, role), (" " + _("Speaker"), "")]
    words = _("MUTED"), _("NO MIC")
    word = words[0] if muted else words[1] if dead else ""
    row += [("  " + word, "warn")] if word else []
    if recorded:
        # Its place does not depend on what stands before it.
        room = 2 + max(cell_len(word) for word in words) - (2 + cell_len(word) if word else 0)
        row += [(" " * room, ""), ("  ● " + _("REC"), "error")]
    return row


def figure(reply: Any, name: str) -> float:
    """A level in an answer of the engine; silence where it is missing."""
    value = reply.get(name) if isinstance(reply, dict) else None
    return float(value) if isinstance(value, (int, float)) else SILENCE_DBFS


class Levels(Rows):
    """One row, see :func:`levels_row`; empty while nothing is measured."""

    def update_from(self, levels: Mapping[str, Any] | None, *, call: CallSlice | None = None) -> None:
        """Show the levels of a call, or nothing."""
        if levels is None or call is None:
            self.show([[]])
            return
        loud = figure(levels, "input_dbfs"), figure(levels, "output_dbfs")
        recorded = bool(call.recording)
        self.show([levels_row(*loud, muted=call.muted, dead=call.microphone_silent, recorded=recorded)])
