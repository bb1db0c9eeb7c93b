"""What really went over the wire, decoded by somebody else: a capture on loopback, read by tshark."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any, Self

from tests.lab import asterisk_config as config
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

TOOLS = ("tshark", "dumpcap")
_MARKER_PORT = 9  # discard
_END = b"offhook lab: end of capture"


def why_unavailable() -> str | None:
    """Why nothing can be captured here, in one sentence, or None."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"the wire tests need {', '.join(missing)}: run `make system`"
    return None


class Capture:
    """Everything to and from one address from `start` to `stop`, on loopback unless told; a context manager."""

    def __init__(self, address: str, path: Path, *, device: str = "lo") -> None:
        self.path = path
        self._device = device
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return once packets are really being written."""
        self._process = subprocess.Popen(
            ["dumpcap", "-q", "-i", self._device, "-f", f"host {self._address}", "-w", str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begin = b"offhook lab: begin of capture"
        wait_until(lambda: self._marked(begin), what="the capture starts")

    def stop(self) -> None:
        """Return once everything sent before is in the file."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            wait_until(lambda: self._marked(_END), what="the capture's end is written")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)

    def _marked(self, marker: bytes) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(marker, (self._address, _MARKER_PORT))
        return self.path.exists() and marker in self.path.read_bytes()

    def _tshark(self, *arguments: str) -> str:
        command = [
            *("tshark", "-n", "-r", str(self.path), "-2"),
            *("-d", f"tcp.port=={config.WS_PORT},http", "-d", f"tcp.port=={config.SIP_PORT},sip"),
            # The markers of start and end, whatever protocol has the port they happen to leave from.
            *("-d", f"udp.port=={_MARKER_PORT},data"),
            *("-o", "tcp.analyze_sequence_numbers:TRUE", "--enable-heuristic", "rtp_udp"),
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def fields(self, display_filter: str, names: Sequence[str]) -> list[tuple[str, ...]]:
        """One tuple of field values (several joined by commas) for each packet that matches."""
        wanted = [argument for name in names for argument in ("-e", name)]
        text = self._tshark("-Y", display_filter, "-T", "fields", "-E", "separator=\x1f", *wanted)
        return [tuple(line.split("\x1f")) for line in text.splitlines()]

    def packets(self, display_filter: str) -> list[dict[str, Any]]:
        """The whole decoding of the packets that match."""
        result: list[dict[str, Any]] = json.loads(self._tshark("-Y", display_filter, "-T", "json") or "[]")
        return result

    def malformed(self) -> list[str]:
        """A line for each packet tshark calls malformed, or warns of in SIP, SDP, RTP or RTCP."""
        ours = "(sip || sdp || rtp || rtcp || websocket || http) && _ws.expert.severity >= 6291456"
        text = self._tshark(
            # An ICMP error quotes the beginning of a packet, which is malformed by nature.
            *("-Y", f"(_ws.malformed || ({ours})) && !icmp", "-T", "fields", "-E", "separator=/s"),
            *("-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.message", "-e", "_ws.col.Info"),
        )
        return text.splitlines()

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        if self.path.exists():
            shutil.copy(self.path, directory)
