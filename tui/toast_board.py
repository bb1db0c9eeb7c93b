"""Which toasts stand on the screen: one a topic, the newest, each for as long as it was meant to.

Textual can only clear all toasts, so the ones of other topics are put up again for the rest of their time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.toasts import Toast


class ToastBoard:
    """Decides; ``show`` and ``clear`` do. Times are of ``clock``, in seconds."""

    def __init__(
        self, *, show: Callable[[Toast, float], None], clear: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._show = show
        self._clear = clear
        self._clock = clock
        self._standing: dict[str, tuple[Toast, float]] = {}

    def put(self, toast: Toast) -> None:
        """Show a toast; it takes the place of what is no longer true. The same fact twice in a row is told once."""
        now = self._clock()
        self._standing = {topic: entry for topic, entry in self._standing.items() if entry[1] > now}
        before = self._standing.get(toast.topic)
        if before is not None and before[0] == toast:
            return
        over = [topic for topic in (toast.topic, *toast.ends) if self._standing.pop(topic, None) is not None]
        if over:
            self._clear()
            for other, until in self._standing.values():
                self._show(other, until - now)
        self._standing[toast.topic] = (toast, now + toast.seconds)
        self._show(toast, toast.seconds)
