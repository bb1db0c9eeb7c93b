"""The help screen: every action with its keys, straight from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, bindings, key_label
from tui.i18n import _

if TYPE_CHECKING:
    from textual.app import ComposeResult


def help_text() -> str:
    """Keys, titles and explanations, a line each."""
    keys: dict[str, list[str]] = {}
    for key, action in bindings():
        keys.setdefault(action.id, []).append(key_label(key))
    lines = [f"{' '.join(keys[action.id]):<12} {_(action.title)}: {_(action.help)}" for action in ACTIONS]
    lines += [
        "",
        f"{'0-9 * #':<12} " + _("Dial while idle, tones in a call"),
        f"{'Enter':<12} " + _("Dial, or call the selected number back"),
        f"{'Tab':<12} " + _("Next pane"),
        f"{'Esc':<12} " + _("Back to the calls; it never hangs up"),
        f"{'Ctrl+P':<12} " + _("Every command by name"),
    ]
    return "\n".join(lines)


class HelpScreen(ModalScreen[None]):
    """Any of Escape, F1 and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss(None)", show=False)]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(classes="box wide") as box:
            box.border_title = _("Keys")
            yield Static(help_text(), markup=False)
