"""The phone itself as a process, driven only by what a user has: its command line, its events, its files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tomlkit

from tests.lab import asterisk_config as config
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

Event = dict[str, Any]
OFFHOOK = (sys.executable, "-m", "phone.cli")
# Byte code is cached as on a user's machine: without it every `ctl` compiles its modules anew.
_NOT_INHERITED = ("OFFHOOK_", "XDG_", "PYTHONDONTWRITEBYTECODE")
PROJECT = Path(__file__).resolve().parents[2]


class Engine:
    """`offhook run --headless --events` with a configuration and XDG directories of its own; a context manager."""

    def __init__(
        self,
        server: str | Sequence[str],
        username: str = "1001",
        *,
        password: str | None = None,
        account: Mapping[str, object] | None = None,
        audio: Mapping[str, object] | None = None,
        resilience: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        command_prefix: Sequence[str] = (),
    ) -> None:
        """The password is the lab's own for that account unless given. Sound is `none` everywhere unless given."""
        self.directory = Path(tempfile.mkdtemp(prefix=f"offhook-engine-{os.getpid()}-"))
        self.events: list[Event] = []
        """Everything the engine printed, in order."""
        self._prefix = tuple(command_prefix)
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        lab_account = config.ACCOUNTS.get(username)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)},
            **{name: str(self._made(where)) for name, where in _DIRECTORIES.items()},
            "OFFHOOK_PASSWORD": password if password is not None else (lab_account.password if lab_account else ""),
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        self.socket = self.directory / "run/engine.sock"
        self.config_file = self.directory / "config.toml"
        self.settings: dict[str, Any] = {
            "account": {"server": server, "username": username, **(account or {})},
            "resilience": dict(resilience or {}),
            "audio": {"input": "none", "output": "none", "ring": "none", **(audio or {})},
            "log": {"verbose": True},
        }
        self.write_settings()

    def _made(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def write_settings(self) -> None:
        """Write `settings` to the configuration file; takes effect at the next start."""
        self.config_file.write_text(tomlkit.dumps({name: table for name, table in self.settings.items() if table}))

    # ------------------------------------------------------------------------------------------------- life-cycle

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and return once its control socket answers; may follow `stop` or `kill`."""
        self.launch()

        def answers() -> bool:
            if self.returncode is not None:
                raise AssertionError(f"the engine ended with status {self.returncode}: {self.stderr()[-2000:]}")
            return self.socket.exists() and self.ctl("status", "--json", check=False).returncode == 0

        wait_until(answers, what="the engine answers", timeout_s=15)

    def launch(self) -> None:
        """Start it and return at once: for a start that is meant to fail."""
        with (self.directory / "stderr").open("ab") as stderr:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *(*OFFHOOK, "run", "--headless", "--events"),
                    *("--config", str(self.config_file), "--socket", str(self.socket)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self.environment,
                cwd=self.directory,
                text=True,
                encoding="utf-8",
            )
        self._thread = threading.Thread(target=self._collect, args=(self._process,), name="lab-engine", daemon=True)
        self._thread.start()

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.events.append(json.loads(line))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait_end(self, timeout_s: float = 15.0) -> int:
        """Its exit status, once it ended by itself; all its events are in by then."""
        assert self._process is not None
        assert self._thread is not None
        status = self._process.wait(timeout_s)
        self._thread.join(5)
        return status

    def stop(self) -> int:
        """SIGTERM, as systemd would; returns the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: it cannot say goodbye. Its directories stay, so `start` is a restart after a crash."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        try:
            return self.wait_end(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self.wait_end(5)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # ------------------------------------------------------------------------------------------- asking and telling

    def ctl(self, *arguments: str, check: bool = True, timeout_s: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run `offhook ctl`; with `check`, a status other than 0 is a failure showing what it said."""
        done = self.offhook("ctl", *arguments, timeout_s=timeout_s)
        if check and done.returncode:
            raise AssertionError(f"ctl {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")
        return done

    def offhook(self, *arguments: str, timeout_s: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run any `offhook` command in this engine's environment, on its socket and configuration."""
        return subprocess.run(
            [*OFFHOOK, *arguments, "--config", str(self.config_file), "--socket", str(self.socket)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self.environment,
            cwd=self.directory,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """`ctl status --json`."""
        result: dict[str, Any] = json.loads(self.ctl("status", "--json").stdout)
        return result

    def calls(self) -> list[dict[str, Any]]:
        """The calls in `status`."""
        result: list[dict[str, Any]] = self.status()["calls"]
        return result

    def history(self) -> list[dict[str, Any]]:
        """`ctl history --json`, newest first."""
        result: list[dict[str, Any]] = json.loads(self.ctl("history", "--json").stdout)
        return result

    def dial(self, target: str) -> str:
        """`ctl dial`; returns the call's id."""
        return self.ctl("dial", target).stdout.strip()

    def mark(self) -> int:
        """A place in the events, to wait for what comes after it."""
        return len(self.events)

    def find(self, name: str, *, since: int = 0, **fields: object) -> list[Event]:
        """Events of that name with the given fields."""
        return [
            event
            for event in self.events[since:]
            if event.get("event") == name and all(event.get(key) == value for key, value in fields.items())
        ]

    def wait_event(self, name: str, timeout_s: float = 10.0, *, since: int = 0, **fields: object) -> Event:
        """The first such event after `since`."""
        what = f"event {name} {fields or ''}"
        return wait_until(lambda: self.find(name, since=since, **fields), what=what, timeout_s=timeout_s)[0]

    def wait_registered(self, timeout_s: float = 15.0) -> None:
        """Return once `status` says registered."""
        wait_until(lambda: self.status()["registration"] == "registered", what="registered", timeout_s=timeout_s)

    def wait_call(self, state: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The first call in a state, once there is one."""

        def found() -> list[dict[str, Any]]:
            return [call for call in self.calls() if call["state"] == state]

        return wait_until(found, what=f"a call is {state}", timeout_s=timeout_s)[0]

    def wait_seconds(self, seconds: float) -> dict[str, Any]:
        """The first call that has lasted that long since its answer, once there is one."""

        def found() -> list[dict[str, Any]]:
            return [call for call in self.calls() if call["duration_s"] >= seconds]

        return wait_until(found, what=f"a call lasts {seconds:g} s", timeout_s=seconds + 15)[0]

    def wait_no_calls(self, timeout_s: float = 10.0) -> None:
        """Return once there is no call."""
        wait_until(lambda: not self.calls(), what="no call is left", timeout_s=timeout_s)

    # ----------------------------------------------------------------------------------------------------- evidence

    def stderr(self) -> str:
        """What it wrote to standard error, over all its starts."""
        return (self.directory / "stderr").read_text(errors="replace")

    def logs(self) -> str:
        """Its log files."""
        paths = sorted((self.directory / "state").rglob("*.log*"))
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        (directory / "engine.stderr").write_text(self.stderr())
        (directory / "engine.log").write_text(self.logs())
        (directory / "engine.events").write_text("\n".join(json.dumps(event) for event in self.events))


_DIRECTORIES = {
    "XDG_CONFIG_HOME": "config",
    "XDG_STATE_HOME": "state",
    "XDG_DATA_HOME": "data",
    "XDG_CACHE_HOME": "cache",
    "XDG_RUNTIME_DIR": "run",
    "HOME": "home",
}
