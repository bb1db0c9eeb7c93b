"""Which audio formats this build can code: the port a codec fits and the table of those there are (RFC 3551 names)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from audio.codec import g711, g722
from sipcore.media import DEFAULT_CODECS, G722

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.codec.g711 import Samples
    from sipcore.media import Codec


class AudioCodec(Protocol):
    """Both directions of one stream's coding. An instance may hold state and then serves one stream."""

    @property
    def name(self) -> str:
        """The encoding name of RFC 3551."""
        ...

    @property
    def clock_rate(self) -> int:
        """Hz of the RTP timestamp; not the sampling rate for G.722 (RFC 3551 §4.5.2)."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz of the linear sound."""
        ...

    def encode(self, pcm: Samples) -> bytes:
        """Code any number of samples that makes whole octets."""
        ...

    def decode(self, payload: bytes) -> Samples:
        """Decode one payload from the network; never raises, whatever the octets."""
        ...

    def duration(self, payload: bytes) -> int:
        """RTP clock units the payload lasts, without decoding it."""
        ...


_FACTORIES: dict[tuple[str, int], Callable[[], AudioCodec]] = {
    ("pcmu", 8000): lambda: g711.PCMU,
    ("pcma", 8000): lambda: g711.PCMA,
    ("g722", 8000): g722.G722,
}


def offered() -> tuple[Codec, ...]:
    """The formats this installation can offer, best first: wideband where its extra is there."""
    return (G722, *DEFAULT_CODECS) if g722.installed() else DEFAULT_CODECS


def highest_sample_rate() -> int:
    """Hz of the best sound a call can have here."""
    return max(create(codec).sample_rate for codec in offered() if supports(codec))


def supports(codec: Codec) -> bool:
    """Whether :func:`create` knows this format. CN and telephone-event are not audio codecs."""
    name = codec.encoding.lower()
    known = codec.channels == 1 and (name, codec.clock_rate) in _FACTORIES
    return known and (name != "g722" or g722.installed())


def sample_rate(codec: Codec) -> int:
    """Hz of the format's sound. KeyError unless :func:`supports`."""
    return create(codec).sample_rate


def create(codec: Codec) -> AudioCodec:
    """A coder for one stream. KeyError unless :func:`supports`."""
    return _FACTORIES[codec.encoding.lower(), codec.clock_rate]()
