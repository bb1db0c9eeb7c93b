"""The settings screen: the fields the engine describes, checked while somebody types, saved by the engine.

    engine ── settings ──▶ Form ── Ctrl+S ──▶ change_settings ──▶ config.toml, and what differs is applied

Language and theme change on this screen at once; what needs a restart is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen

from phone.client import EngineGone, Refused
from phone.protocol import commands as cmd
from phone.protocol.codec import ProtocolError, from_json
from phone.protocol.settings import SettingsChanged, SettingsReply
from tui.i18n import _
from tui.text import clean
from tui.told import told
from tui.widgets.form import Form
from tui.widgets.rows import Rows, wrapped_row
from tui.widgets.sound_test import SoundTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from tui.widgets.choice import Choice


class Sender(Protocol):
    """Who carries commands to the engine."""

    async def send(self, command: cmd.Command) -> Any:
        """Carry out a command; raises Refused or EngineGone."""
        ...


Apply = dict[str, "Callable[[str], None]"]
"""What the console itself does with a setting of its own, by key."""


class SettingsScreen(Screen[None]):
    """Ctrl+S saves, Escape leaves; changes that are not saved are only dropped by a second Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("ctrl+s", "save", show=False, priority=True),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, sender: Sender, *, apply: Apply | None = None) -> None:
        super().__init__(classes="settings")
        self._sender = sender
        self._apply = apply or {}
        self._warned = False
        self._last_word = ""
        self._file = ""

    def compose(self) -> ComposeResult:
        """Title, the form once it is known, and two lines below it."""
        yield Rows(id="settings-title")
        yield Rows(id="advice")
        yield Rows(id="settings-hints")

    def on_mount(self) -> None:
        """Ask the engine."""
        self._titles()
        self._say(_("Asking the engine…"))
        self.load()

    def _titles(self) -> None:
        where = f"  {clean(self._file, 60)}" if self._file else ""
        self.query_one("#settings-title", Rows).show([[(" " + _("Settings"), "strong"), (where, "dim")]])
        hints = [("Ctrl+S", _("Save")), ("Esc", _("Back")), ("↑ ↓", _("Move")), ("← →", _("Choose"))]
        row = [piece for key, word in hints for piece in ((f" {key}", "accent"), (f" {word} ", "dim"))]
        self.query_one("#settings-hints", Rows).show([row])

    def _say(self, text: str, role: str = "dim") -> None:
        self.query_one("#advice", Rows).show(wrapped_row([(" ", ""), (told(text, 300), role)], self.app.size.width))

    # --- loading -------------------------------------------------------------------------------------------

    @work(exclusive=True, group="load")
    async def load(self, last_word: str = "") -> None:
        """Build the form from what the engine says; a form that is there is replaced. ``last_word`` is said then."""
        try:
            reply = from_json(SettingsReply, await self._sender.send(cmd.Settings()))
        except (Refused, EngineGone, ProtocolError) as error:
            self._say(str(error), "error")
            return
        self._file = reply.file
        await self.query(Form).remove()
        form = Form(
            reply.fields,
            password=True,
            extra={"audio": SoundTest(self._sender.send, id="sound-test")},
            id="form",
        )
        await self.mount(form, after="#settings-title")
        self._titles()
        self._say(last_word, "ok")
        self._last_word = last_word
        form.query("Input, Choice").first().focus()
        await self._offer_devices(form)

    async def _offer_devices(self, form: Form) -> None:
        try:
            form.offer_devices(device_names(await self._sender.send(cmd.Devices())))
        except (Refused, EngineGone) as error:
            self._say(str(error), "warn")

    def on_form_advice(self, event: Form.Advice) -> None:
        """Show it in its place."""
        self._warned = False
        if self._last_word:
            self._last_word = ""  # the help of a field nobody went to is no reason to take it away
            return
        self._say(event.text, "error" if event.wrong else "dim")

    # --- keys ----------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Back to the phone."""
        form = self.query(Form)
        changed = bool(form) and (bool(form.first().changes()) or form.first().password is not None)
        if changed and not self._warned:
            self._warned = True
            self._say(_("Not saved yet: Ctrl+S saves, Escape drops the changes."), "warn")
            return
        self.dismiss(None)

    @work(exclusive=True, group="save")
    async def action_save(self) -> None:
        """Check, send, tell what became of it."""
        if not (forms := self.query(Form)) or forms.first().complain():
            return
        form = forms.first()
        changes, password = form.changes(), form.password
        if not changes and password is None:
            self._say(_("Nothing was changed."))
            return
        command = cmd.ChangeSettings(changes, password, form.keep_password)
        try:
            changed = from_json(SettingsChanged, await self._sender.send(command))
        except (Refused, EngineGone, ProtocolError) as error:
            self._say(str(error), "error")
            return
        for key, apply in self._apply.items():
            if any(value.key == key for value in changes):
                apply(form.text(key))
        self.load(saved_sentence(changed))

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """A turn may make an old complaint void."""
        event.stop()
        if event.choice.id:
            self.query_one(Form).advise(event.choice.id.replace("--", ".", 1))


def saved_sentence(changed: SettingsChanged) -> str:
    """What became of the changes."""
    text = _("Saved.")
    if changed.password_kept:
        text += " " + _("The password is kept in {place}.").format(place=changed.password_kept)
    if changed.after_calls:
        text += " " + _("The account changes when the calls are over.")
    if changed.restart:
        text += " " + _("Some of it takes effect when Offhook is started again.")
    return text


def device_names(reply: Any) -> dict[str, list[str]]:
    """Names to choose from, by role; what only repeats a speaker is no microphone."""
    names: dict[str, list[str]] = {"input": [], "output": []}
    devices = reply.get("devices", ()) if isinstance(reply, dict) else ()
    for device in devices:
        known = names.get(device.get("role", ""))
        if known is not None and not device.get("monitor") and (name := clean(device.get("name", ""), 80)):
            known.append(name)
    return names
