"""Opens what is beside the main screen, and opens it again where it fails; the phone and the calls go on meanwhile.

open ─▶ screen ── fault ─▶ error card, 1 s ─▶ screen ── fault ─▶ 2 s … 4 s ─▶ the card stays until Escape
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from phone.protocol import commands as cmd
from tui.dialogs.quit import Leave, QuitDialog
from tui.i18n import _
from tui.verbs import Verbs, attempt
from tui.widgets.calls import current_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from phone.protocol.chaos import Chaos, FaultName
    from phone.protocol.setup import Setup
    from phone.state import PhoneState
    from tui.dialogs.help import Situation
    from tui.timeline import Timeline

WAITS_S = (1.0, 2.0, 4.0)
"""How long a failed screen stays closed before it is tried again."""


class Host(Protocol):
    """The application, as screens need it."""

    state: PhoneState
    attached: bool
    timeline: Timeline
    verbs: Verbs
    bridge: Any
    """Where an engine can be started."""

    @property
    def screen(self) -> Screen[Any]:
        """The one on top."""

    @property
    def own_settings(self) -> dict[str, Callable[[str], None]]:
        """What the console itself does with a setting of its own, by key."""

    async def send(self, command: cmd.Command) -> Any:
        """Carry out a command."""

    def situation(self) -> Situation:
        """What is going on, for help."""

    def exit(self, result: Any = None) -> None:
        """Textual's."""

    def echo(self, digit: str) -> None:
        """Show a digit that was sent."""

    def note(self, text: str) -> None:
        """Show what a key did, for a moment."""

    def tell(self, title: str, message: str) -> None:
        """A short notice."""

    def note_fault(self, error: Exception) -> None:
        """Write down what must not happen."""

    def push_screen(self, screen: Any, callback: Any = None) -> Any:
        """Textual's."""

    def pop_screen(self) -> Any:
        """Textual's."""

    def call_later(self, callback: Any, *arguments: Any) -> Any:
        """Textual's."""


class Openings:
    """One console's doors."""

    def __init__(self, host: Host, *, chaos: Chaos | None = None) -> None:
        self._host = host
        self._chaos = chaos
        self._make: Callable[[], Screen[Any]] | None = None
        self._callback: Callable[[Any], object] | None = None
        self._failures = 0
        self._failed: Screen[Any] | None = None

    def open(self, make: Callable[[], Screen[Any]], callback: Callable[[Any], object] | None = None) -> None:
        """Show a new screen; ``callback`` gets what it is dismissed with."""
        self._make, self._callback, self._failures = make, callback, 0
        self._show()

    def _show(self) -> None:
        assert self._make is not None  # noqa: S101 - set by open
        try:
            screen = self._make()
        except Exception as error:  # noqa: BLE001 - a supervisor: a screen that cannot be made takes nothing along
            self._host.note_fault(error)
            self._card()
            return
        self._host.push_screen(screen, self._callback)

    # --- faults --------------------------------------------------------------------------------------------

    def recover(self, error: Exception) -> bool:
        """Whether a fault is of a screen that can be closed and tried again; then that is under way."""
        screen = self._host.screen
        if self._make is None or not screen.is_attached or screen.id == "main" or screen.has_class("error-card"):
            return False
        self._host.note_fault(error)
        if self._failed is None:  # else it is being closed already
            self._failed = screen
            self._host.call_later(self._replace)
        return True

    async def _replace(self) -> None:
        failed, self._failed = self._failed, None
        if self._host.screen is failed:
            await self._host.pop_screen()
        self._card()

    def _card(self) -> None:
        from tui.dialogs.error_card import ErrorCard  # needed never, if all is well

        wait_s = WAITS_S[self._failures] if self._failures < len(WAITS_S) else None
        self._failures += 1
        self._host.push_screen(ErrorCard(wait_s), lambda again: self._show() if again else None)

    # --- what there is to open: each is loaded when it is first opened --------------------------------------

    async def help(self) -> None:
        """Keys and what they do, those of the moment first."""
        from tui.dialogs.help import HelpScreen

        self.open(lambda: HelpScreen(self._host.situation()))

    async def settings(self) -> None:
        """Account, sound and the rest."""
        from tui.screens.settings import SettingsScreen

        self.open(lambda: SettingsScreen(self._host, apply=self._host.own_settings))

    async def log(self) -> None:
        """Timeline and log."""
        from tui.screens.log import LogScreen

        self.open(lambda: LogScreen(self._host, self._host.timeline))

    async def health(self) -> None:
        """Figures and what happened to the connection."""
        from tui.screens.health import HealthScreen

        self.open(lambda: HealthScreen(self._host, self._host.state))

    async def chaos(self) -> None:
        """A fault for the demo's PBX."""
        from tui.dialogs.chaos import ChaosDialog

        if self._chaos is None:
            self._host.tell(_("Chaos"), _("Faults can be tried in the demo: offhook --demo."))
            return
        self.open(ChaosDialog, self._inject)

    async def transfer(self) -> None:
        """Ask for the target of a transfer."""
        from tui.dialogs.transfer import TransferDialog

        call = current_call(self._host.state)
        if call is None or call.state != "active":
            self._host.tell(_("Transfer"), _("There is no answered call."))
            return
        self.open(TransferDialog, self._transfer)

    async def _transfer(self, target: str | None) -> None:
        if target:
            await self._host.verbs.transfer(target)

    async def quit(self) -> None:
        """Leave at once when nothing is up, else ask whether the calls go on."""
        host = self._host
        if not host.attached or not host.state.calls:
            host.exit(Leave.DETACH)
            return
        self.open(lambda: QuitDialog(len(host.state.calls)), self._quit)

    async def _quit(self, choice: Leave | None) -> None:
        if choice is Leave.HANG_UP:
            for call in self._host.state.calls:
                await attempt(self._host, self._host.send(cmd.Hangup(call.id)))
        if choice is not None:
            self._host.exit(choice)

    def _inject(self, fault: FaultName | None) -> None:
        if fault is not None and self._chaos is not None:
            self._chaos.inject(fault)

    async def wizard(self, setup: Setup) -> None:
        """The first settings; it is not opened again by itself, since what was typed would be gone."""
        from tui.screens.wizard import WizardScreen

        await self._host.push_screen(WizardScreen(self._host, setup))
