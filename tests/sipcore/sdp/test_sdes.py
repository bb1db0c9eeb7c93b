"""SDES keys in offer and answer, RFC 4568."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipcore.errors import LocalProtocolError
from sipcore.media import CryptoKey, Profile
from sipcore.sdp.offer_answer import OfferAnswer, Unacceptable
from sipcore.sdp.parse import parse
from sipcore.sdp.security import Keying, read_crypto_untrusted
from tests.sipcore.sdp.bodies import (
    BEST_EFFORT_OFFER,
    DTLS,
    KEY_32,
    KEY_80,
    PEER_FINGERPRINT,
    PEER_KEY,
    PLAIN,
    SDES,
    ids,
    sdp,
)

STREAM = "m=audio 5004 RTP/SAVP 0"
SUITE_80, SUITE_32 = KEY_80.suite, KEY_32.suite


def _keys(*values: str) -> tuple[CryptoKey, ...]:
    return read_crypto_untrusted(parse(sdp(STREAM, *(f"a=crypto:{value}" for value in values))).media[0])


def test_offer_and_answer() -> None:
    """§5.1.1, §5.1.3: all our keys offered, the answered tag decides."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    media = parse(negotiation.create_offer(SDES)).media[0]
    assert media.protocol == "RTP/SAVP"
    assert list(media.values("crypto")) == [
        f"1 {SUITE_80} inline:{KEY_80.key_base64}",
        f"2 {SUITE_32} inline:{KEY_32.key_base64}",
    ]
    parameters = negotiation.receive_answer(sdp(STREAM, f"a=crypto:2 {SUITE_32} inline:{PEER_KEY}"))
    assert parameters.local_crypto == KEY_32
    assert parameters.remote_crypto == CryptoKey(2, SUITE_32, PEER_KEY)
    assert parameters.profile is Profile.RTP_SAVP
    assert parameters.dtls_role is None


def test_answer_repeats_the_tag() -> None:
    """§5.1.2: the first offered line that can be taken, its tag, our key."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    offer = negotiation.receive_offer(
        sdp(
            STREAM,
            f"a=crypto:4 AES_192_CM_HMAC_SHA1_80 inline:{PEER_KEY}",
            f"a=crypto:7 {SUITE_32} inline:{PEER_KEY}|2^20",
            f"a=crypto:8 {SUITE_80} inline:{PEER_KEY}",
        )
    )
    assert offer.keying is Keying.SDES
    assert offer.sdes_suites == (SUITE_32, SUITE_80)
    body, parameters = negotiation.create_answer(SDES)
    assert list(parse(body).media[0].values("crypto")) == [f"7 {SUITE_32} inline:{KEY_32.key_base64}"]
    assert parameters.local_crypto == replace(KEY_32, tag=7)
    assert parameters.remote_crypto == CryptoKey(7, SUITE_32, PEER_KEY)


def test_recovery_after_we_answered() -> None:
    """The unchanged offer carries the one key of our answer, and its tag is recognised."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    negotiation.receive_offer(sdp(STREAM, f"a=crypto:7 {SUITE_32} inline:{PEER_KEY}"))
    answer, before = negotiation.create_answer(SDES)
    assert negotiation.unchanged_offer() == answer
    after = negotiation.receive_answer(sdp(STREAM, f"a=crypto:7 {SUITE_32} inline:{PEER_KEY}"))
    assert (after.local_crypto, after.remote_crypto) == (before.local_crypto, before.remote_crypto)


def test_first_stream_that_can_be_taken() -> None:
    """A phone that offers RTP/SAVP and RTP/AVP: encrypted where keys may travel, else plain; never both."""
    encrypted = OfferAnswer(ids(), allow_sdes=True)
    encrypted.receive_offer(BEST_EFFORT_OFFER)
    body, parameters = encrypted.create_answer(SDES)
    assert [media.port for media in parse(body).media] == [40000, 0]
    assert parameters.remote_crypto is not None
    plain = OfferAnswer(ids())
    assert plain.receive_offer(BEST_EFFORT_OFFER).keying is Keying.NONE
    body, parameters = plain.create_answer(PLAIN)
    assert [media.port for media in parse(body).media] == [0, 40000]
    assert (parameters.remote_rtp_port, parameters.remote_crypto) == (11002, None)


def test_stream_in_use_stays_in_use() -> None:
    """A re-offer with two usable streams keeps to the one that is up."""
    negotiation = OfferAnswer(ids())
    negotiation.receive_offer(BEST_EFFORT_OFFER)
    negotiation.create_answer(PLAIN)
    negotiation.receive_offer(BEST_EFFORT_OFFER.replace(b"RTP/SAVP", b"RTP/AVP"))
    assert negotiation.create_answer(PLAIN)[1].remote_rtp_port == 11002


