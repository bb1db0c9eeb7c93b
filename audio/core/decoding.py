"""Payloads to sound of one rate: the codecs of a stream by payload type, each decoding every packet once.

    (payload type, payload) ─▶ codec ─▶ its rate made the call's ─▶ sound
                  what concealment looks at ahead of its turn ─▶ kept until its turn

A codec that predicts (G.722) must see each packet once and in order: a packet that has been shown to concealment is
taken from memory when it is played. A sender that comes back to a format begins with a coder that knows nothing, and so
does its decoder here: with what it knew before, it would begin at several times the loudness.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio.codec import registry
from audio.core.ports import SAMPLE_RATE, Samples
from audio.stream.resample import RateConverter, convert
from sipcore.media import PCMA, PCMU, Codec

if TYPE_CHECKING:
    from audio.codec.registry import AudioCodec

# RFC 3551 fixes these numbers: a peer that uses one of them without having said so is still understood.
_STATIC = (PCMU, PCMA)
_AHEAD = 8


@dataclass(slots=True)
class _Stream:
    format: Codec
    codec: AudioCodec


def _begin(codec: Codec) -> _Stream:
    return _Stream(codec, registry.create(codec))


class Decoders:
    """One received stream's, at ``rate``."""

    def __init__(self) -> None:
        self._rate = SAMPLE_RATE
        self._streams: dict[int, _Stream] = {}
        self._ahead: deque[tuple[bytes, Samples]] = deque(maxlen=_AHEAD)
        self._converter = RateConverter()
        self._present: int | None = None
        for codec in _STATIC:
            self.learn(codec)

    @property
    def rate(self) -> int:
        """Hz of all sound given."""
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        for place, (payload, sound) in enumerate(self._ahead):
            self._ahead[place] = payload, convert(sound, self._rate, rate)
        self._rate = rate

    def learn(self, codec: Codec) -> None:
        """Understand this format from now on; one that is known already goes on where it is."""
        known = self._streams.get(codec.payload_type)
        if registry.supports(codec) and not (known and known.format.same_format(codec)):
            self._streams[codec.payload_type] = _begin(codec)

    def forget(self, payload_type: int) -> None:
        """The number means something else now."""
        self._streams.pop(payload_type, None)

    def restart(self) -> None:
        """Another sender begins."""
        self._ahead.clear()
        self._present = None
        for payload_type, stream in self._streams.items():
            self._streams[payload_type] = _begin(stream.format)

    def duration(self, payload_type: int, payload: bytes) -> int:
        """Units of the RTP clock, 0 for a format nobody told of."""
        stream = self._streams.get(payload_type)
        return stream.codec.duration(payload) if stream else 0

    def decode(self, payload_type: int, payload: bytes) -> Samples:
        """The sound of a packet whose turn has come."""
        ahead = self._ahead
        if ahead and any(shown is payload for shown, _ in ahead):
            while True:
                shown, sound = ahead.popleft()
                if shown is payload:
                    return sound
        return self._decode(payload_type, payload)

    def preview(self, payload_type: int, payload: bytes) -> Samples:
        """The sound of a packet that waits for its turn; the same again and again."""
        for shown, sound in self._ahead:
            if shown is payload:
                return sound
        sound = self._decode(payload_type, payload)
        self._ahead.append((payload, sound))
        return sound

    def _decode(self, payload_type: int, payload: bytes) -> Samples:
        stream = self._streams[payload_type]
        if payload_type != self._present:
            if self._present is not None:
                stream = self._streams[payload_type] = _begin(stream.format)
            self._present = payload_type
        return self._converter.convert(stream.codec.decode(payload), stream.codec.sample_rate, self._rate)
