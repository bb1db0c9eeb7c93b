"""What the first-run wizard needs of whoever started the console, while there is no engine to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phone.protocol.settings import SettingField, SettingValue


class SetupRefused(Exception):
    """The settings cannot be written; the message is one plain sentence."""


class Setup(Protocol):
    """Writes the first settings."""

    @property
    def file(self) -> str:
        """Where they go."""
        ...

    def fields(self) -> Sequence[SettingField]:
        """Every setting with what is known of it; raises SetupRefused."""
        ...

    def write(self, values: Sequence[SettingValue], password: str | None) -> None:
        """Write them, and store ``password`` where passwords are kept; raises SetupRefused. May block."""
        ...
