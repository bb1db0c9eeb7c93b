"""How media is offered and answered."""

from __future__ import annotations

from phone.offers import Readiness, answers, offer_needs, offers
from sipcore.media import CryptoKey, LocalMedia, Profile

PLAIN = LocalMedia(address="192.0.2.1", rtp_port=4000, rtcp_port=4001)
KEYED = LocalMedia(address="192.0.2.1", rtp_port=4000, rtcp_port=4001, crypto=(CryptoKey(1, "S", "k"),))


def test_each_setting_offers_its_profile() -> None:
    assert [media.profile for media in offers("rtp", PLAIN)] == [Profile.RTP_AVP]
    assert [media.profile for media in offers("sdes", KEYED)] == [Profile.RTP_SAVP]
    assert [media.profile for media in offers("webrtc", PLAIN)] == [Profile.UDP_TLS_RTP_SAVPF]
    assert offer_needs("webrtc", secure=False) == Readiness(dtls=True)
    assert offer_needs("sdes", secure=True) == Readiness(sdes=True)


def test_auto_travels_with_keys_only_where_nobody_reads_them() -> None:
    """RFC 4568 §7: the SDP has to be protected."""
    assert offer_needs("auto", secure=False) == Readiness()
    assert offer_needs("auto", secure=True) == Readiness(sdes=True)
    first, second = offers("auto", KEYED)
    assert (first.profile, first.crypto) == (Profile.RTP_AVP, ())
    assert (second.profile, second.crypto) == (Profile.RTP_SAVP, KEYED.crypto)
    assert len(offers("auto", PLAIN)) == 1


def test_an_answer_begins_with_what_costs_least() -> None:
    assert answers("auto", secure=True) == (Readiness(), Readiness(dtls=True, sdes=True))
    assert answers("rtp", secure=True) == (Readiness(),)
    assert answers("webrtc", secure=False) == (Readiness(dtls=True),)
