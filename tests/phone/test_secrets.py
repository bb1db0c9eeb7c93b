"""Where passwords come from, in which order, and under which conditions."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import pytest

from phone import secrets
from sipcore.config import Account, ServerAddress

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = Account(
    servers=(ServerAddress.parse("ws://pbx/ws"),), username="1001", domain="pbx", auth_username="auth1001"
)
NAME = "auth1001@pbx"


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own keyring is none of the tests' business: without a backend the library has priority 0."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


def printing(text: str) -> list[str]:
    return [sys.executable, "-c", f"print({text!r})"]


def test_order(environ: dict[str, str]) -> None:
    def prompt(_: str) -> str:
        return "prompted"

    def find(command: list[str]) -> tuple[str, str] | None:
        found = secrets.find(ACCOUNT, command=command, environ=environ, prompt=prompt)
        return None if found is None else (found.password, found.source)

    assert find([]) == ("prompted", "prompt")
    secrets.store(ACCOUNT, "filed", environ)
    assert find([]) == ("filed", "file")
    assert find(printing("commanded")) == ("commanded", "command")
    environ["OFFHOOK_PASSWORD"] = "environed"
    assert find(printing("commanded")) == ("environed", "environment")


def test_no_source_has_one(environ: dict[str, str]) -> None:
    assert secrets.find(ACCOUNT, environ=environ) is None


def test_only_a_terminal_is_asked() -> None:
    assert secrets.terminal_prompt() is None  # pytest's stdin is none


def test_a_password_shows_in_no_representation(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    environ["OFFHOOK_PASSWORD"] = "hunter2"
    found = secrets.find(ACCOUNT, environ=environ)
    logging.getLogger("phone").warning("found %r", found)
    assert found is not None
    assert found.password == "hunter2"
    assert "hunter2" not in caplog.text


class TestFile:
    def test_is_private_and_keeps_every_account(self, environ: dict[str, str], tmp_path: Path) -> None:
        strange = 'quo"te \\ slash \x01 ünïcode'
        other = Account(servers=ACCOUNT.servers, username="2", domain="pbx", auth_username="2")
        secrets.store(other, strange, environ)
        where = secrets.store(ACCOUNT, "two", environ)
        file = tmp_path / "offhook/secrets.toml"
        assert where == str(file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert secrets.find(ACCOUNT, environ=environ) == secrets.Secret("two", "file")
        assert secrets.find(other, environ=environ) == secrets.Secret(strange, "file")
        assert list(file.parent.iterdir()) == [file]

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_readable_by_others_is_refused(self, environ: dict[str, str], tmp_path: Path, mode: int) -> None:
        secrets.store(ACCOUNT, "x", environ)
        (tmp_path / "offhook/secrets.toml").chmod(mode)
        with pytest.raises(secrets.SecretError, match="chmod 600"):
            secrets.find(ACCOUNT, environ=environ)

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a file away")
    def test_of_another_user_is_refused(self, environ: dict[str, str], tmp_path: Path) -> None:
        secrets.store(ACCOUNT, "x", environ)
        os.chown(tmp_path / "offhook/secrets.toml", 65534, 65534)
        with pytest.raises(secrets.SecretError, match="another user"):
            secrets.find(ACCOUNT, environ=environ)

    def test_damaged_is_told(self, environ: dict[str, str], tmp_path: Path) -> None:
        secrets.store(ACCOUNT, "x", environ)
        (tmp_path / "offhook/secrets.toml").write_text("=")
        with pytest.raises(secrets.SecretError, match="not valid TOML"):
            secrets.find(ACCOUNT, environ=environ)


class TestCommand:
    def test_takes_the_first_line(self, environ: dict[str, str]) -> None:
        found = secrets.find(ACCOUNT, command=printing("first\nsecond"), environ=environ)
        assert found == secrets.Secret("first", "command")

    def test_runs_no_shell(self, environ: dict[str, str]) -> None:
        echo = [sys.executable, "-c", "import sys; print(sys.argv[1])", "$(id); `id`"]
        found = secrets.find(ACCOUNT, command=echo, environ=environ)
        assert found == secrets.Secret("$(id); `id`", "command")

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (["/nonexistent/pass"], "was not found"),
            ([sys.executable, "-c", "raise SystemExit(3)"], "failed with status 3"),
            ([sys.executable, "-c", "pass"], "printed nothing"),
            (["/"], "cannot be run"),
        ],
    )
    def test_failure_is_told_and_nothing_else_is_tried(
        self, environ: dict[str, str], command: list[str], words: str
    ) -> None:
        secrets.store(ACCOUNT, "filed", environ)
        with pytest.raises(secrets.SecretError, match=words):
            secrets.find(ACCOUNT, command=command, environ=environ)

    def test_is_not_waited_for_for_ever(self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secrets, "COMMAND_TIMEOUT_S", 0.1)
        command = [sys.executable, "-c", "while True: pass"]
        with pytest.raises(secrets.SecretError, match=r"no answer within 0\.1 s"):
            secrets.find(ACCOUNT, command=command, environ=environ)
