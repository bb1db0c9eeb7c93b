"""The single registry of what a user can do: key bindings, palette, help and key hints all read it.

    id ── keys ──▶ verb of the App ── title, help ──▶ palette, help and key line

Remapping is by id (``[console.keys] "call.answer" = "f2,a"``). A key that types text into the dial line works
only while no input has the focus; function keys and Ctrl keys work everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.i18n import _

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do. ``title`` and ``help`` are catalogue keys; ``hint`` is the short word of the key line."""

    id: str
    keys: str
    title: str
    help: str
    hint: str = ""


def _mark(text: str) -> str:
    """Marks a catalogue key at definition; translated when shown, so that the language can change."""
    return text


ACTIONS: tuple[Action, ...] = (
    Action(
        id="app.help",
        keys="f1,question_mark",
        title=_mark("Help"),
        hint=_mark("Help"),
        help=_mark("Show the keys and what they do"),
    ),
    Action(
        id="call.answer",
        keys="f2,a",
        title=_mark("Answer"),
        hint=_mark("Answer"),
        help=_mark("Answer the ringing call; the call in progress is put on hold"),
    ),
    Action(
        id="call.hangup",
        keys="f3",
        title=_mark("Hang up"),
        hint=_mark("Hangup"),
        help=_mark("End the current call, or reject the ringing one"),
    ),
    Action(
        id="call.hold",
        keys="f4,h",
        title=_mark("Hold or resume"),
        hint=_mark("Hold"),
        help=_mark("Put the current call on hold, or take it back"),
    ),
    Action(
        id="call.mute",
        keys="f5,m",
        title=_mark("Mute"),
        hint=_mark("Mute"),
        help=_mark("Stop or start sending your voice"),
    ),
    Action(
        id="call.transfer",
        keys="f6,t",
        title=_mark("Transfer"),
        hint=_mark("Xfer"),
        help=_mark("Hand the current call to somebody else"),
    ),
    Action(
        id="call.redial",
        keys="f9,r",
        title=_mark("Redial"),
        hint=_mark("Redial"),
        help=_mark("Call the number dialled last, or the selected one of the list"),
    ),
    Action(
        id="call.swap",
        keys="x",
        title=_mark("Swap calls"),
        help=_mark("Hold the current call and take the other one back"),
    ),
    Action(
        id="call.record",
        keys="ctrl+o",
        title=_mark("Record"),
        help=_mark("Record the current call, or end that; both sides hear a beep"),
    ),
    Action(
        id="sound.louder",
        keys="ctrl+up",
        title=_mark("Louder"),
        help=_mark("Turn the earpiece up; while a call rings, the bell"),
    ),
    Action(
        id="sound.quieter",
        keys="ctrl+down",
        title=_mark("Quieter"),
        help=_mark("Turn the earpiece down; while a call rings, the bell"),
    ),
    Action(
        id="conn.retry",
        keys="ctrl+r",
        title=_mark("Retry now"),
        help=_mark("Connect and register at once instead of waiting"),
    ),
    Action(
        id="app.settings",
        keys="ctrl+s,comma",
        title=_mark("Settings"),
        help=_mark("Account, sound devices, resilience, language and theme"),
    ),
    Action(
        id="app.log",
        keys="ctrl+l",
        title=_mark("Connection and log"),
        help=_mark("What happened to the connection, and the engine's log"),
    ),
    Action(
        id="app.health",
        keys="ctrl+y,i",
        title=_mark("Health of the connection"),
        help=_mark("How often it was lost, how fast it came back, and why"),
    ),
    Action(id="app.search", keys="slash", title=_mark("Search"), help=_mark("Search the call history")),
    Action(
        id="demo.chaos",
        keys="ctrl+k",
        title=_mark("Chaos"),
        help=_mark("In the demo: break the connection in one of five ways, and watch it heal"),
    ),
    Action(
        id="app.quit",
        keys="f10,ctrl+q",
        title=_mark("Quit"),
        hint=_mark("Quit"),
        help=_mark("Leave the console; calls and the registration stay up unless you hang up"),
    ),
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}

_KEY = re.compile(r"((ctrl|alt|shift|super)\+)*(f[1-9][0-9]?|[a-z][a-z_]*|[a-zA-Z])")
_TAKEN = frozenset({"enter", "escape", "tab", "up", "down", "left", "right", "space", "ctrl+p", "ctrl+c"})
"""Keys that mean something everywhere, as digits do."""


def keymap(overrides: Mapping[str, str]) -> dict[str, str]:
    """Keys by action id with ``overrides`` applied.

    Raises ValueError with a sentence where an id is unknown or two actions would share a key.
    """
    for name in overrides:
        if name not in BY_ID:
            raise ValueError(_("There is no action called {name}; the help screen lists them").format(name=name))
    keys = {action.id: overrides.get(action.id, action.keys) for action in ACTIONS}
    owner: dict[str, str] = {}
    for name, value in keys.items():
        for key in (part.strip() for part in value.split(",") if part.strip()):
            if not _KEY.fullmatch(key):
                raise ValueError(_("{key} is not a key; write for example f2, ctrl+r or a").format(key=key))
            if key in _TAKEN:
                raise ValueError(
                    _("{key} cannot be given to {name}; it has a meaning of its own").format(key=key, name=name)
                )
            if key in owner:
                raise ValueError(
                    _("{key} is given to both {one} and {other}").format(key=key, one=owner[key], other=name)
                )
            owner[key] = name
    return keys


def key_label(key: str) -> str:
    """How a key is written for people: ``F2``, ``Ctrl+R``, ``?``; empty for no key."""
    names = {"question_mark": "?", "slash": "/", "comma": ","}
    parts = [names.get(part, part) for part in key.split("+")]
    if len(parts) > 1 or re.fullmatch(r"f\d+", key):
        parts = [part.capitalize() for part in parts]
    return "+".join(parts)


_keys: dict[str, str] = keymap({})


def use_keys(overrides: Mapping[str, str]) -> None:
    """Apply the user's keys for this run; raises ValueError and changes nothing where they are wrong."""
    _keys.update(keymap(overrides))


def keys_of(action_id: str) -> str:
    """The first key of an action, as written for people."""
    return key_label(_keys[action_id].split(",")[0].strip())


def bindings() -> list[tuple[str, Action]]:
    """Every (key, action) pair in force."""
    return [(key.strip(), BY_ID[name]) for name, keys in _keys.items() for key in keys.split(",") if key.strip()]


def types_text(key: str) -> bool:
    """Whether pressing ``key`` would put a character into a field, so that it must not act while one is focused."""
    return len(key) == 1 or key in ("question_mark", "slash", "comma")
