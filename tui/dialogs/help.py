"""The help screen: what the keys do right now, then every action, straight from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.actions import ACTIONS, BY_ID, bindings, key_label
from tui.i18n import _
from tui.text import wrapped

if TYPE_CHECKING:
    from textual.app import ComposeResult

Situation = Literal["idle", "ringing", "call", "reconnecting", "typing", "recent"]

_KEY_CELLS = 14

_USEFUL: dict[Situation, tuple[str, ...]] = {
    "idle": ("call.redial", "app.search", "app.settings"),
    "ringing": ("call.answer", "call.hangup"),
    "call": (
        "call.hangup",
        "call.hold",
        "call.mute",
        "call.transfer",
        "call.swap",
        "call.record",
        "sound.louder",
        "sound.quieter",
    ),
    "reconnecting": ("conn.retry", "app.settings", "app.health", "app.log"),
    "typing": ("call.answer", "call.hangup"),
    "recent": ("call.redial", "app.search"),
}


def situation_lines(situation: Situation) -> list[str]:
    """One sentence about what is going on, and the keys for it."""
    sentences: dict[Situation, str] = {
        "idle": _("No call is up. Type a number and press Enter."),
        "ringing": _("Somebody calls. Letters do nothing for a moment, so that typing answers no call."),
        "call": _("A call is up. Digits are sent as tones."),
        "reconnecting": _("There is no registration now; Offhook goes on trying by itself."),
        "typing": _("You are typing into the dial line: letters filter the recent calls, Enter dials, Escape leaves."),
        "recent": _("The recent calls have the keys: arrows move, Enter calls back, Escape leaves."),
    }
    return [sentences[situation], *(_line(action) for action in _USEFUL[situation])]


def help_text(situation: Situation = "idle", width: int = 1000) -> str:
    """Keys, titles and explanations, one below the other in ``width`` cells."""
    lines = [*situation_lines(situation), "", *(_line(action.id) for action in ACTIONS), ""]
    for keys, text in (
        ("0-9 * #", _("Dial while idle, tones in a call")),
        ("Enter", _("Dial, or call the selected number back")),
        ("Tab", _("Next pane")),
        ("Esc", _("Back to the calls; it never hangs up")),
        ("Ctrl+P", _("Every command by name")),
    ):
        lines.append(f"{keys:<{_KEY_CELLS}} {text}")
    return "\n".join(part for line in lines for part in wrapped(line, width, indent=_KEY_CELLS + 1))


def _line(action_id: str) -> str:
    keys = " ".join(key_label(key) for key, action in bindings() if action.id == action_id)
    action = BY_ID[action_id]
    return f"{keys:<{_KEY_CELLS}} {_(action.title)}: {_(action.help)}"


class HelpScreen(ModalScreen[None]):
    """Any of Escape, F1 and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss(None)", show=False)]

    def __init__(self, situation: Situation = "idle") -> None:
        super().__init__(classes="dialog")
        self._situation: Situation = situation

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(classes="box wide") as box:
            box.border_title = _("Keys")
            yield Static(help_text(self._situation, self._room()), markup=False)

    def _room(self) -> int:
        """The cells of a line: what the box leaves of the screen, see ``.dialog .wide`` of the stylesheet."""
        return max(30, min(140, self.app.size.width * 95 // 100) - 8)
