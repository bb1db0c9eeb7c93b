"""The certificate an engine shows in DTLS handshakes: self-signed, made anew each run, known by its hash (RFC 8122).

generate ─▶ DtlsCertificate ─ fingerprint ─▶ LocalMedia.fingerprint ─▶ a=fingerprint
                          └─ certificate, key ─▶ DtlsTransport
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sipcore.media import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALGORITHMS = {"sha-1": "sha1", "sha-224": "sha224", "sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
"""Weakest first; MD5 and MD2 are in RFC 8122 §5 but MUST NOT be used."""

_BEFORE = timedelta(days=1)
_AFTER = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class DtlsCertificate:
    """A P-256 key with a certificate. The subject says nothing about machine or user."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    fingerprint: Fingerprint

    @classmethod
    def generate(cls) -> DtlsCertificate:
        """A new one, in a millisecond or so. RFC 8827 §6.5 names P-256 as what everybody must accept."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # Nobody but a hash vouches for it, so the dates only have to survive a wrong clock.
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, fingerprint_of(_der(certificate), "sha-256"))


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def fingerprint_of(der: bytes, algorithm: str) -> Fingerprint:
    """The hash of a certificate in its DER form. KeyError for an ``algorithm`` we do not know."""
    return Fingerprint(algorithm, hashlib.new(_ALGORITHMS[algorithm], der).digest().hex(":").upper())


def matches(certificate: x509.Certificate, announced: Sequence[Fingerprint]) -> bool:
    """Whether the far end's certificate is the one its signalling announced.

    RFC 8122 §6.2: of several hash functions one is selected, here the strongest we know; a certificate that has any of
    its announced values is accepted.
    """
    known = [algorithm for algorithm in _ALGORITHMS if any(f.algorithm == algorithm for f in announced)]
    return bool(known) and fingerprint_of(_der(certificate), known[-1]) in announced
