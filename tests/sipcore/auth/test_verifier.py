"""The server's side against the client's: RFC 7616 §3.3 and §5, RFC 3261 §22.4."""

from dataclasses import replace

import pytest

from sipcore.auth.authenticator import Authenticator, Choice
from sipcore.auth.challenge import Challenge
from sipcore.auth.credentials import Authorization, Credentials
from sipcore.auth.verifier import Verdict, Verifier
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from tests.sipcore.auth.messages import ids, request

USERS = {"1001": "secret", "Jäsøn": "Pässwort: 1"}
REALM = "pbx.example.com"


def verifier(**options: object) -> Verifier:
    return Verifier(REALM, USERS, ids(7), **options)  # type: ignore[arg-type]


def challenge(server: Verifier, now: float, *, stale: bool = False) -> Response:
    values = [(server.challenge_header, value) for value in server.challenges(now, stale=stale)]
    return Response(server.status, "", Headers(values))


def signed(
    server: Verifier, message: Request, now: float = 0.0, user: str = "1001", password: str = "secret"
) -> Request:
    renewed = Authenticator(Credentials(user, password), ids(3)).answer(message, challenge(server, now))
    assert renewed is not None
    return renewed


def tampered(server: Verifier, message: Request, **changes: object) -> Request:
    value = message.headers.get(server.credentials_header)
    assert value is not None
    credentials = Authorization.parse(value)
    assert credentials is not None
    message.headers.set(server.credentials_header, str(replace(credentials, **changes)))  # type: ignore[arg-type]
    return message


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"])
@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int",), ("auth", "auth-int")])
@pytest.mark.parametrize("proxy", [False, True])
def test_both_sides_agree(algorithm: str, qop: tuple[str, ...], proxy: bool) -> None:
    server = verifier(algorithms=(algorithm,), qop=qop, proxy=proxy)
    for user, password in USERS.items():
        message = signed(server, request("MESSAGE", body=b"\x00body"), user=user, password=password)
        verification = server.verify(message, 1.0)
        assert (verification.verdict, verification.username) == (Verdict.ACCEPTED, user)


def test_the_strongest_is_offered_first() -> None:
    values = [Challenge.parse(value) for value in verifier().challenges(0.0)]
    assert [value.algorithm for value in values if value] == ["SHA-256", "MD5"]
    strong = Authenticator(Credentials("1001", "secret"), ids(), choice=Choice.STRONGEST)
    server = verifier(algorithms=("MD5", "SHA-512-256"))
    renewed = strong.answer(request(), challenge(server, 0.0))
    assert renewed is not None
    assert server.verify(renewed, 0.0).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "header", [None, "Basic x", 'Digest username="1001", realm="other", nonce="n", uri="u", response="0"']
)
def test_missing(header: str | None) -> None:
    message = request()
    if header is not None:
        message.headers.add("Authorization", header)
    assert verifier().verify(message, 0.0).verdict is Verdict.MISSING


def test_malformed() -> None:
    message = request()
    message.headers.add("Authorization", "Digest nonsense")
    assert verifier().verify(message, 0.0).verdict is Verdict.MALFORMED


@pytest.mark.parametrize(("user", "password"), [("1001", "Secret"), ("1001", ""), ("1002", "secret"), ("", "")])
def test_wrong_credentials(user: str, password: str) -> None:
    server = verifier()
    assert server.verify(signed(server, request(), user=user, password=password), 0.0).verdict is Verdict.REJECTED


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "forged"},
        {"nonce": "0.x.y"},
        {"uri": "sip:elsewhere"},
        {"algorithm": "MD5-sess"},
        {"algorithm": "SHA-512-256"},
        {"qop": "auth-int"},
        {"qop": None, "nc": None, "cnonce": None},
        {"nc": 2},
        {"cnonce": "other"},
        {"username": "Jäsøn"},
        {"username": "0" * 64, "userhash": True},
        {"response": "0" * 64},
    ],
)
def test_tampering(changes: dict[str, object]) -> None:
    server = verifier(algorithms=("SHA-256",))
    message = tampered(server, signed(server, request()), **changes)
    assert server.verify(message, 0.0).verdict is Verdict.REJECTED


