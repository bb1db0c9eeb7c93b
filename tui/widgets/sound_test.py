"""Tests the sound on Enter: three seconds are recorded, then played back, with both levels shown meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from phone.client import EngineGone, Refused
from phone.protocol import commands as cmd
from tui.i18n import _
from tui.told import told
from tui.widgets.levels import figure, levels_row
from tui.widgets.rows import Row, Rows

if TYPE_CHECKING:
    from textual.timer import Timer

Send = Callable[[cmd.Command], Awaitable[Any]]
POLL_S = 0.1


def rows_of(reply: Any) -> list[Row]:
    """What the engine's answer means, in two rows."""
    phase = reply.get("phase") if isinstance(reply, dict) else "off"
    match phase:
        case "recording":
            first: Row = [("● " + _("Speak now: three seconds are recorded"), "accent")]
        case "playing":
            first = [("▶ " + _("Listen: this is how you sound"), "accent")]
        case _:
            return [[(_("Enter tests the sound: speak, then hear yourself"), "")], []]
    return [first, levels_row(figure(reply, "input_dbfs"), figure(reply, "output_dbfs"))]


class SoundTest(Rows, can_focus=True):
    """See :func:`rows_of`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "test", show=False)]

    def __init__(self, send: Send, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._send = send
        self._poll: Timer | None = None
        self._heard = False

    def on_mount(self) -> None:
        """Say what Enter does."""
        self.show(rows_of(None))

    async def on_unmount(self) -> None:
        """A test does not outlive its screen."""
        if self._poll is not None:
            self._poll.stop()
            await self._ask("stop")

    async def action_test(self) -> None:
        """Start, or start anew."""
        self._heard = False
        if await self._ask("start") and self._poll is None:
            self._poll = self.set_interval(POLL_S, self._look)

    async def _look(self) -> None:
        await self._ask("poll")

    async def _ask(self, action: Any) -> bool:
        try:
            reply = await self._send(cmd.TestSound(action))
        except (Refused, EngineGone) as error:
            self._stop()
            self.show([[(told(str(error), 120), "warn")], []])
            return False
        phase = reply.get("phase") if isinstance(reply, dict) else "off"
        self._heard = self._heard or (phase == "recording" and figure(reply, "input_dbfs") > -50)
        self.show(rows_of(reply))
        if phase == "off" and action == "poll":
            self._stop()
            self.show([self._verdict(), []])
        return True

    def _verdict(self) -> Row:
        if self._heard:
            return [("✓ " + _("The microphone works. Did you hear yourself? Enter tests again"), "ok")]
        return [("✗ " + _("The microphone heard nothing: choose another, or raise its volume"), "warn")]

    def _stop(self) -> None:
        if self._poll is not None:
            self._poll.stop()
            self._poll = None

    def on_focus(self) -> None:
        """Show where the keys go."""
        self.add_class("-lit")

    def on_blur(self) -> None:
        """Show it no more."""
        self.remove_class("-lit")
