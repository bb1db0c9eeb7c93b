"""What the console costs: bytes to a terminal, first paint, key to first byte, memory and CPU.

    python -m bench.console_bytes [--seconds 15] [--size 80x24] [--json]

The console runs as a user's would, in a pseudo-terminal; the engine is a control socket of this process that shows one
state and, in a call, new figures every second. Nothing answers the terminal's queries, as over a plain SSH session.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from phone.protocol import commands as cmd
from phone.protocol.snapshots import CallMedia, CallSlice, RegistrationSlice, TransportSlice
from phone.server import ControlServer
from phone.state import PhoneState

KEYS = 20
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).resolve().parents[1]
_CONSOLE = """
import sys
from pathlib import Path
from tui.app import ConsoleOptions, run
ssh, meters = sys.argv[2] == "ssh", sys.argv[3] == "meters"
faults = Path(sys.argv[1] + ".log")
run(ConsoleOptions(socket=Path(sys.argv[1]), language="en", ssh=ssh, meters=meters, fault_log=faults))
"""


class Terminal:
    """A pseudo-terminal with a console in it, read by the loop."""

    def __init__(self, socket: Path, profile: str, meters: str, size: tuple[int, int]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY")}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CONSOLE, str(socket), profile, meters],
            cwd=_ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        os.close(slave)
        os.set_blocking(self.master, False)
        self.data = bytearray()
        self.reads: list[float] = []
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self.master, 1 << 16)
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)
            return
        self.data += chunk
        self.reads.append(time.monotonic())

    async def shows(self, text: bytes, timeout_s: float = 10.0) -> float:
        """Seconds from the start until ``text`` was drawn."""
        deadline = time.monotonic() + timeout_s
        while text not in self.data:
            if time.monotonic() > deadline:
                raise SystemExit(f"the console never drew {text!r}: {bytes(self.data[-2000:])!r}")
            await asyncio.sleep(0.005)
        return self.reads[-1] - self.started

    async def press(self, key: bytes) -> float:
        """Seconds until the first byte that follows a key."""
        before, pressed = len(self.reads), time.monotonic()
        os.write(self.master, key)
        while len(self.reads) == before:
            await asyncio.sleep(0.0005)
            if time.monotonic() - pressed > 2:
                raise SystemExit("a key had no effect")
        return self.reads[before] - pressed

    async def over(self, seconds: float) -> dict[str, float]:
        """Bytes, writes and CPU a second, for some seconds."""
        size, reads, cpu = len(self.data), len(self.reads), self.cpu_s()
        await asyncio.sleep(seconds)
        return {
            "bytes/s": (len(self.data) - size) / seconds,
            "writes/s": (len(self.reads) - reads) / seconds,
            "CPU %": 100 * (self.cpu_s() - cpu) / seconds,
        }

    def cpu_s(self) -> float:
        """CPU used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def pss_mb(self) -> float:
        """Memory, with shared pages counted by share."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def close(self) -> None:
        """End the console as a closed terminal does."""
        asyncio.get_running_loop().remove_reader(self.master)
        self.process.send_signal(signal.SIGHUP)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        os.close(self.master)


class Engine:
    """A control socket with one state."""

    def __init__(self, path: Path) -> None:
        self.state = PhoneState(
            registration=RegistrationSlice(state="registered", account="1001@pbx.example.com"),
            transport=TransportSlice(state="connected", server="wss://pbx.example.com:8089/ws", rtt_ms=12.0),
        )
        self.server = ControlServer(path, engine="e", version="bench", state=lambda: self.state, execute=self._answer)

    async def _answer(self, command: cmd.Command) -> Any:
        level = 20 + 15 * (time.monotonic() % 1)
        return {"levels": {"input_dbfs": -level, "output_dbfs": level - 60}} if isinstance(command, cmd.Meters) else {}

    def call(self, second: int) -> None:
        """A call that goes on, with the figures of this second."""
        now = time.time()
        media = CallMedia(mos=4.3 - 0.1 * (second % 2), loss=0.001 * (second % 3), jitter_ms=6.0 + second % 2)
        started = self.state.calls[0].started_at if self.state.calls else now - 60
        call = CallSlice(
            id="a", direction="out", state="active", peer="1004", started_at=started, answered_at=started, codec="PCMU",
            media=media,
        )  # fmt: skip
        self.state = replace(self.state, calls=(call,))
        self.server.state_changed()


async def measure(profile: str, meters: str, size: tuple[int, int], seconds: float) -> dict[str, float]:
    """All figures of one profile."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "engine.sock"
        engine = Engine(path)
        await engine.server.start()
        for warm in (False, True):  # the first start may have to compile
            terminal = Terminal(path, profile, meters, size)
            figures["first paint s"] = await terminal.shows(b"REGISTERED")
            figures["first paint CPU s"] = terminal.cpu_s()
            await asyncio.sleep(1.0)
            if not warm:
                terminal.close()
        figures["first paint kB"] = len(terminal.data) / 1024
        for name, value in (await terminal.over(seconds)).items():
            figures[f"idle {name}"] = value
        figures["PSS MB"] = terminal.pss_mb()
        presses = [await terminal.press(b"5")]
        for _ in range(KEYS):
            await asyncio.sleep(0.15)
            presses.append(await terminal.press(b"6"))
        figures["key to first byte ms"] = 1000 * statistics.median(presses)
        os.write(terminal.master, b"\x1b")
        engine.call(0)
        await asyncio.sleep(2.0)

        async def talk() -> None:
            for second in range(int(seconds) + 2):
                engine.call(second)
                await asyncio.sleep(1.0)

        talking = asyncio.create_task(talk())
        for name, value in (await terminal.over(seconds)).items():
            figures[f"in a call {name}"] = value
        talking.cancel()
        figures["PSS MB after"] = terminal.pss_mb()
        terminal.close()
        await engine.server.close()
    return figures


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    width, _, height = arguments.size.partition("x")
    results: dict[str, dict[str, float]] = {}
    for name, profile, meters in (
        ("ssh", "ssh", "none"),
        ("ssh with meters", "ssh", "meters"),
        ("local", "local", "none"),
        ("local with meters", "local", "meters"),
    ):
        results[name] = asyncio.run(measure(profile, meters, (int(width), int(height)), arguments.seconds))
    if arguments.json:
        print(json.dumps(results))
        return 0
    print(f"{'':28}" + "".join(f"{name:>20}" for name in results))
    for figure in next(iter(results.values())):
        print(f"{figure:28}" + "".join(f"{found[figure]:20.2f}" for found in results.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
