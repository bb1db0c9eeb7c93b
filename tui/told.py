"""Says what the engine says in the user's language: its phrases through the catalogue, all else as it came, cleaned."""

from __future__ import annotations

from phone.protocol.phrases import Phrase
from tui.i18n import _
from tui.text import clean


def told(text: str, limit: int = 200) -> str:
    """``text`` of the engine in at most ``limit`` printable characters; what the network said stays as it is."""
    return clean(_in_words(text), limit)


def _in_words(text: str) -> str:
    if not isinstance(text, Phrase) or not text.template:
        return text
    values = {name: _in_words(value) if isinstance(value, str) else value for name, value in text.parameters.items()}
    try:
        return _(text.template).format(**values)
    except (LookupError, ValueError):  # of a newer engine, or a translation that does not fit it
        return text
