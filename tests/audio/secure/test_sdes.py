"""SDES keys from the draw to the context."""

from __future__ import annotations

import base64
import random
from dataclasses import replace

from audio.secure.sdes import generate_keys, keys_of
from audio.secure.srtp import PROFILES, SrtpContext
from sipcore.ids import IdSource
from sipcore.media import PCMU, CryptoKey, Direction, LocalMedia, MediaParameters, Profile
from sipcore.sdp.offer_answer import OfferAnswer

PLAIN = MediaParameters(
    negotiation=1,
    remote_address="192.0.2.1",
    remote_rtp_port=4000,
    remote_rtcp_port=4001,
    direction=Direction.SENDRECV,
    send_codec=PCMU,
    receive_codecs=(PCMU,),
)


def test_generated_keys() -> None:
    """RFC 4568 §6.1: 30 octets for both suites, another key for each line and each call."""
    ids = IdSource(random.Random(1))
    keys = (*generate_keys(ids), *generate_keys(ids))
    assert [(key.tag, key.suite) for key in keys[:2]] == [
        (1, "AES_CM_128_HMAC_SHA1_80"),
        (2, "AES_CM_128_HMAC_SHA1_32"),
    ]
    assert {len(base64.b64decode(key.key_base64)) for key in keys} == {30}
    assert len({key.key_base64 for key in keys}) == 4
    assert [len(base64.b64decode(key.key_base64)) for key in generate_keys(ids, PROFILES)] == [28, 30, 30]


def test_a_small_draw_keeps_its_length() -> None:
    """Leading zero octets count."""

    class Zero:
        def getrandbits(self, k: int, /) -> int:
            return 1

        def uniform(self, a: float, b: float) -> float:
            return a

    key = generate_keys(IdSource(Zero()))[0]
    assert base64.b64decode(key.key_base64) == bytes(29) + b"\1"


def test_plain_parameters_have_none() -> None:
    """Nor have half-agreed ones."""
    assert keys_of(PLAIN) is None
    assert keys_of(replace(PLAIN, local_crypto=CryptoKey(1, "AES_CM_128_HMAC_SHA1_80", "A" * 40))) is None


def test_two_phones_agree() -> None:
    """Offer, answer, and a packet each way."""
    sides = []
    for seed in (1, 2):
        ids = IdSource(random.Random(seed))
        local = LocalMedia(
            address=f"192.0.2.{seed}",
            rtp_port=4000,
            rtcp_port=4001,
            profile=Profile.RTP_SAVP,
            crypto=generate_keys(ids, PROFILES if seed == 1 else PROFILES[1:]),
        )
        sides.append((OfferAnswer(ids, allow_sdes=True), local))
    (alice, here), (bob, there) = sides
    bob.receive_offer(alice.create_offer(here))
    answer, bobs = bob.create_answer(there)
    keys = keys_of(alice.receive_answer(answer)), keys_of(bobs)
    assert keys[0] is not None
    assert keys[1] is not None
    # Bob has no key for the first suite that Alice offers.
    assert keys[0].profile.sdes == "AES_CM_128_HMAC_SHA1_80"
    packet = bytes.fromhex("800000010000000000000001") + bytes(160)
    one, other = SrtpContext(keys[0]), SrtpContext(keys[1])
    assert other.unprotect_rtp(one.protect_rtp(packet)) == packet
    assert one.unprotect_rtp(other.protect_rtp(packet)) == packet
