"""Certificates and fingerprints, RFC 8122."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from audio.secure.certificate import DtlsCertificate, fingerprint_of, matches
from sipcore.media import Fingerprint

OURS = DtlsCertificate.generate()
OTHER = DtlsCertificate.generate()
DER = OURS.certificate.public_bytes(serialization.Encoding.DER)


def _hash(algorithm: str) -> Fingerprint:
    return fingerprint_of(DER, algorithm)


def test_generated_certificate() -> None:
    """P-256, valid now even where a clock is wrong by hours, telling nothing, with the hash of its DER form."""
    key = OURS.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert OURS.certificate.subject.rfc4514_string() == "CN=media"
    now = datetime.now(UTC)
    assert (now - OURS.certificate.not_valid_before_utc).days >= 1
    assert (OURS.certificate.not_valid_after_utc - now).days >= 29
    digest = hashlib.sha256(DER).hexdigest().upper()
    assert OURS.fingerprint == Fingerprint("sha-256", ":".join(digest[i : i + 2] for i in range(0, 64, 2)))
    assert OURS.fingerprint != OTHER.fingerprint
    assert "PrivateKey" not in repr(OURS)


@pytest.mark.parametrize("algorithm", ["sha-1", "sha-224", "sha-256", "sha-384", "sha-512"])
def test_every_hash_is_compared(algorithm: str) -> None:
    """§5: what a peer announces with, we can check."""
    assert matches(OURS.certificate, [_hash(algorithm)])
    assert not matches(OTHER.certificate, [_hash(algorithm)])


def test_the_strongest_hash_decides() -> None:
    """§6.2: one function is selected, any of its values may match."""
    wrong = fingerprint_of(b"other", "sha-256")
    assert matches(OURS.certificate, [wrong, _hash("sha-256")])
    assert matches(OURS.certificate, [fingerprint_of(b"other", "sha-1"), _hash("sha-256")])
    assert not matches(OURS.certificate, [_hash("sha-1"), wrong])


@pytest.mark.parametrize("announced", [[], [Fingerprint("md5", "00")], [Fingerprint("sha-256", "00")]])
def test_nothing_to_compare_with(announced: list[Fingerprint]) -> None:
    """No usable fingerprint, no match."""
    assert not matches(OURS.certificate, announced)
