"""How late sound is, from the mouth to the ear: through real devices, two engines and nothing of a network.

    python -m bench.audio_loop [--runs 3] [--json]

    paplay ─▶ sink mic ─▶ engine one ══ RTP on loopback ══▶ engine two ─▶ sink ring            mouth to ear
    paplay ─▶ sink mic ─▶ engine ══ RTP ══▶ a plain echo ══▶ the same engine ─▶ sink spk       round trip

Both ends of the way are recorded from the sinks' monitors at the same time by equal recorders, each of which is put
on the monotonic clock by the earliest arrival of its samples; their difference is what is printed.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.audio.calling import write_wave
from tests.audio.sound import likeness, local_likeness, speech
from tests.lab.sound import SoundServer, why_unavailable

_RATE = 16000
_SPEECH_S = 4.0


class Recorder:
    """A source's samples on the monotonic clock."""

    def __init__(self, server: SoundServer, source: str, rate: int = _RATE) -> None:
        self._rate = rate
        self._process = subprocess.Popen(
            [
                *("parec", "--raw", "--format=s16le", f"--rate={rate}", "--channels=1"),
                *("--latency-msec=10", f"--device={source}"),
            ],
            stdout=subprocess.PIPE,
            env=server.client_environment(),
        )
        self._data = bytearray()
        self._arrivals: list[tuple[float, int]] = []
        self.began = float("inf")
        """When its first sample was taken, plus the recorder's own delay."""

        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        assert self._process.stdout is not None
        while data := self._process.stdout.read(self._rate // 50):  # 10 ms
            self._data += data
            began = time.monotonic() - len(self._data) / 2 / self._rate
            self.began = min(self.began, began)
            self._arrivals.append((began, len(self._data) // 2))

    def place(self, at: float, seconds: float) -> int:
        """The sample taken at a time, by what came in so many seconds from then: a busy server adds and drops some."""
        near = [began for began, count in self._arrivals if at <= began + count / self._rate <= at + seconds]
        return round((at - min(near, default=self.began)) * self._rate)

    def stop(self) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Its samples."""
        self._process.terminate()
        self._thread.join(5)
        return np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), dtype=np.int16)


class Engine:
    """An engine's process."""

    def __init__(self, server: SoundServer, device_in: str, device_out: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.audio.device_engine", device_in, device_out],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=server.client_environment(),
        )
        assert self._process.stdout is not None
        self.ports: dict[str, int] = json.loads(self._process.stdout.readline())

    def call(self, ports: dict[str, int]) -> None:
        """Connect it to somebody's ports."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(ports) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the call and the process."""
        self._process.communicate(timeout=10)


class Echo:
    """Sends each packet back under another SSRC."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.ports = {"rtp_port": self._socket.getsockname()[1], "rtcp_port": 9}
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            data, source = self._socket.recvfrom(2048)
            self._socket.sendto(data[:8] + struct.pack("!I", 0xEC40EC40) + data[12:], source)


def measure(server: SoundServer, wav: Path, source: str, ear: str) -> dict[str, float]:
    """Speak once while a call is up; how late the ear has it."""
    mouth, heard = Recorder(server, source), Recorder(server, ear)
    time.sleep(3.0)  # sinks found idle get going
    server.play(wav).wait(30)
    time.sleep(1.0)
    spoken, arrived = mouth.stop(), heard.stop()
    start = int(np.argmax(np.abs(spoken) > 500))
    piece = spoken[start : start + round(_SPEECH_S * _RATE)]
    _, place = likeness(piece, arrived)
    return {
        "ms": ((heard.began + place / _RATE) - (mouth.began + start / _RATE)) * 1000,
        "likeness": local_likeness(piece, arrived, block=_RATE // 2, reach=_RATE // 4),
    }


def mouth_to_ear(wav: Path) -> dict[str, float]:
    """Two engines, one way."""
    with SoundServer() as server:
        one, two = Engine(server, "default", "none"), Engine(server, "none", "ring")
        one.call(two.ports)
        two.call(one.ports)
        try:
            return measure(server, wav, "mic.monitor", "ring.monitor")
        finally:
            one.close()
            two.close()


def round_trip(wav: Path) -> dict[str, float]:
    """One engine and an echo."""
    with SoundServer() as server:
        engine = Engine(server, "default", "default")
        engine.call(Echo().ports)
        try:
            return measure(server, wav, "mic.monitor", "spk.monitor")
        finally:
            engine.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if reason := why_unavailable():
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        wav = Path(directory) / "speech.wav"
        write_wave(wav, speech(_SPEECH_S))
        for name, way in (("mouth to ear", mouth_to_ear), ("round trip", round_trip)):
            runs = [way(wav) for _ in range(arguments.runs)]
            figures[f"{name}, ms"] = statistics.median(run["ms"] for run in runs)
            figures[f"{name}, likeness"] = statistics.median(run["likeness"] for run in runs)
            figures[f"{name}, runs"] = [round(run["ms"], 1) for run in runs]
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:8.2f}" if isinstance(value, float) else f"{name:28} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
