"""Which audio formats this build can code: the port a codec fits and the table of those there are (RFC 3551 names)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from audio.codec import g711

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
}


def supports(codec: Codec) -> bool:
    """Whether :func:`create` knows this format. CN and telephone-event are not audio codecs."""
    return codec.channels == 1 and (codec.encoding.lower(), codec.clock_rate) in _FACTORIES


def create(codec: Codec) -> AudioCodec:
    """A coder for one stream. KeyError unless :func:`supports`."""
    return _FACTORIES[codec.encoding.lower(), codec.clock_rate]()
