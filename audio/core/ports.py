"""The seams of a :class:`~audio.core.media.MediaCore`: what it is fed, what it hands out, what protects it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
"""Hz of telephone sound. Wideband has 16000; the length of a frame tells (:func:`frame_rate`)."""

CLOCK_RATE = 8000
"""Hz of the RTP timestamps of every format spoken here, wideband too (RFC 3551 §4.5.2)."""

FRAME_MS = 20
"""One tick."""

FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
"""Samples of one tick of telephone sound."""

FRAME_UNITS = CLOCK_RATE * FRAME_MS // 1000
"""Units of the RTP clock in one tick."""

Samples = NDArray[np.int16]
"""Mono 16-bit linear sound."""


def frame_samples(rate: int) -> int:
    """Samples of one tick at ``rate``."""
    return rate * FRAME_MS // 1000


def frame_rate(frame: Samples) -> int:
    """The rate of one tick's sound."""
    return len(frame) * 1000 // FRAME_MS


def silence(rate: int = SAMPLE_RATE) -> Samples:
    """20 ms of nothing."""
    return np.zeros(frame_samples(rate), dtype=np.int16)


Address = tuple[str, int]
"""Numeric host and UDP port. The shell cuts the flow and scope fields an IPv6 socket adds."""

_NOWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def is_somewhere(address: Address) -> bool:
    """Whether anything may be sent there: RFC 3264 §8.4 forbids it for 0.0.0.0, the hold of old."""
    host, port = address
    return port != 0 and host not in _NOWHERE


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


class MediaTransport(Protocol):
    """The way of a call's datagrams where it is more than the addresses of the SDP: ICE, TURN (RFC 8445, RFC 8656).

    It is given every datagram of STUN's and TURN's ranges, and asked about every one that is to leave.
    """

    def receive_untrusted(
        self, data: bytes, source: Address, kind: TransmitKind, now: float
    ) -> list[tuple[bytes, Address]]:
        """A datagram of its own; what a relay had wrapped in it, and whose that is. Never raises."""
        ...

    def route(self, transmit: Transmit) -> Transmit | None:
        """The datagram as it is to leave, or ``None`` while there is no way."""
        ...

    def transmits(self) -> list[Transmit]:
        """Drain what it has to say itself; this is not routed again."""
        ...

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or ``None``."""
        ...

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        ...
