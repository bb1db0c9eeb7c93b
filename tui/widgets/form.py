"""A form made of setting fields: a line each, checked while somebody types.

    SettingField, … ──▶ title and control ──▶ Form.changes() ──▶ SettingValue, …

Below the lines there is one place for help and for what is wrong, so that nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Label

from phone.protocol.settings import SettingField, SettingValue, is_on, problem_of
from tui.i18n import _
from tui.problems import sentence
from tui.widgets.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from phone.protocol.settings import Problem

PASSWORD = "password"
KEEP_PASSWORD = "keep-password"


def section_title(section: str) -> str:
    """How a section of the file is called."""
    titles = {
        "account": _("Account"),
        "audio": _("Sound"),
        "resilience": _("Connection"),
        "log": _("Log"),
        "console": _("Screen"),
    }
    return titles.get(section, section)


def widget_id(key: str) -> str:
    """The widget of a setting; a dot has a meaning in selectors."""
    return key.replace(".", "--")


class Line(Horizontal):
    """One title with its control."""

    def __init__(self, title: str, control: Widget) -> None:
        super().__init__(classes="line")
        self._title = title
        self._control = control

    def compose(self) -> ComposeResult:
        """Title, then control."""
        yield Label(self._title, classes="title", markup=False)
        yield self._control


class Form(VerticalScroll, can_focus=False):
    """Fields in the order given, with a heading where the section changes."""

    @dataclass
    class Advice(Message):
        """What to show below: a help text, or what is wrong."""

        text: str
        wrong: bool = False

    def __init__(
        self,
        fields: Sequence[SettingField],
        *,
        headings: bool = True,
        password: bool = False,
        extra: Mapping[str, Widget] | None = None,
        id: str | None = None,
    ) -> None:
        """``password`` adds a password line after the account; ``extra`` has widgets to put after a section."""
        super().__init__(id=id)
        self.fields = {field.key: field for field in fields}
        self._headings = headings
        self._with_password = password
        self._extra = dict(extra or {})

    def compose(self) -> ComposeResult:
        """The lines."""
        sections = list(dict.fromkeys(field.section for field in self.fields.values()))
        for section in sections:
            if self._headings:
                yield Label(section_title(section), classes="heading", markup=False)
            for field in self.fields.values():
                if field.section == section:
                    yield Line(_(field.title), self._control(field))
            if section == "account" and self._with_password:
                yield from self._password_lines()
            if section in self._extra:
                yield self._extra[section]

    def _control(self, field: SettingField) -> Widget:
        name = widget_id(field.key)
        match field.kind:
            case "boolean":
                texts = {"on": _("on"), "off": _("off")}
                return Choice(("off", "on"), "on" if is_on(field.text) else "off", texts=texts, id=name)
            case "choice":
                choices = field.choices if field.default else ("", *field.choices)
                return Choice(choices, field.text, id=name)
            case "device":
                return Choice(_with(("default", "none"), field.text), field.text, id=name)
            case _:
                example = _("such as {example}").format(example=field.example) if field.example else ""
                return _input(name, field.text, placeholder=field.default or example)

    def _password_lines(self) -> Iterable[Line]:
        hidden = _input(PASSWORD, "", placeholder=_("unchanged"))
        hidden.password = True
        yield Line(_("Password"), hidden)
        texts = {"yes": _("yes"), "no": _("no, ask again next time")}
        yield Line(_("Keep password"), Choice(("yes", "no"), "yes", texts=texts, id=KEEP_PASSWORD))

    # --- values --------------------------------------------------------------------------------------------

    def text(self, key: str) -> str:
        """What a field holds now."""
        widget = self.query_one(f"#{widget_id(key)}")
        match widget:
            case Choice() | Input():
                return widget.value.strip()
            case _:
                return ""

    def changes(self) -> tuple[SettingValue, ...]:
        """Every field that differs from what is in force; one set to its default is taken out of the file."""
        found = []
        for field in self.fields.values():
            text = self.text(field.key)
            if text != field.text and not field.fixed:
                plain = text == field.default and not field.required
                found.append(SettingValue(key=field.key, text=None if plain else text))
        return tuple(found)

    @property
    def password(self) -> str | None:
        """The password typed, if any."""
        return (self.query_one(f"#{PASSWORD}", Input).value or None) if self._with_password else None

    @property
    def keep_password(self) -> bool:
        """Whether it is to be stored."""
        return self._with_password and self.query_one(f"#{KEEP_PASSWORD}", Choice).value == "yes"

    def first_problem(self) -> tuple[SettingField, Problem] | None:
        """The first field that does not fit."""
        for field in self.fields.values():
            if not field.fixed and (problem := problem_of(field, self.text(field.key))) is not None:
                return field, problem
        return None

    def complain(self) -> bool:
        """Go to the first field that does not fit and say why; False where all fit."""
        found = self.first_problem()
        if found is None:
            return False
        field, problem = found
        self.query_one(f"#{widget_id(field.key)}").focus()
        self.post_message(self.Advice(f"{_(field.title)}: {sentence(problem)}", wrong=True))
        return True

    def offer_devices(self, names: Mapping[str, Sequence[str]]) -> None:
        """Devices to choose from, by role (``input``, ``output``)."""
        for field in self.fields.values():
            if field.kind == "device":
                role = "input" if field.key == "audio.input" else "output"
                chosen = self.query_one(f"#{widget_id(field.key)}", Choice)
                chosen.offer(_with(("default", *names.get(role, ()), "none"), chosen.value))

    # --- what is said below --------------------------------------------------------------------------------

    def advise(self, key: str) -> None:
        """Tell about a field: what is wrong with it, else what it means."""
        field = self.fields.get(key)
        if field is None:
            return
        problem = problem_of(field, self.text(key))
        if field.fixed:
            self.post_message(
                self.Advice(_("Set by {origin}, which stands above the file.").format(origin=field.origin))
            )
        elif problem is not None:
            self.post_message(self.Advice(sentence(problem), wrong=True))
        else:
            self.post_message(self.Advice(_(field.help)))

    def _key_of(self, widget: Widget | None) -> str:
        return "" if widget is None or widget.id is None else widget.id.replace("--", ".", 1)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the help of the field the keys go to."""
        if event.widget.id == PASSWORD:
            self.post_message(self.Advice(_("Leave it empty to keep the one in use. It is never written to the file.")))
        elif event.widget.id == KEEP_PASSWORD:
            self.post_message(self.Advice(_("In the keyring, or in a file that only you can read")))
        else:
            self.advise(self._key_of(event.widget))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check while somebody types."""
        event.stop()
        if event.input.has_focus:
            event.input.set_class(self._is_wrong(event.input), "-wrong")
            self.advise(self._key_of(event.input))

    def _is_wrong(self, widget: Input) -> bool:
        field = self.fields.get(self._key_of(widget))
        return field is not None and problem_of(field, widget.value) is not None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the next field."""
        event.stop()
        self.screen.focus_next()


def _input(name: str, text: str, *, placeholder: str) -> Input:
    field = Input(text, id=name, placeholder=placeholder, compact=True, select_on_focus=False, max_length=500)
    field.cursor_blink = False  # a blinking cursor costs 2 kB/s over SSH
    return field


def _with(choices: Sequence[str], value: str) -> list[str]:
    """The choices, with the present value among them."""
    return list(choices) if value in choices else [value, *choices]
