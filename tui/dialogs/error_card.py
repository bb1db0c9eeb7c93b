"""Shown in the place of a screen that has failed, until it is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label

from tui.i18n import _

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ErrorCard(ModalScreen[bool]):
    """Says that a screen has failed; True once it is to be tried again, False on Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", show=False)]

    def __init__(self, wait_s: float | None) -> None:
        """``wait_s`` is None where nothing is tried any more."""
        super().__init__(classes="dialog error-card")
        self._wait_s = wait_s

    def compose(self) -> ComposeResult:
        """Two sentences."""
        if self._wait_s is None:
            then = _("It has failed four times; the log of the console says why. Escape goes back.")
        else:
            then = _("It is opened again in {seconds} s; Escape goes back.").format(seconds=f"{self._wait_s:g}")
        with Vertical(classes="box") as box:
            box.border_title = _("This screen has failed")
            yield Label(_("The phone and its calls go on.") + " " + then, markup=False)

    def on_mount(self) -> None:
        """Wait."""
        if self._wait_s is not None:
            self.set_timer(self._wait_s, self._over)

    def _over(self) -> None:
        self.dismiss(True)
