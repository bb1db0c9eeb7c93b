"""``media = auto | rtp | sdes | webrtc`` on every kind of server."""

from __future__ import annotations

import pytest

from sipcore.config import MediaChoice, ServerAddress
from sipcore.media import Profile
from sipcore.sdp.offer_answer import OfferAnswer
from sipcore.sdp.policy import profiles_to_offer, security_label
from tests.sipcore.sdp.bodies import ASTERISK_ANSWER, ASTERISK_WEBRTC_ANSWER, DTLS, PEER_KEY, PLAIN, SDES, ids, sdp

RTP, SAVP, WEBRTC = Profile.RTP_AVP, Profile.RTP_SAVP, Profile.UDP_TLS_RTP_SAVPF


@pytest.mark.parametrize(
    ("choice", "server", "profiles"),
    [
        ("auto", "ws://pbx", (WEBRTC, RTP)),
        ("auto", "wss://pbx", (WEBRTC, RTP)),
        ("auto", "tls:pbx", (RTP, SAVP)),
        ("auto", "tcp:pbx", (RTP, WEBRTC)),
        ("auto", "udp:pbx", (RTP, WEBRTC)),
        ("rtp", "wss://pbx", (RTP,)),
        ("rtp", "udp:pbx", (RTP,)),
        ("sdes", "wss://pbx", (SAVP,)),
        ("sdes", "tls:pbx", (SAVP,)),
        ("webrtc", "wss://pbx", (WEBRTC,)),
        ("webrtc", "udp:pbx", (WEBRTC,)),
    ],
)
def test_profiles(choice: MediaChoice, server: str, profiles: tuple[Profile, ...]) -> None:
    """The first offer and at most one fallback."""
    assert profiles_to_offer(choice, ServerAddress.parse(server)) == profiles


@pytest.mark.parametrize("server", ["ws://pbx", "tcp:pbx", "udp:pbx"])
def test_sdes_in_the_clear(server: str) -> None:
    """RFC 4568 §7: a sentence for the user."""
    with pytest.raises(ValueError, match="not encrypted"):
        profiles_to_offer("sdes", ServerAddress.parse(server))


def test_labels() -> None:
    """What status shows."""
    assert security_label(None) is None
    answers = (
        (PLAIN, ASTERISK_ANSWER, None),
        (DTLS, ASTERISK_WEBRTC_ANSWER, "dtls"),
        (SDES, sdp("m=audio 1000 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{PEER_KEY}"), "sdes"),
    )
    for local, answer, label in answers:
        negotiation = OfferAnswer(ids(), allow_sdes=True)
        negotiation.create_offer(local)
        assert security_label(negotiation.receive_answer(answer)) == label
