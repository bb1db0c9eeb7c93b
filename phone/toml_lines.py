"""On which line each key of a TOML document stands, which ``tomllib`` does not tell.

The text is known to be valid TOML already, so this only has to tell keys from values: it walks statement by statement,
keeps the present table, and skips values by their brackets and quotes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str, ...]

_CLOSING = {"[": "]", "{": "}"}
_BARE_END = " \t=.]"


def key_lines(text: str) -> dict[Path, int]:
    """Line numbers, from 1, of every table header and key; members of inline tables count as their table."""
    lines: dict[Path, int] = {}
    table: Path = ()
    position = 0
    while (position := _skip_blank(text, position)) < len(text):
        line = text.count("\n", 0, position) + 1
        if text[position] == "[":
            double = text.startswith("[[", position)
            table, position = _dotted_key(text, position + (2 if double else 1))
            lines.setdefault(table, line)
            position = _line_end(text, position)
            continue
        key, position = _dotted_key(text, position)
        for length in range(1, len(key) + 1):
            lines.setdefault(table + key[:length], line)
        position = _skip_value(text, position + 1)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of ``path``, or of the nearest thing around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


def _skip_blank(text: str, position: int) -> int:
    while position < len(text):
        if text[position] == "#":
            position = _line_end(text, position)
        elif text[position] in " \t\r\n\ufeff":
            position += 1
        else:
            break
    return position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def _dotted_key(text: str, position: int) -> tuple[Path, int]:
    """Read a key up to the ``=`` or ``]`` after it, and stop there."""
    parts: list[str] = []
    while position < len(text):
        character = text[position]
        if character in " \t.":
            position += 1
        elif character in "\"'":
            end = _string_end(text, position)
            parts.append(text[position + 1 : end - 1])
            position = end
        elif character in "=]\n":
            break
        else:
            end = next((i for i in range(position, len(text)) if text[i] in _BARE_END), len(text))
            parts.append(text[position:end])
            position = end
    return tuple(parts), position


def _string_end(text: str, position: int) -> int:
    """The position after the string that begins at ``position``."""
    quote = text[position]
    if text.startswith(quote * 3, position):
        end = position + 3
        while end < len(text) and not text.startswith(quote * 3, end):
            end += 2 if quote == '"' and text[end] == "\\" else 1
        end += 3
        while end < len(text) and text[end] == quote:  # up to two quotes may stand before the closing three
            end += 1
        return end
    end = position + 1
    while end < len(text) and text[end] != quote:
        end += 2 if quote == '"' and text[end] == "\\" else 1
    return end + 1


def _skip_value(text: str, position: int) -> int:
    """The start of the line after the value that begins at or after ``position``."""
    depth = 0
    for start, end in _tokens(text, position):
        if text[start] in _CLOSING:
            depth += 1
        elif text[start] in _CLOSING.values():
            depth -= 1
        elif text[start] == "\n" and depth == 0:
            return end
    return len(text)


def _tokens(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Every character of a value as ``(start, end)``, strings and comments in one piece."""
    while position < len(text):
        character = text[position]
        if character in "\"'":
            end = _string_end(text, position)
        elif character == "#":
            end = max(position + 1, _line_end(text, position) - 1)
        else:
            end = position + 1
        yield position, end
        position = end
