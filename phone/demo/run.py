"""``offhook --demo``: an embedded PBX on loopback, a real engine on a private socket, and the console.

offhook --demo ── starts ──▶ demo PBX (ends with us)
               ── starts ──▶ engine, files in a temporary directory ── ws, RTP on loopback ──▶ demo PBX
               ── chaos key ── a line ──▶ demo PBX
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from phone.demo.account import DOMAIN, PASSWORD, USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phone.protocol.chaos import Chaos, FaultName

_CONFIG = """\
# The settings of one demonstration; gone when it ends.
[account]
server = "{server}"
username = "{username}"
domain = "{domain}"
display_name = "You"
media = "rtp"

[audio]
input = "{input}"
output = "{output}"
ring = "{ring}"
"""


class DemoFailed(Exception):
    """The demo cannot run; the message is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What a console needs of a demo that runs."""

    config: Path
    chaos: Chaos


class _PipeChaos:
    """Writes the faults to the PBX's standard input."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe

    def inject(self, fault: FaultName) -> None:
        """See :class:`phone.protocol.chaos.Chaos`."""
        with contextlib.suppress(OSError, ValueError):  # it ends
            self._pipe.write(fault + "\n")
            self._pipe.flush()


@contextlib.contextmanager
def demo_environment(*, synthetic: bool | None = None) -> Iterator[Demo]:
    """A demo PBX and a configuration for it. Everything ends with the block.

    ``synthetic`` None looks for real sound. Raises DemoFailed. The password travels in the environment, like one a
    user sets there.
    """
    with tempfile.TemporaryDirectory(prefix="offhook-demo-") as name, _pbx() as (address, chaos):
        directory = Path(name)
        if synthetic is None:
            synthetic = not _sound_devices()  # the PBX starts meanwhile
        server = address()
        names = {"input": "synthetic", "output": "synthetic", "ring": "none"} if synthetic else _DEFAULT_SOUND
        config = directory / "config.toml"
        config.write_text(_CONFIG.format(server=server, username=USERNAME, domain=DOMAIN, **names))
        config.chmod(0o600)
        os.environ.update({"XDG_STATE_HOME": str(directory / "state"), "OFFHOOK_PASSWORD": PASSWORD})
        for other in [key for key in os.environ if key.startswith("OFFHOOK_") and key != "OFFHOOK_PASSWORD"]:
            del os.environ[other]
        yield Demo(config, chaos)


_PROBE_S = 6.0
_DEFAULT_SOUND = {"input": "default", "output": "default", "ring": "default"}


@contextlib.contextmanager
def _pbx() -> Iterator[tuple[Callable[[], str], Chaos]]:
    """A PBX that is starting; its address is waited for by who asks, and DemoFailed raised where there is none."""
    root = str(Path(__file__).resolve().parents[2])
    start = f"import sys; sys.path.append({root!r}); import runpy; runpy.run_module('phone.demo.pbx', None, '__main__')"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-P", "-c", start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        orders = process.stdin

        def address() -> str:
            line = process.stdout.readline().strip() if process.stdout else ""
            if not line:
                raise DemoFailed("The demo's PBX did not start; run python -m phone.demo.pbx to see why.")
            return line

        try:
            yield address, _PipeChaos(orders)
        finally:
            orders.close()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()


def run(console: Callable[[Demo, Path, Callable[[], None]], int]) -> int:
    """Call ``console(demo, socket, last_words)`` inside a demo, then end its engine; returns the exit status.

    ``last_words`` is for a console whose terminal goes away: it ends without coming back here.
    """
    with demo_environment() as demo:
        directory = demo.config.parent
        socket = directory / "engine.sock"

        def last_words() -> None:
            _end_engine(socket)
            shutil.rmtree(directory, ignore_errors=True)

        try:
            return console(demo, socket, last_words)
        finally:
            _end_engine(socket)


def _sound_devices() -> bool:
    """Whether there is something to speak into and something to listen to."""
    from audio.io.probe import probe_devices

    devices = asyncio.run(probe_devices(_PROBE_S)).devices
    return {"input", "output"} <= {device.role for device in devices if not device.monitor}


def _end_engine(socket: Path) -> None:
    from phone.client import Connection, EngineGone, NoEngine, Refused

    with contextlib.suppress(NoEngine, EngineGone, Refused), Connection(socket, timeout_s=5.0) as connection:
        connection.call("shutdown")
