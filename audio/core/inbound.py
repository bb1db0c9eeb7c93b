"""The way in: packets of the admitted source to 20 ms of sound and digits.

RTP ▶ count ▶ telephone-event ▶ digits
            ▶ comfort noise, audio ▶ jitter buffer ▶ playout ▶ meter ▶ sound
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.codec import registry
from audio.core.decoding import Decoders
from audio.core.ports import CLOCK_RATE, Samples, frame_samples, silence
from audio.rtp.packet import RtpPacket
from audio.rtp.reception import ReceiverStatistics
from audio.rtp.telephone_event import DtmfReceiver, ReceivedDigit
from audio.stream.jitter import JitterBuffer, JitterConfig
from audio.stream.level import LevelMeter
from audio.stream.playout import Playout
from sipcore.media import COMFORT_NOISE

if TYPE_CHECKING:
    from sipcore.media import MediaParameters

_LONGEST_PACKET_MS = 200


class Inbound:
    """One call's received sound, across changes of the far end's stream."""

    def __init__(self, config: JitterConfig | None = None) -> None:
        self.meter = LevelMeter()
        self.reception: ReceiverStatistics | None = None
        self.packets = 0
        self.octets = 0
        self.discarded = 0
        self.jitter = JitterBuffer(CLOCK_RATE, config)
        self._decoders = Decoders()
        self.playout = Playout(self.jitter, self._decoders.decode, self._decoders.preview)
        self._dtmf_payload_type: int | None = None
        self._noise_payload_type = COMFORT_NOISE.payload_type
        self._dtmf = DtmfReceiver()
        self._event_timestamp: int | None = None
        self._receives = False
        self._lost_before = 0
        self._expected_before = 0

    @property
    def expected(self) -> int:
        """Packets the far end has sent, as far as their numbers tell."""
        return self._expected_before + (self.reception.expected if self.reception else 0)

    @property
    def lost(self) -> int:
        """Of those, how many never came."""
        return self._lost_before + (max(self.reception.lost, 0) if self.reception else 0)

    def configure(self, parameters: MediaParameters) -> None:
        """Take a negotiation's result. Formats of the round before are still understood: its packets may be under
        way.
        """
        # What we send is what the far end likes best, and so what it is expected to send.
        rate = registry.sample_rate(parameters.send_codec)
        self.playout.change_rate(rate)
        self.meter.sample_rate = self._decoders.rate = rate
        for codec in parameters.receive_codecs:
            self._decoders.learn(codec)
        if parameters.receive_dtmf:
            self._dtmf_payload_type = parameters.receive_dtmf.payload_type
            self._decoders.forget(self._dtmf_payload_type)
        if parameters.receive_cn:
            self._noise_payload_type = parameters.receive_cn.payload_type
        if self._receives and not parameters.direction.receives:
            self.jitter.reset()
        self._receives = parameters.direction.receives

    def start_stream(self, packet: RtpPacket) -> None:
        """The source gate let a new SSRC in."""
        if self.reception:
            self._lost_before, self._expected_before = self.lost, self.expected
            self.jitter.reset()
            self._decoders.restart()
        self.reception = ReceiverStatistics(packet.ssrc, packet.sequence)
        self._event_timestamp = None

    def receive(self, packet: RtpPacket, now: float) -> list[ReceivedDigit]:
        """Take a packet of the admitted source that arrived at ``now``; digits it ended."""
        reception = self.reception
        if reception is None:
            return []
        on_probation = not reception.valid
        counted = reception.update(packet.sequence, packet.timestamp, now)
        self.packets += 1
        self.octets += len(packet.payload)
        if not (counted or on_probation):
            self.discarded += 1
            return []
        if packet.payload_type == self._dtmf_payload_type:
            if packet.timestamp != self._event_timestamp:
                self._event_timestamp = packet.timestamp
                if self._receives:
                    # No audio comes meanwhile, and none is to be made up.
                    self.jitter.put_silence(_without_payload(packet), now)
            return self._dtmf.receive(packet, now)
        if self._receives:
            self._put_sound(packet, now)
        return []

    def expire_digits(self, now: float) -> list[ReceivedDigit]:
        """Digits whose end was lost."""
        return self._dtmf.expire(now)

    def read(self, now: float) -> Samples:
        """The next 20 ms to play."""
        rate = self.playout.rate
        sound = self.playout.read(now, frame_samples(rate)) if self._receives else silence(rate)
        self.meter.add(sound)
        return sound

    def _put_sound(self, packet: RtpPacket, now: float) -> None:
        if packet.payload_type == self._noise_payload_type:
            self.jitter.put_silence(packet, now)
            return
        duration = self._decoders.duration(packet.payload_type, packet.payload)
        if not 0 < duration <= _LONGEST_PACKET_MS * CLOCK_RATE // 1000:
            self.discarded += 1
            return
        self.jitter.put(packet, duration, now)


def _without_payload(packet: RtpPacket) -> RtpPacket:
    return RtpPacket(packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, b"")
