"""What the far end of a call gets: RTP as it arrives at the PBX, and the SIP it logs itself, decrypted.

capture ──▶ packets to or from the PBX's RTP ports ──▶ gaps in ms, lost packets     (SRTP's header is in the clear)
pjsip logger ──▶ pcap ──▶ tshark ──▶ requests and bodies, whatever the transport
"""

from __future__ import annotations

import itertools
import math
import re
import struct
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audio.codec.g711 import PCMA, PCMU
from tests.lab import asterisk_config as config
from tests.lab import signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.signals import Samples
    from tests.lab.wire import Capture

_RTP_HEADER = struct.Struct("!BBHII")
_PORTS = f"{config.RTP_PORTS.start}..{config.RTP_PORTS.stop - 1}"


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet as it crossed the wire at ``at`` (Unix time)."""

    at: float
    source: str
    destination: str
    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int
    octets: int
    """Of payload, and of what authenticates it."""

    def follows(self, before: RtpPacket) -> bool:
        """Whether it begins where ``before`` ends, for formats of one octet for each unit of the clock."""
        steps = ((self.sequence - before.sequence) & 0xFFFF, (self.timestamp - before.timestamp) & 0xFFFFFFFF)
        return self.ssrc == before.ssrc and steps == (1, before.octets)


@dataclass(frozen=True, slots=True)
class RtpStream:
    """What arrived over a stretch of time, in order of arrival."""

    packets: tuple[RtpPacket, ...]

    @property
    def longest_gap_ms(self) -> float:
        """The longest time without a packet."""
        times = [packet.at for packet in self.packets]
        return max(((after - before) * 1000 for before, after in itertools.pairwise(times)), default=0.0)

    @property
    def lost(self) -> int:
        """Sequence numbers that are missing within the streams seen, one per SSRC."""
        missing = 0
        for ssrc in {packet.ssrc for packet in self.packets}:
            numbers = [packet.sequence for packet in self.packets if packet.ssrc == ssrc]
            span = (numbers[-1] - numbers[0]) & 0xFFFF
            missing += max(0, span + 1 - len(set(numbers)))
        return missing

    @property
    def first_at(self) -> float:
        """When its first packet crossed the wire (Unix time); endless where there is none."""
        return self.packets[0].at if self.packets else math.inf

    def between(self, pbx: str, phone: str) -> RtpStream:
        """The part from or to that address of the phone."""
        ends = {pbx, phone}
        return RtpStream(tuple(packet for packet in self.packets if {packet.source, packet.destination} == ends))

    def since(self, at: float) -> RtpStream:
        """The part from ``at`` on."""
        return RtpStream(tuple(packet for packet in self.packets if packet.at >= at))

    def until(self, at: float) -> RtpStream:
        """The part before ``at``."""
        return RtpStream(tuple(packet for packet in self.packets if packet.at < at))


def heard_by(pbx_address: str, capture: Capture) -> RtpStream:
    """The RTP that arrived at the PBX; the capture has ended."""
    return _stream(capture, f"ip.dst == {pbx_address} && udp.dstport in {{{_PORTS}}}")


def said_by(pbx_address: str, capture: Capture) -> RtpStream:
    """The RTP that the PBX sent."""
    return _stream(capture, f"ip.src == {pbx_address} && udp.srcport in {{{_PORTS}}}")


def sound_sent_to(pbx_address: str, capture: Capture) -> Samples:
    """What plain G.711 to the PBX says, in order of arrival, at 8000 Hz; telephone-events and the rest left out."""
    wanted = f"ip.dst == {pbx_address} && udp.dstport in {{{_PORTS}}} && !icmp"
    heard = [np.zeros(0, dtype=np.int16)]
    for (payload,) in capture.fields(wanted, ["udp.payload"]):
        data = bytes.fromhex(payload)
        law = {0: PCMU, 8: PCMA}.get(data[1] & 0x7F) if len(data) > _RTP_HEADER.size else None
        if law is not None and data[0] == 0x80:
            heard.append(law.decode(data[_RTP_HEADER.size :]))
    return signals.from_pcm16(np.concatenate(heard).astype("<i2").tobytes())


def _stream(capture: Capture, display_filter: str) -> RtpStream:
    rows = capture.fields(f"{display_filter} && !icmp", ["frame.time_epoch", "ip.src", "ip.dst", "udp.payload"])
    return RtpStream(tuple(found for row in rows if (found := _rtp(*row)) is not None))


def _rtp(at: str, source: str, destination: str, payload: str) -> RtpPacket | None:
    data = bytes.fromhex(payload)
    if len(data) < _RTP_HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
    if first >> 6 != 2 or 192 <= second <= 223:  # RFC 5761 §4: these are RTCP's packet types
        return None
    octets = len(data) - _RTP_HEADER.size
    return RtpPacket(float(at), source, destination, ssrc, sequence, timestamp, second & 0x7F, octets)


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A message as the PBX logged it."""

    at: float
    text: str

    @property
    def start_line(self) -> str:
        return self.text.partition("\r\n")[0]

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    def header(self, name: str) -> str:
        """The first value of a header, or an empty string."""
        found = re.search(rf"^{name}:\s*(.*?)\r$", self.text, re.IGNORECASE | re.MULTILINE)
        return found[1] if found else ""

    @property
    def in_dialog(self) -> bool:
        """Whether its To has a tag."""
        return "tag=" in self.header("To")


class SipLog:
    """The PBX's own log of SIP, switched on when made."""

    def __init__(self, pbx: Asterisk, name: str = "sip") -> None:
        self._pbx = pbx
        self._name = name
        self._paths: list[Path] = []
        self._next_file()
        pbx.cli("pjsip set logger verbose off")
        pbx.cli("pjsip set logger on")

    def _next_file(self) -> None:
        name = f"{self._name}-{len(self._paths)}.pcap"
        self._paths.append(self._pbx.directory / "log" / name)
        self._paths[-1].unlink(missing_ok=True)
        self._pbx.cli(f"pjsip set logger pcap {config.INSIDE}/log/{name}")

    def messages(self) -> list[SipMessage]:
        """Everything logged so far, in order."""
        self._next_file()  # the PBX writes the last messages of a file when it closes it
        return [message for path in self._paths[:-1] for message in _messages_in(path)]

    def requests(self, method: str, *, since: float = 0.0, in_dialog: bool | None = None) -> list[SipMessage]:
        """The requests of a method since a time, either direction, without copies of one transaction."""
        found = [
            message
            for message in self.messages()
            if message.at >= since
            and message.start_line.startswith(f"{method} ")
            and in_dialog in (None, message.in_dialog)
        ]
        return list({message.header("Via"): message for message in found}.values())


def _messages_in(path: Path) -> list[SipMessage]:
    wanted = ("-e", "frame.time_epoch", "-e", "udp.payload", "-e", "tcp.payload")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *wanted]
    text = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    rows = [line.split("|") for line in text.splitlines()]
    return [
        SipMessage(float(at), bytes.fromhex(udp or tcp).decode("utf-8", "replace"))
        for at, udp, tcp in rows
        if udp or tcp
    ]


def without_challenged(requests: Sequence[SipMessage]) -> list[SipMessage]:
    """Those with credentials where any has them: what the PBX challenged was sent again."""
    authorized = [request for request in requests if request.header("Authorization")]
    return authorized or list(requests)
