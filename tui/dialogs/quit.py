"""Asked when somebody quits with calls up: leave them running, end them, or stay."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from tui.i18n import _, _n

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Leave(enum.Enum):
    """How the console was left."""

    DETACH = "detach"
    HANG_UP = "hang_up"


class QuitDialog(ModalScreen[Leave | None]):
    """Detach is the default: a call outlives the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, calls: int) -> None:
        super().__init__(classes="dialog")
        self._calls = calls

    def compose(self) -> ComposeResult:
        """Question and three answers."""
        with Vertical(classes="box"):
            yield Label(_n("{n} call is up.", "{n} calls are up.", self._calls) + " " + _("Leave the console?"))
            with Horizontal(classes="buttons"):
                yield Button(_("Leave, calls go on"), id="detach", variant="primary")
                yield Button(_("Hang up and leave"), id="hang_up", variant="error")
                yield Button(_("Stay"), id="stay")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss({"detach": Leave.DETACH, "hang_up": Leave.HANG_UP}.get(event.button.id or ""))
