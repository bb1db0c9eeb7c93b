"""The dial line: digits typed anywhere land here while idle; Enter dials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from tui.i18n import _
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

DIAL_CHARACTERS = "0123456789*#+"


class DialLine(Horizontal):
    """A prompt and a one-line field, in a fixed slot."""

    @dataclass
    class Dialled(Message):
        """Enter was pressed on a target."""

        target: str

    @dataclass
    class Edited(Message):
        """The text changed, so that a list can filter by it."""

        text: str

    def compose(self) -> ComposeResult:
        """Prompt and field."""
        yield Rows(id="prompt")
        field = Input(id="dial", compact=True, select_on_focus=False, max_length=255)
        field.cursor_blink = False  # a blinking cursor costs 2 kB/s over SSH
        yield field

    def retitle(self) -> None:
        """Write the prompt and the hint, in the language of the moment."""
        self.query_one("#prompt", Rows).show([[(_("Dial >"), "accent")]])
        self.field.placeholder = _("digits start dialling")

    @property
    def field(self) -> Input:
        """The input."""
        return self.query_one("#dial", Input)

    def type(self, text: str) -> None:
        """Take the focus and add ``text``."""
        self.field.focus()
        self.field.insert_text_at_cursor(text)

    def submit(self) -> None:
        """Dial what is written, if anything is."""
        if target := self.field.value.strip():
            self.post_message(self.Dialled(target))

    def clear(self) -> None:
        """Empty the field."""
        self.field.value = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Dial what is written."""
        event.stop()
        self.submit()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell who filters."""
        event.stop()
        self.post_message(self.Edited(event.value))
