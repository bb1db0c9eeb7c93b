"""The bottom line: the keys that work everywhere, from the action registry."""

from __future__ import annotations

from rich.cells import cell_len

from tui.actions import ACTIONS, keys_of
from tui.i18n import _
from tui.widgets.rows import Row, Rows


def hints_row(width: int) -> Row:
    """As many hints as fit into ``width`` cells, in the order of the registry; the last one, how to leave, stays."""
    hints = [(keys_of(action.id), _(action.hint)) for action in ACTIONS if action.hint and keys_of(action.id)]
    while hints and sum(len(key) + cell_len(word) + 2 for key, word in hints) > width:
        del hints[max(0, len(hints) - 2)]
    return [piece for key, word in hints for piece in ((key, "accent"), (f" {word} ", "dim"))]


class KeyHints(Rows):
    """See :func:`hints_row`."""

    def on_resize(self) -> None:
        """Show what fits."""
        self.show([hints_row(self.size.width)])
