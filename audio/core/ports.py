"""The seams of a :class:`~audio.core.media.MediaCore`: what it is fed, what it hands out, what protects it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
"""Hz of everything :meth:`MediaCore.tick` takes and gives."""

FRAME_MS = 20
"""One tick."""

FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
"""Samples of one tick."""

Samples = NDArray[np.int16]
"""Mono 16-bit linear sound."""

Address = tuple[str, int]
"""Numeric host and UDP port. The shell cuts the flow and scope fields an IPv6 socket adds."""

NonRtpHandler = Callable[[bytes, Address, float], None]
"""Takes ``(datagram, source, now)`` of DTLS, STUN or TURN that arrived on the RTP socket (RFC 7983 §7)."""


class TransmitKind(enum.Enum):
    """Which socket a datagram leaves by; with rtcp-mux everything is ``RTP``."""

    RTP = "rtp"
    RTCP = "rtcp"


class Transmit(NamedTuple):
    """One datagram to send now."""

    data: bytes
    destination: Address
    kind: TransmitKind


class SecureTransport(Protocol):
    """SRTP and SRTCP, whatever agreed on their keys (RFC 3711).

    ``unprotect_*`` raise :class:`sipcore.errors.ParseError` for a packet that fails authentication or replays.
    While :attr:`ready` is false nothing is sent, and everything received is dropped and counted; RTCP waits for
    :attr:`rtcp_ready` too, since without rtcp-mux its keys are agreed on apart (RFC 5764 §3).
    """

    @property
    def ready(self) -> bool:
        """Whether keys for both directions are in place."""
        ...

    @property
    def rtcp_ready(self) -> bool:
        """The same for RTCP."""
        ...

    def protect_rtp(self, packet: bytes) -> bytes:
        """The SRTP packet for an RTP packet of ours."""
        ...

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet for a compound RTCP packet of ours."""
        ...

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """The RTP packet inside an SRTP packet of the peer."""
        ...

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The compound RTCP packet inside an SRTCP packet of the peer."""
        ...
