"""Where the sound server is looked for: as libpulse does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from audio.io.pulse_server import addresses, connect, cookie, is_remote

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PULSE_SERVER", "PULSE_COOKIE", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PULSE_CLIENTCONFIG", str(tmp_path / "client.conf"))
    monkeypatch.setattr("audio.io.pulse_server._SYSTEM_SOCKETS", ())


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("unix:/run/p/native", ["/run/p/native"]),
        ("/run/p/native", ["/run/p/native"]),
        ("{c0ffee}unix:/a tcp:desk:4714", ["/a", "tcp:desk:4714"]),
        ("tcp6:[::1]:4713", ["tcp:[::1]:4713"]),
        ("desk", ["tcp:desk"]),
    ],
)
def test_the_environment_names_servers(monkeypatch: pytest.MonkeyPatch, named: str, expected: list[str]) -> None:
    monkeypatch.setenv("PULSE_SERVER", named)
    assert addresses() == expected
    assert [is_remote(address) for address in expected] == [not address.startswith("/") for address in expected]


def test_the_user_s_own_server_is_in_the_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses() == []
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert addresses() == ["/run/user/1000/pulse/native"]
    monkeypatch.setenv("PULSE_RUNTIME_PATH", "/tmp/p")
    assert addresses() == ["/tmp/p/native", "/run/user/1000/pulse/native"]


def test_the_clients_configuration_names_server_and_cookie(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)))
    (tmp_path / "client.conf").write_text(
        f'; default-server = nowhere\n default-server = "tcp:far"\ncookie-file = {secret}\n'
    )
    assert addresses() == ["tcp:far"]
    assert cookie() == bytes(range(256))


def test_a_cookie_is_found_where_servers_put_it_and_is_never_short(tmp_path: Path) -> None:
    assert cookie() == bytes(256)
    (tmp_path / ".pulse-cookie").write_bytes(b"short")
    assert cookie() == bytes(256)
    (tmp_path / ".config" / "pulse").mkdir(parents=True)
    (tmp_path / ".config" / "pulse" / "cookie").write_bytes(b"x" * 300)
    assert cookie() == b"x" * 256


def test_no_server_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        connect(str(tmp_path / "native"), 0.2)
    with pytest.raises(OSError):
        connect("tcp:127.0.0.1:9", 0.2)
