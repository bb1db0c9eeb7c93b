"""Phones in a call that something happens to: Offhook, JsSIP in a browser, baresip. Started, told to call, asked.

Where Offhook has an engine and a console, others are one program: what kills either kills them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.browser.__main__ import Browser, Failed, prepare, tone
from bench.peers import cache
from bench.peers.baresip import RegistrationReader
from bench.terminal import Terminal
from phone.version import version
from tests.lab.asterisk_config import SIP_PORT
from tests.lab.call_scene import DTLS, KINDS, PLAIN, Kind
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

    def kill(self) -> None:
        """SIGKILL for what holds the call."""
        ...

    def restart(self) -> None:
        """Start it again after that, as its user would."""
        ...

    def kill_console(self) -> None:
        """SIGKILL for what its user looks at."""
        ...

    def close_terminal(self) -> None:
        """Take away what its user looks at: a terminal, or a tab."""
        ...

    def close(self) -> None:
        """End it and remove what it left."""
        ...


class Offhook:
    """`offhook run --headless`, told by `offhook ctl`."""

    def __init__(self, pbx: Asterisk, kind: Kind, host: str, prefix: Sequence[str]) -> None:
        account = {"tls_ca": str(pbx.ca_file), "media": kind.media}
        self.engine = Engine(kind.server(host), kind.username, account=account, command_prefix=prefix)
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
        return bool(self.engine.find("signallingChanged", since=self._since, up=True))

    def is_up(self) -> bool:
        return [call["id"] for call in self.engine.calls()] == [self._call]

    def hang_up(self) -> None:
        self.engine.ctl("hangup", check=False)

    def kill(self) -> None:
        self.engine.kill()

    def restart(self) -> None:
        self.engine.launch()

    def kill_console(self) -> None:
        asyncio.run(self._console(signal.SIGKILL))

    def close_terminal(self) -> None:
        asyncio.run(self._console(signal.SIGHUP))

    async def _console(self, end: signal.Signals) -> None:
        """A console attaches, draws, and is ended: by SIGHUP as when its SSH session is lost."""
        engine = self.engine
        terminal = Terminal(
            (sys.executable, "-m", "phone.cli", "--config", str(engine.config_file), "--socket", str(engine.socket)),
            size=(80, 24),
            directory=engine.directory,
            environment=engine.environment,
        )
        try:
            await terminal.shows(ECHO.encode())
            terminal.process.send_signal(end)
            terminal.process.wait(5)
        finally:
            terminal.close()

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
        self._is_open = False

    def start(self) -> None:
        voice = tone(self._directory / "voice.wav", 700, 48000)
        profile = Path(tempfile.mkdtemp(dir=self._directory))
        self._browser = Browser(profile, voice, command_prefix=self._prefix)
        self._is_open = True
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
        return self._is_open and bool(self._figure("registered"))

    def is_up(self) -> bool:
        return self._is_open and self._figure("state") == "active"

    def hang_up(self) -> None:
        if self._is_open:
            with contextlib.suppress(Failed):  # it has no call any more
                self._ask("hangUp")

    def kill(self) -> None:
        assert self._browser is not None
        self._is_open = False
        self._browser.kill()

    def restart(self) -> None:
        self.start()

    def kill_console(self) -> None:
        self.kill()

    def close_terminal(self) -> None:
        self._is_open = False
        self._ask("closeTab")

    def close(self) -> None:
        if self._browser is not None:
            self._browser.__exit__(None, None, None)
        shutil.rmtree(self._directory, ignore_errors=True)


_BARESIP_CONFIG = """
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module ausine.so
module stdio.so
module_app account.so
module_app menu.so
audio_source ausine,440
ausrc_srate 48000
audio_player aufile,/dev/null
audio_alert aufile,/dev/null
"""
_BARESIP_ENTER = 'mount -t proc proc "$1/proc" && exec chroot "$1" stdbuf -oL baresip -v -s -f "$2"'


class BaresipPhone:
    """baresip with plain RTP, told by commands on its terminal; over TCP, since it knows no path of a WebSocket."""

    def __init__(self, pbx: Asterisk, kind: Kind, host: str, prefix: Sequence[str]) -> None:
        root = cache.ensure_baresip()
        inside = f"/tmp/offhook-{os.getpid()}-call-{next(_numbers)}"
        self._directory = root / inside[1:]
        self._directory.mkdir()
        (self._directory / "config").write_text(_BARESIP_CONFIG)
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
        # Its terminal is its controlling one: when that goes, it gets SIGHUP, also where `nohup` runs the bench.
        self._command = [*prefix, "setsid", "--ctty", "env", "--default-signal=HUP", *enter, str(root), inside]
        self._said: list[str] = []
        self._since = self._registrations = self._registered_before = 0
        self._in_call = False
        self._process: subprocess.Popen[str] | None = None
        self._terminal = -1

    def start(self) -> None:
        self.mark()
        self._terminal, slave = os.openpty()
        self._process = subprocess.Popen(
            self._command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        os.close(slave)
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()
        wait_until(self.recovered, what="baresip registers", timeout_s=20)

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        listening = RegistrationReader()
        with process.stdout:
            for line in process.stdout:
                self._said.append(line)
                self._registrations += listening.tells_success(line)

    def _has(self, text: str) -> bool:
        return any(text in line for line in list(self._said)[self._since :])

    def _type(self, text: str) -> None:
        if self._terminal >= 0:
            os.write(self._terminal, text.encode())

    def dial(self) -> None:
        self._type(f"/dial {self._target}\n")
        wait_until(
            lambda: self._has("Call established") or self._has("Call answered"),
            what="baresip's call is answered",
            timeout_s=15,
        )
        self._in_call = True

    def mark(self) -> None:
        self._since, self._registered_before = len(self._said), self._registrations

    def recovered(self) -> bool:
        return self._registrations > self._registered_before

    def is_up(self) -> bool:
        assert self._process is not None
        ended = self._has("session closed") or self._has(": Call with ")
        return self._in_call and not ended and self._process.poll() is None

    def hang_up(self) -> None:
        self._type("/hangup\n")

    def kill(self) -> None:
        assert self._process is not None
        self._in_call = False
        self._process.kill()
        self._process.wait(10)
        self._hang_up_terminal()

    def restart(self) -> None:
        self.start()

    def kill_console(self) -> None:
        self.kill()

    def close_terminal(self) -> None:
        self._hang_up_terminal()

    def _hang_up_terminal(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One phone: how it is made, the kinds of calls it can be asked for, how it is installed."""

    title: str
    make: Callable[[Asterisk, Kind, str, Sequence[str]], Caller]
    kinds: tuple[Kind, ...]
    prepare: Callable[[], str]
    """Installs it, raising `cache.MissingError`, and returns its version."""

    patience_s: float
    """How long it may need to have its signalling back, once that is possible."""


def _prepare_jssip() -> str:
    chromium, scripts = prepare()
    del chromium
    return f"{cache.node_version('jssip', scripts)} in Chromium {cache.chromium_version()}"


CALLERS: dict[str, Model] = {
    "offhook": Model(title="Offhook", make=Offhook, kinds=KINDS, prepare=version, patience_s=45.0),
    # It waits up to 30 s between two attempts.
    "jssip": Model(title="JsSIP", make=BrowserPhone, kinds=(DTLS,), prepare=_prepare_jssip, patience_s=45.0),
    # After two failures it waits up to two minutes.
    "baresip": Model(
        title="baresip", make=BaresipPhone, kinds=(PLAIN,), prepare=cache.baresip_version, patience_s=130.0
    ),
}
"""By the name that PHONES= takes."""
