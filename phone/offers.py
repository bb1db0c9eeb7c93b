"""How media is offered and answered, by the account's ``media`` setting.

    rtp     RTP/AVP                      sdes    RTP/SAVP, keys in the SDP (RFC 4568)
    webrtc  UDP/TLS/RTP/SAVPF (RFC 5764) auto    RTP/AVP; RTP/SAVP where that is refused and signalling is encrypted

An answer follows the offer, so that more is made ready only where plain RTP does not fit.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sipcore.media import LocalMedia, Profile

if TYPE_CHECKING:
    from sipcore.config import MediaChoice


@dataclass(frozen=True, slots=True)
class Readiness:
    """What the sound engine has to make ready for a call."""

    dtls: bool = False
    sdes: bool = False


def offer_needs(choice: MediaChoice, *, secure: bool) -> Readiness:
    """What an offer needs; ``secure`` tells whether signalling is encrypted, without which keys must not travel."""
    match choice:
        case "rtp":
            return Readiness()
        case "sdes":
            return Readiness(sdes=True)
        case "webrtc":
            return Readiness(dtls=True)
        case "auto":
            return Readiness(sdes=secure)
        case _:
            assert_never(choice)


def answers(choice: MediaChoice, *, secure: bool) -> tuple[Readiness, ...]:
    """What to answer with, tried in order until one fits the offer."""
    everything = Readiness(dtls=True, sdes=secure)
    match choice:
        case "rtp":
            return (Readiness(),)
        case "sdes":
            return (Readiness(sdes=True),)
        case "webrtc":
            return (everything,)
        case "auto":
            return Readiness(), everything
        case _:
            assert_never(choice)


def offers(choice: MediaChoice, media: LocalMedia) -> tuple[LocalMedia, ...]:
    """What to offer, and what instead where it is refused."""
    plain = dataclasses.replace(media, profile=Profile.RTP_AVP, crypto=())
    match choice:
        case "rtp":
            return (plain,)
        case "sdes":
            return (dataclasses.replace(media, profile=Profile.RTP_SAVP),)
        case "webrtc":
            return (dataclasses.replace(media, profile=Profile.UDP_TLS_RTP_SAVPF),)
        case "auto":
            return (plain, dataclasses.replace(media, profile=Profile.RTP_SAVP)) if media.crypto else (plain,)
        case _:
            assert_never(choice)