@pytest.mark.parametrize(
    "value",
    [
        f"1 {SUITE_80} inline:{PEER_KEY}",
        f"1 {SUITE_80}  inline:{PEER_KEY}|2^48",
        f"1 {SUITE_80} inline:{PEER_KEY}|1048576",
        f"1 {SUITE_80} inline:{PEER_KEY} WSH=128",
        f"1 {SUITE_80} inline:{PEER_KEY} -UNKNOWN=1",
        "1 AEAD_AES_128_GCM inline:" + "A" * 38 + "==",
    ],
)
def test_usable_lines(value: str) -> None:
    """§6.1 lifetime, §6.3.6 window, optional parameters; RFC 7714 key length."""
    assert len(_keys(value)) == 1


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"x {SUITE_80} inline:{PEER_KEY}",
        f"1 NULL inline:{PEER_KEY}",
        f"1 {SUITE_80} {PEER_KEY}",
        f"1 {SUITE_80} inline:{PEER_KEY[:-4]}",
        f"1 {SUITE_80} inline:{PEER_KEY}AAAA",
        f"1 {SUITE_80} inline:!{PEER_KEY[1:]}",
        f"1 {SUITE_80} inline:{PEER_KEY[:-1]}=",
        f"1 {SUITE_80} inline:{PEER_KEY}|2^20|1:4",
        f"1 {SUITE_80} inline:{PEER_KEY}|1:4",
        f"1 {SUITE_80} inline:{PEER_KEY};inline:{PEER_KEY}",
        f"1 {SUITE_80} inline:{PEER_KEY} UNENCRYPTED_SRTP",
        f"1 {SUITE_80} inline:{PEER_KEY} UNAUTHENTICATED_SRTP",
        f"1 {SUITE_80} inline:{PEER_KEY} KDR=3",
        f"1 {SUITE_80} inline:{PEER_KEY} FEC_ORDER=FEC_SRTP",
        "1 AEAD_AES_128_GCM inline:" + PEER_KEY,
    ],
)
def test_lines_that_are_passed_over(value: str) -> None:
    """Wrong length, MKI, several keys, weakened or unknown parameters."""
    assert _keys(value) == ()


@pytest.mark.parametrize(
    "lines",
    [
        (STREAM,),
        (STREAM, f"a=crypto:3 {SUITE_80} inline:{PEER_KEY}"),
        (STREAM, f"a=crypto:1 {SUITE_32} inline:{PEER_KEY}"),
        ("m=audio 5004 RTP/AVP 0", f"a=crypto:1 {SUITE_80} inline:{PEER_KEY}"),
    ],
)
def test_answers_that_do_not_fit(lines: tuple[str, ...]) -> None:
    """No key, another tag, another suite under our tag, plain RTP: refused."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    negotiation.create_offer(SDES)
    with pytest.raises(Unacceptable):
        negotiation.receive_answer(sdp(*lines))


def test_only_over_encrypted_signalling() -> None:
    """§7: neither offered nor taken where anybody on the way reads the key."""
    negotiation = OfferAnswer(ids())
    with pytest.raises(LocalProtocolError):
        negotiation.create_offer(SDES)
    with pytest.raises(Unacceptable):
        negotiation.receive_offer(sdp(STREAM, f"a=crypto:1 {SUITE_80} inline:{PEER_KEY}"))
    with pytest.raises(LocalProtocolError):
        OfferAnswer(ids(), allow_sdes=True).create_offer(replace(SDES, crypto=()))


def test_no_key_of_ours_for_what_is_offered() -> None:
    """488, and the offer waits to be rolled back."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    negotiation.receive_offer(sdp(STREAM, f"a=crypto:1 AEAD_AES_128_GCM inline:{'A' * 38}=="))
    with pytest.raises(Unacceptable):
        negotiation.create_answer(SDES)


def test_fingerprint_where_keys_are_not_allowed() -> None:
    """RTP/SAVPF with both: DTLS, as the signalling is in the clear."""
    negotiation = OfferAnswer(ids())
    offer = negotiation.receive_offer(
        sdp(STREAM, f"a=crypto:1 {SUITE_80} inline:{PEER_KEY}", f"a=fingerprint:sha-256 {PEER_FINGERPRINT}")
    )
    assert offer.keying is Keying.DTLS
    assert negotiation.create_answer(DTLS)[1].remote_crypto is None


def test_keys_do_not_show() -> None:
    """No representation holds a key."""
    negotiation = OfferAnswer(ids(), allow_sdes=True)
    negotiation.create_offer(SDES)
    parameters = negotiation.receive_answer(sdp(STREAM, f"a=crypto:1 {SUITE_80} inline:{PEER_KEY}"))
    assert PEER_KEY not in repr(parameters)
    assert KEY_80.key_base64 not in repr(parameters)
