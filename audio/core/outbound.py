"""The way out: microphone, mute, DTMF and coding into RTP packets, 20 ms at a time.

microphone ▶ meter ▶ mute ▶ (silence ▶ comfort noise) ▶ [packets of ptime] ▶ encode ▶ RTP
                      DTMF in its place ────────────────────────────────────────────▲
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audio.codec import registry
from audio.core.ports import (
    CLOCK_RATE,
    FRAME_MS,
    FRAME_UNITS,
    SAMPLE_RATE,
    Samples,
    frame_rate,
    frame_samples,
    silence,
)
from audio.core.suppression import SilenceSuppressor, Speak
from audio.rtp.sending import SenderState
from audio.rtp.telephone_event import DtmfSender, Suppression
from audio.stream import noise
from audio.stream.level import LevelMeter
from audio.stream.loudness import mix
from audio.stream.resample import RateConverter, convert

if TYPE_CHECKING:
    from audio.codec.registry import AudioCodec
    from audio.rtp.packet import RtpPacket
    from sipcore.ids import IdSource
    from sipcore.media import Codec, MediaParameters

_FRAME_S = FRAME_MS / 1000
_LOST_TIME_S = 0.5
"""A thread later than this does not catch up: the time is skipped on the wire too."""

_LEAD_TICKS = 5
"""Of sound before the first digit: Asterisk's Answer waits for sound, and passes a digit that comes before on twice."""

_MUTE_NOISE = noise.encode(-69.0)
"""-69 dBFS: a line that is up and a voice that is not there; what is much fainter is lost in A-law's first step."""


