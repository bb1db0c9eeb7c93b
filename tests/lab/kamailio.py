"""A real Kamailio for tests: own directory, own loopback address, own process namespace. See `tests.lab.asterisk`.

It ends with the process that started it, and all of its children with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab import kamailio_config as config
from tests.lab.asterisk_config import WS_PORT
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType

DOMAIN = "lab.invalid"
PASSWORD = "secret-edge"
_TOOLS = ("kamailio", "kamcmd", "unshare", "setpriv")
_MODULES = ("outbound.so", "websocket.so")


def why_unavailable() -> str | None:
    """Why no Kamailio can be started here, in one sentence, or None."""
    if os.geteuid() != 0:
        return "the lab needs root: run `sudo make lab-tests`"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    missing += [name for name in _MODULES if not (Path(config.MODULES) / name).exists()]
    return f"the lab needs {', '.join(missing)}: run `make system`" if missing else None


class Kamailio:
    """One instance in front of an Asterisk; a context manager."""

    def __init__(
        self, address: str, pbx: str, *, outbound: bool = True, gruu: bool = True, flow_timer_s: int = 0
    ) -> None:
        """``pbx`` is Asterisk's address. Without ``outbound`` or ``gruu`` the registrar does as if it knew none."""
        self.address = address
        self.directory = Path(tempfile.mkdtemp(prefix=f"offhook-edge-{os.getpid()}-"))
        self._process: subprocess.Popen[bytes] | None = None
        (self.directory / "kamailio.cfg").write_text(
            config.text(
                address,
                directory=str(self.directory),
                domain=DOMAIN,
                pbx=pbx,
                password=PASSWORD,
                outbound=outbound,
                gruu=gruu,
                flow_timer_s=flow_timer_s,
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--pid", "--fork", "--kill-child", "--"),
                    *("kamailio", "-DD", "-E", "-m", "32", "-M", "8", "-f", str(self.directory / "kamailio.cfg")),
                    *("-Y", str(self.directory), "-w", str(self.directory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"Kamailio ended while starting: {self.log()[-2000:]}")
            return (self.directory / "control").exists() and "{" in self.command("core.info")

        wait_until(answers, what="Kamailio starts", timeout_s=20)

    def close(self) -> None:
        """End it, as a power cut would, and remove its directory."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def command(self, *words: str) -> str:
        """What it answers to an RPC."""
        done = subprocess.run(
            ["kamcmd", "-s", f"unix:{self.directory}/control", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout + done.stderr

    def reg_ids(self) -> list[int]:
        """The reg-ids of the contacts registered, in order; 0 for one without."""
        return sorted(int(number) for number in re.findall(r"Reg-Id: (\d+)", self.command("ul.dump")))

    def connections(self) -> set[str]:
        """The connections that contacts are registered by."""
        return set(re.findall(r"Tcpconn-Id: (\d+)", self.command("ul.dump")))

    def wait_reg_ids(self, *wanted: int, timeout_s: float = 10.0) -> None:
        """Return once exactly these bindings are there."""
        wait_until(lambda: self.reg_ids() == list(wanted), what=f"the registrar holds {wanted}", timeout_s=timeout_s)

    @property
    def ws_uri(self) -> str:
        return f"ws://{self.address}:{WS_PORT}/ws"

    def log(self) -> str:
        """Everything it said so far."""
        return (self.directory / "log").read_text(errors="replace")

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        (directory / "kamailio.log").write_text(self.log())
        if self._process is not None and self._process.poll() is None:
            (directory / "kamailio.state").write_text(self.command("ul.dump"))
