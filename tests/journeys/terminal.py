"""A real terminal (tmux on a socket of its own) with the program in it, as a user sees and types it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

PROJECT = Path(__file__).resolve().parents[2]


class Terminal:
    """``offhook ARGUMENTS`` in a terminal of ``columns`` x ``rows``; a context manager."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        clear: tuple[str, ...] = ("SSH_CONNECTION", "SSH_TTY", "NO_COLOR"),
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=f"offhook-tmux-{os.getpid()}-"))
        self._socket = str(self._directory / "tmux.sock")
        self._arguments = arguments
        self._size = (columns, rows)
        inherited = {name: value for name, value in os.environ.items() if name not in clear and name != "TMUX"}
        self._environment = {**inherited, "PYTHONPATH": str(PROJECT), "LC_ALL": "C.UTF-8", **(environment or {})}
        self._pane_pid = 0

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        return done.stdout

    def __enter__(self) -> Self:
        columns, rows = map(str, self._size)
        command = [sys.executable, "-m", "phone.cli", *self._arguments]
        self._tmux("new-session", "-d", "-x", columns, "-y", rows, "-s", "phone", *command)
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self._pane_pid = int(self._tmux("list-panes", "-F", "#{pane_pid}").strip() or 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"the screen was:\n{self.screen()}")
        self._tmux("kill-server")
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The program's process."""
        return self._pane_pid

    def screen(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "phone")

    def press(self, *keys: str) -> None:
        """Type keys by tmux's names (F2, Enter, C-r) or characters."""
        self._tmux("send-keys", "-t", "phone", *keys)

    def wait_for(self, *texts: str, timeout_s: float = 20.0) -> str:
        """The screen once it shows every text."""

        def shows() -> str:
            screen = self.screen()
            return screen if all(text in screen for text in texts) else ""

        return wait_until(shows, what=f"the screen shows {texts}", timeout_s=timeout_s)

    def wait_gone(self, text: str, timeout_s: float = 20.0) -> None:
        """Return once ``text`` is no longer shown."""
        wait_until(lambda: text not in self.screen(), what=f"{text!r} is gone", timeout_s=timeout_s)

    def wait_dead(self, timeout_s: float = 20.0) -> None:
        """Return once the program has ended."""
        wait_until(
            lambda: self._tmux("list-panes", "-F", "#{pane_dead}").strip() in ("1", ""),
            what="the program ends",
            timeout_s=timeout_s,
        )

    def kill_program(self) -> None:
        """SIGKILL: the console cannot say goodbye."""
        os.kill(self._pane_pid, signal.SIGKILL)

    def close_terminal(self) -> None:
        """The terminal goes away under the program, as when SSH drops."""
        self._tmux("kill-session", "-t", "phone")
