"""SRTP and SRTCP over libsrtp (RFC 3711, RFC 7714): one context for a stream's two directions.

RTP  ─ protect_rtp ──▶ SRTP   (our key)
SRTP ─ unprotect_rtp ▶ RTP    (the peer's key), or ParseError: forged, replayed, malformed
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipcore.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pylibsrtp

_MAXIMUM_PACKET = 1500
"""libsrtp's binding works in a buffer of this many octets, trailer included."""

_REPLAY_WINDOW = 1024
"""Packets; RFC 3711 §3.3.2 asks for at least 64. At 50 a second this is 20 s of disorder."""


@dataclass(frozen=True, slots=True)
class SrtpProfile:
    """One way to protect packets, under the names its three worlds give it."""

    dtls: bytes
    """In OpenSSL (RFC 5764 §4.1.2, RFC 7714 §14.2)."""

    sdes: str
    """As a crypto suite (RFC 4568 §6.2)."""

    policy: str
    """As an attribute of ``pylibsrtp.Policy``."""

    key_octets: int
    salt_octets: int

    @property
    def master_octets(self) -> int:
        """Master key and salt together, as SDES writes and libsrtp takes them."""
        return self.key_octets + self.salt_octets


AEAD_AES_128_GCM = SrtpProfile(
    b"SRTP_AEAD_AES_128_GCM", "AEAD_AES_128_GCM", "SRTP_PROFILE_AEAD_AES_128_GCM", key_octets=16, salt_octets=12
)
AES128_CM_SHA1_80 = SrtpProfile(
    b"SRTP_AES128_CM_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "SRTP_PROFILE_AES128_CM_SHA1_80",
    key_octets=16,
    salt_octets=14,
)
AES128_CM_SHA1_32 = SrtpProfile(
    b"SRTP_AES128_CM_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
    "SRTP_PROFILE_AES128_CM_SHA1_32",
    key_octets=16,
    salt_octets=14,
)
PROFILES = (AEAD_AES_128_GCM, AES128_CM_SHA1_80, AES128_CM_SHA1_32)
"""Best first."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master key and salt of each direction; neither ever shows in a representation."""

    profile: SrtpProfile
    local: bytes = field(repr=False)
    """Ours, for what we send."""

    remote: bytes = field(repr=False)
    """The peer's, for what we receive."""

    def __post_init__(self) -> None:
        if not len(self.local) == len(self.remote) == self.profile.master_octets:
            raise ValueError(f"{self.profile.sdes} takes {self.profile.master_octets} octets of key and salt")


@dataclass(slots=True)
class SrtpCounters:
    """What was turned away."""

    forged: int = 0
    """Failed authentication: forged, damaged, or under another key."""

    replayed: int = 0
    """Seen before, or older than the replay window."""

    malformed: int = 0


class SrtpContext:
    """Both directions of one stream. Any number of SSRCs, each with its own index (RFC 3711 §3.2.1).

    ``before`` is the context that is being replaced: a direction whose key stays keeps its packet indices and replay
    list, for to start them anew under the same key would reuse keystream (RFC 3711 §9.1).
    """

    def __init__(self, keys: SrtpKeys, *, before: SrtpContext | None = None) -> None:
        self.keys = keys
        self.counters: SrtpCounters = before.counters if before is not None else SrtpCounters()
        profile = keys.profile
        if before is not None and before.keys.profile != profile:
            before = None
        import pylibsrtp

        self._refused = pylibsrtp.Error
        self._outbound: pylibsrtp.Session
        self._inbound: pylibsrtp.Session
        if before is not None and before.keys.local == keys.local:
            self._outbound = before._outbound
        else:
            self._outbound = _session(profile, keys.local, outbound=True)
        if before is not None and before.keys.remote == keys.remote:
            self._inbound = before._inbound
        else:
            self._inbound = _session(profile, keys.remote, outbound=False)

    def protect_rtp(self, packet: bytes) -> bytes:
        """The SRTP packet for an RTP packet of ours, which must be well formed."""
        protected: bytes = self._outbound.protect(packet)
        return protected

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet for a compound RTCP packet of ours, which must be well formed."""
        protected: bytes = self._outbound.protect_rtcp(packet)
        return protected

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """The RTP packet inside, or :class:`ParseError`."""
        return self._unprotect_untrusted(self._inbound.unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The compound RTCP packet inside, or :class:`ParseError`."""
        return self._unprotect_untrusted(self._inbound.unprotect_rtcp, packet)

    def _unprotect_untrusted(self, unprotect: Callable[[bytes], bytes], packet: bytes) -> bytes:
        if len(packet) > _MAXIMUM_PACKET:
            self.counters.malformed += 1
            raise ParseError("SRTP packet longer than any we could have asked for")
        try:
            return unprotect(packet)
        except self._refused as error:
            reason = str(error)
            if "replay" in reason or "too old" in reason:
                self.counters.replayed += 1
            elif "authentication" in reason:
                self.counters.forged += 1
            else:
                self.counters.malformed += 1
            raise ParseError(f"SRTP: {reason}") from None


def _session(profile: SrtpProfile, key: bytes, *, outbound: bool) -> pylibsrtp.Session:
    """One direction in libsrtp, which is loaded with the first encrypted call only."""
    from pylibsrtp import Policy, Session

    policy = Policy(
        key=key,
        ssrc_type=Policy.SSRC_ANY_OUTBOUND if outbound else Policy.SSRC_ANY_INBOUND,
        srtp_profile=getattr(Policy, profile.policy),
    )
    policy.window_size = _REPLAY_WINDOW
    return Session(policy=policy)
