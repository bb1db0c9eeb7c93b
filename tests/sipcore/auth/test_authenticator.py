"""The client's side: RFC 3261 §22, RFC 7616 §3.6, RFC 8760 §2.4."""

import pytest

from sipcore.auth.authenticator import MAX_ANSWERS, Authenticator, Choice, Refusal
from sipcore.auth.credentials import Authorization, Credentials
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from tests.sipcore.auth.messages import challenged, ids, request

ALICE = Credentials("1001", "secret")


def authenticator(choice: Choice = Choice.TOPMOST) -> Authenticator:
    return Authenticator(ALICE, ids(), choice=choice)


def challenge(nonce: str, realm: str = "pbx", extra: str = "", algorithm: str = "MD5") -> str:
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{extra}'


STALE = ", stale=true"


def sent(message: Request, name: str = "Authorization") -> list[Authorization]:
    found = [Authorization.parse(value) for value in message.headers.get_all(name)]
    return [item for item in found if item is not None]


def answered(auth: Authenticator, message: Request, response: Response) -> Request:
    renewed = auth.answer(message, response)
    assert renewed is not None
    assert auth.refusal is None
    return renewed


def test_a_challenge_is_answered() -> None:
    auth, original = authenticator(), request()
    renewed = answered(auth, original, challenged(challenge("n1", extra=', opaque="o"')))
    (credentials,) = sent(renewed)
    assert (credentials.realm, credentials.nonce, credentials.opaque, credentials.nc) == ("pbx", "n1", "o", 1)
    assert (credentials.username, credentials.uri, credentials.qop) == ("1001", "sip:pbx.example.com", "auth")
    assert credentials.response == credentials.expected(ALICE, "REGISTER")
    assert "Authorization" not in original.headers
    assert auth.carries_fresh(renewed)
    assert not auth.carries_fresh(original)


def test_the_digest_uri_is_the_request_uri() -> None:
    message = request("INVITE", "sip:600@pbx.example.com;transport=ws")
    (credentials,) = sent(answered(authenticator(), message, challenged(challenge("n"))))
    assert credentials.uri == "sip:600@pbx.example.com;transport=ws"


def test_a_proxy_is_answered_in_its_own_header() -> None:
    renewed = answered(authenticator(), request("INVITE"), challenged(challenge("n"), status=407))
    assert len(sent(renewed, "Proxy-Authorization")) == 1
    assert sent(renewed) == []


def test_a_remembered_nonce_is_used_unasked_with_a_rising_count() -> None:
    """RFC 7616 §3.4: nc is "the count of the number of requests ... that the client has sent with the nonce"."""
    auth = authenticator()
    assert sent(auth.authorize(request())) == []
    answered(auth, request(), challenged(challenge("n1")))
    second, third = sent(auth.authorize(request()))[0], sent(auth.authorize(request("OPTIONS")))[0]
    assert [(c.nonce, c.nc) for c in (second, third)] == [("n1", 2), ("n1", 3)]
    assert second.cnonce != third.cnonce
    assert third.response == third.expected(ALICE, "OPTIONS")


def test_authorize_replaces_and_leaves_ack_and_cancel_alone() -> None:
    """§22.1: ACK and CANCEL carry the credentials of their INVITE, copied by whoever makes them."""
    auth = authenticator()
    answered(auth, request(), challenged(challenge("n1")))
    twice = auth.authorize(auth.authorize(request()))
    assert len(sent(twice)) == 1
    for method in ("ACK", "CANCEL"):
        assert sent(auth.authorize(request(method))) == []
        assert auth.answer(request(method), challenged(challenge("n2"))) is None
        assert auth.refusal is Refusal.UNSUPPORTED


def test_rejected_credentials_are_never_replayed() -> None:
    """§22.1, and not sent unasked afterwards either."""
    auth = authenticator()
    renewed = answered(auth, request(), challenged(challenge("n1")))
    assert auth.answer(renewed, challenged(challenge("n2"))) is None
    assert auth.refusal is Refusal.REJECTED
    assert auth.rejected_fresh
    assert sent(auth.authorize(request())) == []


