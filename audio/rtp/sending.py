"""Our side of an RTP stream: sequence numbers, the media clock, counts for sender reports, RFC 3550 §5.1 and §6.4.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.rtp import ntp
from audio.rtp.packet import RtpPacket
from audio.rtp.rtcp import SenderInfo

if TYPE_CHECKING:
    from sipcore.ids import IdSource

_MASK_16 = 0xFFFF
_MASK_32 = 0xFFFFFFFF


class SenderState:
    """Numbers our packets. The media clock moves with :meth:`advance` alone, whether anything is sent or not."""

    def __init__(self, ids: IdSource, *, clock_rate: int = 8000) -> None:
        self.ssrc = ids.integer(32)
        self.clock_rate = clock_rate
        self.packet_count = 0
        self.octet_count = 0
        self._sequence = ids.integer(16)
        self._timestamp = ids.integer(32)
        self._talking = False

    @property
    def timestamp(self) -> int:
        """The media clock, 32 bits."""
        return self._timestamp

    def advance(self, units: int) -> None:
        """Let ``units`` of the media clock pass."""
        self._timestamp = (self._timestamp + units) & _MASK_32

    def pause(self) -> None:
        """Nothing is sent for a while: the next audio packet starts a talkspurt."""
        self._talking = False

    def audio(self, payload_type: int, payload: bytes, *, offset: int = 0) -> RtpPacket:
        """The next audio packet, sampled ``offset`` units after the media clock.

        RFC 3551 §4.1: the first packet after silence has the marker bit.
        """
        marker, self._talking = not self._talking, True
        return self._packet(payload_type, payload, (self._timestamp + offset) & _MASK_32, marker)

    def noise(self, payload_type: int, payload: bytes) -> RtpPacket:
        """The next comfort-noise packet: from the media clock's present on there is silence (RFC 3389 §4)."""
        self.pause()
        return self._packet(payload_type, payload, self._timestamp, False)

    def event(self, payload_type: int, payload: bytes, timestamp: int, *, marker: bool) -> RtpPacket:
        """The next telephone-event packet; its timestamp is that of the event's start (RFC 4733 §2.1)."""
        return self._packet(payload_type, payload, timestamp, marker)

    def _packet(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> RtpPacket:
        packet = RtpPacket(payload_type, self._sequence, timestamp, self.ssrc, payload, marker)
        self._sequence = (self._sequence + 1) & _MASK_16
        self.packet_count += 1
        self.octet_count += len(payload)
        return packet

    def sender_info(self, *, unix_s: float, since_clock_s: float) -> SenderInfo:
        """For a sender report at wall time ``unix_s``, ``since_clock_s`` after the media clock last moved.

        §6.4.1: the RTP timestamp "corresponds to the same time as the NTP timestamp".
        """
        return SenderInfo(
            ntp=ntp.from_unix(unix_s),
            rtp_timestamp=(self._timestamp + round(since_clock_s * self.clock_rate)) & _MASK_32,
            packet_count=self.packet_count,
            octet_count=self.octet_count,
        )
