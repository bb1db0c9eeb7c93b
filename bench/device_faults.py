"""What happens to a call when its sound devices fail: `python -m bench.device_faults [--json]`.

    headset pulled      the sink of the earpiece is unloaded, and loaded again 2 s later
    server killed       the sound server dies, and is started again 2 s later
    server frozen       it is stopped for 10 s, as by a hung tunnel, and then goes on

For each: how soon the loss is told, how soon sound returns once it can, and the longest time without a packet at the
far end meanwhile (by the kernel's own time stamps), with what is missing of them.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench.rtp_pacing import SO_TIMESTAMPNS, stamp
from tests.lab.sound import SoundServer, why_unavailable
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_AWAY_S = 2.0
_FROZEN_S = 10.0
_SETTLED_S = 4.0


class FarEnd:
    """Sends every packet back, and remembers when each came."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.ports = {"rtp_port": self._socket.getsockname()[1], "rtcp_port": 9}
        self.arrivals: list[tuple[float, int]] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            data, ancillary, _, source = self._socket.recvmsg(2048, 128)
            self.arrivals.append((stamp(ancillary), struct.unpack_from("!H", data, 2)[0]))
            self._socket.sendto(data[:8] + struct.pack("!I", 0xEC40EC40) + data[12:], source)

    def gap_ms(self, since: int) -> tuple[float, int]:
        """The longest interval from packet number ``since`` on, and how many packets are missing there."""
        arrivals = self.arrivals[since:]
        longest = max(later[0] - sooner[0] for sooner, later in pairwise(arrivals)) * 1000
        missing = sum((later[1] - sooner[1] - 1) & 0xFFFF for sooner, later in pairwise(arrivals))
        return longest, missing


class Subject:
    """The engine's process."""

    def __init__(self, server: SoundServer, far: FarEnd) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.audio.device_engine", "default", "default"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=server.client_environment(),
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._process.stdout.readline()
        self.messages: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()
        self._process.stdin.write(json.dumps(far.ports) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.messages.extend(map(json.loads, iter(self._process.stdout.readline, "")))

    def first(self, kind: str, since: float) -> float | None:
        """When it first told of ``kind`` after ``since``."""
        return next((m["at"] for m in self.messages if m.get("event") == kind and m["at"] >= since), None)

    def close(self) -> None:
        """End the call and the process."""
        self._process.terminate()
        self._process.wait(10)


@dataclass(frozen=True, slots=True)
class Row:
    """One fault's figures."""

    told_ms: float | None
    back_ms: float | None
    gap_ms: float
    missing: int

    def __str__(self) -> str:
        told = f"{self.told_ms:6.0f}" if self.told_ms is not None else " never"
        back = f"{self.back_ms:6.0f}" if self.back_ms is not None else " never"
        packets = f"longest RTP gap {self.gap_ms:5.1f} ms   missing {self.missing}"
        return f"told after {told} ms   back after {back} ms   {packets}"


def fault(begin: Callable[[SoundServer], None], end: Callable[[SoundServer], None], away_s: float) -> Row:
    """One call through one fault."""
    with SoundServer() as server:
        far = FarEnd()
        subject = Subject(server, far)
        try:
            wait_until(lambda: subject.first("open", 0.0) is not None and len(far.arrivals) > 50, what="a call is up")
            time.sleep(_SETTLED_S)
            first = len(far.arrivals)
            began = time.monotonic()
            begin(server)
            time.sleep(away_s)
            ended = time.monotonic()
            end(server)
            wait_until(lambda: subject.first("restored", began) is not None, what="sound is back", timeout_s=20)
            time.sleep(1.0)
        finally:
            subject.close()
        told, back = subject.first("lost", began), subject.first("restored", began)
        gap_ms, missing = far.gap_ms(first)
        return Row(
            None if told is None else (told - began) * 1000,
            None if back is None else max(0.0, back - ended) * 1000,
            gap_ms,
            missing,
        )


def _unplug_all(server: SoundServer) -> None:
    """The server moves streams to another sink by itself: nothing is lost while there is one."""
    for sink in ("ring", "spk", "mic"):
        server.unplug(sink)


def _plug_all(server: SoundServer) -> None:
    for sink in ("spk", "mic", "ring"):
        server.plug(sink)


FAULTS: tuple[tuple[str, Callable[[SoundServer], None], Callable[[SoundServer], None], float], ...] = (
    ("headset pulled", _unplug_all, _plug_all, _AWAY_S),
    ("server killed", SoundServer.kill, SoundServer.start, _AWAY_S),
    ("server frozen 10 s", SoundServer.freeze, SoundServer.thaw, _FROZEN_S),
)


def main() -> int:
    """Measure and print."""
    if reason := why_unavailable():
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    rows = {}
    for name, begin, end, away_s in FAULTS:
        rows[name] = row = fault(begin, end, away_s)
        if "--json" not in sys.argv:
            print(f"{name:<20} {row}", flush=True)
    if "--json" in sys.argv:
        print(json.dumps({name: asdict(row) for name, row in rows.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
