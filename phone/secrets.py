"""Where the password comes from, and where it is kept. It is never written to config.toml and never logged.

    OFFHOOK_PASSWORD > password_command > keyring > secrets.toml (0600) > a prompt, on a terminal

The first source that has an answer wins; one that was asked for and fails says so instead of being passed over.
"""

from __future__ import annotations

import getpass
import importlib
import os
import stat
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from phone import paths
from phone.private_file import replace_private
from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sipcore.config import Account

COMMAND_TIMEOUT_S = 10.0
_KEYRING_SERVICE = "offhook"

Source = Literal["environment", "command", "keyring", "file", "prompt"]


class SecretError(Exception):
    """A source of the password that fails; the message is one plain sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A password and where it was found; the password shows in no representation."""

    password: str = field(repr=False)
    source: Source


def secrets_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of passwords, by account."""
    return paths.config_directory(environ) / "secrets.toml"


def find(
    account: Account,
    *,
    command: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    prompt: Callable[[str], str] | None = None,
) -> Secret | None:
    """The account's password, or None where no source has one. ``prompt`` is asked last. Raises SecretError."""
    if password := environ.get("OFFHOOK_PASSWORD"):
        return Secret(password, "environment")
    if command:
        return Secret(_from_command(command), "command")
    name = account_name(account)
    if password := _from_keyring(name):
        return Secret(password, "keyring")
    if password := _from_file(secrets_file(environ), name):
        return Secret(password, "file")
    if prompt is not None and (password := prompt(f"Password for {name}: ")):
        return Secret(password, "prompt")
    return None


def account_name(account: Account) -> str:
    """Under which name an account's password is kept."""
    return f"{account.auth_username}@{account.domain}"


def terminal_prompt() -> Callable[[str], str] | None:
    """A prompt without echo, where a person sits at a terminal."""
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stderr.isatty():
        return None
    return lambda text: getpass.getpass(text, stream=sys.stderr)


def store(account: Account, password: str, environ: Mapping[str, str] = os.environ) -> str:
    """Keep the password; returns where, for the user. Raises SecretError."""
    name = account_name(account)
    ring = _keyring()
    if ring is not None:
        try:
            ring.set_password(_KEYRING_SERVICE, name, password)
            return "the keyring"
        except Exception:  # noqa: BLE001 - backends raise what they like; the file is the next best place
            pass
    file = secrets_file(environ)
    passwords = _read_file(file)
    passwords[name] = password
    _write_file(file, passwords)
    return str(file)


# --- the sources -------------------------------------------------------------------------------------------


def _from_command(command: Sequence[str]) -> str:
    name = command[0]
    try:
        done = subprocess.run(
            [os.path.expanduser(word) if word.startswith("~") else word for word in command],  # noqa: PTH111
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise SecretError(f"password_command {name!r} was not found; install it or correct the setting.") from None
    except OSError as error:
        raise SecretError(f"password_command {name!r} cannot be run: {error.strerror}; correct the setting.") from None
    except subprocess.TimeoutExpired:
        raise SecretError(
            f"password_command {name!r} gave no answer within {COMMAND_TIMEOUT_S:g} s; run it by hand to see why."
        ) from None
    if done.returncode != 0:
        raise SecretError(f"password_command {name!r} failed with status {done.returncode}; run it by hand to see why.")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if not lines or not lines[0]:
        raise SecretError(f"password_command {name!r} printed nothing; run it by hand to see why.")
    return lines[0]


def _keyring() -> Any | None:
    """The keyring library with a backend that works, or None: over SSH there is mostly none."""
    try:
        ring = importlib.import_module("keyring")
        priority = float(ring.get_keyring().priority)
    except Exception:  # noqa: BLE001 - an extra that is not there, or a desktop that is not: both mean "no keyring"
        return None
    return ring if priority > 0 else None


def _from_keyring(name: str) -> str | None:
    ring = _keyring()
    if ring is None:
        return None
    try:
        password = ring.get_password(_KEYRING_SERVICE, name)
    except Exception:  # noqa: BLE001 - a locked or vanished keyring has no answer; the next source may
        return None
    return str(password) if password else None


def _from_file(file: Path, name: str) -> str | None:
    return _read_file(file).get(name)


def _read_file(file: Path) -> dict[str, str]:
    """All passwords of a secrets file, which must be the user's and nobody else's."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SecretError(
            Phrase("{file} cannot be read: {why}; correct its owner and mode.", file=str(file), why=str(error.strerror))
        ) from None
    with os.fdopen(descriptor, "rb") as handle:
        found = os.fstat(descriptor)
        if found.st_uid != os.getuid():
            raise SecretError(
                Phrase("{file} belongs to another user; take ownership of it or remove it.", file=str(file))
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise SecretError(
                Phrase(
                    "{file} can be read by other users; run chmod 600 {file} and change the password.", file=str(file)
                )
            )
        try:
            document = tomllib.loads(handle.read().decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            raise SecretError(
                Phrase("{file} is not valid TOML; remove it and run offhook config set-password.", file=str(file))
            ) from None
    return {name: value for name, value in document.items() if isinstance(value, str)}


def _write_file(file: Path, passwords: dict[str, str]) -> None:
    lines = [f"{_quoted(name)} = {_quoted(value)}\n" for name, value in sorted(passwords.items())]
    try:
        replace_private(file, "".join(lines))
    except OSError as error:
        raise SecretError(
            Phrase(
                "{file} cannot be written: {why}; correct its directory's permissions.",
                file=str(file),
                why=str(error.strerror),
            )
        ) from None


def _quoted(text: str) -> str:
    """``text`` as a TOML basic string."""
    escaped = "".join(
        f"\\u{ord(character):04x}" if character in '"\\' or ord(character) < 32 or ord(character) == 127 else character
        for character in text
    )
    return f'"{escaped}"'
