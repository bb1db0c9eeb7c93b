"""Makes text from the network safe and narrow enough for one line of a terminal.

A caller's name is untrusted: it may hold markup, escape sequences, line breaks, bidirectional overrides
(which reorder what is around them) or combining characters without end. What leaves this module holds
printable characters only; markup is switched off where the text is drawn.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, set_cell_size

_MAX_CHARACTERS = 200
_MAX_COMBINING = 2
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """``text`` without control, format and surrogate characters, at most ``limit`` characters, spaces collapsed."""
    kept: list[str] = []
    combining = 0
    for character in text[: limit * 4]:
        category = unicodedata.category(character)
        if category in _INVISIBLE:
            if character in "\t\n\r":
                kept.append(" ")
            continue
        combining = combining + 1 if category in ("Mn", "Me") else 0
        if combining <= _MAX_COMBINING:
            kept.append(character)
    return " ".join("".join(kept).split())[:limit]


def fit(text: str, width: int) -> str:
    """``text`` cut or padded to exactly ``width`` terminal cells; a cut shows as an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def wrapped(text: str, width: int, *, indent: int = 0) -> list[str]:
    """``text`` in lines of at most ``width`` cells; the second and later ones are indented."""
    lines: list[str] = []
    line = " " * (len(text) - len(text.lstrip(" ")))
    for word in text.lstrip(" ").split(" "):
        longer = f"{line} {word}" if line.strip() else line + word
        if line.strip() and cell_len(longer) > width:
            lines.append(line)
            line = " " * indent + word
        else:
            line = longer
    return [*lines, line]


def duration(seconds: float) -> str:
    """``4:12`` or ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"
