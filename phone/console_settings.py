"""The ``[console]`` section, apart from the rest: an attached console needs no account, no sound and no limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phone.config_layers import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """``auto`` decides by the terminal and the environment."""

    language: str = "auto"
    theme: str = "auto"
    ssh: str = "auto"
    meters: str = "auto"
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by action id; the console knows the ids."""


def console_settings(settings: Settings) -> ConsoleSettings:
    """The section as the layers give it."""
    given = {name: setting.value for (section, name), setting in settings.items() if section == "console"}
    return ConsoleSettings(**given)