def test_another_method_or_uri_or_body() -> None:
    server = verifier(qop=("auth-int",))
    for method, uri, body in (
        ("INVITE", "sip:pbx.example.com", b""),
        ("REGISTER", "sip:other.example.com", b""),
        ("REGISTER", "sip:pbx.example.com", b"x"),
    ):
        stolen = request(method, uri, body)
        stolen.headers.add("Authorization", signed(server, request()).headers.get("Authorization") or "")
        assert server.verify(stolen, 0.0).verdict is Verdict.REJECTED


def test_a_nonce_of_another_server_is_foreign() -> None:
    other = Verifier(REALM, USERS, ids(8))
    assert verifier().verify(signed(other, request()), 0.0).verdict is Verdict.REJECTED


def test_a_count_is_good_once() -> None:
    """RFC 7616 §5.12: replays."""
    server = verifier()
    client = Authenticator(Credentials("1001", "secret"), ids(3))
    first = client.answer(request(), challenge(server, 0.0))
    assert first is not None
    second, third = client.authorize(request()), client.authorize(request())
    verdicts = [server.verify(message, 1.0).verdict for message in (first, first, third, second)]
    assert verdicts == [Verdict.ACCEPTED, Verdict.REJECTED, Verdict.ACCEPTED, Verdict.REJECTED]


def test_an_old_nonce_is_stale_and_a_wrong_password_is_not() -> None:
    """RFC 7616 §3.3: stale only if the digest is right for the old nonce."""
    server = verifier(nonce_lifetime_s=60.0)
    client = Authenticator(Credentials("1001", "secret"), ids(3))
    renewed = client.answer(request(), challenge(server, 100.0))
    assert renewed is not None
    assert server.verify(client.authorize(request()), 160.0).verdict is Verdict.ACCEPTED
    assert server.verify(renewed, 160.1).verdict is Verdict.STALE
    wrong = signed(server, request(), 100.0, password="x")
    assert server.verify(wrong, 160.1).verdict is Verdict.REJECTED
    again = client.answer(renewed, challenge(server, 161.0, stale=True))
    assert again is not None
    assert server.verify(again, 161.0).verdict is Verdict.ACCEPTED


def test_a_nonce_from_the_future_is_stale() -> None:
    server = verifier()
    assert server.verify(signed(server, request(), 100.0), 50.0).verdict is Verdict.STALE


def test_userhash() -> None:
    server = verifier(algorithms=("SHA-256",))
    value = server.challenges(0.0)[0] + ", userhash=true"
    response = Response(401, "", Headers([("WWW-Authenticate", value)]))
    renewed = Authenticator(Credentials("Jäsøn", USERS["Jäsøn"]), ids(3)).answer(request(), response)
    assert renewed is not None
    assert server.verify(renewed, 0.0).username == "Jäsøn"


def test_a_changed_password_counts_at_once() -> None:
    users = {"1001": "old"}
    server = Verifier(REALM, users, ids(7))
    message = signed(server, request(), password="old")
    users["1001"] = "new"
    assert server.verify(message, 0.0).verdict is Verdict.REJECTED
    assert server.verify(signed(server, request(), password="new"), 0.0).verdict is Verdict.ACCEPTED


def test_counts_are_forgotten_with_their_nonces() -> None:
    server = verifier(nonce_lifetime_s=10.0)
    for second in range(100):
        assert server.verify(signed(server, request(), float(second)), float(second)).verdict is Verdict.ACCEPTED
    assert len(server._counts) <= 12


def test_unsupported_algorithms_are_a_mistake_of_the_caller() -> None:
    for algorithms in ((), ("SHA-3",)):
        with pytest.raises(ValueError):
            verifier(algorithms=algorithms)
