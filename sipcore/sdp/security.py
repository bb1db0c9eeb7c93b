"""What protects an audio stream, as SDP says it: DTLS-SRTP (RFC 5763, 8122, 4145) and SDES (RFC 4568).

proto                        fingerprint   crypto   taken as
RTP/AVP, RTP/AVPF            any           any      plain RTP
RTP/SAVP, RTP/SAVPF          any           usable   SDES, where allowed
RTP/SAVP, RTP/SAVPF          yes           no       DTLS-SRTP (written so before RFC 5764)
UDP/TLS/RTP/SAVP, .../SAVPF  yes           any      DTLS-SRTP
anything else                                       refused
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sipcore.media import CryptoKey, DtlsSetup, Fingerprint, Profile
from sipcore.sdp.types import Attribute, MediaDescription, SessionDescription

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Keying(enum.Enum):
    """Where the keys of a stream come from."""

    NONE = None
    DTLS = "dtls"
    SDES = "sdes"


# Octets of master key and salt together (RFC 4568 §6.2, RFC 7714 §14.2).
SDES_SUITES: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
}

_FINGERPRINT = re.compile(r"([A-Za-z0-9-]{1,32})\s+((?:[0-9A-Fa-f]{2}:){15,63}[0-9A-Fa-f]{2})\s*", re.ASCII)
_CRYPTO = re.compile(r"(\d{1,9})\s+([A-Za-z0-9_]{1,64})\s+inline:([A-Za-z0-9+/=]{1,256})((?:[|;]\S*)?)(.*)", re.ASCII)
_LIFETIME = re.compile(r"(?:\|(?:2\^)?\d{1,20})?", re.ASCII)
_HARMLESS_PARAMETER = re.compile(r"WSH=\d{1,9}|-\S+", re.ASCII)
_MAX_FINGERPRINTS = 16


def profile_of(media: MediaDescription) -> Profile | None:
    """The ``proto`` of an m-line if it is one we know."""
    try:
        return Profile(media.protocol.upper())
    except ValueError:
        return None


def keying_of(
    description: SessionDescription, media: MediaDescription, sdes_suites: Sequence[str] = ()
) -> Keying | None:
    """How an offered stream is protected, or None where it cannot be taken. ``sdes_suites``: those allowed now."""
    profile = profile_of(media)
    if profile is None:
        return None
    if not (profile.dtls or profile.sdes):
        return Keying.NONE
    if profile.sdes and select_crypto_untrusted(media, sdes_suites) is not None:
        return Keying.SDES
    return Keying.DTLS if read_fingerprints_untrusted(description, media) else None


# --- DTLS ---------------------------------------------------------------------------------------------------


def read_fingerprints_untrusted(description: SessionDescription, media: MediaDescription) -> tuple[Fingerprint, ...]:
    """The certificate hashes that hold for ``media``: its own, else the session's (RFC 8122 §5)."""
    for level in (media, description):
        found = [
            Fingerprint(match[1].lower(), match[2].upper())
            for value in level.values("fingerprint")
            if (match := _FINGERPRINT.fullmatch(value))
        ]
        if found:
            return tuple(dict.fromkeys(found[:_MAX_FINGERPRINTS]))
    return ()


def read_setup_untrusted(description: SessionDescription, media: MediaDescription) -> DtlsSetup | None:
    """The peer's ``a=setup``, or None where it is missing or is not a role to be taken (``holdconn``)."""
    for level in (media, description):
        value = level.value("setup")
        if value is not None:
            try:
                return DtlsSetup(value.strip().lower())
            except ValueError:
                return None
    return None


def role_in_answer(offered: DtlsSetup | None, present: DtlsSetup | None) -> DtlsSetup:
    """Our role when we answer. ``present`` is that of the association in use: changing it would start a new one."""
    match offered:
        case DtlsSetup.PASSIVE:
            return DtlsSetup.ACTIVE
        case DtlsSetup.ACTPASS:
            # RFC 5763 §5: "setup:active allows the answer and the DTLS handshake to occur in parallel. Thus,
            # setup:active is RECOMMENDED."
            return present or DtlsSetup.ACTIVE
        case DtlsSetup.ACTIVE | None:
            # RFC 4145 §4: "The default value of the setup attribute in an offer/answer exchange is 'active' in the
            # offer and 'passive' in the answer."
            return DtlsSetup.PASSIVE


def role_by_answer(answered: DtlsSetup | None, present: DtlsSetup | None) -> DtlsSetup:
    """Our role when the peer answered our ``actpass``."""
    match answered:
        case DtlsSetup.ACTIVE:
            return DtlsSetup.PASSIVE
        case DtlsSetup.ACTPASS:
            # Not allowed in an answer, but seen; such a peer takes the recommended active role.
            return present or DtlsSetup.PASSIVE
        case DtlsSetup.PASSIVE | None:
            return DtlsSetup.ACTIVE


def dtls_attributes(fingerprint: Fingerprint, setup: DtlsSetup) -> Iterator[Attribute]:
    """Our lines for DTLS-SRTP."""
    yield Attribute("fingerprint", f"{fingerprint.algorithm} {fingerprint.value}")
    yield Attribute("setup", setup.value)


# --- SDES ---------------------------------------------------------------------------------------------------


def read_crypto_untrusted(media: MediaDescription) -> tuple[CryptoKey, ...]:
    """The keys of ``media`` that can be used as they are, in the peer's order; all others are left out.

    Left out are unknown suites, keys of the wrong length, several keys or an MKI (every packet would have to name its
    key), and session parameters that weaken or change SRTP (RFC 4568 §6.3): an offered one we cannot honour rules its
    line out.
    """
    keys: list[CryptoKey] = []
    for value in media.values("crypto"):
        match = _CRYPTO.fullmatch(value.strip())
        if match is None:
            continue
        tag, suite, key, lifetime, parameters = match.groups()
        if (
            _LIFETIME.fullmatch(lifetime)
            and all(_HARMLESS_PARAMETER.fullmatch(parameter) for parameter in parameters.split())
            and _right_length(suite, key)
        ):
            keys.append(CryptoKey(int(tag), suite, key))
    return tuple(keys)


def _right_length(suite: str, key_base64: str) -> bool:
    try:
        return len(base64.b64decode(key_base64, validate=True)) == SDES_SUITES.get(suite)
    except (binascii.Error, ValueError):
        return False


def select_crypto_untrusted(media: MediaDescription, suites: Sequence[str]) -> CryptoKey | None:
    """The first key of an offer whose suite is among ``suites`` (RFC 4568 §5.1.2: the offerer's order counts)."""
    return next((key for key in read_crypto_untrusted(media) if key.suite in suites), None)


def answer_crypto(selected: CryptoKey, ours: Sequence[CryptoKey]) -> CryptoKey | None:
    """Our key for the selected suite, with the tag of the offer (RFC 4568 §5.1.2)."""
    return next((replace(key, tag=selected.tag) for key in ours if key.suite == selected.suite), None)


def match_crypto_untrusted(media: MediaDescription, offered: Sequence[CryptoKey]) -> tuple[CryptoKey, CryptoKey] | None:
    """Our key and the peer's, as an answer chose them: one line, tag and suite of one of ``offered`` (§5.1.3)."""
    for remote in read_crypto_untrusted(media):
        for local in offered:
            if (local.tag, local.suite) == (remote.tag, remote.suite):
                return local, remote
    return None


def crypto_attribute(key: CryptoKey) -> Attribute:
    """Our line for one key."""
    return Attribute("crypto", f"{key.tag} {key.suite} inline:{key.key_base64}")
