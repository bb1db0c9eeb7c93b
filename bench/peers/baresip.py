"""baresip over WebSocket, in the root of its own; what it prints is what it tells."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from bench.peers import cache
from bench.resilience.peer import Caller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.engine import Event

_numbers = itertools.count()
_FIRST_PORT = 20000

# Its own sentence comes only when something changes, so a refresh is read from the messages it prints.
_ANSWER, _REGISTER = re.compile(r"SIP/2\.0 (\d)\d\d "), re.compile(r"CSeq: \d+ REGISTER")
_SAYS = (
    (re.compile(r"Register: "), "registrationFailed"),
    (re.compile(r"Incoming call from"), "incomingCall"),
    (re.compile(r"Call established"), "callActive"),
    (re.compile(r"session closed|Call with .* terminated"), "callEnded"),
    (re.compile(r"websock connection closed"), "transportDisconnected"),
    (re.compile(r"websock established"), "transportConnected"),
    (re.compile(r"websock: connecting"), "reconnectionAttempting"),
)

# Sound from nowhere to nowhere; four calls at once, so that a second ring is heard as well.
_CONFIG = """
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module ausine.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{port}
audio_source ausine,440
ausrc_srate 48000
audio_player aufile,/dev/null
audio_alert aufile,/dev/null
call_max_calls 4
"""

# A netstring of JSON, sent inside its namespace.
_TELL = 'exec 3<>"/dev/tcp/127.0.0.1/$1"; printf %s "$2" >&3; read -r -t 2 -N 30 <&3 || true'

# The mount is in a namespace of its own and vanishes with the process.
_ENTER = 'mount -t proc proc "$1/proc" && exec chroot "$1" stdbuf -oL baresip -v -s -f "$2"'


class RegistrationReader:
    """Finds the answers to REGISTER in what `baresip -s` prints, line by line."""

    def __init__(self) -> None:
        self._answer = ""

    def tells_success(self, line: str) -> bool:
        """Whether this line completes a 2xx to a REGISTER."""
        if " -> " in line:
            self._answer = ""
        elif found := _ANSWER.match(line):
            self._answer = found[1]
        return self._answer == "2" and _REGISTER.match(line) is not None


class Baresip(Caller):
    """Registers every 81 s (90 per cent of `regint`), about as often as the others send their keep-alive."""

    def __init__(self, uri: str, username: str, password: str, *, command_prefix: Sequence[str]) -> None:
        self._root = cache.ensure_baresip()
        number = next(_numbers)
        self._port = _FIRST_PORT + number
        self._prefix = list(command_prefix)
        self._inside = f"/tmp/offhook-{os.getpid()}-{number}"
        self._directory = self._root / self._inside[1:]
        self._directory.mkdir()
        where = re.sub(r"^\w+://|/.*$", "", uri)
        (self._directory / "config").write_text(_CONFIG.format(port=self._port))
        (self._directory / "accounts").write_text(
            f"<sip:{username}@{where};transport=ws>;auth_pass={password};regint=90\n"
        )
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "baresip-in-root")
        self._command = [*command_prefix, *enter, str(self._root), self._inside]
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
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            listening = RegistrationReader()
            for line in process.stdout:
                if listening.tells_success(line):
                    self._events.append({"event": "registered", "at": time.time()})
                for pattern, name in _SAYS:
                    if pattern.search(line):
                        self._events.append({"event": name, "at": time.time()})
                        break

    def dial(self, target: str) -> None:
        self._tell("dial", target)

    def hang_up(self) -> None:
        self._tell("hangup", "")

    def _tell(self, command: str, parameters: str) -> None:
        text = json.dumps({"command": command, "params": parameters})
        tell = ("bash", "-c", _TELL, "tell", str(self._port), f"{len(text)}:{text},")
        subprocess.run([*self._prefix, *tell], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._directory, ignore_errors=True)
