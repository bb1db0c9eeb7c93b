"""How evenly the audio engine sends: intervals between RTP packets over some seconds, its CPU and its memory.

    python -m bench.rtp_pacing --seconds 30 [--busy 2] [--device default] [--plain] [--json]

The engine runs in a process of its own, as it does in the phone; this process is the far end and takes the time as
packets arrive on loopback, from the kernel's own time stamps where it gives them. Beside it runs a bare loop that
does nothing but sleep and send: what the machine itself adds in the same seconds. A device other than `synthetic` or
`none` is one of a sound server of the bench's own, with null sinks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from audio.engine import AudioEngine, AudioSettings
from sipcore.media import PCMU, Direction, MediaParameters
from tests.lab.sound import SoundServer

SO_TIMESTAMPNS = 35
_WARM_UP_PACKETS = 100
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but burn CPU meanwhile")
    parser.add_argument("--device", default="synthetic", help="input and output, as in the configuration")
    parser.add_argument("--plain", action="store_true", help="without real-time scheduling, as where it is forbidden")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(arguments.busy)]
    for burner in burners:
        burner.start()
    try:
        figures = measure(arguments.seconds, arguments.device, plain=arguments.plain)
    finally:
        for burner in burners:
            burner.kill()
    figures["busy processes"] = arguments.busy
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value:10.3f}" if isinstance(value, float) else f"{name:32} {value!s:>10}")
    return 0


def measure(seconds: float, device: str = "synthetic", *, plain: bool = False) -> dict[str, Any]:
    """The figures of one call of ``seconds``."""
    if device in ("synthetic", "none"):
        return _measure(seconds, device, dict(os.environ), plain)
    with SoundServer() as server:
        return _measure(seconds, device, server.client_environment(), plain)


def _measure(seconds: float, device: str, environment: dict[str, str], plain: bool) -> dict[str, Any]:
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    far.bind(("127.0.0.1", 0))
    far.settimeout(5.0)
    port = far.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.rtp_pacing", "--engine", str(port), str(seconds + 4.0), device],
        stdout=subprocess.PIPE,
        text=True,
        env=environment | ({"OFFHOOK_BENCH_PLAIN": "1"} if plain else {}),
    )
    floor = _Floor(seconds)
    arrivals: list[float] = []
    sequence: list[int] = []
    start_cpu = end_cpu = start = end = 0.0
    memory = 0
    while True:
        try:
            data, ancillary, _, source = far.recvmsg(2048, 128)
        except TimeoutError:
            break
        arrivals.append(stamp(ancillary))
        sequence.append(struct.unpack_from("!H", data, 2)[0])
        far.sendto(data, source)  # an echo, so that the engine has something to play
        if len(arrivals) == _WARM_UP_PACKETS:
            start_cpu, start = _cpu_s(child.pid), time.monotonic()
        if len(arrivals) >= _WARM_UP_PACKETS + seconds * 50:
            end_cpu, end, memory = _cpu_s(child.pid), time.monotonic(), _pss_kib(child.pid)
            break
    child.terminate()
    child.wait(5)
    deviations = off_by_ms(arrivals[_WARM_UP_PACKETS:])
    bare = off_by_ms(floor.arrivals())
    expected = ((sequence[-1] - sequence[0]) & 0xFFFF) + 1
    return {
        "packets": len(arrivals),
        "missing": expected - len(arrivals),
        "interval mean, ms": (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1) * 1000,
        "deviation from 20 ms, median": statistics.median(deviations),
        "deviation from 20 ms, p99": deviations[int(len(deviations) * 0.99)],
        "deviation from 20 ms, worst": deviations[-1],
        "a bare loop's p99": bare[int(len(bare) * 0.99)],
        "a bare loop's worst": bare[-1],
        "CPU of one core, %": (end_cpu - start_cpu) / (end - start) * 100 if end else 0.0,
        "PSS, MB": memory / 1024,
    }


class _Floor:
    """A process that sends a datagram every 20 ms and does nothing else."""

    def __init__(self, seconds: float) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self._process = multiprocessing.Process(target=_bare_loop, args=(port, seconds), daemon=True)
        self._process.start()

    def arrivals(self) -> list[float]:
        """When its datagrams came: the kernel has kept them, and their times."""
        self._process.join(5)
        self._socket.setblocking(False)
        stamps: list[float] = []
        while True:
            try:
                stamps.append(stamp(self._socket.recvmsg(16, 128)[1]))
            except BlockingIOError:
                return stamps


def _bare_loop(port: int, seconds: float) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    deadline = time.monotonic()
    for _ in range(round(seconds * 50)):
        sock.sendto(b"x", ("127.0.0.1", port))
        deadline += 0.020
        time.sleep(max(0.0, deadline - time.monotonic()))


def off_by_ms(arrivals: list[float]) -> list[float]:
    """How far each interval is from 20 ms, sorted."""
    return sorted(abs((b - a) * 1000 - 20.0) for a, b in pairwise(arrivals))


def stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When the kernel had a datagram, as Unix time."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return float(seconds + nanoseconds * 1e-9)
    return time.time()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _pss_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _forbidden(*arguments: object) -> None:
    raise PermissionError


def burn() -> None:
    """Use a whole core."""
    while True:
        pass


async def run_engine(port: int, seconds: float, device: str) -> None:
    """The measured process: one call to ``port``."""
    if os.environ.get("OFFHOOK_BENCH_PLAIN"):
        # What a user without the right to it has; the limit is inherited by every thread.
        for name in ("sched_setscheduler", "setpriority"):
            setattr(os, name, _forbidden)
    engine = AudioEngine(AudioSettings(input=device, output=device, ring="none"), on_event=lambda event: None)
    await engine.start()
    await engine.open("bench", "127.0.0.1")
    engine.configure(
        "bench",
        MediaParameters(
            negotiation=1,
            remote_address="127.0.0.1",
            remote_rtp_port=port,
            remote_rtcp_port=9,
            direction=Direction.SENDRECV,
            send_codec=PCMU,
            receive_codecs=(PCMU,),
            rtcp_mux=False,
        ),
    )
    await asyncio.sleep(seconds)
    await engine.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--engine"]:
        asyncio.run(run_engine(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
    else:
        sys.exit(main())
