"""Writes the first settings for the console's wizard, while there is no engine that could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phone.config_layers import ConfigError
from phone.paths import PathError
from phone.protocol.setup import SetupRefused
from phone.secrets import SecretError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phone.protocol.settings import SettingField, SettingValue
    from phone.settings import Settings


class FirstRun:
    """See :class:`phone.protocol.setup.Setup`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def file(self) -> str:
        """Where the settings go."""
        return str(self._settings.file)

    def fields(self) -> Sequence[SettingField]:
        """Every setting with what is known of it."""
        try:
            return self._settings.describe().fields
        except (ConfigError, PathError) as error:
            raise SetupRefused(str(error)) from None

    def write(self, values: Sequence[SettingValue], password: str | None) -> None:
        """Write the settings, and store the password where passwords are kept."""
        try:
            configuration = self._settings.write(values)
            if password is not None:
                self._settings.keep_password(password, configuration)
        except (ConfigError, PathError, SecretError) as error:
            raise SetupRefused(str(error)) from None
