"""The bottom line: the keys that work everywhere, from the action registry."""

from __future__ import annotations

from tui.actions import ACTIONS, keys_of
from tui.i18n import _
from tui.widgets.rows import Row, Rows


def hints_row(width: int) -> Row:
    """As many hints as fit into ``width`` cells, in the order of the registry."""
    row: Row = []
    used = 0
    for action in ACTIONS:
        key, word = keys_of(action.id), _(action.hint) if action.hint else ""
        if not key or not word:
            continue
        if used + len(key) + len(word) + 2 > width:
            break
        row += [(key, "accent"), (f" {word} ", "dim")]
        used += len(key) + len(word) + 2
    return row


class KeyHints(Rows):
    """See :func:`hints_row`."""

    def on_resize(self) -> None:
        """Show what fits."""
        self.show([hints_row(self.size.width)])