def test_a_stale_nonce_is_no_rejection_but_has_its_limit() -> None:
    auth = authenticator()
    first = answered(auth, request(), challenged(challenge("n1")))
    second = answered(auth, first, challenged(challenge("n2", extra=STALE)))
    assert [c.nonce for c in sent(second)] == ["n2"]
    assert auth.answer(second, challenged(challenge("n3", extra=STALE))) is None
    assert auth.refusal is Refusal.TOO_MANY
    assert not auth.rejected_fresh


def test_stale_and_then_refused_is_rejected() -> None:
    auth = authenticator()
    first = answered(auth, request(), challenged(challenge("n1")))
    second = answered(auth, first, challenged(challenge("n2", extra=STALE)))
    assert auth.answer(second, challenged(challenge("n3"))) is None
    assert auth.rejected_fresh


def test_an_expired_nonce_sent_unasked_is_answered_whether_called_stale_or_not() -> None:
    for extra in ("", STALE):
        auth = authenticator()
        answered(auth, request(), challenged(challenge("n1")))
        unasked = auth.authorize(request())
        assert not auth.carries_fresh(unasked)
        renewed = answered(auth, unasked, challenged(challenge("n2", extra=extra)))
        assert [(c.nonce, c.nc) for c in sent(renewed)] == [("n2", 1)]
        assert auth.answer(renewed, challenged(challenge("n3"))) is None
        assert auth.rejected_fresh


def test_proxy_and_registrar_in_turn() -> None:
    """A 407 answered and then a 401: both sets travel on, the first with its next count."""
    auth = authenticator()
    first = answered(auth, request("INVITE"), challenged(challenge("p1", "proxy"), status=407))
    second = answered(auth, first, challenged(challenge("s1", "server")))
    assert [(c.realm, c.nonce, c.nc) for c in sent(second, "Proxy-Authorization")] == [("proxy", "p1", 2)]
    assert [(c.realm, c.nonce, c.nc) for c in sent(second)] == [("server", "s1", 1)]
    assert auth.answer(second, challenged(challenge("p2", "proxy"), status=407)) is None
    assert auth.rejected_fresh


def test_all_realms_of_one_response_are_answered() -> None:
    """§22.3: a forking proxy collects the challenges of every branch."""
    response = challenged(challenge("a", "one"), challenge("b", "two"), status=407)
    response.headers.add("WWW-Authenticate", challenge("c", "three"))
    renewed = answered(authenticator(), request("INVITE"), response)
    assert [(c.realm, c.nonce) for c in sent(renewed, "Proxy-Authorization")] == [("one", "a"), ("two", "b")]
    assert [(c.realm, c.nonce) for c in sent(renewed)] == [("three", "c")]


def test_one_refused_realm_refuses_the_request() -> None:
    auth = authenticator()
    first = answered(auth, request("INVITE"), challenged(challenge("a", "one"), status=407))
    both = challenged(challenge("a2", "one"), challenge("b", "two"), status=407)
    assert auth.answer(first, both) is None
    assert auth.rejected_fresh


def test_ever_new_realms_come_to_an_end() -> None:
    auth, message = authenticator(), request("INVITE")
    for number in range(MAX_ANSWERS):
        message = answered(auth, message, challenged(challenge("n", f"realm{number}"), status=407))
    assert auth.answer(message, challenged(challenge("n", "one more"), status=407)) is None
    assert auth.refusal is Refusal.TOO_MANY


