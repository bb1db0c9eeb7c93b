"""DTLS-SRTP in offer and answer: RFC 5763, 8122, 4145, with rtcp-mux and BUNDLE."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipcore.errors import LocalProtocolError
from sipcore.media import PCMA, PCMU, Direction, DtlsSetup, Fingerprint, Profile
from sipcore.sdp.offer_answer import OfferAnswer, Unacceptable
from sipcore.sdp.parse import parse
from sipcore.sdp.security import Keying, role_by_answer, role_in_answer
from tests.sipcore.sdp.bodies import (
    ASTERISK_WEBRTC_ANSWER,
    ASTERISK_WEBRTC_OFFER,
    BROWSER_OFFER,
    DTLS,
    OUR_FINGERPRINT,
    PEER_FINGERPRINT,
    PLAIN,
    ids,
    sdp,
    text_of,
)

ACTIVE, PASSIVE, ACTPASS = DtlsSetup.ACTIVE, DtlsSetup.PASSIVE, DtlsSetup.ACTPASS
STREAM = "m=audio 5004 UDP/TLS/RTP/SAVPF 0"
FINGERPRINT = f"a=fingerprint:sha-256 {PEER_FINGERPRINT}"
PEER = Fingerprint("sha-256", PEER_FINGERPRINT)


def test_offer_line_by_line() -> None:
    """RFC 5763 §5 actpass, RFC 8122 fingerprint, RFC 5761 rtcp-mux, RFC 9143 bundle of one; no ICE."""
    assert text_of(OfferAnswer(ids()).create_offer(DTLS))[5:] == [
        "a=group:BUNDLE 0",
        "m=audio 40000 UDP/TLS/RTP/SAVPF 0 8 13 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "a=mid:0",
        "a=rtcp-mux",
        f"a=fingerprint:sha-256 {OUR_FINGERPRINT.value}",
        "a=setup:actpass",
        "a=ssrc:123456 cname:c7Qm",
    ]


def test_answer_of_asterisk_to_it() -> None:
    """Asterisk takes the active role, so we are passive; the algorithm's case does not count."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(DTLS)
    parameters = negotiation.receive_answer(ASTERISK_WEBRTC_ANSWER)
    assert parameters.dtls_role is PASSIVE
    assert parameters.remote_fingerprints == (PEER,)
    assert parameters.profile is Profile.UDP_TLS_RTP_SAVPF
    assert parameters.rtcp_mux
    assert parameters.remote_rtcp_port == parameters.remote_rtp_port == 15040
    assert parameters.local_crypto is parameters.remote_crypto is None


def test_asterisk_offers_with_ice() -> None:
    """RFC 8839: an agent without ICE leaves the attributes out; mid, group and mux are echoed, the order kept."""
    negotiation = OfferAnswer(ids())
    offer = negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    assert offer.keying is Keying.DTLS
    assert offer.profile is Profile.UDP_TLS_RTP_SAVPF
    body, parameters = negotiation.create_answer(DTLS)
    assert text_of(body)[5:] == [
        "a=group:BUNDLE audio-0",
        "m=audio 40000 UDP/TLS/RTP/SAVPF 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "a=mid:audio-0",
        "a=rtcp-mux",
        f"a=fingerprint:sha-256 {OUR_FINGERPRINT.value}",
        "a=setup:active",
        "a=ssrc:123456 cname:c7Qm",
    ]
    assert parameters.dtls_role is ACTIVE
    assert parameters.remote_fingerprints == (PEER,)


def test_browser_offers_audio_and_video() -> None:
    """JSEP: G.711 taken among others, video refused but named, only audio in the group."""
    negotiation = OfferAnswer(ids())
    assert negotiation.receive_offer(BROWSER_OFFER).direction is Direction.SENDRECV
    body, parameters = negotiation.create_answer(DTLS)
    description = parse(body)
    audio, video = description.media
    assert audio.formats == ("0", "8", "13", "126")
    assert (video.port, video.formats, video.value("mid")) == (0, ("96",), "1")
    assert description.value("group") == "BUNDLE 0"
    assert parameters.send_codec == PCMU
    assert parameters.receive_codecs == (PCMU, PCMA)
    assert parameters.send_dtmf is not None
    assert parameters.send_dtmf.payload_type == 126


def test_plain_local_media_with_a_fingerprint_answers_an_encrypted_offer() -> None:
    """Whatever we would offer, an encrypted offer is answered encrypted; later offers stay so."""
    local = replace(PLAIN, fingerprint=OUR_FINGERPRINT)
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    body, parameters = negotiation.create_answer(local)
    assert parameters.profile is Profile.UDP_TLS_RTP_SAVPF
    assert not parameters.rtcp_mux
    assert b"a=rtcp-mux" not in body
    hold = negotiation.create_offer(local, Direction.SENDONLY)
    assert b"m=audio 40000 UDP/TLS/RTP/SAVPF 0 8 101 13\r\n" in hold
    assert b"a=mid:audio-0" in hold
    assert b"a=group:BUNDLE audio-0" in hold
    assert b"a=setup:actpass" in hold


