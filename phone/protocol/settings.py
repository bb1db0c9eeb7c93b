"""The settings as they cross the control socket: each with its text for people, its bounds and its value as typed.

    engine ── SettingField, … ──▶ console: draws the form, checks while somebody types
    console ── SettingValue, … ──▶ engine: checks again, writes the file, applies

Values travel as the text a user would type (``on``, ``90``, ``wss://a, wss://b``), so that both sides mean the same.
Titles and explanations are English keys of the console's message catalogue.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

FieldKind = Literal["text", "boolean", "integer", "number", "servers", "command", "choice", "device"]
ProblemName = Literal["empty", "integer", "number", "boolean", "choice", "minimum", "above", "maximum", "pattern"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One setting. ``text`` is the value in force, ``default`` the one without any file."""

    key: str
    """``section.name``, as in the file."""

    title: str
    help: str
    kind: FieldKind
    text: str = ""
    default: str = ""
    origin: str = ""
    """Where the value comes from, such as ``/etc/xdg/offhook/config.toml, line 3``; empty for the default."""

    fixed: bool = False
    """An environment variable or the command line stands above the file: a change would have no effect."""

    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    above: float | None = None
    """Exclusive lower bound."""

    maximum: float | None = None
    pattern: str = ""
    """Regular expression of the whole text, of each server for ``servers``."""

    example: str = ""

    @property
    def section(self) -> str:
        """The part of the key before the dot."""
        return self.key.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsReply:
    """The answer to ``settings``."""

    file: str
    """Where changes are written."""

    fields: tuple[SettingField, ...] = ()
    password: str = ""
    """Where the one in use comes from: ``environment``, ``command``, ``keyring``, ``file``, ``typed``; or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingValue:
    """A new value as typed; None takes the setting out of the file, so that the default is in force."""

    key: str
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged:
    """The answer to ``change_settings``."""

    applied: tuple[str, ...] = ()
    """In force now."""

    after_calls: tuple[str, ...] = ()
    """In force as soon as no call is up."""

    restart: tuple[str, ...] = ()
    """In force once the engine or the console is started again."""

    password_kept: str = ""
    """Where the password was stored; empty when it was not."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a text: a name for the catalogue, and the value its sentence mentions."""

    name: ProblemName
    limit: str = ""


def problem_of(field: SettingField, text: str) -> Problem | None:
    """What is wrong with ``text`` as a value of ``field``; None when it fits. Empty means the default."""
    text = text.strip()
    if not text:
        return Problem("empty") if field.required else None
    match field.kind:
        case "integer" | "number":
            return _number_problem(field, text)
        case "boolean":
            return None if text.lower() in _TRUE | _FALSE else Problem("boolean")
        case "choice":
            return None if text in field.choices else Problem("choice", ", ".join(field.choices))
        case "servers":
            parts = [part.strip() for part in text.split(",")]
            return None if all(re.fullmatch(field.pattern, part) for part in parts) else _mismatch(field)
        case "text" | "command" | "device":
            fits = text.isprintable() and (not field.pattern or re.fullmatch(field.pattern, text))
            return None if fits else _mismatch(field)


def is_on(text: str) -> bool:
    """What a boolean's text means."""
    return text.strip().lower() in _TRUE


def _mismatch(field: SettingField) -> Problem:
    return Problem("pattern", field.example)


def _number_problem(field: SettingField, text: str) -> Problem | None:
    try:
        value = float(int(text)) if field.kind == "integer" else float(text)
    except (ValueError, OverflowError):
        return Problem(field.kind)  # type: ignore[arg-type]  # one of the two that are names of problems as well
    if not math.isfinite(value):
        return Problem("number")
    if field.minimum is not None and value < field.minimum:
        return Problem("minimum", f"{field.minimum:g}")
    if field.above is not None and value <= field.above:
        return Problem("above", f"{field.above:g}")
    if field.maximum is not None and value > field.maximum:
        return Problem("maximum", f"{field.maximum:g}")
    return None
