"""Asks for the target of a blind transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui.i18n import _

if TYPE_CHECKING:
    from textual.app import ComposeResult


class TransferDialog(ModalScreen[str | None]):
    """Enter transfers, Escape goes back to the caller."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def compose(self) -> ComposeResult:
        """Prompt and field."""
        with Vertical(classes="box"):
            yield Label(_("Transfer to (Enter sends, Escape keeps the call):"))
            field = Input(id="target", max_length=255)
            field.cursor_blink = False
            yield field

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the target back."""
        event.stop()
        self.dismiss(event.value.strip() or None)
