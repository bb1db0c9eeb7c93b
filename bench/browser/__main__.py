"""A browser's phone as the far end: `make interop`, or ``python -m bench.browser``.

    Offhook ══ wss, DTLS-SRTP ══▶ lab Asterisk (webrtc=yes both) ◀══ wss, DTLS-SRTP ══ jssip in headless Chromium

Calls it and is called by it; each must hear the other's tone. Needs Chromium, Node 20 with npm, and what the lab needs;
where one is missing it says so and ends with status 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from audio.stream.recorder import numbered_path
from bench.peers import cache
from tests.lab import root, signals
from tests.lab.asterisk import Asterisk
from tests.lab.asterisk_config import ACCOUNTS, Account
from tests.lab.engine import Engine
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HERE = Path(__file__).parent
OFFHOOK, BROWSER = "1002", "1012"
OUR_HZ, BROWSER_HZ = 1300.0, 700.0
TONE_S = 20.0
TALK_S = 5.0
WEBRTC = Account(password="secret-1012", endpoint="webrtc=yes\ndtls_auto_generate_cert=yes")

SHARE = 0.9
"""Of the power in our recording that must be the browser's tone."""

ABOVE_DB = 15.0
"""How far our tone must stand out in what the browser hears."""

_REPLY_S = 20.0
_START_S = 60.0
"""A browser on a busy machine."""


class Failed(Exception):
    """A sentence that says what is missing or went wrong."""


class Browser:
    """Chromium under peer.js; a context manager. ``microphone`` is the WAV it speaks."""

    def __init__(self, directory: Path, microphone: Path, *, command_prefix: Sequence[str] = ()) -> None:
        chromium, scripts = prepare()
        self._process = subprocess.Popen(
            [*command_prefix, "node", scripts / "peer.js", chromium, directory / "profile", microphone],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = str(self._read(_START_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for the browser and what drives it."""
        for pid in _descendants(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait(5)

    def ask(self, verb: str, *arguments: str) -> Any:
        """Run a verb of page.js, or `closeTab`; its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"verb": verb, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self, patience_s: float = _REPLY_S) -> Any:
        assert self._process.stdout is not None
        late = threading.Timer(patience_s, self.kill)
        late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            raise Failed(f"the browser said nothing for {patience_s:.0f} s, or ended")
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(f"in the browser: {reply['error']}")
        return reply["result"]

    def wait(self, state: str) -> None:
        """Return once its call is in a state."""
        wait_until(lambda: self.ask("figures")["state"] == state, what=f"the browser's call is {state}", timeout_s=15)


def _descendants(pid: int) -> list[int]:
    """The processes below one, parents first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [below for child in map(int, children) for below in (child, *_descendants(child))]


def tone(path: Path, hz: float, rate: int) -> Path:
    """A WAV of one frequency, -10 dBFS."""
    moments = np.arange(round(TONE_S * rate)) / rate
    return signals.write_wav(path, 0.45 * np.sin(2 * np.pi * hz * moments), rate)


def talk(name: str, engine: Engine, browser: Browser, earpiece: Path) -> bool:
    """Measure a call that is up, end it from our side, print the figures; whether sound went both ways."""
    call = engine.wait_seconds(TALK_S)
    figures = browser.ask("figures")
    engine.ctl("hangup")
    engine.wait_no_calls()
    browser.wait("ended")
    samples, rate = signals.read_wav(earpiece)
    share = signals.tone_share(samples[-2 * rate :], rate, BROWSER_HZ)
    heard = figures["heard"] or {"hz": 0.0, "above_db": 0.0}
    print(f"{name}: security {call['security']}, {call['media']}")
    print(f"  Offhook hears {BROWSER_HZ:.0f} Hz: {100 * share:.1f} % of the power of the last 2 s")
    print(f"  the browser hears {heard['hz']:.0f} Hz, {heard['above_db']:.1f} dB above the telephone band's mean")
    print(
        f"  the browser's figures: {figures['received']} packets received, {figures['lost']} lost, "
        f"jitter {figures['jitter_ms']:.1f} ms, {figures['sent']} sent; "
        f"{figures['codec']}, DTLS {figures['dtls']}, {figures['srtp']}"
    )
    return (
        call["security"] == "dtls"
        and share >= SHARE
        and abs(heard["hz"] - OUR_HZ) < 10
        and heard["above_db"] >= ABOVE_DB
    )


def both_ways(directory: Path) -> bool:
    """One call in each direction; whether both were heard at both ends."""
    microphone = tone(directory / "ours.wav", OUR_HZ, 8000)
    earpiece = directory / "earpiece.wav"
    voice = tone(directory / "browser.wav", BROWSER_HZ, 48000)
    with (
        Asterisk(accounts={**ACCOUNTS, BROWSER: WEBRTC}) as pbx,
        Engine(
            pbx.wss_uri,
            OFFHOOK,
            account={"tls_ca": str(pbx.ca_file)},
            audio={"input": f"wav:{microphone}", "output": f"wav:{earpiece}"},
        ) as engine,
        Browser(directory, voice) as browser,
    ):
        print(f"{root.asterisk_version()}, Chromium {browser.version}")
        engine.wait_registered()
        browser.ask("register", pbx.wss_uri, BROWSER, WEBRTC.password)
        engine.dial(BROWSER)
        browser.wait("ringing")
        browser.ask("answer")
        browser.wait("active")
        called = talk("Offhook calls the browser", engine, browser, earpiece)
        pbx.wait_no_channels()
        browser.ask("call", OFFHOOK)
        engine.wait_call("ringing")
        engine.ctl("answer")
        browser.wait("active")
        taken = talk("the browser calls Offhook", engine, browser, Path(numbered_path(str(earpiece), 2)))
        pbx.wait_no_channels()
    return called and taken


def prepare() -> tuple[str, Path]:
    """The path of Chromium, and the directory of peer.js with its packages; raises :class:`MissingError`."""
    return cache.ensure_chromium(), cache.ensure_packages(HERE, "browser")


def main() -> int:
    """Exit status 0 when sound went both ways in both calls."""
    try:
        if reason := root.why_unavailable():
            raise Failed(reason)
        prepare()
        with tempfile.TemporaryDirectory(prefix="offhook-browser-", ignore_cleanup_errors=True) as name:
            heard = both_ways(Path(name))
    except (Failed, cache.MissingError) as failed:
        print(f"interop: {failed}", file=sys.stderr)
        return 1
    print("interop: sound both ways in both calls" if heard else "interop: NOT heard everywhere")
    return 0 if heard else 1


if __name__ == "__main__":
    raise SystemExit(main())
