"""Digest arithmetic against published vectors: RFC 2617 §3.5, RFC 7616 §3.9 (and its erratum 4897), RFC 8760."""

import hashlib

import pytest

from sipcore.auth.challenge import Challenge
from sipcore.auth.credentials import Authorization, Credentials, digest, is_supported, respond, user_hash
from sipcore.errors import ParseError

MUFASA_7616 = Credentials("Mufasa", "Circle of Life")
NONCE_7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE_7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_rfc_2617_3_5() -> None:
    response = digest(
        Credentials("Mufasa", "Circle Of Life"),
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        uri="/dir/index.html",
        method="GET",
        qop="auth",
        nc=1,
        cnonce="0a4f113b",
    )
    assert response == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_3_9_1(algorithm: str, response: str) -> None:
    challenge = Challenge.parse(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE_7616}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert challenge is not None
    answer = respond(challenge, MUFASA_7616, method="GET", uri="/dir/index.html", body=b"", nc=1, cnonce=CNONCE_7616)
    assert answer.response == response
    assert str(answer) == (
        f'Digest username="Mufasa", realm="http-auth@example.org", nonce="{NONCE_7616}", uri="/dir/index.html", '
        f'response="{response}", algorithm={algorithm}, cnonce="{CNONCE_7616}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001'
    )
    assert Authorization.parse(str(answer)) == answer


def test_rfc_7616_3_9_2_with_erratum_4897() -> None:
    """The printed figures are cut from SHA-512; SHA-512/256 has an initial value of its own."""
    assert is_supported("SHA-512-256")
    challenge = Challenge.parse(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    assert challenge is not None
    answer = respond(
        challenge,
        Credentials("Jäsøn Doe", "Secret, or not?"),
        method="GET",
        uri="/doe.json",
        body=b"",
        nc=1,
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    assert answer.userhash
    assert answer.username == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert answer.response == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    printed = hashlib.sha512("Jäsøn Doe:api@example.org".encode()).hexdigest()[:64]
    assert printed == "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec"


def by_hand(name: str, *parts: str) -> str:
    return hashlib.new(name, ":".join(parts).encode()).hexdigest()


@pytest.mark.parametrize(
    ("algorithm", "name"), [("MD5", "md5"), ("sha-256", "sha256"), ("SHA-512-256", "sha512_256"), (None, "md5")]
)
@pytest.mark.parametrize("session", [False, True])
@pytest.mark.parametrize("qop", [None, "auth", "auth-int"])
def test_every_combination_by_the_book(algorithm: str | None, name: str, session: bool, qop: str | None) -> None:
    """RFC 7616 §3.4.2 and §3.4.3, RFC 8760 §2.1, written out."""
    if session:
        algorithm = f"{algorithm or 'MD5'}-sess"
    ha1 = by_hand(name, "u", "r", "p")
    if session:
        ha1 = by_hand(name, ha1, "n", "c")
    a2 = ["INVITE", "sip:x"]
    if qop == "auth-int":
        a2.append(hashlib.new(name, b"body\x00").hexdigest())
    ha2 = by_hand(name, *a2)
    middle = ["n"] if qop is None else ["n", "0000000a", "c", qop]
    response = digest(
        Credentials("u", "p"),
        algorithm=algorithm,
        realm="r",
        nonce="n",
        uri="sip:x",
        method="INVITE",
        qop=qop,
        nc=10,
        cnonce="c",
        body=b"body\x00",
    )
    assert response == by_hand(name, ha1, *middle, ha2)


def test_a_password_does_not_show() -> None:
    assert "secret" not in repr(Credentials("alice", "secret"))
    assert "secret" not in str(Credentials("alice", "secret"))


def test_names_with_quotes_and_backslashes() -> None:
    challenge = Challenge(realm='a "b" \\c', nonce="n", qop=("auth",))
    assert Challenge.parse(str(challenge)) == challenge
    answer = respond(challenge, Credentials('x"y\\z', "p"), method="M", uri="sip:u", body=b"", nc=1, cnonce="c")
    again = Authorization.parse(str(answer))
    assert again == answer
    assert again is not None
    assert again.expected(Credentials('x"y\\z', "p"), "M") == answer.response


def test_user_hash() -> None:
    assert user_hash("MD5", "a", "b") == hashlib.md5(b"a:b").hexdigest()


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="r", nonce="n", uri="u", response="00"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="zz"',
        'Digest username="a", realm="r", nonce="n", uri="u", response="00", qop=auth',
        'Digest username="a", realm="r", nonce="n", uri="u", response="00", qop=auth, cnonce="c", nc=1',
        'Digest username="a", username="b", realm="r", nonce="n", uri="u", response="00"',
        'Digest username="a, realm="r", nonce="n", uri="u", response="00"',
        "",
    ],
)
def test_malformed_credentials(value: str) -> None:
    with pytest.raises(ParseError):
        Authorization.parse(value)


def test_other_schemes_are_none_of_ours() -> None:
    assert Authorization.parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") is None
    assert Authorization.parse("Bearer x") is None
