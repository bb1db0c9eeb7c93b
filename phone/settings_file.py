"""Writes settings into the user's config.toml: comments, order and everything else in it stay as they are.

The file is replaced in one step and readable by its owner alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phone.config_layers import ConfigError
from phone.private_file import replace_private
from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEADING = "Offhook's settings. Passwords have no place here; see offhook config set-password."


def edited(text: str, changes: Mapping[tuple[str, str], Any]) -> str:
    """``text`` with each (section, name) set to its value; None takes a key out. Raises ConfigError for no TOML."""
    # Loaded for who changes a setting: an engine that only calls goes without its memory.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(
            Phrase("The settings file is not valid TOML ({why}); run offhook config check.", why=str(error))
        ) from None
    if not text.strip():
        document.add(tomlkit.comment(HEADING))
        document.add(tomlkit.nl())
    for (section, name), value in changes.items():
        table = document.get(section)
        if value is None:
            if table is not None and name in table:
                del table[name]
            continue
        if table is None:
            table = tomlkit.table()
            document[section] = table
        if table.get(name) != value:
            table[name] = value
    return tomlkit.dumps(document)


def read_text(file: Path) -> str:
    """What the file holds now; nothing when there is none. Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            Phrase("{file} cannot be read: {why}; correct it first.", file=str(file), why=str(error))
        ) from None


def write_text(file: Path, text: str) -> None:
    """Replace the file (0600) so that no moment shows it half written; a link keeps pointing where it does.

    Raises ConfigError with a sentence.
    """
    try:
        replace_private(file.resolve(), text)
    except OSError as error:
        raise ConfigError(
            Phrase(
                "{file} cannot be written: {why}; correct its directory's permissions.",
                file=str(file),
                why=str(error.strerror),
            )
        ) from None
