"""The console: a Textual application that shows the engine's state and sends it commands.

    bridge ── state, events ──▶ ConsoleApp ──▶ MainScreen, toasts, bell, title
    keys ──▶ actions (registry) ──▶ Verbs ── commands ──▶ bridge

It holds no state of its own but what a screen is about: the echo of digits, and what was seen of missed calls.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, work
from textual.app import App
from textual.binding import Binding, BindingType

from phone.client import EngineGone, NoEngine, Refused
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.state import PhoneState
from tui import terminal
from tui.actions import bindings, types_text
from tui.commands import ActionProvider
from tui.dialogs.quit import Leave
from tui.i18n import _, set_language
from tui.notes import Notes
from tui.openings import Openings
from tui.screens.following import FollowingScreen
from tui.screens.main import MainScreen
from tui.text import clean
from tui.theme import textual_theme
from tui.timeline import Timeline
from tui.toast_board import ToastBoard
from tui.toasts import Toast, toast_for
from tui.told import told
from tui.verbs import DTMF_KEYS, VOLUME_STEP, Verbs
from tui.widgets.alert import ringing
from tui.widgets.calls import current_call
from tui.widgets.dial_line import DIAL_CHARACTERS, DialLine
from tui.widgets.recent import RecentList

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import RenderableType
    from textual.notifications import SeverityLevel
    from textual.screen import Screen
    from textual.timer import Timer

    from phone.protocol.chaos import Chaos
    from phone.protocol.setup import Setup
    from phone.protocol.snapshots import CallSlice
    from tui.bridge import Bridge
    from tui.crash import FaultLog
    from tui.dialogs.help import Situation
    from tui.widgets.list_rows import ListRows


SETTLE_S = 0.1
"""How long after the start whatever may wait is done: the first frame is out by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the console spends bytes and colours."""

    theme: str = "dark"
    default_theme: str = "dark"
    """What the theme ``auto`` means in this terminal."""

    meters: bool = True
    meters_by_default: bool = True
    """What ``auto`` means in this terminal: over SSH none."""

    poll_s: float = 0.1
    """Distance of two looks at the levels."""


EVERYWHERE = ("call.answer", "call.hangup", "conn.retry")
"""Actions that are possible whatever screen is open, by their function or Ctrl keys."""


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

    def __init__(
        self,
        bridge: Bridge,
        profile: Profile | None = None,
        *,
        faults: FaultLog | None = None,
        setup: Setup | None = None,
        chaos: Chaos | None = None,
        clock: Callable[[], float] = time.time,
        on_shown: Callable[[], None] | None = None,
    ) -> None:
        """``setup`` makes the wizard come first, ``chaos`` is that of a demo; ``clock`` gives Unix time.

        ``on_shown`` follows the first frame.
        """
        super().__init__()
        self.profile = profile or Profile()
        self.bridge = bridge
        self.verbs = Verbs(self)
        self.state = PhoneState()
        self.attached = True
        self.failed = False
        self.timeline = Timeline()
        self._faults = faults
        self._on_shown = on_shown
        self._setup = setup
        self.openings = Openings(self, chaos=chaos)
        self._meters = self.profile.meters
        self._started = False
        self._told = False
        self._slots_there = asyncio.Event()
        self._notes = Notes(self, self.draw)
        self._missed_seen = 0
        self._board = ToastBoard(show=self._show_toast, clear=self.clear_notifications, clock=time.monotonic)
        self._clock: Timer | None = None
        self._poll: Timer | None = None
        self._main = MainScreen(clock=clock, on_fault=self.note_fault, on_ready=self._slots_are_there)
        self._actions: dict[str, Callable[[], Awaitable[None]]] = {
            "app.help": self.openings.help,
            "call.answer": self.verbs.answer,
            "call.hangup": self.verbs.hang_up,
            "call.hold": self.verbs.hold,
            "call.mute": self.verbs.mute,
            "call.transfer": self.openings.transfer,
            "call.redial": self.redial,
            "call.swap": self.verbs.swap,
            "call.record": self.verbs.record,
            "sound.louder": lambda: self.verbs.volume(VOLUME_STEP),
            "sound.quieter": lambda: self.verbs.volume(-VOLUME_STEP),
            "conn.retry": self.retry,
            "app.settings": self.openings.settings,
            "app.log": self.openings.log,
            "app.health": self.openings.health,
            "app.search": self.search,
            "demo.chaos": self.openings.chaos,
            "app.quit": self.openings.quit,
        }
        for key, action in bindings():
            self.bind(key, f"perform('{action.id}', '{key}')", description=action.title, show=False)

    # --- life ----------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        """The main screen, with the classes it will have: each that came later would style every widget again."""
        self._main.prepare(width=self.size.width, levels=self._meters)
        return self._main

    async def on_mount(self) -> None:
        """Show the screen, then follow the engine."""
        self.theme = textual_theme(self.profile.theme)
        terminal.leave_cleanly_on_signals(self.exit)
        if self._setup is None:
            self.follow()  # the engine answers while the screen is composed
        await self._slots_there.wait()
        if self._setup is not None:
            await self.openings.wizard(self._setup)
            self.follow()
        if self._on_shown is not None:
            self.set_timer(SETTLE_S, self._on_shown)

    def _slots_are_there(self) -> None:
        """Have what is known by now in the very first frame."""
        self._slots_there.set()
        if self._told:
            self.draw()

    @work(exclusive=True)
    async def follow(self) -> None:
        """Run the bridge until the console ends."""
        await self.bridge.run(self)

    # --- from the bridge -----------------------------------------------------------------------------------

    def on_state(self, state: PhoneState, *, attached: bool) -> None:
        """A new state, or the loss of the engine."""
        self.state, self.attached = state, attached
        self._told = True
        self._started = self._started or state.registration.state in ("registered", "failed")
        if self.verbs.notice_ring():
            self.bell()
        current = current_call(state)
        self._notes.follow(None if current is None else current.id)
        self.draw()
        self._set_title()
        self._run_clock()
        for screen in self.screen_stack:
            if isinstance(screen, FollowingScreen):
                screen.on_phone_state(state, attached=attached)

    def on_engine_event(self, event: ev.Event) -> None:
        """Something happened: a line of the timeline, perhaps a toast."""
        self.timeline.note(event)
        if (toast := toast_for(event)) is not None:
            self.show_toast(toast)

    # --- drawing -------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Bring the main screen up to date."""
        self._main.draw(
            self.state, attached=self.attached, quiet=not self._started, missed=self._missed(), note=self._notes.shown
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
        measured = self._meters and self._talking() is not None
        if measured and self._poll is None:
            self._poll = self.set_interval(self.profile.poll_s, self._look_at_levels)
        elif not measured and self._poll is not None:
            self._poll.stop()
            self._poll = None
            self._main.draw_levels(None, call=None)

    def _talking(self) -> CallSlice | None:
        call = current_call(self.state)
        return call if call is not None and call.state == "active" and not call.held and self.attached else None

    async def _look_at_levels(self) -> None:
        """Ask how loud it is, while somebody can see it."""
        call = self._talking()
        if call is None or self.screen_stack[-1:] != [self._main]:  # there is none any more while the console ends
            return
        try:
            reply = cast("Any", await self.send(cmd.Meters(call.id)))
        except (Refused, EngineGone):
            return  # the call has ended meanwhile
        levels = reply.get("levels") if isinstance(reply, dict) else None
        self._main.draw_levels(levels if isinstance(levels, dict) else None, call=call)

    def _tick(self) -> None:
        self._main.tick(self.state, attached=self.attached, quiet=not self._started, note=self._notes.shown)

    def show_toast(self, toast: Toast) -> None:
        """Show one toast in place of the one of its topic."""
        self._board.put(toast)

    def _show_toast(self, toast: Toast, seconds: float) -> None:
        """Texts may come from the network, so markup is off. Success is a style of ours: Textual takes any class."""
        severity = cast("SeverityLevel", toast.severity)
        self.notify(toast.message, title=toast.title, severity=severity, timeout=seconds, markup=False)

    # --- settings of the console itself --------------------------------------------------------------------

    @property
    def own_settings(self) -> dict[str, Callable[[str], None]]:
        """What is done here with a setting of the console's own, by key."""
        return {
            "console.language": self.use_language,
            "console.theme": self.use_theme,
            "console.meters": self.use_meters,
        }

    def use_language(self, language: str) -> None:
        """Every text from now on, and the main screen at once."""
        set_language("" if language in ("", "auto") else language)
        self._main.retitle()
        self.draw()

    def use_theme(self, theme: str) -> None:
        """Other colours at once."""
        self.theme = textual_theme(self.profile.default_theme if theme in ("", "auto") else theme)

    def use_meters(self, wanted: str) -> None:
        """Levels of the sound: yes, no, or as this terminal allows."""
        self._meters = self.profile.meters_by_default if wanted in ("", "auto") else wanted == "yes"
        self._main.show_levels(self._meters)
        self._run_clock()

    # --- faults --------------------------------------------------------------------------------------------

    def note_fault(self, error: Exception) -> None:
        """Write down what must not happen."""
        if self._faults is not None:
            self._faults.write(error)

    def _handle_exception(self, error: Exception) -> None:
        """A screen that fails is closed and opened again; only the main one takes the console along."""
        if not self.openings.recover(error):
            super()._handle_exception(error)

    def panic(self, *renderables: RenderableType) -> None:
        """A fault nobody caught: into the file with it; the person gets a sentence once the screen is gone."""
        self._fatal_error()

    def _fatal_error(self) -> None:
        """Textual's last word, which would print a traceback with local variables: a password might be among them."""
        self.failed = True
        error = self._exception or sys.exc_info()[1]
        if isinstance(error, Exception):
            self.note_fault(error)
        self._close_messages_no_wait()

    # --- what verbs need -----------------------------------------------------------------------------------

    async def send(self, command: cmd.Command) -> Any:
        """Carry out a command in the engine."""
        return await self.bridge.send(command)

    def tell(self, title: str, message: str) -> None:
        """A short notice."""
        self.notify(told(message), title=title, severity="warning", timeout=4, markup=False)

    def echo(self, digit: str) -> None:
        """Show a digit that was sent in the current call."""
        if (call := current_call(self.state)) is not None:
            self._notes.digit(call.id, digit)

    def note(self, text: str) -> None:
        """Show what a key did, for a moment."""
        self._notes.tell(text)

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
        """Keys of the phone act on the main screen; those for a ringing call and a lost connection everywhere."""
        if action != "perform" or self.screen is self._main:
            return True
        return parameters[0] in EVERYWHERE

    async def on_key(self, event: events.Key) -> None:
        """Digits: tones in a call, else the dial line. In dialogs, which hide our bindings, what acts everywhere."""
        character = event.character
        if self.screen is not self._main:
            action = next((action.id for key, action in bindings() if key == event.key), "")
            if self.screen.is_modal and action in EVERYWHERE and not types_text(event.key):
                await self._actions[action]()
            return
        if event.key == "enter" and self.focused is None:
            # Typed faster than the focus moved: what stands in the dial line is what was meant.
            self._main.query_one(DialLine).submit()
            return
        if character is None or character not in DIAL_CHARACTERS:
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

    def situation(self) -> Situation:
        """What is going on, for help."""
        if ringing(self.state) is not None:
            return "ringing"
        if self._main.query_one(DialLine).field.has_focus:
            return "typing"
        if self._main.query_one(RecentList).has_focus:
            return "recent"
        if self.state.calls:
            return "call"
        return "idle" if self.state.registration.state == "registered" else "reconnecting"

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
            return
        try:
            await self.bridge.start_engine()
        except NoEngine as error:
            self.tell(_("Not done"), str(error))

    async def action_quit(self) -> None:
        """Textual's own quit, the same question."""
        await self.openings.quit()
