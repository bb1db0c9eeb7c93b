"""The one plain sentence for a setting that does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from tui.i18n import _

if TYPE_CHECKING:
    from phone.protocol.settings import Problem


def sentence(problem: Problem) -> str:
    """What is wrong, to be read after the setting's title."""
    match problem.name:
        case "empty":
            return _("This is needed.")
        case "integer":
            return _("Write a whole number.")
        case "number":
            return _("Write a number.")
        case "boolean":
            return _("Write on or off.")
        case "choice":
            return _("Choose one of {choices}.").format(choices=problem.limit)
        case "minimum":
            return _("It must be {limit} or more.").format(limit=problem.limit)
        case "above":
            return _("It must be more than {limit}.").format(limit=problem.limit)
        case "maximum":
            return _("It must be {limit} or less.").format(limit=problem.limit)
        case "pattern":
            if problem.limit:
                return _("This does not fit; write for example {example}.").format(example=problem.limit)
            return _("This holds a character that does not belong here.")
        case _:
            assert_never(problem.name)
