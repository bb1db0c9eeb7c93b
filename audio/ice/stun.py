"""STUN Binding messages with short-term credentials, as connectivity checks use them (RFC 8489, RFC 8445 §7).

0                   2                   4                                      20
| 00 + message type | length            | magic cookie, transaction id         | attributes ...
"""

from __future__ import annotations

import hmac
import ipaddress
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.errors import ParseError

if TYPE_CHECKING:
    from audio.core.ports import Address

MAGIC_COOKIE = 0x2112A442
REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
ROLE_CONFLICT = 487

_HEADER = 20
_TRANSACTION = slice(8, 20)
_USERNAME, _INTEGRITY, _ERROR_CODE, _XOR_MAPPED = 0x0006, 0x0008, 0x0009, 0x0020
_PRIORITY, _USE_CANDIDATE, _FINGERPRINT = 0x0024, 0x0025, 0x8028
_CONTROLLED, _CONTROLLING = 0x8029, 0x802A
_UNDERSTOOD = frozenset({_USERNAME, _INTEGRITY, _ERROR_CODE, _XOR_MAPPED, _PRIORITY, _USE_CANDIDATE})
_COMPREHENSION_OPTIONAL = 0x8000
_FINGERPRINT_XOR = 0x5354554E
_INTEGRITY_OCTETS = 20
_MAX_ATTRIBUTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StunMessage:
    """A Binding message; a field that is None stands for an attribute that is not there."""

    kind: int
    """``REQUEST``, ``INDICATION``, ``SUCCESS`` or ``ERROR``."""

    transaction_id: bytes
    """96 bits."""

    username: str | None = None
    priority: int | None = None
    use_candidate: bool = False
    controlling: int | None = None
    """The tie-breaker of a sender that has the controlling role."""

    controlled: int | None = None
    mapped: Address | None = None
    """XOR-MAPPED-ADDRESS: where the request came from, as its receiver saw it."""

    error: int | None = None

    def serialise(self, key: str) -> bytes:
        """With MESSAGE-INTEGRITY under ``key`` and FINGERPRINT."""
        attributes: list[tuple[int, bytes]] = []
        if self.username is not None:
            attributes.append((_USERNAME, self.username.encode()))
        if self.priority is not None:
            attributes.append((_PRIORITY, self.priority.to_bytes(4, "big")))
        if self.use_candidate:
            attributes.append((_USE_CANDIDATE, b""))
        if self.controlling is not None:
            attributes.append((_CONTROLLING, self.controlling.to_bytes(8, "big")))
        if self.controlled is not None:
            attributes.append((_CONTROLLED, self.controlled.to_bytes(8, "big")))
        if self.mapped is not None:
            attributes.append((_XOR_MAPPED, _xor_mapped(self.mapped, self.transaction_id)))
        if self.error is not None:
            attributes.append((_ERROR_CODE, bytes([0, 0, self.error // 100, self.error % 100])))
        body = b"".join(_attribute(number, value) for number, value in attributes)
        # RFC 8489 §14.5: the length counts up to and including the attribute that is being computed.
        head = self._head(len(body) + 4 + _INTEGRITY_OCTETS)
        body += _attribute(_INTEGRITY, hmac.digest(key.encode(), head + body, "sha1"))
        head = self._head(len(body) + 8)
        return head + body + _attribute(_FINGERPRINT, _fingerprint(head + body))

    def _head(self, length: int) -> bytes:
        cookie = MAGIC_COOKIE.to_bytes(4, "big")
        return self.kind.to_bytes(2, "big") + length.to_bytes(2, "big") + cookie + self.transaction_id


def _attribute(number: int, value: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def _fingerprint(data: bytes) -> bytes:
    return (zlib.crc32(data) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


def _mask(transaction_id: bytes, octets: int) -> int:
    return int.from_bytes((MAGIC_COOKIE.to_bytes(4, "big") + transaction_id)[:octets], "big")


def _xor_mapped(address: Address, transaction_id: bytes) -> bytes:
    host = ipaddress.ip_address(address[0])
    octets = len(host.packed)
    family = 1 if octets == 4 else 2
    port = address[1] ^ (MAGIC_COOKIE >> 16)
    masked = int(host) ^ _mask(transaction_id, octets)
    return bytes([0, family]) + port.to_bytes(2, "big") + masked.to_bytes(octets, "big")


def kind_untrusted(data: bytes) -> int:
    """What a datagram claims to be: ``REQUEST``, ``SUCCESS`` or something else."""
    return int.from_bytes(data[:2], "big")


def transaction_id_untrusted(data: bytes) -> bytes:
    """Which exchange a datagram claims to belong to."""
    return data[_TRANSACTION]


def parse_untrusted(data: bytes, key: str) -> StunMessage:
    """Read a message and check its integrity under ``key`` and its fingerprint.

    Raises :class:`ParseError` for what is malformed, forged, not about Binding, or has an attribute that must be
    understood and is not. An indication may come without integrity (RFC 8445 §11 keep-alives).
    """
    if len(data) < _HEADER or int.from_bytes(data[2:4], "big") != len(data) - _HEADER or len(data) % 4:
        raise ParseError("STUN message of another length than it says")
    kind = int.from_bytes(data[:2], "big")
    if kind not in (REQUEST, INDICATION, SUCCESS, ERROR) or int.from_bytes(data[4:8], "big") != MAGIC_COOKIE:
        raise ParseError("not a STUN Binding message")
    attributes, integrity = _attributes_untrusted(data)
    if kind != INDICATION:
        # RFC 8445 §7: both mechanisms are a must in connectivity checks.
        if _FINGERPRINT not in attributes:
            raise ParseError("STUN message without fingerprint")
        _check_integrity(data, integrity, key)
    unknown = [n for n in attributes if n < _COMPREHENSION_OPTIONAL and n not in _UNDERSTOOD]
    if unknown and kind == REQUEST:
        raise ParseError("STUN attribute that must be understood")
    return _message(kind, data[_TRANSACTION], attributes)


def _attributes_untrusted(data: bytes) -> tuple[dict[int, bytes], int | None]:
    """The attributes that integrity covers, and where MESSAGE-INTEGRITY stands."""
    attributes: dict[int, bytes] = {}
    integrity: int | None = None
    place = _HEADER
    for _ in range(_MAX_ATTRIBUTES):
        if place == len(data):
            return attributes, integrity
        number, length = (
            int.from_bytes(data[place : place + 2], "big"),
            int.from_bytes(data[place + 2 : place + 4], "big"),
        )
        value = data[place + 4 : place + 4 + length]
        if len(value) != length:
            raise ParseError("STUN attribute longer than its message")
        if number == _FINGERPRINT:
            head = data[:2] + (place + 8 - _HEADER).to_bytes(2, "big") + data[4:place]
            if value != _fingerprint(head) or place + 8 != len(data):
                raise ParseError("STUN fingerprint does not match")
            attributes[number] = value
        elif integrity is None:
            # RFC 8489 §14.5: what follows MESSAGE-INTEGRITY, other than FINGERPRINT, is ignored.
            if number == _INTEGRITY:
                integrity = place
            attributes.setdefault(number, value)
        place += 4 + length + (-length % 4)
    raise ParseError("STUN message with too many attributes")


def _check_integrity(data: bytes, place: int | None, key: str) -> None:
    if place is None:
        raise ParseError("STUN message without integrity")
    head = data[:2] + (place + 4 + _INTEGRITY_OCTETS - _HEADER).to_bytes(2, "big") + data[4:place]
    if not hmac.compare_digest(
        hmac.digest(key.encode(), head, "sha1"), data[place + 4 : place + 4 + _INTEGRITY_OCTETS]
    ):
        raise ParseError("STUN integrity does not match")


def _message(kind: int, transaction_id: bytes, attributes: dict[int, bytes]) -> StunMessage:
    username = attributes.get(_USERNAME)
    error = attributes.get(_ERROR_CODE)
    return StunMessage(
        kind=kind,
        transaction_id=transaction_id,
        username=username.decode("utf-8", "replace") if username is not None else None,
        priority=_number(attributes.get(_PRIORITY), 4),
        use_candidate=_USE_CANDIDATE in attributes,
        controlling=_number(attributes.get(_CONTROLLING), 8),
        controlled=_number(attributes.get(_CONTROLLED), 8),
        mapped=_mapped(attributes.get(_XOR_MAPPED), transaction_id),
        error=(error[2] & 7) * 100 + error[3] if error is not None and len(error) >= 4 else None,
    )


def _number(value: bytes | None, octets: int) -> int | None:
    return int.from_bytes(value, "big") if value is not None and len(value) == octets else None


def _mapped(value: bytes | None, transaction_id: bytes) -> Address | None:
    if value is None or len(value) not in (8, 20):
        return None
    octets = len(value) - 4
    host = int.from_bytes(value[4:], "big") ^ _mask(transaction_id, octets)
    address = ipaddress.IPv4Address(host) if octets == 4 else ipaddress.IPv6Address(host)
    return str(address), int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16)
