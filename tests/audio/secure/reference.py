"""SRTP written a second time, slowly and straight from the RFCs, to hold libsrtp's output against (RFC 3711, RFC 7714).

Itself held against the published vectors in test_vectors.py. First packets only: the rollover counter is 0.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LABEL_ENCRYPTION, LABEL_AUTHENTICATION, LABEL_SALT = 0x00, 0x01, 0x02


def aes_cm(key: bytes, salt: bytes, length: int, *, ssrc: int = 0, index: int = 0) -> bytes:
    """The keystream of RFC 3711 §4.1.1."""
    iv = (int.from_bytes(salt, "big") << 16) ^ (ssrc << 64) ^ (index << 16)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return encryptor.update(bytes(length))


def derive(master_key: bytes, master_salt: bytes, label: int, length: int) -> bytes:
    """The key derivation of RFC 3711 §4.3.1, with a derivation rate of 0; a 96-bit salt is filled up (RFC 7714 §11)."""
    salt = master_salt.ljust(14, b"\0")
    x = int.from_bytes(salt, "big") ^ (label << 48)
    return aes_cm(master_key, x.to_bytes(14, "big"), length)


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


@dataclass(frozen=True)
class SessionKeys:
    """What one direction encrypts with."""

    encryption: bytes
    salt: bytes
    authentication: bytes = b""

    @classmethod
    def of(cls, master: bytes, salt_octets: int) -> SessionKeys:
        key, salt = master[:16], master[16:]
        return cls(
            derive(key, salt, LABEL_ENCRYPTION, 16),
            derive(key, salt, LABEL_SALT, salt_octets),
            derive(key, salt, LABEL_AUTHENTICATION, 20),
        )


def protect_cm(keys: SessionKeys, packet: bytes, tag_octets: int) -> bytes:
    """AES-CM with HMAC-SHA1 (RFC 3711 §3.3) of a packet with a plain 12-octet header."""
    header, payload = packet[:12], packet[12:]
    sequence, ssrc = int.from_bytes(header[2:4], "big"), int.from_bytes(header[8:12], "big")
    stream = aes_cm(keys.encryption, keys.salt, len(payload), ssrc=ssrc, index=sequence)
    protected = header + xor(payload, stream)
    return protected + hmac.digest(keys.authentication, protected + bytes(4), "sha1")[:tag_octets]


def gcm_iv(salt: bytes, packet: bytes) -> bytes:
    """RFC 7714 §8.1: two zero octets, SSRC, rollover counter, sequence number, all under the salt."""
    return xor(bytes(2) + packet[8:12] + bytes(4) + packet[2:4], salt)


def protect_gcm(keys: SessionKeys, packet: bytes) -> bytes:
    """AEAD_AES_128_GCM (RFC 7714 §8) of a packet with a plain 12-octet header."""
    header, payload = packet[:12], packet[12:]
    return header + AESGCM(keys.encryption).encrypt(gcm_iv(keys.salt, packet), payload, header)