@pytest.mark.parametrize("protocol", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVP", "RTP/SAVPF"])
def test_every_spelling_of_the_profile(protocol: str) -> None:
    """With a fingerprint all four mean DTLS-SRTP, and the answer repeats the offer's."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    assert negotiation.receive_offer(sdp(f"m=audio 5004 {protocol} 0", FINGERPRINT)).keying is Keying.DTLS
    body, parameters = negotiation.create_answer(DTLS)
    assert parse(body).media[0].protocol == protocol
    assert parameters.profile.value == protocol
    assert parameters.dtls_role is not None


@pytest.mark.parametrize(
    ("offered", "present", "ours"),
    [
        (ACTPASS, None, ACTIVE),
        (ACTPASS, ACTIVE, ACTIVE),
        (ACTPASS, PASSIVE, PASSIVE),
        (ACTIVE, None, PASSIVE),
        (ACTIVE, ACTIVE, PASSIVE),
        (PASSIVE, PASSIVE, ACTIVE),
        (None, None, PASSIVE),
    ],
)
def test_role_in_answers(offered: DtlsSetup | None, present: DtlsSetup | None, ours: DtlsSetup) -> None:
    """RFC 4145 §4.1 table, RFC 5763 §5; an association in use keeps its roles where it may."""
    assert role_in_answer(offered, present) is ours


@pytest.mark.parametrize(
    ("answered", "present", "ours"),
    [
        (ACTIVE, None, PASSIVE),
        (PASSIVE, None, ACTIVE),
        (PASSIVE, PASSIVE, ACTIVE),
        (None, None, ACTIVE),
        (ACTPASS, None, PASSIVE),
        (ACTPASS, ACTIVE, ACTIVE),
    ],
)
def test_role_by_answers(answered: DtlsSetup | None, present: DtlsSetup | None, ours: DtlsSetup) -> None:
    """The default in an answer is passive (RFC 4145 §4)."""
    assert role_by_answer(answered, present) is ours


def test_roles_stay_through_re_invites() -> None:
    """We answered active; the peer's next actpass and ours in turn keep it."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    negotiation.create_answer(DTLS)
    negotiation.create_offer(DTLS, Direction.SENDONLY)
    parameters = negotiation.receive_answer(
        ASTERISK_WEBRTC_ANSWER.replace(b"setup:active", b"setup:passive").replace(b"sendrecv", b"recvonly")
    )
    assert parameters.dtls_role is ACTIVE
    negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    assert negotiation.create_answer(DTLS)[1].dtls_role is ACTIVE


def test_fingerprints_of_either_level() -> None:
    """RFC 8122 §5: the media level replaces the session level; several hashes are all kept, junk is not."""
    sha1 = ":".join(["AB"] * 20)
    session = (f"a=fingerprint:sha-1 {sha1.lower()}", "a=setup:passive")
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(sdp(STREAM, session=session))
    parameters = negotiation.create_answer(DTLS)[1]
    assert parameters.remote_fingerprints == (Fingerprint("sha-1", sha1),)
    assert parameters.dtls_role is ACTIVE
    negotiation.receive_offer(
        sdp(STREAM, FINGERPRINT, FINGERPRINT, f"a=fingerprint:sha-1 {sha1}", "a=fingerprint:md5 zz", session=session)
    )
    assert negotiation.create_answer(DTLS)[1].remote_fingerprints == (PEER, Fingerprint("sha-1", sha1))


def test_new_fingerprint_in_a_re_invite() -> None:
    """RFC 8842: a new certificate is a new association; audio sees it in the parameters."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(DTLS)
    negotiation.receive_answer(ASTERISK_WEBRTC_ANSWER)
    other = Fingerprint("sha-256", ":".join(["EE"] * 32))
    body = negotiation.create_offer(replace(DTLS, fingerprint=other))
    assert f"a=fingerprint:sha-256 {other.value}" in text_of(body)
    changed = ASTERISK_WEBRTC_ANSWER.replace(PEER_FINGERPRINT.encode(), other.value.encode())
    assert negotiation.receive_answer(changed).remote_fingerprints == (other,)


@pytest.mark.parametrize(
    "body",
    [
        sdp("m=audio 5004 RTP/AVP 0"),
        sdp("m=audio 5004 RTP/AVP 0", FINGERPRINT, "a=setup:active"),
        sdp(STREAM, "a=setup:active"),
        sdp(STREAM, "a=fingerprint:sha-256 00:11", "a=setup:active"),
        sdp("m=audio 0 UDP/TLS/RTP/SAVPF 0"),
    ],
)
def test_no_way_down_to_plain(body: bytes) -> None:
    """An answer without keys to an encrypted offer is refused, not used."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(DTLS)
    with pytest.raises(Unacceptable):
        negotiation.receive_answer(body)


def test_fingerprint_of_our_own_is_needed() -> None:
    """Offering without one is our own mistake; an offer that needs one does not fit, and can still be answered."""
    negotiation = OfferAnswer(ids())
    with pytest.raises(LocalProtocolError):
        negotiation.create_offer(replace(DTLS, fingerprint=None))
    negotiation.receive_offer(ASTERISK_WEBRTC_OFFER)
    with pytest.raises(Unacceptable):
        negotiation.create_answer(PLAIN)
    assert negotiation.create_answer(DTLS)[1].dtls_role is ACTIVE


def test_holdconn_is_not_a_role() -> None:
    """RFC 4145 §4: we never leave a connection pending; the default applies."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(sdp(STREAM, FINGERPRINT, "a=setup:holdconn"))
    assert negotiation.create_answer(DTLS)[1].dtls_role is PASSIVE


def test_mid_outside_a_group() -> None:
    """RFC 5888 §9.1: mid is echoed, a group we did not see is not made up."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(sdp(STREAM, FINGERPRINT, "a=mid:x", session=("a=group:LS x", "a=group:BUNDLE y")))
    body, _ = negotiation.create_answer(DTLS)
    assert b"a=mid:x" in body
    assert b"a=group" not in body
    assert b"a=group" not in negotiation.create_offer(DTLS)
