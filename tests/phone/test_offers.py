"""How media is offered and answered: the policy is sipcore's, here it becomes streams that can be offered."""

from __future__ import annotations

import random

import pytest

from phone.offers import Readiness, answers, offer, readiness_for
from sipcore.config import MediaChoice, ServerAddress
from sipcore.ids import IdSource
from sipcore.media import CryptoKey, Fingerprint, IceCredentials, LocalMedia, Profile
from sipcore.sdp.offer_answer import OfferAnswer
from sipcore.sdp.policy import profiles_to_offer

RTP, SAVP, WEBRTC = Profile.RTP_AVP, Profile.RTP_SAVP, Profile.UDP_TLS_RTP_SAVPF
PLAIN = LocalMedia(address="192.0.2.1", rtp_port=4000, rtcp_port=4001)
READY = LocalMedia(
    address="192.0.2.1",
    rtp_port=4000,
    rtcp_port=4001,
    rtcp_mux=True,
    fingerprint=Fingerprint("sha-256", ":".join(["AB"] * 32)),
    crypto=(CryptoKey(1, "AES_CM_128_HMAC_SHA1_80", "A" * 40),),
    ice=IceCredentials("ufrag", "password-of-twenty-two"),
)


@pytest.mark.parametrize(
    ("choice", "server", "ready"),
    [
        ("auto", "wss://pbx", [Readiness(dtls=True), Readiness()]),
        ("auto", "ws://pbx", [Readiness(dtls=True), Readiness()]),
        ("auto", "tls:pbx", [Readiness(), Readiness(sdes=True)]),
        ("auto", "udp:pbx", [Readiness(), Readiness(dtls=True)]),
        ("auto", "tcp:pbx", [Readiness(), Readiness(dtls=True)]),
        ("rtp", "wss://pbx", [Readiness()]),
        ("sdes", "wss://pbx", [Readiness(sdes=True)]),
        ("webrtc", "udp:pbx", [Readiness(dtls=True)]),
    ],
)
def test_only_what_is_offered_is_made_ready(choice: MediaChoice, server: str, ready: list[Readiness]) -> None:
    """The libraries of encryption cost time and memory, so they are loaded when they are needed."""
    assert [readiness_for(profile) for profile in profiles_to_offer(choice, ServerAddress.parse(server))] == ready


def test_an_offer_follows_the_profile() -> None:
    assert [offer(profile, READY).profile for profile in (WEBRTC, RTP)] == [WEBRTC, RTP]
    assert offer(RTP, PLAIN) == PLAIN


def _body(media: LocalMedia) -> str:
    return OfferAnswer(IdSource(random.Random(1)), allow_sdes=True).create_offer(media).decode()


def test_each_offer_speaks_of_its_own_protection_alone() -> None:
    """The fallback after a 488 is what `media = rtp` would have offered, and no key travels in it."""
    webrtc, plain, sdes = (_body(offer(profile, READY)) for profile in (WEBRTC, RTP, SAVP))
    assert plain == _body(PLAIN)
    assert "a=fingerprint" in webrtc
    assert "a=crypto" not in webrtc
    assert "a=crypto" in sdes
    assert not any(word in sdes for word in ("a=fingerprint", "a=ice", "a=rtcp-mux"))


@pytest.mark.parametrize("choice", ["auto", "rtp"])
def test_an_answer_begins_with_what_costs_least(choice: MediaChoice) -> None:
    """Whatever is offered is accepted; keys in the SDP only where nobody reads them (RFC 4568 §7)."""
    assert answers(choice, secure=True) == (Readiness(), Readiness(dtls=True, sdes=True))
    assert answers(choice, secure=False) == (Readiness(), Readiness(dtls=True))


@pytest.mark.parametrize("choice", ["sdes", "webrtc"])
def test_an_answer_of_an_encrypting_phone_is_ready_for_it(choice: MediaChoice) -> None:
    assert answers(choice, secure=True) == (Readiness(dtls=True, sdes=True),)
