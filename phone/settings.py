"""The settings as forms see them: what is in force and from where, checked, written to the file, applied.

    settings          ──▶ Settings.describe ──▶ fields with text, origin, bounds
    change_settings   ──▶ check all ──▶ config.toml (comments kept) ──▶ load again ──▶ apply what differs

Nothing is written unless every value fits and the whole configuration would load.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from typing import TYPE_CHECKING, Any, Protocol

from audio.io.settings import AudioSettings
from phone import secrets
from phone.config import Configuration, Options, load
from phone.config_layers import ConfigError, Setting, parse_text
from phone.config_schema import Kind
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.protocol.settings import (
    SettingField,
    SettingsChanged,
    SettingsReply,
    SettingValue,
    is_on,
    problem_of,
)
from phone.settings_file import edited, read_text, write_text
from phone.settings_table import ENTRIES, Entry, blank_field, schema_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

_ENVIRONMENT_LAYER = 1000
_KEEP_AFTER_S = 1.0
"""A key held down changes a volume thirty times a second; the file need not know."""


class Applier(Protocol):
    """The running phone, as changed settings need it."""

    @property
    def busy(self) -> bool:
        """Whether a call is up, which an account must not be changed under."""
        ...

    async def use_devices(self, configuration: Configuration) -> None:
        """Move the sound, in the midst of calls too."""
        ...

    async def use_tones(self, configuration: Configuration) -> None:
        """Change tones and bells, in the midst of calls too."""

    def use_levels(self, configuration: Configuration) -> None:
        """Volumes, microphone gain and recordings, in the midst of calls too."""
        ...

    def use_verbose(self, on: bool) -> None:
        """Switch the verbose log."""
        ...

    async def use_password(self, password: str) -> None:
        """Register with another password; it stays in memory."""
        ...

    async def use_configuration(self, configuration: Configuration) -> None:
        """Take over account, resilience and the rest: at once, or as soon as no call is up."""
        ...


class Settings:
    """Reads, checks and writes the user's settings; needs no running engine."""

    def __init__(self, options: Options, environ: Mapping[str, str] = os.environ) -> None:
        self._options = options
        self._environ = environ

    def load(self) -> Configuration:
        """What is in force now; raises ConfigError."""
        named = self._options.config
        absent = {named: ""} if named is not None and not named.exists() else {}
        return load(self._options, self._environ, instead=absent)

    @property
    def file(self) -> Path:
        """Where changes are written."""
        return self._options.config or load_path(self._options, self._environ)

    def describe(self, configuration: Configuration | None = None, *, password: str = "") -> SettingsReply:
        """Every field with its value; raises ConfigError for a file that does not load."""
        found = configuration or self.load()
        return SettingsReply(
            file=str(self.file),
            fields=tuple(_described(entry, found, self._options) for entry in ENTRIES),
            password=password,
        )

    def write(self, values: Iterable[SettingValue]) -> Configuration:
        """Check and write; returns the configuration now in force. Raises ConfigError and changes nothing else."""
        changes = {_place(value.key): _parsed(value) for value in values}
        text = edited(read_text(self.file), changes)
        configuration = load(self._options, self._environ, instead={self.file: text})
        _try_rings(configuration, changes)
        write_text(self.file, text)
        return configuration

    def keep_password(self, password: str, configuration: Configuration) -> str:
        """Store the password beside the settings; returns where. Raises SecretError."""
        return secrets.store(configuration.require_account(), password, self._environ)


class LiveSettings:
    """The settings of a running engine."""

    def __init__(
        self, settings: Settings, applier: Applier, configuration: Configuration, *, password_source: str = ""
    ) -> None:
        self._settings = settings
        self._applier = applier
        self._configuration = configuration
        self._password_source = password_source
        self._unkept: dict[str, SettingValue] = {}
        self._keeping: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._file = asyncio.Lock()
        """Who reads, edits and replaces the file does so alone."""

    async def describe(self) -> SettingsReply:
        """What is in force; raises CommandRefused."""
        await self.keep()
        try:
            return await asyncio.to_thread(self._settings.describe, self._configuration, password=self._password_source)
        except ConfigError as error:
            raise CommandRefused("settings", str(error)) from None

    async def change(
        self, values: tuple[SettingValue, ...], *, password: str | None, keep_password: bool
    ) -> SettingsChanged:
        """Check, write and apply; raises CommandRefused with a sentence where a value does not fit."""
        await self.keep()
        async with self._file:
            before = self._configuration
            try:
                after = await asyncio.to_thread(self._settings.write, values) if values else before
                kept = ""
                if password and keep_password:
                    kept = await asyncio.to_thread(self._settings.keep_password, password, after)
            except (ConfigError, secrets.SecretError) as error:
                raise CommandRefused("settings", str(error)) from None
            self._configuration = after
        if password:
            self._password_source = "typed"
        changed = await self._apply(before, after, [value.key for value in values], password)
        return dataclasses.replace(changed, password_kept=kept)

    def keep_soon(self, value: SettingValue) -> None:
        """Write a value that is in force already, once it has stood for a moment; the newest counts."""
        self._unkept[value.key] = value
        if self._keeping is not None:
            self._keeping.cancel()
        self._keeping = asyncio.get_running_loop().call_later(_KEEP_AFTER_S, self._keep_now)

    def _keep_now(self) -> None:
        self._writing = asyncio.create_task(self.keep(), name="keep settings")

    async def keep(self) -> None:
        """Write now what :meth:`keep_soon` still has; what cannot be written is a line in the log."""
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None
        async with self._file:
            values, self._unkept = tuple(self._unkept.values()), {}
            if not values:
                return
            try:
                self._configuration = await asyncio.to_thread(self._settings.write, values)
            except ConfigError as error:
                _log.warning("! settings are in force and cannot be kept: %s", error)

    async def _apply(
        self, before: Configuration, after: Configuration, keys: list[str], password: str | None
    ) -> SettingsChanged:
        busy, needs_phone = self._applier.busy, _needs_new_phone(before, after)
        if _devices(before) != _devices(after):
            await self._applier.use_devices(after)
        if _tones(before) != _tones(after):
            await self._applier.use_tones(after)
        if _levels(before) != _levels(after):
            self._applier.use_levels(after)
        if before.verbose != after.verbose:
            self._applier.use_verbose(after.verbose)
        if password:
            await self._applier.use_password(password)
        if needs_phone:
            await self._applier.use_configuration(after)
        later = [key for key in keys if _is_of_phone(key)] if busy and needs_phone else []
        restart = [entry.key for entry in ENTRIES if entry.restart and entry.key in keys]
        return SettingsChanged(
            applied=tuple(key for key in keys if key not in later and key not in restart),
            after_calls=tuple(later),
            restart=tuple(restart),
        )


