"""What the row below the calls echoes: digits sent in the current call, and for a moment what a key has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui.widgets.calls import Note

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App
    from textual.timer import Timer

STANDS_S = 2.0


class Notes:
    """``draw`` is called with every change."""

    def __init__(self, app: App[Any], draw: Callable[[], None]) -> None:
        self._app = app
        self._draw = draw
        self._digits: tuple[str, str] = ("", "")
        self._text = ""
        self._timer: Timer | None = None

    @property
    def shown(self) -> Note:
        """What to show now."""
        return Note(dtmf=self._digits[1], text=self._text)

    def digit(self, call: str, digit: str) -> None:
        """One more was sent."""
        before = self._digits[1] if self._digits[0] == call else ""
        self._digits = (call, before + digit)
        self._draw()

    def follow(self, call: str | None) -> None:
        """``call`` is the current one: digits of another are no longer shown."""
        if self._digits[0] != call:
            self._digits = ("", "")

    def tell(self, text: str) -> None:
        """A key has done this."""
        self._text = text
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_timer(STANDS_S, self._end)
        self._draw()

    def _end(self) -> None:
        self._text, self._timer = "", None
        self._draw()
