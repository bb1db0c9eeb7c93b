"""The console: a Textual application that shows the engine's state and sends it commands.

    bridge ── state, events ──▶ ConsoleApp ──▶ MainScreen, toasts, bell, title
    keys ──▶ actions (registry) ──▶ Verbs ── commands ──▶ bridge

It holds no state of its own but what a screen is about: the echo of digits, and what was seen of missed calls.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App
from textual.binding import Binding, BindingType

from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.state import PhoneState
from tui import terminal
from tui.actions import bindings, types_text
from tui.commands import ActionProvider
from tui.dialogs.help import HelpScreen
from tui.dialogs.quit import Leave, QuitDialog
from tui.dialogs.transfer import TransferDialog
from tui.i18n import _
from tui.screens.main import MainScreen
from tui.text import clean
from tui.theme import textual_theme
from tui.toasts import Toast, toast_for
from tui.verbs import DTMF_KEYS, Verbs
from tui.widgets.alert import ringing
from tui.widgets.calls import current_call
from tui.widgets.dial_line import DIAL_CHARACTERS, DialLine
from tui.widgets.recent import RecentList

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.timer import Timer

    from tui.bridge import Bridge
    from tui.widgets.list_rows import ListRows


class ConsoleApp(App[Leave]):
    """One attached console."""

    CSS_PATH = "styles/main.tcss"
    TITLE = "Offhook"
    COMMANDS: ClassVar[set[type[ActionProvider] | Callable[[], type[ActionProvider]]]] = {ActionProvider}  # type: ignore[assignment]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_field", show=False),
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
    ]

    def __init__(self, bridge: Bridge, *, theme: str = "dark") -> None:
        super().__init__()
        self._wanted_theme = textual_theme(theme)
        self.bridge = bridge
        self.verbs = Verbs(self)
        self.state = PhoneState()
        self.attached = True
        self._started = False
        self._echo: tuple[str, str] = ("", "")
        self._missed_seen = 0
        self._told: dict[str, float] = {}
        self._clock: Timer | None = None
        self._main = MainScreen()
        self._actions: dict[str, Callable[[], Awaitable[None]]] = {
            "app.help": self.show_help,
            "call.answer": self.verbs.answer,
            "call.hangup": self.verbs.hang_up,
            "call.hold": self.verbs.hold,
            "call.mute": self.verbs.mute,
            "call.transfer": self.ask_transfer,
            "call.redial": self.redial,
            "call.swap": self.verbs.swap,
            "conn.retry": self.retry,
            "app.settings": self.show_settings,
            "app.search": self.search,
            "app.quit": self.ask_quit,
        }
        for key, action in bindings():
            self.bind(key, f"perform('{action.id}', '{key}')", description=action.title, show=False)

    # --- life ----------------------------------------------------------------------------------------------

    async def on_mount(self) -> None:
        """Show the screen, then follow the engine."""
        self.theme = self._wanted_theme
        await self.push_screen(self._main)
        terminal.leave_cleanly_on_hangup(self.exit)
        self.follow()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Run the bridge until the console ends."""
        await self.bridge.run(self)

    # --- from the bridge -----------------------------------------------------------------------------------

    def on_state(self, state: PhoneState, *, attached: bool) -> None:
        """A new state, or the loss of the engine."""
        self.state, self.attached = state, attached
        self._started = self._started or state.registration.state in ("registered", "failed")
        if self.verbs.notice_ring():
            self.bell()
        current = current_call(state)
        if self._echo[0] and (current is None or current.id != self._echo[0]):
            self._echo = ("", "")
        self.draw()
        self._set_title()
        self._run_clock()

    def on_engine_event(self, event: ev.Event) -> None:
        """Something happened: perhaps a toast."""
        if (toast := toast_for(event)) is not None:
            self.show_toast(toast)

    # --- drawing -------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Bring the main screen up to date."""
        self._main.draw(
            self.state, attached=self.attached, quiet=not self._started, missed=self._missed(), dtmf=self._echo[1]
        )

    def _missed(self) -> int:
        return sum(1 for entry in self.state.recent if entry.outcome == "missed" and entry.id > self._missed_seen)

    def _set_title(self) -> None:
        call = ringing(self.state)
        name = "" if call is None else clean(call.display_name, 40) or clean(call.peer, 40)
        terminal.set_title(self, _("Ringing: {who}").format(who=name) if call else "Offhook")

    def _run_clock(self) -> None:
        """Tick while a clock or a countdown is on the screen; an idle console costs nothing."""
        counts = any(call.answered_at or call.state == "ringing" for call in self.state.calls)
        counts = counts or self.state.registration.reconnect is not None
        if counts and self._clock is None:
            self._clock = self.set_interval(1.0, self._tick)
        elif not counts and self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _tick(self) -> None:
        self._main.tick(self.state, attached=self.attached, quiet=not self._started, dtmf=self._echo[1])

    def show_toast(self, toast: Toast) -> None:
        """Show one toast; texts may come from the network, so markup is off."""
        severity = "information" if toast.severity == "success" else toast.severity
        if self._told.get(toast.topic, 0.0) > monotonic():
            self.clear_notifications()  # the newest fact of a topic takes the older one's place
        self._told[toast.topic] = monotonic() + toast.seconds
        self.notify(toast.message, title=toast.title, severity=severity, timeout=toast.seconds, markup=False)

    # --- what verbs need -----------------------------------------------------------------------------------

    async def send(self, command: cmd.Command) -> object:
        """Carry out a command in the engine."""
        return await self.bridge.send(command)

    def tell(self, title: str, message: str) -> None:
        """A short notice."""
        self.notify(clean(message), title=title, severity="warning", timeout=4, markup=False)

    def echo(self, digit: str) -> None:
        """Show a digit that was sent in the current call."""
        if (call := current_call(self.state)) is not None:
            digits = self._echo[1] if self._echo[0] == call.id else ""
            self._echo = (call.id, digits + digit)
            self.draw()

    # --- keys ----------------------------------------------------------------------------------------------

    async def action_perform(self, action: str, key: str) -> None:
        """Run an action of the registry; a letter is dropped right after a ring has appeared."""
        if types_text(key) and self.verbs.letters_blocked():
            return
        await self._actions[action]()

    async def perform(self, action: str) -> None:
        """Run an action from the palette."""
        await self._actions[action]()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the phone act on the main screen, and function keys for a call in dialogs too."""
        if action != "perform" or self.screen is self._main:
            return True
        return parameters[0] in ("call.answer", "call.hangup")

    async def on_key(self, event: events.Key) -> None:
        """Digits: tones in a call, else the dial line."""
        character = event.character
        if self.screen is not self._main or character is None or character not in DIAL_CHARACTERS:
            return
        event.stop()
        if character in DTMF_KEYS and await self.verbs.digit(character):
            return
        self._main.query_one(DialLine).type(character)

    def action_leave_field(self) -> None:
        """Escape gives the keys back to the phone; it never ends a call."""
        self._main.query_one(DialLine).clear()
        self._main.set_focus(None)

    async def on_dial_line_dialled(self, event: DialLine.Dialled) -> None:
        """Enter on the dial line."""
        if await self.verbs.dial(event.target):
            self.action_leave_field()

    def on_dial_line_edited(self, event: DialLine.Edited) -> None:
        """Typing a name filters the recent calls."""
        self._main.search(event.text)

    async def on_list_rows_chosen(self, event: ListRows.Chosen) -> None:
        """Enter on a call that is over: call back."""
        entry = next((item for item in self.state.recent if str(item.id) == event.key), None)
        if entry is not None:
            await self.verbs.dial(entry.peer_uri or entry.peer)

    # --- actions that open something -----------------------------------------------------------------------

    async def show_help(self) -> None:
        """Keys and what they do."""
        self.push_screen(HelpScreen())

    async def show_settings(self) -> None:
        """The settings screen."""
        from tui.screens.settings import SettingsScreen  # its forms are loaded when first opened

        self.push_screen(SettingsScreen(self.bridge))

    async def search(self) -> None:
        """Put the cursor into the dial line, where letters filter the recent calls."""
        self._main.query_one(DialLine).field.focus()

    async def redial(self) -> None:
        """The selected call of the list, else the number dialled last."""
        listed = self._main.query_one(RecentList)
        wanted = listed.selected if listed.has_focus else None
        entries = [e for e in self.state.recent if str(e.id) == wanted or (wanted is None and e.direction == "out")]
        if not entries:
            self.tell(_("Redial"), _("No number has been dialled yet."))
            return
        await self.verbs.dial(entries[0].peer_uri or entries[0].peer)

    async def retry(self) -> None:
        """Register now; without an engine, start one."""
        if self.attached:
            await self.verbs.retry()
        else:
            await self.bridge.restart_engine()

    async def ask_transfer(self) -> None:
        """Ask for the target of a transfer."""
        call = current_call(self.state)
        if call is None or call.state != "active":
            self.tell(_("Transfer"), _("There is no answered call."))
            return
        self.push_screen(TransferDialog(), self._transfer)

    async def _transfer(self, target: str | None) -> None:
        if target:
            await self.verbs.transfer(target)

    async def ask_quit(self) -> None:
        """Leave at once when nothing is up, else ask whether the calls go on."""
        if not self.attached or not self.state.calls:
            self.exit(Leave.DETACH)
            return
        self.push_screen(QuitDialog(len(self.state.calls)), self._quit)

    async def _quit(self, choice: Leave | None) -> None:
        if choice is Leave.HANG_UP:
            for call in self.state.calls:
                await self.bridge.send(cmd.Hangup(call.id))
        if choice is not None:
            self.exit(choice)

    async def action_quit(self) -> None:
        """Textual's own quit, the same question."""
        await self.ask_quit()
