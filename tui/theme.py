"""Themes and the cheap profile for SSH.

Textual reads its environment at import, so :func:`prepare` runs before anything of it is loaded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

THEMES = ("dark", "light", "ansi")
"""Names users write; each stands for a theme that Textual ships."""

_TEXTUAL_NAMES = {"dark": "textual-dark", "light": "textual-light", "ansi": "ansi-dark"}


def textual_theme(name: str) -> str:
    """Textual's name for one of ours; unknown names mean ``dark``."""
    return _TEXTUAL_NAMES.get(name, _TEXTUAL_NAMES["dark"])


def over_ssh(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Whether this terminal is reached through SSH."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def prepare(*, ssh: bool, theme: str = "auto", environ: MutableMapping[str, str] = os.environ) -> str:
    """Set what Textual reads at import; returns the theme to use where the user named none.

    Sixteen colours and no animation cost about half the bytes of true colour. A theme that came after the first
    screen would have every style computed twice.
    """
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    if ssh:
        environ.setdefault("TEXTUAL_COLOR_SYSTEM", "standard")
    default = "ansi" if ssh or environ.get("NO_COLOR") else "dark"
    environ["TEXTUAL_THEME"] = textual_theme(default if theme == "auto" else theme)
    return default
