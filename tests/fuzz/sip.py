"""Mutated SIP messages against the parsers: nothing but ParseError may come out, however deep one reads.

    python -m tests.fuzz.sip COUNT [SEED]

A failure prints the seed and the bytes; the same seed and count replay it.
"""

import random
import sys
from collections.abc import Callable

from sipcore.auth.challenge import parse_challenges
from sipcore.auth.credentials import Authorization
from sipcore.errors import ParseError
from sipcore.message import fields
from sipcore.message.alert_info import AlertInfo, alert_source
from sipcore.message.fields import (
    CSeq,
    Event,
    MediaType,
    RAck,
    Reason,
    Replaces,
    RetryAfter,
    SessionExpires,
    SubscriptionState,
    Via,
    WarningValue,
)
from sipcore.message.message import Message, Request
from sipcore.message.parse import Keepalive, MalformedMessage, StreamParser, parse_message
from sipcore.message.uri import NameAddr, Uri
from tests.sipcore.message import samples

AUTH = samples.crlf(
    "REGISTER sip:pbx SIP/2.0\n"
    "Via: SIP/2.0/WS a.invalid;branch=z9hG4bK1\n"
    "From: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: x\nCSeq: 2 REGISTER\n"
    'Authorization: Digest username="a\\"b", realm="pbx", nonce="n/=", uri="sip:pbx", response="0123456789abcdef", '
    'algorithm=SHA-256, cnonce="c", opaque="", qop=auth, nc=0000000f, userhash=false\n'
    'Proxy-Authenticate: Digest realm="x", domain="sip:a sip:b", nonce="", stale=TRUE, qop="auth,auth-int,x"\n\n'
)
ALERT = samples.crlf(
    "INVITE sip:1001@phone SIP/2.0\n"
    "Via: SIP/2.0/WS a.invalid;branch=z9hG4bK1\n"
    "From: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: x\nCSeq: 2 INVITE\n"
    "Alert-Info: <urn:alert:source:internal>, <http://pbx/bell.wav>;info=alert-external\n"
    "Alert-Info: info=alert-internal;x-line-id=0\n\n"
)
CORPUS = [*samples.ORDINARY, AUTH, ALERT, *samples.torture().values()]

# Bytes that mean something to some grammar, and some that mean nothing to any.
MEANINGFUL = [
    *(bytes([octet]) for octet in b'\r\n\t ;,:<>@"\\=?&%/[]()*.-+0\x00\x7f\x80\xc3\xff'),
    b"\r\n", b"\r\n\r\n", b"\r\n ", b"%00", b"%zz", b";tag=", b";;", b'"', b"<sip:", b"sips:", b"tel:", b"[::1]",
    b"[:::1.2.3.4]", b"9" * 30, b"-1", b"\xd9\xa3", b"\xed\xa0\x80", b"*", b"SIP/2.0", b"Content-Length: ", b"l:",
    b"Via:", b"z9hG4bK",
]  # fmt: skip

_FIELDS: list[tuple[str, Callable[[str], object]]] = [
    ("RAck", RAck.parse),
    ("RSeq", fields.parse_rseq),
    ("Retry-After", RetryAfter.parse),
    ("Session-Expires", SessionExpires.parse),
    ("Min-Expires", fields.parse_seconds),
    ("Replaces", Replaces.parse),
    ("Event", Event.parse),
    ("Subscription-State", SubscriptionState.parse),
    ("Refer-To", NameAddr.parse),
    ("Accept", MediaType.parse),
    ("Reason", Reason.parse),
    ("Warning", WarningValue.parse),
    ("P-Asserted-Identity", NameAddr.parse),
    ("Alert-Info", AlertInfo.parse),
    ("Authorization", Authorization.parse),
]