@pytest.mark.parametrize(
    ("order", "topmost", "strongest"),
    [
        (["SHA-512-256", "SHA-256", "MD5"], "SHA-512-256", "SHA-512-256"),
        (["MD5", "SHA-256"], "MD5", "SHA-256"),
        (["SHA-3", "MD5", "SHA-256-sess"], "MD5", "SHA-256-sess"),
        (["AKAv1-MD5", "MD5"], "MD5", "MD5"),
    ],
)
def test_which_of_several_challenges(order: list[str], topmost: str, strongest: str) -> None:
    """RFC 8760 §2.4: the topmost that is supported; by choice the strongest, against reordering on the way."""
    response = challenged(*(challenge("n", algorithm=algorithm) for algorithm in order))
    for choice, expected in ((Choice.TOPMOST, topmost), (Choice.STRONGEST, strongest)):
        (credentials,) = sent(answered(authenticator(choice), request(), response))
        assert credentials.algorithm == expected
        assert credentials.response == credentials.expected(ALICE, "REGISTER")


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["Basic realm=x"],
        ['Digest realm="x"'],
        [challenge("n", algorithm="SHA-3")],
        ['Digest realm="x", nonce="y", qop="auth-new"'],
    ],
)
def test_nothing_that_can_be_answered(values: list[str]) -> None:
    auth = authenticator()
    assert auth.answer(request(), challenged(*values)) is None
    assert auth.refusal is Refusal.UNSUPPORTED
    assert not auth.rejected_fresh


def test_qualities_of_protection() -> None:
    """auth is preferred; auth-int covers the body; none at all is RFC 2069."""
    message = request("MESSAGE", body=b"hello")
    for offer, qop in (
        ('qop="auth-int,auth"', "auth"),
        ('qop="auth-int"', "auth-int"),
        ("algorithm=MD5", None),
    ):
        (credentials,) = sent(answered(authenticator(), message, challenged(f'Digest realm="r", nonce="n", {offer}')))
        assert credentials.qop == qop
        assert (credentials.nc is None) == (qop is None)
        assert credentials.response == credentials.expected(ALICE, "MESSAGE", b"hello")
        differs = credentials.expected(ALICE, "MESSAGE", b"hellO") != credentials.response
        assert differs == (qop == "auth-int")


def test_a_session_keeps_its_cnonce() -> None:
    """RFC 7616 §3.4.2: A1 of -sess is made once, of the first nonce and cnonce."""
    auth = authenticator()
    first = sent(answered(auth, request(), challenged(challenge("n", algorithm="MD5-sess"))))[0]
    second = sent(auth.authorize(request()))[0]
    assert (first.cnonce, first.nc, second.nc) == (second.cnonce, 1, 2)
    assert second.response == second.expected(ALICE, "REGISTER")


def test_userhash_hides_the_name() -> None:
    (credentials,) = sent(answered(authenticator(), request(), challenged(challenge("n", extra=", userhash=true"))))
    assert credentials.userhash
    assert credentials.username != "1001"


def test_the_next_nonce_of_a_success() -> None:
    """RFC 7616 §3.5."""
    auth = authenticator()
    renewed = answered(auth, request(), challenged(challenge("n1")))
    auth.learn(renewed, Response(200, "OK", Headers([("Authentication-Info", 'nextnonce="n2", qop=auth')])))
    assert [(c.nonce, c.nc) for c in sent(auth.authorize(request()))] == [("n2", 1)]
    for useless in ("", "nextnonce", 'nextnonce=""', 'nextnonce="x'):
        auth.learn(renewed, Response(200, "OK", Headers([("Authentication-Info", useless)])))
    auth.learn(request(), Response(200, "OK", Headers([("Authentication-Info", 'nextnonce="n9"')])))
    assert [(c.nonce, c.nc) for c in sent(auth.authorize(request()))] == [("n2", 2)]


def test_new_credentials_start_afresh() -> None:
    auth = authenticator()
    renewed = answered(auth, request(), challenged(challenge("n1")))
    assert auth.answer(renewed, challenged(challenge("n2"))) is None
    auth.credentials = Credentials("1001", "changed")
    assert auth.refusal is None
    assert sent(auth.authorize(request())) == []
    (credentials,) = sent(answered(auth, renewed, challenged(challenge("n3"))))
    assert credentials.response == credentials.expected(Credentials("1001", "changed"), "REGISTER")


def test_memory_is_bounded() -> None:
    auth = authenticator()
    for number in range(100):
        answered(auth, request(), challenged(challenge("n", f"realm{number}")))
    assert len(sent(auth.authorize(request()))) == 16
    response = challenged(*(challenge("n", f"other{number}") for number in range(100)))
    assert len(sent(answered(auth, request(), response))) == 16
