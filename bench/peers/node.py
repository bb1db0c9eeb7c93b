"""Browser phones without a browser: JsSIP and SIP.js under Node, which tell what happens as JSON lines."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING

from bench.peers import cache
from bench.resilience.peer import Phone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.engine import Event


class NodePhone(Phone):
    """`node SCRIPT URI USER PASSWORD [VARIANT]`, in the namespace."""

    def __init__(
        self, script: str, uri: str, username: str, password: str, *, command_prefix: Sequence[str], variant: str = ""
    ) -> None:
        self._command = [*command_prefix, "node", str(cache.ensure_node() / script), uri, username, password, variant]
        self._events: list[Event] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def events(self) -> Sequence[Event]:
        return self._events

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.startswith("{"):  # the libraries' own chatter goes the same way
                    self._events.append(json.loads(line))

    def network_changed(self, *, online: bool) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("online\n" if online else "offline\n")
        self._process.stdin.flush()

    def close(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdin is not None
        self._process.stdin.close()
