"""STUN messages: the vectors of RFC 5769, round trips, and what is refused."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.ice.stun import ERROR, INDICATION, REQUEST, SUCCESS, StunMessage, parse_untrusted, transaction_id_untrusted
from sipcore.errors import ParseError

PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST_VECTOR = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
RESPONSE_VECTOR = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RESPONSE_6_VECTOR = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004c8fb0b4c"
)


def test_request_of_rfc5769() -> None:
    """§2.1: integrity and fingerprint hold; padding of spaces, SOFTWARE passed over."""
    assert parse_untrusted(REQUEST_VECTOR, PASSWORD) == StunMessage(
        kind=REQUEST,
        transaction_id=TRANSACTION,
        username="evtj:h6vY",
        priority=0x6E0001FF,
        controlled=0x932FF9B151263B36,
    )


@pytest.mark.parametrize(
    ("vector", "host"),
    [(RESPONSE_VECTOR, "192.0.2.1"), (RESPONSE_6_VECTOR, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_responses_of_rfc5769(vector: bytes, host: str) -> None:
    """§2.2 and §2.3: XOR-MAPPED-ADDRESS of both families."""
    message = parse_untrusted(vector, PASSWORD)
    assert (message.kind, message.mapped) == (SUCCESS, (host, 32853))
    assert transaction_id_untrusted(vector) == TRANSACTION


_MESSAGES = st.builds(
    StunMessage,
    kind=st.sampled_from([REQUEST, INDICATION, SUCCESS, ERROR]),
    transaction_id=st.binary(min_size=12, max_size=12),
    username=st.none() | st.text("abcdefgh:/+", min_size=1, max_size=40),
    priority=st.none() | st.integers(0, 2**32 - 1),
    use_candidate=st.booleans(),
    controlling=st.none() | st.integers(0, 2**64 - 1),
    controlled=st.none() | st.integers(0, 2**64 - 1),
    mapped=st.none() | st.tuples(st.sampled_from(["192.0.2.7", "2001:db8::7"]), st.integers(0, 65535)),
    error=st.none() | st.integers(300, 699),
)


@given(_MESSAGES, st.text("abcXYZ019+/", min_size=22, max_size=40))
def test_round_trip(message: StunMessage, key: str) -> None:
    """What is written is read back equal, under its own key only."""
    data = message.serialise(key)
    assert len(data) % 4 == 0
    assert parse_untrusted(data, key) == message
    if message.kind != INDICATION:
        with pytest.raises(ParseError):
            parse_untrusted(data, key + "x")


@pytest.mark.parametrize("vector", [REQUEST_VECTOR, RESPONSE_VECTOR, RESPONSE_6_VECTOR])
def test_every_octet_counts(vector: bytes) -> None:
    """One changed bit anywhere is noticed."""
    for place in range(len(vector)):
        bitten = bytearray(vector)
        bitten[place] ^= 0x04
        with pytest.raises(ParseError):
            parse_untrusted(bytes(bitten), PASSWORD)
    for length in range(len(vector)):
        with pytest.raises(ParseError):
            parse_untrusted(vector[:length], PASSWORD)


def test_attributes_after_integrity_are_ignored() -> None:
    """RFC 8489 §14.5: they are not covered by it."""
    data = StunMessage(kind=REQUEST, transaction_id=TRANSACTION, username="a:b").serialise(PASSWORD)
    body = data[4:-8] + b"\x00\x25\x00\x00"
    head = data[:2] + (len(body) + 8 - 16).to_bytes(2, "big")
    fingerprint = (zlib.crc32(head + body) ^ 0x5354554E).to_bytes(4, "big")
    assert parse_untrusted(head + body + b"\x80\x28\x00\x04" + fingerprint, PASSWORD).use_candidate is False


def test_attributes_that_must_be_understood() -> None:
    """RFC 8489 §6.3.1: a request with one is refused."""
    data = b"\x00\x01" + bytes(2) + b"\x21\x12\xa4\x42" + TRANSACTION + b"\x00\x77\x00\x00"
    with pytest.raises(ParseError):
        parse_untrusted(data[:2] + b"\x00\x04" + data[4:], PASSWORD)


def test_noise() -> None:
    """ParseError and nothing else."""
    rng = random.Random(3)
    for _ in range(3000):
        data = bytearray(rng.choice((REQUEST_VECTOR, RESPONSE_VECTOR, RESPONSE_6_VECTOR)))
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = data[: rng.randint(0, len(data))] + rng.randbytes(rng.randint(0, 12))
        if len(data) >= 4:
            data[2:4] = (len(data) - 20).to_bytes(2, "big") if len(data) >= 20 else b"\0\0"
        try:
            parse_untrusted(bytes(data), PASSWORD)
        except ParseError:
            pass
