"""Challenges: RFC 7616 §3.3, RFC 3261 §20.44 and §22.4."""

import pytest

from sipcore.auth.challenge import Challenge, parse_challenges
from sipcore.errors import ParseError


def test_the_example_of_20_27() -> None:
    challenge = Challenge.parse(
        'Digest realm="atlanta.com", domain="sip:ss1.carrier.com", qop="auth", '
        'nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5'
    )
    assert challenge == Challenge(
        realm="atlanta.com",
        nonce="f84f1cec41e6cbe5aea9c8e88d359",
        opaque="",
        algorithm="MD5",
        qop=("auth",),
        domain=("sip:ss1.carrier.com",),
    )


def test_everything_else_it_may_hold() -> None:
    challenge = Challenge.parse(
        'digest  nonce = "a,b=\\"c\\"" ,realm="R, S" , , stale="true",qop="auth-int , AUTH,x",userhash=TRUE,'
        'domain="sip:a sip:b",new="unknown", charset=UTF-8,algorithm=sha-256-sess,'
    )
    assert challenge == Challenge(
        realm="R, S",
        nonce='a,b="c"',
        algorithm="sha-256-sess",
        qop=("auth-int", "auth", "x"),
        stale=True,
        domain=("sip:a", "sip:b"),
        userhash=True,
    )
    assert Challenge.parse(str(challenge)) == challenge


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Digest realm="a"',
        'Digest nonce="a"',
        'Digest realm="a" nonce="b"',
        'Digest realm="a", nonce="b',
        'Digest realm="a", realm="b", nonce="c"',
        "Digest " + ", ".join(f"p{i}=1" for i in range(100)),
        '"Digest" realm="a", nonce="b"',
    ],
)
def test_malformed(value: str) -> None:
    with pytest.raises(ParseError):
        Challenge.parse(value)


def test_what_is_not_understood_is_ignored() -> None:
    """RFC 8760 §2.4; RFC 4475 §3.3.7 has such a scheme."""
    values = ["Basic realm=x", "NoOneKnowsThisScheme opaque-data=here", "Digest broken", 'Digest realm="a", nonce="b"']
    assert parse_challenges(values) == [Challenge(realm="a", nonce="b")]