_DERIVED = (
    "tag", "user_part", "branch", "received", "rport", "wants_rport", "cause", "text", "refresher", "duration",
    "reason", "expires", "retry_after", "essence", "id", "host_port", "sent_by", "source",
)  # fmt: skip
_TYPED = (
    "via", "vias", "from_", "to", "call_id", "cseq", "contacts", "contact_is_star", "routes", "record_routes",
    "max_forwards", "expires", "require", "supported", "allow", "content_type",
)  # fmt: skip


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One to four small accidents."""
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(mutant) + 1)
        length = rng.choice((1, 1, 2, 8, 40))
        match rng.randrange(6):
            case 0:
                mutant[place : place + length] = b""
            case 1:
                mutant[place:place] = rng.choice(MEANINGFUL)
            case 2:
                mutant[place : place + length] = rng.choice(MEANINGFUL)
            case 3:
                mutant[place:place] = mutant[place : place + length] * rng.choice((1, 2, 50))
            case 4 if place < len(mutant):
                mutant[place] ^= 1 << rng.randrange(8)
            case _:
                other = rng.choice(CORPUS)
                start = rng.randrange(len(other))
                mutant[place:place] = other[start : start + length * 4]
    return bytes(mutant)


def _touch(read: Callable[[], object]) -> object:
    try:
        return read()
    except ParseError:
        return None


def _look_into(value: object) -> None:
    """Read what a typed value derives, write it, and look into what it holds."""
    if isinstance(value, list | tuple):
        for item in value:
            _look_into(item)
    elif isinstance(value, NameAddr | Uri | Via | CSeq | AlertInfo | fields._WithParams):
        for name in _DERIVED:
            if hasattr(type(value), name):
                _touch(lambda name=name: getattr(value, name))  # type: ignore[misc]
        text = str(value)
        if "\r" in text or "\n" in text:
            raise AssertionError(f"a typed value could add a line: {text!r}")
        if isinstance(value, NameAddr):
            _look_into(value.uri)
        if isinstance(value, Uri) and not value.equivalent(value):
            raise AssertionError(f"a URI that differs from itself: {text!r}")


def exhaust(message: Message) -> None:
    """Read every typed property and field of a message, answer it and write it."""
    for name in _TYPED:
        _look_into(_touch(lambda name=name: getattr(message, name)))  # type: ignore[misc]
    for header, parse in _FIELDS:
        for value in _touch(lambda header=header: message.headers.values(header)) or ():  # type: ignore[misc, attr-defined]
            _look_into(_touch(lambda parse=parse, value=value: parse(value)))  # type: ignore[misc]
    alert_source(message.headers.get_all("Alert-Info"))
    for header in ("WWW-Authenticate", "Proxy-Authenticate"):
        for challenge in parse_challenges(message.headers.get_all(header)):
            str(challenge)
    if isinstance(message, Request):
        bytes(message.response(180, to_tag="t"))
    written = bytes(message)
    if parse_message(written).cseq != message.cseq:
        raise AssertionError("written and read again it is another message")


def try_one(data: bytes) -> bool:
    """Feed one input to both parsers; whether the datagram parser took it. Raises whatever is not a ParseError."""
    try:
        for item in StreamParser().feed(data):
            if not isinstance(item, Keepalive):
                exhaust(item)
    except ParseError:
        pass
    try:
        message = parse_message(data)
    except MalformedMessage as error:
        response = error.response("t")
        if response is not None:
            bytes(response)
        return False
    exhaust(message)
    return True


def run(count: int, seed: int = 0) -> int:
    """Try `count` mutants; returns how many were still messages."""
    rng = random.Random(seed)
    accepted = 0
    for number in range(count):
        data = mutate(rng, rng.choice(CORPUS))
        try:
            accepted += try_one(data)
        except Exception:
            print(f"seed {seed}, mutant {number}: {data!r}", file=sys.stderr)
            raise
    return accepted


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{run(total, int(sys.argv[2]) if len(sys.argv) > 2 else 0)} of {total} mutants were still messages")
