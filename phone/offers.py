"""A call's media in the profiles that sipcore.sdp.policy chooses, and what the sound engine makes ready for them.

    setting, server ─▶ profiles_to_offer ─┬─ first ─▶ readiness_for ─▶ AudioEngine.open ──▶ offer ─▶ INVITE
                                          └─ next ──▶ readiness_for ─▶ AudioEngine.equip ─▶ offer ─▶ after a 488

An answer follows the offer whatever the setting, so that more is made ready only where plain RTP does not fit.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.config import MediaChoice
    from sipcore.media import LocalMedia, Profile


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the sound engine has to make ready for a call."""

    dtls: bool = False
    sdes: bool = False


def readiness_for(profile: Profile) -> Readiness:
    """What it takes to offer ``profile``."""
    return Readiness(dtls=profile.dtls, sdes=profile.sdes)


def offer(profile: Profile, media: LocalMedia) -> LocalMedia:
    """The stream as ``profile``. Fingerprint and keys stay, for what may be offered later in the call."""
    return dataclasses.replace(media, profile=profile, rtcp_mux=media.rtcp_mux and profile.dtls)


def answers(choice: MediaChoice, *, secure: bool) -> tuple[Readiness, ...]:
    """What to answer with, tried in order until one fits the offer.

    ``secure`` tells whether signalling is encrypted, without which keys must not travel (RFC 4568 §7).
    """
    everything = Readiness(dtls=True, sdes=secure)
    return (everything,) if choice in ("webrtc", "sdes") else (Readiness(), everything)
