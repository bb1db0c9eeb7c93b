"""What a :class:`~audio.core.media.MediaCore` reports; rare by design, never one per packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio.core.ports import Address


@dataclass(frozen=True, slots=True)
class FirstPacketReceived:
    """The far end's media is flowing: its source passed probation. Once per core."""

    source: Address
    ssrc: int


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """The far end pressed a key: one per digit (RFC 4733), told when the digit has ended."""

    digit: str
    """``0-9 * # A-D``, or ``!`` for a hook flash."""

    duration_ms: int


@dataclass(frozen=True, slots=True)
class DtmfSent:
    """The last end packet of a digit of ours has been queued."""

    digit: str


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """Neither RTP nor RTCP came for ``silent_s`` seconds although the far end may send."""

    silent_s: float


@dataclass(frozen=True, slots=True)
class MediaResumed:
    """Packets flow again after :class:`MediaSilent`."""

    silent_s: float
    """How long nothing was heard."""


@dataclass(frozen=True, slots=True)
class RemoteSsrcChanged:
    """The far end started a new stream: a transfer, an announcement, a restart."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class RemoteAddressChanged:
    """Symmetric RTP (RFC 4961): we now send where the far end's packets really come from."""

    address: Address


@dataclass(frozen=True, slots=True)
class RemoteByeReceived:
    """RTCP BYE: the far end says this stream ended. The call itself ends by signalling alone."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class MediaSecured:
    """Keys of both directions are in place: media is encrypted from now on. Again after new keys were agreed."""

    keying: str
    """``dtls`` or ``sdes``."""

    suite: str
    """As RFC 4568 and RFC 7714 name it, such as ``AES_CM_128_HMAC_SHA1_80``."""


@dataclass(frozen=True, slots=True)
class MediaSecurityFailed:
    """The media cannot be encrypted as agreed; nothing is sent or heard, and the call is to be ended."""

    sentence: str
    """Why, for the user."""


MediaEvent = (
    FirstPacketReceived
    | DtmfReceived
    | DtmfSent
    | MediaSilent
    | MediaResumed
    | RemoteSsrcChanged
    | RemoteAddressChanged
    | RemoteByeReceived
    | MediaSecured
    | MediaSecurityFailed
)
