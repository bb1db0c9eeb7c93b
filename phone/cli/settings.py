"""``offhook config path | show | set-password | check``."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from phone import paths
from phone.cli import say
from phone.config_layers import ConfigError
from phone.config_schema import SCHEMA

if TYPE_CHECKING:
    import argparse

    from phone.config import Configuration, Options

_QUERY = re.compile(r"\?.*")


def options_of(arguments: argparse.Namespace) -> Options:
    """The layer of the command line."""
    from phone.config import Options

    return Options(
        config=arguments.config,
        profile=arguments.profile,
        socket=arguments.socket,
        verbose=arguments.verbose,
        log=arguments.log,
    )


def config(arguments: argparse.Namespace) -> int:
    """Carry out one verb; returns the exit status."""
    try:
        if arguments.verb == "path":  # useful most of all while the file is invalid
            profile = paths.check_profile(arguments.profile)
            say.data(str(arguments.config or paths.user_config_file(profile=profile)))
            return 0
        return _with_configuration(arguments)
    except (ConfigError, paths.PathError) as error:
        say.narrate(str(error))
        return 2


def _with_configuration(arguments: argparse.Namespace) -> int:
    from phone import secrets
    from phone.config import load

    try:
        configuration = load(options_of(arguments))
        match arguments.verb:
            case "show":
                for line in show(configuration):
                    say.data(line)
            case "check":
                account = configuration.require_account()
                say.data(f"ok: {account.address_of_record} at {', '.join(map(_server, account.servers))}")
            case _:
                return _set_password(configuration)
    except secrets.SecretError as error:
        say.narrate(str(error))
        return 1
    return 0


def show(configuration: Configuration) -> list[str]:
    """The settings in force as TOML, secrets left out, each with where it comes from."""
    lines: list[str] = []
    for section, keys in SCHEMA.items():
        found = [
            (name, configuration.settings[section, name]) for name in keys if (section, name) in configuration.settings
        ]
        if not found:
            continue
        lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        lines += [f"{name} = {_toml(_redacted(name, setting.value))}  # {setting.origin}" for name, setting in found]
    lines += ["", f"# control socket: {configuration.socket}", f"# log: {configuration.log_file}"]
    if configuration.account is not None:
        lines.append(f"# account: {configuration.account.address_of_record}")
    return lines if lines[0] else lines[1:]


def _redacted(name: str, value: Any) -> Any:
    """A command's arguments and an address's query may hold a secret."""
    if name == "password_command":
        return [value[0], *("***" for _ in value[1:])]
    if name == "server":
        return [_QUERY.sub("?***", item) for item in value] if isinstance(value, list) else _QUERY.sub("?***", value)
    return value


def _server(server: Any) -> str:
    return _QUERY.sub("?***", str(server))


def _toml(value: Any) -> str:
    """JSON writes these values as TOML does, but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _set_password(configuration: Configuration) -> int:
    from phone import secrets

    account = configuration.require_account()
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {secrets.account_name(account)}: ", stream=sys.stderr)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        say.narrate("No password was given; nothing was changed.")
        return 1
    where = secrets.store(account, password)
    say.narrate(f"The password of {secrets.account_name(account)} is kept in {where}.")
    if os.environ.get("OFFHOOK_PASSWORD") or configuration.password_command:
        say.narrate("OFFHOOK_PASSWORD or password_command stands above it and is used instead.")
    return 0
