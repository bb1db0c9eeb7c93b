"""The doctor's findings about a server, each with what to do."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from phone.config import Configuration, Options, load
from phone.doctor import Check, check_extras, check_password, check_server, check_sound, check_terminal, examine
from sipcore.config import ServerAddress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    for name, where in (("CONFIG_HOME", "c"), ("STATE_HOME", "s"), ("RUNTIME_DIR", "r"), ("CONFIG_DIRS", "x")):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / where))
    monkeypatch.delenv("OFFHOOK_PASSWORD", raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    file = tmp_path / "config.toml"
    file.write_text(
        '[account]\nserver = "ws://127.0.0.1:9/ws"\nusername = "1001"\n'
        '[audio]\ninput = "none"\noutput = "wav:x.wav"\nring = "none"\n'
    )
    return load(Options(config=file))


def server_checks(address: str, configuration: Configuration) -> list[Check]:
    async def main() -> list[Check]:
        return [check async for check in check_server(ServerAddress.parse(address), configuration)]

    return asyncio.run(main())


def results(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.name, check.result) for check in checks]


def test_unknown_host(configuration: Configuration) -> None:
    (check,) = server_checks("ws://no-such-host.invalid/ws", configuration)
    assert (check.name, check.result) == ("dns", "failed")
    assert "check the name" in check.detail


def test_nobody_listens(configuration: Configuration) -> None:
    checks = server_checks("ws://127.0.0.1:9/ws", configuration)
    assert results(checks) == [("dns", "ok"), ("transport", "failed")]
    assert "Connection refused" in checks[1].detail


def test_somebody_who_speaks_no_tls(configuration: Configuration) -> None:
    async def main() -> list[Check]:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SIP/2.0 400 What\r\n\r\n")
            writer.close()

        listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with listener:
            server = ServerAddress.parse(f"tls:127.0.0.1:{port}")
            return [check async for check in check_server(server, configuration)]

    checks = asyncio.run(main())
    assert results(checks) == [("dns", "ok"), ("transport", "ok"), ("tls", "failed")]


def test_password(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    account = configuration.require_account()
    assert "set-password" in check_password(configuration, account).detail
    monkeypatch.setenv("OFFHOOK_PASSWORD", "hunter2")
    found = check_password(configuration, account)
    assert (found.result, found.detail) == ("ok", "found in: environment")


def test_without_devices_nothing_is_asked_of_the_sound_system(configuration: Configuration) -> None:
    assert asyncio.run(check_sound(configuration)).result == "skipped"


def test_no_terminal_is_no_fault() -> None:
    assert check_terminal().result == "skipped"


@pytest.mark.parametrize(
    ("wideband", "aec", "wanted", "expected"),
    [
        (True, True, True, ("ok", "g722, aec")),
        (True, False, False, ("ok", "g722")),
        (False, False, False, ("skipped", "neither g722 (wideband) nor aec is installed")),
        (True, False, True, ("failed", "echo_cancelling is set but not installed: pip install 'offhook[aec]'")),
    ],
)
def test_extras(
    configuration: Configuration,
    monkeypatch: pytest.MonkeyPatch,
    wideband: bool,
    aec: bool,
    wanted: bool,
    expected: tuple[str, str],
) -> None:
    monkeypatch.setattr("phone.doctor.g722.installed", lambda: wideband)
    monkeypatch.setattr("phone.doctor.echo_cancelling_installed", lambda: aec)
    audio = dataclasses.replace(configuration.audio, echo_cancelling=wanted)
    check = check_extras(dataclasses.replace(configuration, audio=audio))
    assert (check.result, check.detail) == expected


def test_the_whole_report_names_every_check(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phone.doctor.g722.installed", lambda: True)

    async def main() -> list[Check]:
        options = Options(config=configuration.config_file)
        return [check async for check in examine(options, echo=None)]

    assert results(asyncio.run(main())) == [
        ("terminal", "skipped"),
        ("settings", "ok"),
        ("password", "failed"),
        ("sound", "skipped"),
        ("extras", "ok"),
        ("dns", "ok"),
        ("transport", "failed"),
        ("registration", "skipped"),
        ("echo call", "skipped"),
    ]
