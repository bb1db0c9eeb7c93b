"""Phones in a call that something happens to: Offhook, JsSIP in a browser, baresip. Started, told to call, asked.

What a phone cannot do in a row (a browser's page is no engine) is not asked of it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.browser.__main__ import Browser, Failed, prepare, tone
from bench.peers import cache
from tests.lab.asterisk_config import SIP_PORT
from tests.lab.call_scene import DTLS, KINDS, PLAIN, Kind, tone_wav
from tests.lab.engine import Engine
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.asterisk import Asterisk

ECHO = "600"
_numbers = itertools.count()


class Caller(Protocol):
    """One phone. ``host`` is the PBX as it sees it, ``prefix`` enters the network it lives in."""

    def start(self) -> None:
        """Start and return once it is registered; raises AssertionError."""
        ...

    def dial(self) -> None:
        """Call the echo and return once it is answered."""
        ...

    def mark(self) -> None:
        """The fault comes now."""
        ...

    def recovered(self) -> bool:
        """Whether it has its signalling back, as far as it tells."""
        ...

    def is_up(self) -> bool:
        """Whether it believes to be in the call."""
        ...

    def hang_up(self) -> None:
        """What its user does."""
        ...

    def close(self) -> None:
        """End it and remove what it left."""
        ...


class Offhook:
    """`offhook run --headless`, told by `offhook ctl`."""

    def __init__(self, pbx: Asterisk, kind: Kind, host: str, prefix: Sequence[str]) -> None:
        account = {"tls_ca": str(pbx.ca_file), "media": kind.media}
        self.engine = Engine(kind.server(host), kind.username, account=account, command_prefix=prefix)
        self.expects_nothing = False
        """Whether the fault is none to its signalling."""

        self._since = 0
        self._call = ""

    def start(self) -> None:
        self.engine.start()
        self.engine.wait_registered(20)

    def dial(self) -> None:
        self._call = self.engine.dial(ECHO)
        self.engine.wait_seconds(1)

    def mark(self) -> None:
        self._since = self.engine.mark()

    def recovered(self) -> bool:
        return self.expects_nothing or bool(self.engine.find("signallingChanged", since=self._since, up=True))

    def is_up(self) -> bool:
        return [call["id"] for call in self.engine.calls()] == [self._call]

    def hang_up(self) -> None:
        self.engine.ctl("hangup", check=False)

    def close(self) -> None:
        self.engine.close()


class BrowserPhone:
    """JsSIP in headless Chromium: what most phones of this kind are made of."""

    def __init__(self, pbx: Asterisk, kind: Kind, host: str, prefix: Sequence[str]) -> None:
        self._server = kind.server(host)
        self._account = (kind.username, pbx.accounts[kind.username].password)
        self._prefix = prefix
        self._directory = Path(tempfile.mkdtemp(prefix="offhook-browser-"))
        self._browser: Browser | None = None

    def start(self) -> None:
        chromium = prepare()
        voice = tone(self._directory / "voice.wav", 700, 48000)
        self._browser = Browser(chromium, self._directory, voice, command_prefix=self._prefix)
        self._ask("register", self._server, *self._account)

    def _ask(self, verb: str, *arguments: str) -> object:
        assert self._browser is not None
        return self._browser.ask(verb, *arguments)

    def _figure(self, name: str) -> object:
        figures = self._ask("figures")
        assert isinstance(figures, dict)
        return figures[name]

    def dial(self) -> None:
        self._ask("call", ECHO)
        wait_until(lambda: self._figure("state") == "active", what="the browser's call is answered", timeout_s=15)

    def mark(self) -> None:
        """The browser keeps no events."""

    def recovered(self) -> bool:
        return bool(self._figure("registered"))

    def is_up(self) -> bool:
        return self._figure("state") == "active"

    def hang_up(self) -> None:
        try:
            self._ask("hangUp")
        except Failed:
            pass  # it has no call any more

    def close(self) -> None:
        if self._browser is not None:
            self._browser.__exit__(None, None, None)
        shutil.rmtree(self._directory, ignore_errors=True)


_BARESIP_CONFIG = """
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module stdio.so
module_app account.so
module_app menu.so
audio_source aufile,{microphone}
audio_player aufile,/dev/null
audio_alert aufile,/dev/null
"""
_BARESIP_ENTER = 'mount -t proc proc "$1/proc" && exec chroot "$1" stdbuf -oL baresip -v -f "$2"'


class BaresipPhone:
    """baresip with plain RTP, told by commands on its terminal; over TCP, since it knows no path of a WebSocket."""

    def __init__(self, pbx: Asterisk, kind: Kind, host: str, prefix: Sequence[str]) -> None:
        root = cache.ensure_baresip()
        inside = f"/tmp/offhook-{os.getpid()}-call-{next(_numbers)}"
        self._directory = root / inside[1:]
        self._directory.mkdir()
        tone_wav(self._directory)
        (self._directory / "config").write_text(_BARESIP_CONFIG.format(microphone=f"{inside}/tone.wav"))
        password = pbx.accounts[kind.username].password
        where = f"{host}:{SIP_PORT};transport=tcp"
        (self._directory / "accounts").write_text(f"<sip:{kind.username}@{where}>;auth_pass={password};regint=60\n")
        self._target = f"sip:{ECHO}@{where}"
        die_with_us = ("setpriv", "--pdeathsig", "KILL", "--")
        enter = (
            *die_with_us,
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _BARESIP_ENTER,
            "baresip-in-root",
        )
        self._command = [*prefix, *enter, str(root), inside]
        self._said: list[str] = []
        self._since = 0
        self._process: subprocess.Popen[str] | None = None
        self._terminal = -1

    def start(self) -> None:
        self._terminal, slave = os.openpty()
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        os.close(slave)
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()
        wait_until(lambda: self._has("200 OK"), what="baresip registers", timeout_s=20)

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._said.append(line)

    def _has(self, text: str) -> bool:
        return any(text in line for line in list(self._said)[self._since :])

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def dial(self) -> None:
        self._type(f"/dial {self._target}\n")
        wait_until(
            lambda: self._has("Call established") or self._has("Call answered"),
            what="baresip's call is answered",
            timeout_s=15,
        )

    def mark(self) -> None:
        self._since = len(self._said)

    def recovered(self) -> bool:
        return self._has("200 OK")

    def is_up(self) -> bool:
        return not (self._has("session closed") or self._has("Call with") or self._has("terminated"))

    def hang_up(self) -> None:
        self._type("/hangup\n")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            os.close(self._terminal)
        shutil.rmtree(self._directory, ignore_errors=True)


CALLERS: dict[str, tuple[Callable[[Asterisk, Kind, str, Sequence[str]], Caller], tuple[Kind, ...]]] = {
    "offhook": (Offhook, KINDS),
    "jssip": (BrowserPhone, (DTLS,)),
    "baresip": (BaresipPhone, (PLAIN,)),
}
"""By the name that PHONES= takes: how it is made, and the kinds of calls it can be asked for."""
