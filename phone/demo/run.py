"""``offhook --demo``: an embedded PBX on loopback, a real engine on a private socket, and the console.

offhook --demo ── starts ──▶ demo PBX (ends with us)
               ── starts ──▶ engine, files in a temporary directory ── ws, RTP on loopback ──▶ demo PBX
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from phone.demo.pbx import DOMAIN, PASSWORD, USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def demo_environment(*, synthetic: bool) -> Iterator[Path]:
    """A demo PBX and a configuration for it; yields the configuration file. Everything ends with the block.

    Raises DemoFailed. The password travels in the environment, like one a user sets there.
    """
    with tempfile.TemporaryDirectory(prefix="offhook-demo-") as name, _pbx() as server:
        directory = Path(name)
        names = {"input": "synthetic", "output": "synthetic", "ring": "none"} if synthetic else _DEFAULT_SOUND
        config = directory / "config.toml"
        config.write_text(_CONFIG.format(server=server, username=USERNAME, domain=DOMAIN, **names))
        config.chmod(0o600)
        os.environ.update({"XDG_STATE_HOME": str(directory / "state"), "OFFHOOK_PASSWORD": PASSWORD})
        for other in [key for key in os.environ if key.startswith("OFFHOOK_") and key != "OFFHOOK_PASSWORD"]:
            del os.environ[other]
        yield config


_PROBE_S = 6.0
_DEFAULT_SOUND = {"input": "default", "output": "default", "ring": "default"}


@contextlib.contextmanager
def _pbx() -> Iterator[str]:
    root = str(Path(__file__).resolve().parents[2])
    start = f"import sys; sys.path.append({root!r}); import runpy; runpy.run_module('phone.demo.pbx', None, '__main__')"
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-P", "-c", start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                raise DemoFailed("The demo's PBX did not start; run python -m phone.demo.pbx to see why.")
            yield address
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()


def run(console: Callable[[Path, Path, Callable[[], None]], int]) -> int:
    """Call ``console(config, socket, last_words)`` inside a demo, then end its engine; returns the exit status.

    ``last_words`` is for a console whose terminal goes away: it ends without coming back here.
    """
    with demo_environment(synthetic=not _sound_devices()) as config:
        socket = config.parent / "engine.sock"

        def last_words() -> None:
            _end_engine(socket)
            shutil.rmtree(config.parent, ignore_errors=True)

        try:
            return console(config, socket, last_words)
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
