"""The first run: from nothing to a phone that is registered and heard, in plain words.

    terminal ─▶ account ─▶ registration, live ─▶ sound ─▶ echo call ─▶ the keys
                   ▲────── edit ──────┘

The settings are written as soon as the account is complete, then the engine starts; what fails is said, and the account
can be corrected in place. Escape goes back a page; nothing is asked twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from phone.client import EngineGone, NoEngine, Refused
from phone.protocol import commands as cmd
from phone.protocol.codec import ProtocolError, from_json
from phone.protocol.settings import SettingsReply
from phone.protocol.setup import SetupRefused
from tui.i18n import _
from tui.screens.following import FollowingScreen
from tui.screens.settings import Sender, device_names
from tui.screens.wizard_pages import ACCOUNT_KEYS, PAGES, SOUND_KEYS, Page, echo_rows, page_rows, registration_rows
from tui.told import told
from tui.widgets.calls import current_call
from tui.widgets.form import Form
from tui.widgets.rows import Rows, wrapped_row
from tui.widgets.sound_test import SoundTest

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from phone.protocol.setup import Setup
    from phone.state import PhoneState
    from tui.bridge import Bridge
    from tui.widgets.choice import Choice

DEFAULT_ECHO = "600"


class Host(Sender, Protocol):
    """The console, as the wizard needs it."""

    bridge: Bridge
    state: PhoneState
    attached: bool


class WizardScreen(FollowingScreen[None]):
    """One page at a time; Enter on the last line of a page goes on, F10 leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "next", show=False, priority=True),
        Binding("escape", "back", show=False),
        Binding("ctrl+e", "edit", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("f10,ctrl+q", "app.quit", show=False),
    ]

    def __init__(self, host: Host, setup: Setup) -> None:
        super().__init__(classes="wizard")
        self._host = host
        self._setup = setup
        self._page: Page = "terminal"
        self._following = False
        self._echo_call = ""
        self._echo_heard = False

    def compose(self) -> ComposeResult:
        """Title, page, advice, hints."""
        yield Rows(id="wizard-title")
        yield Vertical(id="page")
        yield Rows(id="advice")
        yield Rows(id="wizard-hints")

    async def on_mount(self) -> None:
        """The first page."""
        await self.show_page("terminal")

    # --- pages ---------------------------------------------------------------------------------------------

    async def show_page(self, page: Page) -> None:
        """Replace the page."""
        self._page = page
        size = self.app.size
        title, unwrapped = page_rows(page, width=size.width, height=size.height, theme=self.app.theme)
        rows = [line for row in unwrapped for line in wrapped_row(row, size.width - 4)]
        number = PAGES.index(page) + 1
        steps = f"  {number}/{len(PAGES)}"
        self.query_one("#wizard-title", Rows).show([[(" Offhook  ", "accent"), (title, "strong"), (steps, "dim")]])
        self._say("")
        body = self.query_one("#page", Vertical)
        await body.remove_children()
        text = Rows(id="page-text")
        await body.mount(text)
        text.show(rows)
        text.styles.height = len(rows)
        match page:
            case "account":
                await self._mount_form(body, ACCOUNT_KEYS, password=True)
            case "sound":
                await self._mount_form(body, SOUND_KEYS, password=False)
                await body.mount(SoundTest(self._host.send, id="sound-test"))
                self.offer_devices()
            case "registration" | "echo":
                live = Rows(id="live")
                live.styles.height = 6
                await body.mount(live)
            case _:
                pass
        self._hints()
        self._refresh_live()

    async def _mount_form(self, body: Vertical, keys: tuple[str, ...], *, password: bool) -> None:
        try:
            fields = await self._fields()
        except (SetupRefused, Refused, EngineGone, ProtocolError) as error:
            self._say(str(error), "error")
            return
        form = Form([field for field in fields if field.key in keys], headings=False, password=password, id="form")
        await body.mount(form)
        form.query("Input, Choice").first().focus()

    async def _fields(self) -> tuple[Any, ...]:
        if self._attached:
            return from_json(SettingsReply, await self._host.send(cmd.Settings())).fields
        return tuple(self._setup.fields())

    @property
    def _attached(self) -> bool:
        return self._following and self._host.attached

    def _hints(self) -> None:
        words = [("Ctrl+N", _("Next")), ("Esc", _("Back"))]
        match self._page:
            case "registration":
                words += [("Ctrl+E", _("Change the account"))]
            case "done":
                words = [("Ctrl+N", _("To the phone")), ("Esc", _("Back"))]
            case _:
                pass
        row = [
            piece
            for key, word in [*words, ("F10", _("Quit"))]
            for piece in ((f" {key}", "accent"), (f" {word} ", "dim"))
        ]
        self.query_one("#wizard-hints", Rows).show([row])

    def _say(self, text: str, role: str = "dim") -> None:
        self.query_one("#advice", Rows).show(wrapped_row([(" ", ""), (told(text, 300), role)], self.app.size.width))

    def on_form_advice(self, event: Form.Advice) -> None:
        """Show it in its place."""
        self._say(event.text, "error" if event.wrong else "dim")

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """A device is used as soon as it is chosen."""
        event.stop()
        if self._page == "sound":
            self.save_sound()

    # --- going on ------------------------------------------------------------------------------------------

    @work(exclusive=True)
    async def action_next(self) -> None:
        """Finish the page and go on."""
        if self._page == "account" and not await self._save_account():
            return
        if self._page == "registration" and self._host.state.registration.state != "registered":
            self._say(_("Not registered yet; Ctrl+E changes the account, Escape goes back."), "warn")
            return
        if self._page == "echo" and not self._echo_call:
            await self._start_echo()
            return
        if self._page == "echo":
            await self._end_echo()
        if self._page == "done":
            self.dismiss(None)
            return
        await self.show_page(PAGES[PAGES.index(self._page) + 1])

    async def action_back(self) -> None:
        """The page before."""
        if self._page == "echo":
            await self._end_echo()
        if self._page != PAGES[0]:
            await self.show_page(PAGES[PAGES.index(self._page) - 1])

    async def action_edit(self) -> None:
        """Back to the account from a registration that fails."""
        if self._page == "registration":
            await self.show_page("account")

    async def _save_account(self) -> bool:
        forms = self.query(Form)
        if not forms or forms.first().complain():
            return False
        form = forms.first()
        if not self._attached and not form.password:
            self._say(_("The password is needed to register."), "error")
            return False
        changes, password, keep = form.changes(), form.password, form.keep_password
        self._say(_("Writing {file} and starting the phone…").format(file=self._setup.file))
        try:
            if self._attached:
                if changes or password:
                    await self._host.send(cmd.ChangeSettings(changes, password, keep))
                return True
            await asyncio.to_thread(self._setup.write, changes, password if keep else None)
            self._following = True
            await self._host.bridge.start_engine()
            await self._attaching()
            if not keep:
                await self._host.send(cmd.ChangeSettings((), password, False))
        except (SetupRefused, Refused, EngineGone, NoEngine) as error:
            self._say(str(error), "error")
            return False
        return True

    async def _attaching(self) -> None:
        for _attempt in range(100):
            if self._host.attached and self._host.state.registration.account:
                return
            await asyncio.sleep(0.05)

    @work(exclusive=True, group="devices")
    async def offer_devices(self) -> None:
        """Ask which devices there are; that may take a while."""
        try:
            names = device_names(await self._host.send(cmd.Devices()))
        except (Refused, EngineGone) as error:
            self._say(str(error), "warn")
            return
        if forms := self.query(Form):
            forms.first().offer_devices(names)

    @work(exclusive=True, group="sound")
    async def save_sound(self) -> None:
        """Write and use the chosen devices."""
        if not (forms := self.query(Form)) or not (changes := forms.first().changes()):
            return
        try:
            await self._host.send(cmd.ChangeSettings(changes))
        except (Refused, EngineGone) as error:
            self._say(str(error), "error")

    # --- the echo call -------------------------------------------------------------------------------------

    async def _start_echo(self) -> None:
        try:
            reply = await self._host.send(cmd.Dial(DEFAULT_ECHO))
        except (Refused, EngineGone) as error:
            self._say(told(str(error)) + " " + _("Ctrl+N goes on without it."), "warn")
            self._echo_call = "-"
            return
        self._echo_call = str(reply.get("call", "-")) if isinstance(reply, dict) else "-"
        self._refresh_live()

    async def _end_echo(self) -> None:
        call, self._echo_call = self._echo_call, ""
        if call and self._host.state.call(call) is not None:
            try:
                await self._host.send(cmd.Hangup(call))
            except (Refused, EngineGone):
                pass  # it has ended by itself

    # --- live ----------------------------------------------------------------------------------------------

    def on_phone_state(self, state: PhoneState, *, attached: bool) -> None:
        """The registration and the echo call as they go."""
        if attached:
            self._following = True
        self._refresh_live()

    def _refresh_live(self) -> None:
        if not (found := self.query("#live")):
            return
        rows = found.first(Rows)
        state = self._host.state
        if self._page == "registration":
            shown = registration_rows(state, attached=self._host.attached)
        else:
            shown = echo_rows(current_call(state), number=DEFAULT_ECHO, tried=bool(self._echo_call))
        rows.show([line for row in shown for line in wrapped_row(row, self.app.size.width - 4)])
