"""SDES: SRTP keys that travel in the session description (RFC 4568).

IdSource ─ generate_keys ─▶ LocalMedia.crypto ─ offer/answer ─▶ MediaParameters ─ keys_of ─▶ SrtpKeys
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from audio.secure.srtp import AES128_CM_SHA1_32, AES128_CM_SHA1_80, PROFILES, SrtpKeys, SrtpProfile
from sipcore.media import CryptoKey, MediaParameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcore.ids import IdSource

OFFERED = (AES128_CM_SHA1_80, AES128_CM_SHA1_32)
"""What every PBX knows, best first."""

_BY_SUITE = {profile.sdes: profile for profile in PROFILES}


def generate_keys(ids: IdSource, profiles: Sequence[SrtpProfile] = OFFERED) -> tuple[CryptoKey, ...]:
    """A fresh key for each profile, for ``LocalMedia.crypto``.

    ``ids`` must draw from the system's generator. RFC 4568 §6.1: "a unique master key" for each crypto line, and for
    each call.
    """
    return tuple(
        CryptoKey(tag, profile.sdes, base64.b64encode(_draw(ids, profile.master_octets)).decode())
        for tag, profile in enumerate(profiles, start=1)
    )


def _draw(ids: IdSource, octets: int) -> bytes:
    return ids.integer(8 * octets).to_bytes(octets, "big")


def keys_of(parameters: MediaParameters) -> SrtpKeys | None:
    """The keys offer and answer agreed on, or None where they did not agree on SDES."""
    local, remote = parameters.local_crypto, parameters.remote_crypto
    if local is None or remote is None:
        return None
    return SrtpKeys(_BY_SUITE[local.suite], base64.b64decode(local.key_base64), base64.b64decode(remote.key_base64))
