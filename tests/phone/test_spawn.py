"""Starting an engine on behalf of a console: ready, refused, or beaten by another."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phone.client import Connection, NoEngine
from phone.spawn import spawn_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

MINIMAL = """
[account]
server = "ws://127.0.0.1:9/ws"
username = "1001"
[audio]
input = "none"
output = "none"
ring = "none"
"""


class Home:
    """Where spawned engines live."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "run/offhook/default.sock"
        self.log = directory / "state/offhook/offhook.log"
        self.config = directory / "config/offhook/config.toml"
        self.config.parent.mkdir(parents=True)
        self.config.write_text(MINIMAL)

    def spawn(self, timeout_s: float = 15.0) -> None:
        spawn_engine(self.socket, self.log, [], timeout_s=timeout_s)

    def status(self) -> dict[str, object]:
        with Connection(self.socket, timeout_s=5) as connection:
            status: dict[str, object] = connection.call("status")
            return status


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in [name for name in os.environ if name.startswith("OFFHOOK_")]:
        monkeypatch.delenv(name)
    for name, where in (("CONFIG_HOME", "config"), ("STATE_HOME", "state"), ("RUNTIME_DIR", "run")):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / where))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    monkeypatch.setenv("OFFHOOK_PASSWORD", "x")
    made = Home(tmp_path)
    yield made
    try:
        with Connection(made.socket, timeout_s=5) as connection:
            connection.call("shutdown")
            assert list(connection.events()) == []  # until it hangs up
    except NoEngine:
        pass


def test_ready_then_beaten(home: Home) -> None:
    """Losers of the race attach: to them, too, there is an engine when the call returns."""
    errors: list[Exception] = []

    def spawn() -> None:
        try:
            home.spawn()
        except Exception as error:  # told below, where the test fails
            errors.append(error)

    racers = [threading.Thread(target=spawn) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert errors == []
    status = home.status()
    pid = status["pid"]
    assert isinstance(pid, int)
    assert os.getsid(pid) == pid  # a session of its own: closing the terminal does not reach it
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_a_refusal_comes_back_as_its_sentence(home: Home) -> None:
    home.config.write_text("[account]\nserver = 5\n")
    with pytest.raises(NoEngine, match=r"line 2: 'server' in \[account\] must be"):
        home.spawn()


def test_an_engine_that_is_not_ready_in_time(home: Home) -> None:
    with pytest.raises(NoEngine, match="not ready within"):
        home.spawn(timeout_s=0.01)
    home.spawn()  # the slow one became ready meanwhile, or this one is
