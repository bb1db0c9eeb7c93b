"""The far end of every measured call, the same for every phone: SIP over UDP and G.711 µ-law over RTP, on loopback.

    phone ── INVITE, BYE ──▶ │ FarEnd │ ── 200, BYE ──▶ phone          when each came and left
    phone ══ RTP ══════════▶ │        │ ══ RTP ═══════▶ phone          silence, speech through a network, or an echo

It answers whoever calls. Arrivals are taken from the kernel's own time stamps, on the monotonic clock; what it sends
is one stream without a gap, in whose packets a clip is put when there is one to be heard.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audio.codec.g711 import PCMU
from audio.rtp.packet import RtpPacket
from bench.rtp_pacing import SO_TIMESTAMPNS, stamp
from sipcore.errors import ParseError
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from bench.media.networks import Arrivals
    from bench.media.speech import Samples

FRAME_S = 0.020
FRAME = 160
_PATH_S = 0.010
_SILENCE = b"\xff" * FRAME
_RINGS_S = 0.1
_SSRC, _ECHO_SSRC = 0x0FF0_0FF0, 0xEC40_EC40
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One packet of the phone's."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes


class FarEnd:
    """A context manager; one call at a time. Times are monotonic."""

    def __init__(self) -> None:
        self._sip = _socket()
        self._rtp = _socket()
        self._offset = time.time() - time.monotonic()
        self._invite: Request | None = None
        self._contact: tuple[str, int] = (_HOST, 0)
        self._media: tuple[str, int] | None = None
        self._tag = "far"
        self._sequences = itertools.count(1)
        self._acknowledged = self._closed = False
        self._lock = threading.Lock()
        self._clip: list[tuple[bytes, float | None]] = []
        self.echoing = False
        """Whether the phone's own packets are sent back, in place of the stream."""

        self.arrivals: list[Arrived] = []
        """The packets of this call."""

        self.answered_at = 0.0
        self.left_at = 0.0
        """When our BYE left."""

        self.answer_to_bye: float | None = None
        self.bye_at: float | None = None
        """When the phone's BYE came."""

    def __enter__(self) -> FarEnd:
        for target in (self._serve, self._listen, self._send):
            threading.Thread(target=target, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._sip.close()
        self._rtp.close()

    @property
    def port(self) -> int:
        """Where it can be called."""
        return int(self._sip.getsockname()[1])

    @property
    def in_call(self) -> bool:
        """Whether it is."""
        return self._media is not None

    # ------------------------------------------------------------------------------------------------------ signalling

    def _serve(self) -> None:
        while not self._closed:
            try:
                data, ancillary, _, source = self._sip.recvmsg(65535, 128)
                message = parse_message(data)
            except (OSError, ParseError):
                continue
            at = stamp(ancillary) - self._offset
            match message:
                case Request():
                    self._answer(message, source, at)
                case Response() if message.cseq.method == "BYE":
                    self.answer_to_bye = at

    def _answer(self, request: Request, source: tuple[str, int], at: float) -> None:
        match request.method:
            case "ACK":
                self._acknowledged = True
                return
            case "INVITE":
                self._take(request, source)
                return
            case "BYE":
                self.bye_at, self._media, self._acknowledged = at, None, False
            case _:
                pass
        response = request.response(200, to_tag=self._tag)
        if request.method == "REGISTER":
            for contact in request.headers.get_all("Contact"):
                response.headers.add("Contact", contact)
            response.headers.add("Expires", "3600")
        self._sip.sendto(bytes(response), source)

    def _take(self, request: Request, source: tuple[str, int]) -> None:
        self._tag = f"far{next(self._sequences)}"
        self._sip.sendto(bytes(request.response(180, to_tag=self._tag)), source)
        time.sleep(_RINGS_S)
        response = request.response(200, to_tag=self._tag)
        response.headers.add("Contact", f"<sip:far@{_HOST}:{self.port}>")
        response.headers.add("Content-Type", "application/sdp")
        port = self._rtp.getsockname()[1]
        lines = ("v=0", f"o=- 1 1 IN IP4 {_HOST}", "s=-", f"c=IN IP4 {_HOST}", "t=0 0", f"m=audio {port} RTP/AVP 0 101")
        formats = ("a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", "a=ptime:20")
        response.body = "\r\n".join((*lines, *formats, "")).encode()
        self._invite, self._contact, self.arrivals = request, source, []
        self.bye_at = self.answer_to_bye = None
        self._media = _media_of(request.body)
        self.answered_at = time.monotonic()
        self._sip.sendto(bytes(response), source)

    def wait_answered(self, timeout_s: float = 10.0) -> None:
        """Return once sound comes."""
        wait_until(lambda: self.in_call and len(self.arrivals) > 1, what="the phone is heard", timeout_s=timeout_s)

    def hang_up(self) -> float:
        """End the call; seconds until the phone has said yes."""
        invite = self._invite
        assert invite is not None
        headers = Headers()
        headers.add("Via", f"SIP/2.0/UDP {_HOST}:{self.port};branch=z9hG4bK{self._tag};rport")
        headers.add("Max-Forwards", "70")
        headers.add("From", f"{invite.headers.get('To')};tag={self._tag}")
        headers.add("To", str(invite.headers.get("From")))
        headers.add("Call-ID", invite.call_id)
        headers.add("CSeq", "1 BYE")
        self.left_at = time.monotonic()
        self._sip.sendto(bytes(Request("BYE", invite.contacts[0].uri, headers)), self._contact)
        wait_until(lambda: self.answer_to_bye is not None, what="the BYE is answered")
        self._media, self._acknowledged = None, False
        return (self.answer_to_bye or self.left_at) - self.left_at

    # ----------------------------------------------------------------------------------------------------------- sound

    def _listen(self) -> None:
        while not self._closed:
            try:
                data, ancillary, _, source = self._rtp.recvmsg(2048, 128)
            except OSError:
                continue
            if len(data) < 12 or data[1] & 0x7F != 0 or self._media is None:
                continue
            _, _, sequence, timestamp = struct.unpack_from("!BBHI", data)
            self.arrivals.append(Arrived(stamp(ancillary) - self._offset, sequence, timestamp, data[12:]))
            if self.echoing:
                self._rtp.sendto(data[:8] + struct.pack("!I", _ECHO_SSRC) + data[12:], source)

    def play(self, sound: Samples, arrivals: Arrivals | None = None) -> float:
        """Put a clip in the stream, from its next packet on; when that will leave. ``arrivals`` delay and lose some."""
        count = len(sound) // FRAME
        network = arrivals or [number * FRAME_S + _PATH_S for number in range(count)]
        clip = [
            (
                PCMU.encode(np.ascontiguousarray(sound[number * FRAME : (number + 1) * FRAME])),
                None if at is None else at - number * FRAME_S - _PATH_S,
            )
            for number, at in enumerate(network[:count])
        ]
        with self._lock:
            self._clip = clip
            return self._next_at

    def _send(self) -> None:
        self._next_at = time.monotonic()
        waiting: list[tuple[float, int, bytes]] = []
        for number in itertools.count():
            with self._lock:
                payload, extra = self._clip.pop(0) if self._clip else (_SILENCE, 0.0)
                at, self._next_at = self._next_at, self._next_at + FRAME_S
            if extra is not None:
                packet = RtpPacket(0, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, _SSRC, payload)
                heapq.heappush(waiting, (at + extra, number, packet.serialise()))
            while not self._closed and (now := time.monotonic()) < self._next_at:
                if waiting and waiting[0][0] <= now:
                    self._send_one(heapq.heappop(waiting)[2])
                else:
                    time.sleep(max(0.0, min([self._next_at, *(due for due, _, _ in waiting[:1])]) - now))
            if self._closed:
                return

    def _send_one(self, data: bytes) -> None:
        if self._media is not None and self._acknowledged and not self.echoing:
            try:
                self._rtp.sendto(data, self._media)
            except OSError:
                return  # the phone has closed its port, or we ours


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.settimeout(0.5)
    sock.bind((_HOST, 0))
    return sock


def _media_of(offer: bytes) -> tuple[str, int]:
    lines = offer.decode().splitlines()
    (port,) = (int(line.split()[1]) for line in lines if line.startswith("m=audio"))
    return _HOST, port
