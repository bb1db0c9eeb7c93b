"""Settings from files and environment, checked key by key, each with where it came from.

    /etc/xdg/offhook/config.toml  <  the user's file  <  the profile's file  <  OFFHOOK_... variables

A mistake is refused with one sentence that names the file, the line and the way out.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phone import paths
from phone.config_schema import SCHEMA, SECRET_KEYS, Key, Kind
from phone.toml_lines import key_lines, line_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_FILE_BYTES = 1024 * 1024
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class ConfigError(Exception):
    """A configuration that is refused (exit status 2); the message is one plain sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value with where it came from."""

    value: Any
    origin: str
    """Such as ``/home/x/.config/offhook/config.toml, line 3``."""

    layer: int
    """Higher ones win."""

    directory: Path | None = None
    """What relative paths in it are relative to; None: the working directory."""


Settings = dict[tuple[str, str], Setting]
"""Keyed by section and key."""


def read(
    environ: Mapping[str, str],
    *,
    profile: str = paths.DEFAULT_PROFILE,
    config: Path | None = None,
    instead: Mapping[Path, str] | None = None,
) -> Settings:
    """All layers merged. ``config`` stands for the user's files and must exist. Raises ConfigError.

    ``instead`` has texts to take for what certain files hold.
    """
    merged: Settings = {}
    for layer, (file, required) in enumerate(_files(environ, profile, config)):
        text = (instead or {}).get(file)
        merged.update(read_file(file, layer=layer, required=required, text=text))
    merged.update(_from_environment(environ, layer=1000))
    return merged


def _files(environ: Mapping[str, str], profile: str, config: Path | None) -> Iterable[tuple[Path, bool]]:
    for file in paths.site_config_files(environ):
        yield file, False
    if config is not None:
        yield config, True
        return
    yield paths.user_config_file(environ), False
    if profile != paths.DEFAULT_PROFILE:
        yield paths.user_config_file(environ, profile=profile), False


def read_file(file: Path, *, layer: int = 0, required: bool = True, text: str | None = None) -> Settings:
    """One file's settings, as if it held ``text`` where given; an absent one that is not required has none.

    Raises ConfigError.
    """
    text = _text(file, required=required) if text is None else text
    if text is None:
        return {}
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(file, text, str(error)) from None
    lines = key_lines(text)
    settings: Settings = {}
    for section, members in document.items():
        where = f"{file}, line {line_of(lines, (section,))}"
        _check_section(section, members, where)
        for name, value in members.items():
            where = f"{file}, line {line_of(lines, (section, name))}"
            key = _known_key(section, name, where)
            _check_value(key, section, name, value, where)
            settings[section, name] = Setting(value, where, layer, file.parent)
    return settings


def _text(file: Path, *, required: bool) -> str | None:
    try:
        with file.open("rb") as handle:
            data = handle.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{file} does not exist; write it, or leave --config out.") from None
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; correct its permissions.") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError(
            f"{file} is larger than {_MAX_FILE_BYTES} bytes and so no configuration; choose another file."
        )
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}, line {line}: this is not UTF-8; save the file in UTF-8.") from None


def _syntax_error(file: Path, text: str, message: str) -> ConfigError:
    if match := _AT_LINE.search(message):
        line, detail = int(match[1]), f"{message[: match.start()]} at column {match[2]}"
    else:  # "(at end of document)"
        line, detail = text.rstrip("\n").count("\n") + 1, message
    detail = detail[:1].lower() + detail[1:]
    return ConfigError(
        f"{file}, line {line}: not valid TOML ({detail}); correct the line, then run offhook config check."
    )


def _check_section(section: str, members: Any, where: str) -> None:
    if section not in SCHEMA:
        homes = [home for home in SCHEMA if section in SCHEMA[home]]
        if homes and not isinstance(members, dict):
            raise ConfigError(f"{where}: {section!r} stands outside of a section; put it under [{homes[0]}].")
        raise ConfigError(f"{where}: unknown section [{section}]; {_suggestion(section, SCHEMA, 'it')}")
    if not isinstance(members, dict):
        raise ConfigError(f"{where}: {section!r} is a section; write [{section}] on a line of its own.")


def _known_key(section: str, name: str, where: str) -> Key:
    if key := SCHEMA[section].get(name):
        return key
    if section == "account" and name in SECRET_KEYS:
        raise ConfigError(f"{where}: unknown key {name!r}: a password has no place in this file; "
                          "remove the line and run offhook config set-password.")  # fmt: skip
    homes = [home for home in SCHEMA if name in SCHEMA[home]]
    if homes:
        raise ConfigError(f"{where}: unknown key {name!r} in [{section}]; it belongs under [{homes[0]}].")
    raise ConfigError(f"{where}: unknown key {name!r} in [{section}]; {_suggestion(name, SCHEMA[section], 'the line')}")


def _suggestion(name: str, known: Iterable[str], what: str) -> str:
    import difflib  # only where somebody mistyped

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"remove {what}, known are {', '.join(known)}."


def _check_value(key: Key, section: str, name: str, value: Any, where: str) -> None:
    if problem := key.problem(value):
        raise ConfigError(f"{where}: {name!r} in [{section}] must be {problem}; correct the value.")


def _from_environment(environ: Mapping[str, str], *, layer: int) -> Settings:
    settings: Settings = {}
    for section, keys in SCHEMA.items():
        for name, key in keys.items():
            text = environ.get(key.environment, "")
            if not text:
                continue
            origin = f"the environment variable {key.environment}"
            value = parse_text(key.kind, text)
            if problem := key.problem(value):
                raise ConfigError(f"{origin} must be {problem}; correct or unset it.")
            settings[section, name] = Setting(value, origin, layer)
    return settings


def parse_text(kind: Kind, text: str) -> Any:
    """The value of an environment variable or a form; text that does not fit is left for the check to refuse."""
    match kind:
        case Kind.TEXT:
            return text
        case Kind.SERVERS:
            return [item.strip() for item in text.split(",")] if "," in text else text
        case Kind.ARGV:
            import shlex  # rare

            try:
                return shlex.split(text)
            except ValueError:
                return text
        case Kind.KEYS:  # call.answer=f2,a; call.hold=f4
            pairs = [item.partition("=") for item in text.split(";") if item.strip()]
            return {name.strip(): keys.strip() for name, _, keys in pairs}
        case Kind.BOOLEAN:
            lowered = text.strip().lower()
            return True if lowered in _TRUE else False if lowered in _FALSE else text
        case Kind.INTEGER | Kind.NUMBER:
            try:
                return int(text)
            except ValueError:
                pass
            try:
                return float(text)
            except ValueError:
                return text


def expand(setting: Setting) -> Path:
    """The path a setting names: ``~`` is the home directory, a relative one starts at the file it was written in."""
    path = Path(os.path.expanduser(str(setting.value)))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    return path if setting.directory is None else setting.directory / path


def find_socket(explicit: Path | None, profile: str, settings: Settings, environ: Mapping[str, str]) -> Path:
    """The control socket: the command line's, else the settings', else the profile's own. Raises PathError."""
    if explicit is not None:
        return paths.check_socket_path(explicit.absolute())
    if setting := settings.get(("control", "socket")):
        return paths.check_socket_path(expand(setting).absolute())
    return paths.check_socket_path(paths.socket_path(environ, profile=paths.check_profile(profile)))