def load_path(options: Options, environ: Mapping[str, str]) -> Path:
    """The user's own file, whether it exists or not."""
    from phone import paths

    return paths.user_config_file(environ, profile=paths.check_profile(options.profile))


# --- texts of values -----------------------------------------------------------------------------------------


def _described(entry: Entry, configuration: Configuration, options: Options) -> SettingField:
    field = blank_field(entry)
    default = field.default or _default_text(entry.key)
    section, name = _place(entry.key)
    setting = configuration.settings.get((section, name))
    if entry.key == "log.verbose" and options.verbose is not None:
        setting = Setting(options.verbose, "--verbose", _ENVIRONMENT_LAYER)
    if setting is None:
        text = default if section != "resilience" else _resilience_text(name, configuration, default)
        return dataclasses.replace(field, default=default, text=text)
    return dataclasses.replace(
        field,
        default=default,
        text=_text(setting.value),
        origin=setting.origin,
        fixed=setting.layer >= _ENVIRONMENT_LAYER,
    )


def _default_text(key: str) -> str:
    from sipcore.config import Account, Resilience

    section, name = _place(key)
    if section != "resilience":
        return ""
    if name == "register_expires":
        return str(Account.__dataclass_fields__["expires_s"].default)
    known = {item.name: item.default for item in dataclasses.fields(Resilience)}
    return _text(known[name]) if name in known else ""


def _resilience_text(name: str, configuration: Configuration, default: str) -> str:
    """A number not written down still follows the preset."""
    value = getattr(configuration.resilience, name, None)
    return default if value is None else _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(str(item) for item in value)
        case _:
            return str(value)


def _place(key: str) -> tuple[str, str]:
    section, _, name = key.partition(".")
    return section, name


def _parsed(value: SettingValue) -> Any:
    """The value to write; None to take it out. Raises ConfigError with a sentence."""
    entry = next((item for item in ENTRIES if item.key == value.key), None)
    if entry is None:
        raise ConfigError(
            Phrase("There is no setting {key!r}; offhook config show lists those in force.", key=value.key)
        )
    text = (value.text or "").strip()
    if not text:
        if entry.required:
            raise ConfigError(
                Phrase("{key} may not be empty; give a value such as {example}.", key=value.key, example=entry.example)
            )
        return None
    key = schema_key(entry)
    parsed: Any = is_on(text) if key.kind is Kind.BOOLEAN else parse_text(key.kind, text)
    if key.kind is Kind.SERVERS and isinstance(parsed, list):
        parsed = [item for item in parsed if item]
    wrong = problem_of(blank_field(entry), text) is not None
    if problem := key.problem(parsed):
        raise ConfigError(Phrase("{key} must be {problem}; correct the value.", key=value.key, problem=problem))
    if wrong:
        raise ConfigError(
            Phrase(
                "{key}: {text!r} does not fit; write for example {example}.",
                key=value.key,
                text=text,
                example=entry.example or entry.default,
            )
        )
    return parsed


def _try_rings(configuration: Configuration, changes: Mapping[tuple[str, str], Any]) -> None:
    """Raises ConfigError, with a sentence, for a ring file that was named just now and cannot be played."""
    audio = configuration.audio
    for name, path in (("ring_file", audio.ring_file), ("ring_file_internal", audio.ring_file_internal)):
        if ("audio", name) in changes and path:
            from audio.io.wave import WaveProblem, load_ring  # brings numpy, which no other setting needs
            from phone.translate import worded

            try:
                load_ring(path)
            except WaveProblem as problem:
                raise ConfigError(worded(str(problem))) from None


# --- what a change touches -----------------------------------------------------------------------------------


def _devices(configuration: Configuration) -> tuple[str, str, str]:
    audio = configuration.audio
    return audio.input, audio.output, audio.ring


def _tones(configuration: Configuration) -> tuple[str, bool, str, str]:
    audio = configuration.audio
    return audio.country, audio.key_tones, audio.ring_file, audio.ring_file_internal


def _levels(configuration: Configuration) -> dict[str, Any]:
    return {name: getattr(configuration.audio, name) for name in AudioSettings.LEVELS}


def _needs_new_phone(before: Configuration, after: Configuration) -> bool:
    def lasting(configuration: Configuration) -> tuple[Any, ...]:
        audio = configuration.audio
        lasting_sound = audio.port_min, audio.port_max, audio.echo_cancelling, audio.dtx
        return configuration.account, configuration.resilience, configuration.tls_ca, lasting_sound

    return lasting(before) != lasting(after)


def _is_of_phone(key: str) -> bool:
    return key.startswith(("account.", "resilience.")) or key in ("audio.echo_cancelling", "audio.dtx")
