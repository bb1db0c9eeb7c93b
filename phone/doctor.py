"""Checks what a call needs, from the terminal to an echo, and says what to do about each failure.

    terminal ▸ settings ▸ password ▸ sound ▸ extras ▸ DNS ▸ transport ▸ TLS ▸ registration ▸ echo call

Where an engine runs it is asked; otherwise a registration is tried and taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from audio.codec import g722
from audio.io.echo import installed as echo_cancelling_installed
from audio.io.probe import probe_devices
from audio.io.settings import Device, Role
from phone import paths, secrets
from phone.client import Connection, EngineGone, NoEngine, Refused
from phone.config import ConfigError, Configuration, Options, load
from sipcore.aio.failures import describe
from sipcore.aio.useragent import UserAgent, tls_context
from sipcore.auth.credentials import Credentials
from sipcore.config import StackConfig
from sipcore.errors import RegistrationFailed, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sipcore.config import Account, ServerAddress

_CONNECT_S = 8.0
_REGISTER_S = 20.0
_ECHO_S = 10.0
_POLL_S = 0.2
_LEAST_COLUMNS, _LEAST_ROWS = 80, 24

Result = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report; ``detail`` ends with what to do where it failed."""

    name: str
    result: Result
    detail: str


def _ok(name: str, detail: str) -> Check:
    return Check(name=name, result="ok", detail=detail)


def _failed(name: str, detail: str) -> Check:
    return Check(name=name, result="failed", detail=detail)


def _skipped(name: str, detail: str) -> Check:
    return Check(name=name, result="skipped", detail=detail)


async def examine(options: Options, *, echo: str | None) -> AsyncIterator[Check]:
    """All checks, each as soon as it is known; ``echo`` is a number that echoes."""
    yield check_terminal()
    try:
        configuration = load(options)
        account = configuration.require_account()
    except (ConfigError, paths.PathError) as error:
        yield _failed("settings", str(error))
        return
    yield _ok("settings", f"{account.address_of_record.removeprefix('sip:')} in {configuration.config_file}")
    password = await asyncio.to_thread(check_password, configuration, account)
    yield password
    yield await check_sound(configuration)
    yield check_extras(configuration)
    reachable = False
    for server in account.servers:
        async for check in check_server(server, configuration):
            yield check
            reachable = reachable or (check.name == "transport" and check.result == "ok")
    running = await asyncio.to_thread(_status, configuration)
    if running is not None:
        yield _running_registration(running)
    elif reachable and password.result == "ok":
        yield await try_registration(configuration, account)
    else:
        yield _skipped("registration", "no server was reached, or no password is known")
    yield await asyncio.to_thread(check_echo, configuration, echo, running is not None)


def check_terminal() -> Check:
    """Whether the console can be shown here."""
    if not sys.stdout.isatty():
        return _skipped("terminal", "output goes to no terminal; ctl and run work without one")
    size = shutil.get_terminal_size()
    kind = os.environ.get("TERM", "")
    if kind in ("", "dumb"):
        return _failed("terminal", f"TERM is {kind!r}: set it to what the terminal is, such as xterm-256color")
    if size.columns < _LEAST_COLUMNS or size.lines < _LEAST_ROWS:
        return _failed("terminal", f"{size.columns}x{size.lines} is small: 80x24 shows everything")
    return _ok("terminal", f"{kind}, {size.columns}x{size.lines}")


def check_password(configuration: Configuration, account: Account) -> Check:
    """Whether a password is known, without asking anybody."""
    try:
        found = secrets.find(account, command=configuration.password_command)
    except secrets.SecretError as error:
        return _failed("password", str(error))
    if found is None:
        return _failed("password", "none is known: run offhook config set-password")
    return _ok("password", f"found in: {found.source}")


async def check_sound(configuration: Configuration) -> Check:
    """Whether there are the devices the settings ask for."""
    wanted = [role for role in Role if isinstance(configuration.audio.choice(role), Device)]
    if not wanted:
        return _skipped("sound", "the settings ask for no device")
    found = await probe_devices()
    if found.problem is not None:
        return _failed("sound", found.problem)
    for role in wanted:
        capture = "input" if role.captures else "output"
        names = [device.name for device in found.devices if device.role == capture]
        choice = configuration.audio.choice(role)
        name = choice.name if isinstance(choice, Device) else None
        if not names:
            return _failed("sound", f"there is no {capture} device: plug one in, or set {role.value} to none")
        if name is not None and not any(name.lower() in known.lower() for known in names):
            return _failed("sound", f"{role.value} {name!r} was not found: choose one of offhook devices")
    return _ok("sound", f"{len(found.devices)} devices")


