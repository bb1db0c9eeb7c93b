"""The port between signalling and sound: what we can do locally, and what was negotiated.

    audio ── LocalMedia ──▶ sipcore (offer/answer) ── MediaParameters ──▶ audio

sipcore knows no socket and no codec; audio knows no SDP. Both speak these values (RFC 3264, RFC 8866).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Direction(enum.Enum):
    """RFC 3264 §5.1 direction, from the point of view of whoever holds the value."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the holder of the value sends media."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the holder of the value expects media."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction with these two properties."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    def reversed(self) -> Direction:
        """The same stream seen from the other side."""
        return Direction.of(sends=self.receives, receives=self.sends)


class Profile(enum.Enum):
    """The ``proto`` field of an m-line."""

    RTP_AVP = "RTP/AVP"
    RTP_AVPF = "RTP/AVPF"
    RTP_SAVP = "RTP/SAVP"
    RTP_SAVPF = "RTP/SAVPF"
    UDP_TLS_RTP_SAVP = "UDP/TLS/RTP/SAVP"
    UDP_TLS_RTP_SAVPF = "UDP/TLS/RTP/SAVPF"

    @property
    def dtls(self) -> bool:
        """Keys come from a DTLS handshake (RFC 5764)."""
        return self in (Profile.UDP_TLS_RTP_SAVP, Profile.UDP_TLS_RTP_SAVPF)

    @property
    def sdes(self) -> bool:
        """Keys are written in the SDP (RFC 4568)."""
        return self in (Profile.RTP_SAVP, Profile.RTP_SAVPF)


class DtlsSetup(enum.Enum):
    """RFC 4145 §4 role of an end of a DTLS association."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload format: ``payload_type`` 0 to 127, RTP ``clock_rate`` in Hz."""

    payload_type: int
    encoding: str
    clock_rate: int
    channels: int = 1
    fmtp: str | None = None

    def same_format(self, other: Codec) -> bool:
        """Whether both name one format, whatever the payload type number (RFC 3264 §6.1)."""
        return (
            self.encoding.lower() == other.encoding.lower()
            and self.clock_rate == other.clock_rate
            and self.channels == other.channels
        )


PCMU = Codec(0, "PCMU", 8000)
PCMA = Codec(8, "PCMA", 8000)
G722 = Codec(9, "G722", 8000)
"""RFC 3551 §4.5.2: its RTP clock counts 8000 although it samples at 16000."""

COMFORT_NOISE = Codec(13, "CN", 8000)
TELEPHONE_EVENT = Codec(101, "telephone-event", 8000, fmtp="0-16")
DEFAULT_CODECS = (PCMU, PCMA, COMFORT_NOISE, TELEPHONE_EVENT)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash (RFC 8122): ``algorithm`` in lower case, ``value`` as colon-separated upper-case hex."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class CryptoKey:
    """One SDES key (RFC 4568); the key never shows in a representation."""

    tag: int
    suite: str
    key_base64: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """The short-term credential of one end's connectivity checks (RFC 8445 §5.3)."""

    ufrag: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """A transport address an end may be reached at; ``component`` is 1 for RTP, 2 for RTCP."""

    component: int
    address: str
    port: int
    priority: int


@dataclass(frozen=True, slots=True)
class IceRemote:
    """The peer's side of ICE, as its description has it (RFC 8839 §5)."""

    credentials: IceCredentials
    candidates: tuple[IceCandidate, ...] = ()
    lite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMedia:
    """One audio stream as we offer or answer it. The sockets behind it are already bound and receiving."""

    address: str
    rtp_port: int
    rtcp_port: int
    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    ptime_ms: int = 20
    profile: Profile = Profile.RTP_AVP
    rtcp_mux: bool = False
    ssrc: int | None = None
    cname: str | None = None
    fingerprint: Fingerprint | None = None
    """Ours, for DTLS-SRTP; answering an encrypted offer needs it even where ``profile`` is plain."""

    crypto: tuple[CryptoKey, ...] = ()
    """Ours, for SDES, best first."""

    ice: IceCredentials | None = None
    """Ours, where connectivity is checked; the candidates are ``address`` with both ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaParameters:
    """What offer and answer agreed on for one audio stream, from our point of view."""

    negotiation: int
    """Counts the completed offer/answer rounds of a call; audio ignores a command with a lower one than it has seen."""

    remote_address: str
    remote_rtp_port: int
    remote_rtcp_port: int
    direction: Direction
    """Ours: ``RECVONLY`` while the far end holds us with sendonly, ``SENDONLY`` while we hold it."""

    send_codec: Codec
    """First common audio format, with the peer's payload type number."""

    receive_codecs: tuple[Codec, ...]
    """Audio formats the peer may send, with our payload type numbers."""

    send_dtmf: Codec | None = None
    receive_dtmf: Codec | None = None
    send_cn: Codec | None = None
    receive_cn: Codec | None = None
    ptime_ms: int = 20
    """Packet time to send with: the peer's wish, within 10 to 60."""

    profile: Profile = Profile.RTP_AVP
    rtcp_mux: bool = False
    remote_fingerprints: tuple[Fingerprint, ...] = ()
    dtls_role: DtlsSetup | None = None
    """Ours: ``ACTIVE`` sends the ClientHello. A passive offerer is ready for it before the answer (RFC 5763 §5)."""

    local_crypto: CryptoKey | None = None
    remote_crypto: CryptoKey | None = None
    local_ice: IceCredentials | None = None
    """Ours, together with ``remote_ice``: both sides check connectivity. Without, media goes where the SDP says."""

    remote_ice: IceRemote | None = None
    ice_controlling: bool = False
    """Whether we choose the path (RFC 8445 §6.1.1)."""

    @property
    def on_hold_by_peer(self) -> bool:
        """Whether the far end asked us not to be heard."""
        return not self.direction.sends
