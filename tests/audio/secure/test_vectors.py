"""Golden vectors: RFC 3711 appendix B, RFC 7714 §16, and libsrtp held against what they prove."""

from __future__ import annotations

import pytest

from audio.secure.srtp import AEAD_AES_128_GCM, AES128_CM_SHA1_32, AES128_CM_SHA1_80, SrtpContext, SrtpKeys
from tests.audio.secure.reference import (
    LABEL_AUTHENTICATION,
    LABEL_ENCRYPTION,
    LABEL_SALT,
    SessionKeys,
    aes_cm,
    derive,
    gcm_iv,
    protect_cm,
    protect_gcm,
)

MASTER_KEY = bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139")
MASTER_SALT = bytes.fromhex("0EC675AD498AFEEBB6960B3AABE6")
PACKET = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
GALLIA = bytes.fromhex("8040f17b8041f8d35501a0b2") + b"Gallia est omnis divisa in partes tres"


def test_aes_cm_of_rfc3711_b2() -> None:
    """B.2: the keystream, its first three and last three blocks."""
    key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    salt = bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
    stream = aes_cm(key, salt, 0xFF02 * 16)
    assert stream[:48].hex() == (
        "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
    )
    assert stream[0xFEFF * 16 :].hex() == (
        "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44"
    )


def test_key_derivation_of_rfc3711_b3() -> None:
    """B.3: cipher key, salt and the first octets of the authentication key."""
    assert derive(MASTER_KEY, MASTER_SALT, LABEL_ENCRYPTION, 16).hex() == "c61e7a93744f39ee10734afe3ff7a087"
    assert derive(MASTER_KEY, MASTER_SALT, LABEL_SALT, 14).hex() == "30cbbc08863d8c85d49db34a9ae1"
    assert derive(MASTER_KEY, MASTER_SALT, LABEL_AUTHENTICATION, 94).hex() == (
        "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef72270986371c10c9a369ac2"
        "f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2"
    )


def test_aes_cm_packet() -> None:
    """A packet under the keys of B.3, as libsrtp publishes it, and as our context makes it."""
    expected = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert protect_cm(SessionKeys.of(MASTER_KEY + MASTER_SALT, 14), PACKET, 10) == expected
    context = SrtpContext(SrtpKeys(AES128_CM_SHA1_80, MASTER_KEY + MASTER_SALT, MASTER_KEY + MASTER_SALT))
    assert context.protect_rtp(PACKET) == expected
    assert context.unprotect_rtp(expected) == PACKET


def test_aes_cm_packet_with_a_short_tag() -> None:
    """The same with 32 bits of the tag (RFC 4568 §6.2.2); SRTCP keeps 80."""
    expected = protect_cm(SessionKeys.of(MASTER_KEY + MASTER_SALT, 14), PACKET, 4)
    context = SrtpContext(SrtpKeys(AES128_CM_SHA1_32, MASTER_KEY + MASTER_SALT, MASTER_KEY + MASTER_SALT))
    assert context.protect_rtp(PACKET) == expected
    report = bytes.fromhex("80c90001cafebabe")
    assert len(context.protect_rtcp(report)) == len(report) + 4 + 10


def test_gcm_packet_of_rfc7714_16_1_1() -> None:
    """§16.1.1: session key and salt given, IV and the protected packet."""
    keys = SessionKeys(bytes(range(16)), bytes.fromhex("517569642070726f2071756f"))
    assert gcm_iv(keys.salt, GALLIA).hex() == "51753c6580c2726f20718414"
    assert protect_gcm(keys, GALLIA).hex() == (
        "8040f17b8041f8d35501a0b2"
        "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
        "899d7f27beb16a9152cf765ee4390cce"
    )


def test_gcm_packet_of_ours() -> None:
    """From master key and salt on, libsrtp makes what the RFC's arithmetic makes."""
    master = MASTER_KEY + MASTER_SALT[:12]
    context = SrtpContext(SrtpKeys(AEAD_AES_128_GCM, master, master))
    expected = protect_gcm(SessionKeys.of(master, 12), GALLIA)
    assert context.protect_rtp(GALLIA) == expected
    assert context.unprotect_rtp(expected) == GALLIA


@pytest.mark.parametrize("octets", [0, 27, 29, 30])
def test_key_length_is_checked(octets: int) -> None:
    """A wrong length would be read past, or leave key bits at zero."""
    with pytest.raises(ValueError, match="octets"):
        SrtpKeys(AEAD_AES_128_GCM, bytes(octets), bytes(28))