def check_extras(configuration: Configuration) -> Check:
    """Which parts of the sound that are installed apart are there."""
    wideband, echo = g722.installed(), echo_cancelling_installed()
    if configuration.audio.echo_cancelling and not echo:
        return _failed("extras", "echo_cancelling is set but not installed: pip install 'offhook[aec]'")
    there = [name for name, known in (("g722", wideband), ("aec", echo)) if known]
    return (
        _ok("extras", ", ".join(there)) if there else _skipped("extras", "neither g722 (wideband) nor aec is installed")
    )


async def check_server(server: ServerAddress, configuration: Configuration) -> AsyncIterator[Check]:
    """DNS, transport and TLS of one server."""
    host = server.host.strip("[]")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield _failed("dns", f"{host} was not found ({error.strerror}): check the name and this machine's DNS")
        return
    yield _ok("dns", f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}")
    if server.scheme == "udp":
        yield _ok("transport", f"{server}: datagrams cannot be checked before registering")
        return
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, server.port)
    except (OSError, TimeoutError) as error:
        yield _failed("transport", describe(error, server))
        return
    writer.close()
    yield _ok("transport", f"{host}:{server.port} accepts connections")
    if server.secure:
        yield await _check_tls(server, host, configuration)


async def _check_tls(server: ServerAddress, host: str, configuration: Configuration) -> Check:
    try:
        context = tls_context(configuration.tls_ca)
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, server.port, ssl=context, server_hostname=host)
    except (OSError, TimeoutError, TransportError, ssl.SSLError) as error:
        return _failed("tls", describe(error, server))
    protocol = writer.get_extra_info("ssl_object").version()
    writer.transport.abort()
    return _ok("tls", f"{protocol}, the certificate is good")


# --- registration ------------------------------------------------------------------------------------------


def _status(configuration: Configuration) -> dict[str, Any] | None:
    """What a running engine says, or None where there is none."""
    try:
        with Connection(configuration.socket, timeout_s=_CONNECT_S) as connection:
            status: dict[str, Any] = connection.call("status")
            return status
    except (NoEngine, EngineGone, Refused, paths.PathError):
        return None


def _running_registration(status: dict[str, Any]) -> Check:
    if status["registration"] == "registered":
        return _ok("registration", f"the running engine is registered as {status['account']}")
    why = status["reason"] or "it has not been answered yet"
    return _failed("registration", f"the running engine is {status['registration']}: {why}")


async def try_registration(configuration: Configuration, account: Account) -> Check:
    """Register once and take it back."""
    found = secrets.find(account, command=configuration.password_command)
    credentials = Credentials(account.auth_username, "" if found is None else found.password)
    config = StackConfig(account=account, resilience=configuration.resilience)
    agent = UserAgent(config, credentials, on_event=lambda _: None, tls_ca=configuration.tls_ca)
    await agent.start()
    try:
        async with asyncio.timeout(_REGISTER_S):
            await agent.register_with_retry(1, 0.0)
    except RegistrationFailed as error:
        return _failed("registration", f"{error.reason}: check username, domain and password")
    except TimeoutError:
        return _failed("registration", "the PBX gave no answer: check domain and transport")
    finally:
        with contextlib.suppress(TransportError):
            await agent.close()
    return _ok("registration", f"{account.address_of_record.removeprefix('sip:')} was accepted")


def check_echo(configuration: Configuration, target: str | None, running: bool) -> Check:
    """Call a number that echoes, by the running engine, and look whether sound comes back."""
    if target is None:
        return _skipped("echo call", "name a number that echoes: offhook doctor --echo NUMBER")
    if not running:
        return _skipped("echo call", "no engine is running: start one with offhook run --headless")
    try:
        with Connection(configuration.socket, timeout_s=_ECHO_S) as connection:
            call = connection.call("dial", target=target)["call"]
            try:
                return _heard(connection, call)
            finally:
                connection.call("hangup", call=call)
    except Refused as error:
        return _failed("echo call", str(error))
    except (NoEngine, EngineGone) as error:
        return _failed("echo call", str(error))


def _heard(connection: Connection, call: str) -> Check:
    import time

    deadline = time.monotonic() + _ECHO_S
    while time.monotonic() < deadline:
        figures = connection.call("stats")["calls"].get(call)
        if figures is not None and figures["packets_received"] > 100:
            mos = "" if figures["mos"] is None else f", MOS {figures['mos']:.1f}"
            return _ok("echo call", f"{figures['packets_received']} packets came back{mos}")
        time.sleep(_POLL_S)
    return _failed("echo call", "nothing came back: check the firewall for UDP, and the PBX's media settings")
