"""Sentences as they cross the control socket: English for scripts, beside it the id and parameters for catalogues.

    Phrase("No route to {where}.", where="pbx:8089")
    {"reason": "No route to pbx:8089.", "reason_said": {"id": "No route to {where}.", "with": {"where": "pbx:8089"}}}

The id is the English template, as gettext has it: a reader that does not know it shows the English text.
"""

from __future__ import annotations

from typing import Any

SUFFIX = "_said"
"""Of the member beside a text that says what it was made from."""

_DEEPEST = 4


class Phrase(str):
    """A text of the engine that can still be said in another language."""

    __slots__ = ("parameters", "template")
    template: str
    parameters: dict[str, str | int | float]
    """Numbers, data, or phrases again."""

    def __new__(cls, template: str, /, **parameters: str | int | float) -> Phrase:
        """Raises KeyError or ValueError where the parameters do not fit the template."""
        phrase = super().__new__(cls, template.format(**parameters))
        phrase.template, phrase.parameters = template, parameters
        return phrase

    def __str__(self) -> str:
        return self  # so that the text of an exception is the phrase it was raised with

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), self.parameters


def said(text: str) -> dict[str, Any] | None:
    """What ``text`` was made from, in JSON; None for words of the network, the system or a user."""
    if not isinstance(text, Phrase):
        return None
    values = {
        name: said(value) or value if isinstance(value, str) else value for name, value in text.parameters.items()
    }
    return {"id": text.template, "with": values}


def phrase_from_json(text: str, data: Any, depth: int = 0) -> str:
    """The phrase :func:`said` described; ``text`` as it is where ``data`` makes no sense."""
    template = data.get("id") if isinstance(data, dict) else None
    if not isinstance(template, str) or depth > _DEEPEST:
        return text
    values = data.get("with")
    parameters: dict[str, Any] = {}
    for name, value in (values if isinstance(values, dict) else {}).items():
        parameters[name] = phrase_from_json("", value, depth + 1) if isinstance(value, dict) else value
    try:
        return Phrase(template, **parameters)
    except (LookupError, ValueError, TypeError, AttributeError):
        return text