class Outbound:
    """Makes our packets. The media clock runs on while nothing may be sent.

    With ``dtx`` silence is not sent, where the far end takes comfort noise in its place.
    """

    def __init__(self, ids: IdSource, *, dtx: bool = False) -> None:
        self.sender = SenderState(ids)
        self.dtmf = DtmfSender()
        self.meter = LevelMeter()
        self.muted = False
        self.spoken: Samples = silence()
        """The sound of the last tick, as far as it is sent."""

        self._was_muted = False
        self._codec: AudioCodec | None = None
        self._format: Codec | None = None
        self._payload_type = 0
        self._rate = SAMPLE_RATE
        self._converter = RateConverter()
        self._over_converter = RateConverter()
        self._dtmf_payload_type: int | None = None
        self._suppressor = SilenceSuppressor() if dtx else None
        self._noise_payload_type: int | None = None
        self._packet_samples = frame_samples(SAMPLE_RATE)
        self._sends = False
        self._lead = _LEAD_TICKS
        self._pending: Samples = np.zeros(0, dtype=np.int16)
        self._noise = noise.ComfortNoise()
        self._due: float | None = None

    @property
    def codec_name(self) -> str | None:
        """Encoding we send with."""
        return self._codec.name if self._codec else None

    @property
    def sends(self) -> bool:
        """Whether the far end is to hear us."""
        return self._sends

    @property
    def can_dtmf(self) -> bool:
        """Whether the far end takes telephone-events."""
        return self._dtmf_payload_type is not None

    def configure(self, parameters: MediaParameters) -> None:
        """Take a negotiation's result: from the next packet on."""
        if self._format is None or not self._format.same_format(parameters.send_codec):
            self._codec = registry.create(parameters.send_codec)
            self._format = parameters.send_codec
            # Sound short of a packet waits for the first one of the new format.
            self._pending = convert(self._pending, self._rate, self._codec.sample_rate)
            self._rate = self.meter.sample_rate = self._codec.sample_rate
        self._payload_type = parameters.send_codec.payload_type
        self._dtmf_payload_type = parameters.send_dtmf.payload_type if parameters.send_dtmf else None
        self._noise_payload_type = parameters.send_cn.payload_type if parameters.send_cn else None
        self._packet_samples = min(max(parameters.ptime_ms, 10), 60) * self._rate // 1000
        self._sends = parameters.direction.sends
        if not self._sends:
            self._flush_pending()
            self.dtmf.clear()
            self.sender.pause()

    def clock_age_s(self, now: float) -> float:
        """How long ago the media clock last moved."""
        return 0.0 if self._due is None else min(max(now - self._due + _FRAME_S, 0.0), 1.0)

    def tick(
        self, now: float, microphone: Samples | None, over: Samples | None = None, *, leaves: bool = True
    ) -> tuple[list[RtpPacket], str | None]:
        """The packets of this 20 ms, with ``over`` heard above the microphone, and a digit that has just been sent.

        Digits wait while nothing ``leaves``, since an event without its beginning may be taken for two, and until some
        sound has left.
        """
        self._keep_time(now)
        sound = self._listen(microphone)
        if over is not None:
            sound = mix(sound, self._over_converter.convert(over, frame_rate(over), self._rate))
        codec = self._codec
        self.spoken = sound if self._sends else silence(self._rate)
        if codec is None or not self._sends:
            self.sender.advance(FRAME_UNITS)
            return [], None
        if leaves and self._lead:
            self._lead -= 1
        if self._dtmf_payload_type is None or not self.dtmf.active or not leaves or self._lead:
            if self._suppressor is None or self._noise_payload_type is None:
                return self._audio(codec, sound), None
            return self._audio_or_noise(codec, sound, self._suppressor, self._noise_payload_type), None
        if self._suppressor is not None:
            self._suppressor.restart()
        suppression, event, digit = self.dtmf.tick(self.sender, self._dtmf_payload_type, FRAME_UNITS)
        match suppression:
            case Suppression.NONE:
                return self._audio(codec, sound), digit
            case Suppression.SILENCE:
                return self._audio(codec, silence(self._rate)), digit
            case Suppression.SKIP:
                self._flush_pending()
                self.sender.advance(FRAME_UNITS)
                return [event] if event else [], digit

    def _keep_time(self, now: float) -> None:
        if self._due is None:
            self._due = now
        late = now - self._due
        if late > _LOST_TIME_S:
            frames = int(late / _FRAME_S)
            self.sender.advance(frames * FRAME_UNITS)
            self.sender.pause()
            self._flush_pending()
            self._due += frames * _FRAME_S
        elif late < -_LOST_TIME_S:
            self._due = now
        self._due += _FRAME_S

    def _listen(self, microphone: Samples | None) -> Samples:
        if microphone is None:
            microphone = silence(self._rate)
        else:
            microphone = self._converter.convert(microphone, frame_rate(microphone), self._rate)
        self.meter.add(microphone)
        if not self.muted and not self._was_muted:
            return microphone
        count = len(microphone)
        faint = self._noise.read(count, _MUTE_NOISE)
        if self.muted and self._was_muted:
            return faint
        # One frame of fading either way: a cut would click.
        ramp = np.linspace(1.0, 0.0, count) if self.muted else np.linspace(0.0, 1.0, count)
        self._was_muted = self.muted
        return (microphone * ramp + faint * (1.0 - ramp)).astype(np.int16)

    def _audio(self, codec: AudioCodec, sound: Samples) -> list[RtpPacket]:
        size = self._packet_samples
        if size == len(sound) and not len(self._pending):
            packet = self.sender.audio(self._payload_type, codec.encode(sound))
            self.sender.advance(FRAME_UNITS)
            return [packet]
        before = len(self._pending)
        samples_per_unit = self._rate // CLOCK_RATE
        pending = np.concatenate([self._pending, sound])
        packets = []
        for start in range(0, len(pending) - size + 1, size):
            payload = codec.encode(pending[start : start + size])
            packets.append(self.sender.audio(self._payload_type, payload, offset=(start - before) // samples_per_unit))
        self._pending = pending[len(packets) * size :]
        self.sender.advance(FRAME_UNITS)
        return packets

    def _audio_or_noise(
        self, codec: AudioCodec, sound: Samples, suppressor: SilenceSuppressor, payload_type: int
    ) -> list[RtpPacket]:
        match suppressor.decide(sound):
            case Speak.SOUND:
                return self._audio(codec, sound)
            case bytes() as payload:
                packets = [self.sender.noise(payload_type, payload)]
            case _:
                packets = []
        self._flush_pending()
        self.sender.advance(FRAME_UNITS)
        return packets

    def _flush_pending(self) -> None:
        """Sound short of a packet when an event or a hold starts is not worth a packet of its own."""
        self._pending = self._pending[:0]
