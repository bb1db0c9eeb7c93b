"""The configuration of one engine, from all its sources, as frozen values.

    defaults < /etc/xdg < user's file < OFFHOOK_... variables < command line

Passwords are none of its business: :mod:`phone.secrets` finds them.
"""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from audio.io.settings import AudioSettings
from phone import config_layers, paths
from phone.config_layers import ConfigError, Setting, expand
from phone.console_settings import ConsoleSettings, console_settings
from phone.tone_country import tone_country
from sipcore.config import Account, Resilience, ServerAddress, phantom_server, preset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ConfigError", "Configuration", "Options", "load"]

_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%]+")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+")
_MAX_SERVERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says; None leaves a setting to the layers below."""

    config: Path | None = None
    profile: str = paths.DEFAULT_PROFILE
    socket: Path | None = None
    verbose: bool | None = None
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything an engine is started with."""

    profile: str
    config_file: Path
    """Where settings are written to; it may not exist."""

    account: Account | None
    """None while nothing is configured."""

    resilience: Resilience
    tls_ca: Path | None = None
    password_command: tuple[str, ...] = ()
    audio: AudioSettings = field(default_factory=AudioSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    verbose: bool = False
    log_file: Path
    socket: Path
    settings: config_layers.Settings = field(default_factory=dict, repr=False)
    """The raw layers, for ``config show``."""

    options: Options = field(default_factory=Options)
    """What it was loaded with, to load it again after a change."""

    def require_account(self) -> Account:
        """The account; raises ConfigError that says how to get one."""
        if self.account is None:
            raise ConfigError(
                f"No account is configured; write server and username under [account] in {self.config_file}, "
                "or set OFFHOOK_SERVER and OFFHOOK_USERNAME."
            )
        return self.account


def load(
    options: Options, environ: Mapping[str, str] = os.environ, *, instead: Mapping[Path, str] | None = None
) -> Configuration:
    """Read every layer; raises ConfigError, or PathError for a profile name that is none.

    ``instead`` has texts to take for what certain files hold, to try a change before it is written.
    """
    profile = paths.check_profile(options.profile)
    settings = config_layers.read(environ, profile=profile, config=options.config, instead=instead)
    account = _account(settings)
    tls_ca = settings.get(("account", "tls_ca"))
    verbose = options.verbose if options.verbose is not None else bool(_plain(settings, "log", "verbose", False))
    return Configuration(
        profile=profile,
        config_file=options.config or paths.user_config_file(environ, profile=profile),
        account=account,
        resilience=_resilience(settings),
        tls_ca=None if tls_ca is None else _existing(tls_ca, "tls_ca"),
        password_command=tuple(_plain(settings, "account", "password_command", ())),
        audio=_audio(settings, environ),
        console=console_settings(settings),
        verbose=verbose,
        log_file=options.log or paths.log_file(environ, profile=profile),
        socket=config_layers.find_socket(options.socket, profile, settings, environ),
        settings=settings,
        options=options,
    )


def _plain(settings: config_layers.Settings, section: str, name: str, default: Any) -> Any:
    setting = settings.get((section, name))
    return default if setting is None else setting.value


def _existing(setting: Setting, name: str) -> Path:
    path = expand(setting)
    if not path.is_file():
        raise ConfigError(f"{setting.origin}: {name} names {path}, which is no file; correct the path.")
    return path


# --- account -----------------------------------------------------------------------------------------------


def _account(settings: config_layers.Settings) -> Account | None:
    servers, phantom = _servers(settings)
    username = _text(settings, "username", _USER, "a user name such as 1001")
    if not servers and username is None:
        return None
    if not servers:
        raise ConfigError(f"{settings['account', 'username'].origin}: there is a username but no server; "
                          "add server, such as wss://pbx.example.com:8089/ws.")  # fmt: skip
    if username is None:
        origin = settings["account", "phantom_id" if phantom else "server"].origin
        raise ConfigError(f"{origin}: there is a server but no username; add username, such as 1001.")
    domain = _text(settings, "domain", _HOST, "a host name") or servers[0].host
    media = _plain(settings, "account", "media", "webrtc" if phantom else "auto")
    return Account(
        servers=servers,
        username=username,
        domain=domain,
        auth_username=_line(settings, "auth_username") or username,
        display_name=_line(settings, "display_name") or "",
        media=cast('Literal["auto", "rtp", "sdes", "webrtc"]', media),
        expires_s=_plain(settings, "resilience", "register_expires", 600),
    )


def _servers(settings: config_layers.Settings) -> tuple[tuple[ServerAddress, ...], bool]:
    """The servers, and whether they come from a phantom_id."""
    server, phantom = settings.get(("account", "server")), settings.get(("account", "phantom_id"))
    if server and phantom and server.layer == phantom.layer:
        raise ConfigError(f"{phantom.origin}: phantom_id and server exclude each other; remove one of them.")
    if phantom and (server is None or phantom.layer > server.layer):
        try:
            return (phantom_server(phantom.value),), True
        except ValueError as error:
            raise ConfigError(f"{phantom.origin}: {error}; correct the value.") from None
    if server is None:
        return (), False
    addresses = server.value if isinstance(server.value, list) else [server.value]
    if len(addresses) > _MAX_SERVERS:
        raise ConfigError(f"{server.origin}: at most {_MAX_SERVERS} servers; shorten the list.")
    try:
        return tuple(ServerAddress.parse(address) for address in addresses), False
    except ValueError as error:
        raise ConfigError(f"{server.origin}: {error}.") from None


def _text(settings: config_layers.Settings, name: str, pattern: re.Pattern[str], what: str) -> str | None:
    setting = settings.get(("account", name))
    if setting is None:
        return None
    value = str(setting.value).strip()
    if not pattern.fullmatch(value):
        raise ConfigError(f"{setting.origin}: {name} {setting.value!r} is not {what}; correct the value.")
    return value


def _line(settings: config_layers.Settings, name: str) -> str | None:
    setting = settings.get(("account", name))
    if setting is None:
        return None
    value = str(setting.value).strip()
    if not value.isprintable():
        raise ConfigError(f"{setting.origin}: {name} holds a control character; correct the value.")
    return value


# --- the other sections ------------------------------------------------------------------------------------


def _resilience(settings: config_layers.Settings) -> Resilience:
    base = preset(name) if (name := _plain(settings, "resilience", "preset", None)) else Resilience()
    given = {
        item.name: settings["resilience", item.name].value
        for item in dataclasses.fields(Resilience)
        if ("resilience", item.name) in settings
    }
    values: dict[str, Any] = {
        name: value if isinstance(value, bool) or name.endswith("_attempts") else float(value)
        for name, value in given.items()
    }
    return dataclasses.replace(base, **values)


def _audio(settings: config_layers.Settings, environ: Mapping[str, str]) -> AudioSettings:
    defaults = AudioSettings(recordings=str(paths.recordings_directory(environ)))
    values: dict[str, Any] = {}
    for item in dataclasses.fields(AudioSettings):
        setting = settings.get(("audio", item.name))
        if setting is not None and (item.name != "recordings" or setting.value.strip()):
            values[item.name] = _audio_value(item.name, setting)
    if values.get("country", "auto") == "auto":
        values["country"] = tone_country(environ)
    audio = dataclasses.replace(defaults, **values)
    if audio.port_max < audio.port_min + 1:
        origin = next(settings["audio", name].origin for name in ("port_max", "port_min") if name in values)
        raise ConfigError(f"{origin}: port_max must be above port_min; correct one of them.")
    return audio


def _audio_value(name: str, setting: Setting) -> Any:
    match setting.value:
        case str() if name in ("ring_file", "ring_file_internal", "recordings"):
            return str(expand(setting).absolute()) if setting.value.strip() else ""
        case str():
            return _wave_path(setting)
        case value if name == "microphone_gain":
            return float(value)
        case value:
            return value


def _wave_path(setting: Setting) -> str:
    """``wav:`` settings with their file made absolute, since the engine may run elsewhere."""
    prefix, _, file = str(setting.value).strip().partition(":")
    if prefix.lower() != "wav" or not file:
        return str(setting.value)
    named = dataclasses.replace(setting, value=file)
    return f"wav:{expand(named).absolute()}"
