"""A pseudo-terminal with a program in it, and when which byte of it came."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TICKS = os.sysconf("SC_CLK_TCK")
_HIDDEN = ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY")


class NeverShown(Exception):
    """The program did not draw what was waited for."""


class Terminal:
    """Starts a program in a terminal and reads what it writes, on the running loop. Nothing answers its queries."""

    def __init__(
        self, command: Sequence[str], *, size: tuple[int, int], directory: Path, environment: Mapping[str, str]
    ) -> None:
        """``size`` is columns by rows; ``environment`` is added to that of this process."""
        self.data = bytearray()
        self.reads: list[tuple[float, int]] = []
        """When something came, and how many bytes there were then."""

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in _HIDDEN and not name.startswith(("OFFHOOK_", "TEXTUAL_"))
        }
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._master)
            return
        self.data += chunk
        self.reads.append((time.monotonic(), len(self.data)))

    async def shows(self, text: bytes, timeout_s: float = 20.0) -> float:
        """Seconds from the start until the last byte of ``text`` had come."""
        deadline = time.monotonic() + timeout_s
        while (found := self.data.find(text)) < 0:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise NeverShown(f"{text!r} was never drawn: {bytes(self.data[-2000:])!r}")
            await asyncio.sleep(0.005)
        end = found + len(text)
        return next(at for at, size in self.reads if size >= end) - self.started

    async def press(self, key: bytes) -> float:
        """Seconds until the first byte that follows a key."""
        before, pressed = len(self.reads), time.monotonic()
        os.write(self._master, key)
        while len(self.reads) == before:
            await asyncio.sleep(0.0005)
            if time.monotonic() - pressed > 2:
                raise NeverShown("a key had no effect")
        return self.reads[before][0] - pressed

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
        """CPU used so far, of the program alone."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def pss_mb(self) -> float:
        """Memory, with shared pages counted by share: what the program alone costs only while it is the only one."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0

    def type(self, keys: bytes) -> None:
        """Type without waiting for anything."""
        os.write(self._master, keys)

    def close(self) -> None:
        """End the program as a closed terminal does."""
        asyncio.get_running_loop().remove_reader(self._master)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
