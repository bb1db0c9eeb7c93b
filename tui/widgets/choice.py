"""A field of one line whose value is one of a few: left, right and space turn it; nothing opens and nothing moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from tui.text import clean
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Choice(Rows, can_focus=True):
    """``‹ value ›``; the texts shown may differ from the values."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space,enter", "turn(1)", show=False),
    ]

    @dataclass
    class Changed(Message):
        """Another value was chosen by a person."""

        choice: Choice
        value: str

    def __init__(
        self,
        choices: Sequence[str],
        value: str,
        *,
        texts: Mapping[str, str] | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._choices = list(choices)
        self._texts = dict(texts or {})
        self.value = value

    def on_mount(self) -> None:
        """Show the value."""
        self._draw()

    def offer(self, choices: Sequence[str]) -> None:
        """Other values to choose from; the present one stays."""
        self._choices = list(choices)

    def use(self, value: str) -> None:
        """Take a value that came from elsewhere; nobody is told."""
        self.value = value
        self._draw()

    def action_turn(self, step: int) -> None:
        """The next or the previous value."""
        if not self._choices:
            return
        here = self._choices.index(self.value) if self.value in self._choices else -1
        self.value = self._choices[(here + step) % len(self._choices)]
        self._draw()
        self.post_message(self.Changed(self, self.value))

    def on_focus(self) -> None:
        """Show where the keys go."""
        self._draw(focused=True)

    def on_blur(self) -> None:
        """Show it no more."""
        self._draw(focused=False)

    def on_click(self) -> None:
        """The mouse turns it too."""
        self.focus()
        self.action_turn(1)

    def _draw(self, focused: bool | None = None) -> None:
        lit = self.has_focus if focused is None else focused
        text = clean(self._texts.get(self.value, self.value), 60) or "-"
        self.show([[(f"‹ {text} ›", "selected" if lit else "")]])
