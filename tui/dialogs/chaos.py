"""The demo's chaos key: choose what goes wrong, and watch the phone heal it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from phone.protocol.chaos import FAULTS, MUTE_S, PASSWORD_S, RESTART_S, RETRY_AFTER_S, FaultName
from tui.actions import keys_of
from tui.i18n import _
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult


def fault_words() -> dict[FaultName, tuple[str, str]]:
    """What each fault is called, and what there is to see."""
    return {
        "drop": (_("Cut the connection"), _("back within a second")),
        "restart": (
            _("Restart the PBX"),
            _("it refuses everybody for {seconds} s; watch the countdown").format(seconds=round(RESTART_S)),
        ),
        "busy": (
            _("Overload the PBX"),
            _("503 with Retry-After: {seconds}, twice; it waits as it is told").format(seconds=RETRY_AFTER_S),
        ),
        "mute": (
            _("Silence the PBX"),
            _("connections stay open, no answer for {seconds} s; that is noticed").format(seconds=round(MUTE_S)),
        ),
        "password": (
            _("Refuse the password"),
            _("three attempts, no more; after {seconds} s {key} heals it").format(
                seconds=round(PASSWORD_S), key=keys_of("conn.retry")
            ),
        ),
    }


class ChaosDialog(ModalScreen[FaultName | None]):
    """A digit chooses, Escape leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+k", "dismiss(None)", show=False)]

    def __init__(self) -> None:
        super().__init__(classes="dialog")

    def compose(self) -> ComposeResult:
        """A row a fault."""
        with Vertical(classes="box") as box:
            box.border_title = _("Chaos")
            yield Rows(id="faults")

    def on_mount(self) -> None:
        """Write the rows."""
        words = fault_words()
        rows = [
            row
            for number, fault in enumerate(FAULTS, start=1)
            for row in ([(f"{number} ", "accent"), (words[fault][0], "strong")], [("  " + words[fault][1], "dim")])
        ]
        self.query_one("#faults", Rows).show(rows)

    def on_key(self, event: events.Key) -> None:
        """Choose."""
        if event.character and event.character.isdecimal() and 0 < int(event.character) <= len(FAULTS):
            event.stop()
            self.dismiss(FAULTS[int(event.character) - 1])
