"""REGISTER requests and their responses (RFC 3261 §10.2, §22; RFC 5626 §4.2)."""

from __future__ import annotations

import random

import pytest

from sipcore.auth.authenticator import Authenticator
from sipcore.auth.credentials import Credentials
from sipcore.auth.verifier import Verdict as Worth
from sipcore.auth.verifier import Verifier
from sipcore.config import Account, ServerAddress
from sipcore.errors import ParseError
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.message.uri import Uri
from sipcore.resilience.policy import Verdict
from sipcore.resilience.registrar import Accepted, BindingSnapshot, Refused, Registrar

CONTACT = Uri.parse("sip:1001@abc.invalid;transport=ws")
INSTANCE = "urn:uuid:00000000-0000-1000-8000-000A95A0E128"


def ids() -> IdSource:
    return IdSource(random.Random(5))


def registrar(instance_id: str = INSTANCE) -> Registrar:
    account = Account(
        servers=(ServerAddress.parse("wss://pbx.example"),),
        username="1001",
        domain="pbx.example",
        auth_username="1001",
        instance_id=instance_id,
    )
    return Registrar(account, ids(), Authenticator(Credentials("1001", "secret"), ids()))


def ok(request: Request, *headers: tuple[str, str]) -> Response:
    return answer(request, 200, *headers)


def answer(request: Request, status: int, *headers: tuple[str, str]) -> Response:
    response = request.response(status, to_tag="t")
    for name, value in headers:
        response.headers.add(name, value)
    return response


def test_the_request() -> None:
    request = registrar().begin(CONTACT)
    assert str(request.uri) == "sip:pbx.example"
    assert request.from_.uri == request.to.uri == Uri.parse("sip:1001@pbx.example")
    contact = request.contacts[0]
    assert contact.uri == CONTACT
    assert contact.param("+sip.instance") == f"<{INSTANCE}>"
    assert contact.param("reg-id") == "1"
    assert contact.param("expires") == "600"
    assert request.supported == ["path", "outbound", "gruu"]


def test_one_call_id_and_rising_cseq() -> None:
    speaker = registrar()
    first, second = speaker.begin(CONTACT), speaker.begin(CONTACT)
    assert first.call_id == second.call_id
    assert second.cseq.number == first.cseq.number + 1


def test_only_our_own_binding_is_removed() -> None:
    """Never ``*``, which would throw out the account's other devices."""
    request = registrar().begin(CONTACT, removal=True)
    assert request.contacts[0].param("expires") == "0"
    assert not request.contact_is_star


@pytest.mark.parametrize(
    ("headers", "expires"),
    [
        ([("Contact", f"<{CONTACT}>;expires=300")], 300),
        ([("Contact", f"<{CONTACT}>;expires=300"), ("Expires", "900")], 300),
        ([("Contact", f"<{CONTACT}>"), ("Expires", "900")], 900),
        ([], 600),
        ([("Contact", f'<sip:x@192.0.2.1:4>;+sip.instance="<{INSTANCE}>";reg-id=1;expires=77')], 77),
        ([("Contact", "<sip:other@192.0.2.9>;expires=20, <sip:1001@192.0.2.1:4000;transport=WS>;expires=599")], 599),
        ([("Contact", "<sip:other@192.0.2.9>;expires=99999")], 600),
        ([("Contact", "<<<"), ("Expires", "soon")], 600),
    ],
)
def test_granted_expires(headers: list[tuple[str, str]], expires: int) -> None:
    """§10.2.4: our Contact's own value, else Expires, else what was asked for; rewritten Contacts too."""
    speaker = registrar()
    assert speaker.on_response(ok(speaker.begin(CONTACT), *headers)) == Accepted(expires)


def test_outbound_is_confirmed_by_require() -> None:
    speaker = registrar()
    accepted = speaker.on_response(ok(speaker.begin(CONTACT), ("Require", "outbound")))
    assert accepted == Accepted(600, outbound=True)


def test_nothing_granted_is_no_registration() -> None:
    speaker = registrar()
    result = speaker.on_response(ok(speaker.begin(CONTACT), ("Contact", f"<{CONTACT}>;expires=0")))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.TEMPORARY


def test_a_challenge_is_answered_at_once() -> None:
    verifier = Verifier("pbx", {"1001": "secret"}, ids())
    speaker = registrar()
    request = speaker.begin(CONTACT)
    again = speaker.on_response(answer(request, 401, *[("WWW-Authenticate", line) for line in verifier.challenges(0)]))
    assert isinstance(again, Request)
    assert again.cseq.number == request.cseq.number + 1
    assert verifier.verify(again, 0.0).verdict is Worth.ACCEPTED


def test_a_wrong_password_is_recognised() -> None:
    verifier = Verifier("pbx", {"1001": "other"}, ids())
    speaker = registrar()
    result: object = speaker.begin(CONTACT)
    for _ in range(2):
        assert isinstance(result, Request)
        lines = [("WWW-Authenticate", line) for line in verifier.challenges(0)]
        result = speaker.on_response(answer(result, 401, *lines))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.CREDENTIALS
    assert result.credentials_refused


@pytest.mark.parametrize("stale", [1, 2, 3, 4])
def test_stale_nonces_are_answered_at_once(stale: int) -> None:
    """A PBX that restarts calls its own nonces stale; nobody has judged the password."""
    verifier = Verifier("pbx", {"1001": "secret"}, ids())
    speaker = registrar()
    result: object = speaker.begin(CONTACT)
    for count in range(stale + 1):
        assert isinstance(result, Request)
        lines = [("WWW-Authenticate", line) for line in verifier.challenges(0, stale=count > 0)]
        result = speaker.on_response(answer(result, 401, *lines))
    assert isinstance(result, Request)
    assert verifier.verify(result, 0.0).verdict in (Worth.ACCEPTED, Worth.MISSING)


def test_endless_stale_nonces_are_temporary_and_bounded() -> None:
    verifier = Verifier("pbx", {"1001": "secret"}, ids())
    speaker = registrar()
    result: object = speaker.begin(CONTACT)
    sent = 0
    while isinstance(result, Request):
        sent += 1
        lines = [("WWW-Authenticate", line) for line in verifier.challenges(0, stale=True)]
        result = speaker.on_response(answer(result, 401, *lines))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.TEMPORARY
    assert sent <= 9


def test_a_403_to_fresh_credentials_is_a_verdict_on_them() -> None:
    verifier = Verifier("pbx", {"1001": "secret"}, ids())
    speaker = registrar()
    lines = [("WWW-Authenticate", line) for line in verifier.challenges(0)]
    again = speaker.on_response(answer(speaker.begin(CONTACT), 401, *lines))
    assert isinstance(again, Request)
    refused = speaker.on_response(answer(again, 403))
    assert isinstance(refused, Refused)
    assert refused.credentials_refused
    bare = speaker.on_response(answer(registrar().begin(CONTACT), 403))
    assert isinstance(bare, Refused)


def test_423_is_answered_at_once_and_remembered() -> None:
    speaker = registrar()
    again = speaker.on_response(answer(speaker.begin(CONTACT), 423, ("Min-Expires", "1800")))
    assert isinstance(again, Request)
    assert again.contacts[0].param("expires") == "1800"
    assert speaker.begin(CONTACT).contacts[0].param("expires") == "1800"


@pytest.mark.parametrize("headers", [[], [("Min-Expires", "10")], [("Min-Expires", "99999999")]])
def test_a_423_without_a_usable_limit_is_temporary(headers: list[tuple[str, str]]) -> None:
    speaker = registrar()
    result = speaker.on_response(answer(speaker.begin(CONTACT), 423, *headers))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.TEMPORARY


def test_439_is_answered_without_reg_id() -> None:
    """RFC 5626 §11.6: the first hop does not support outbound."""
    speaker = registrar()
    again = speaker.on_response(answer(speaker.begin(CONTACT), 439))
    assert isinstance(again, Request)
    assert again.contacts[0].param("reg-id") is None
    assert again.contacts[0].param("+sip.instance") is not None


def test_a_redirect_names_the_other_host() -> None:
    speaker = registrar()
    result = speaker.on_response(answer(speaker.begin(CONTACT), 302, ("Contact", "<sip:pbx2.example:8443>")))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.REDIRECT
    assert result.redirect is not None
    assert (result.redirect.host, result.redirect.port) == ("pbx2.example", 8443)


def test_a_redirect_to_nowhere_is_permanent() -> None:
    speaker = registrar()
    result = speaker.on_response(answer(speaker.begin(CONTACT), 302))
    assert isinstance(result, Refused)
    assert result.verdict is Verdict.PERMANENT


@pytest.mark.parametrize(("value", "seconds"), [("5", 5.0), ("18000;duration=3600", 3600.0), ("x", None)])
def test_retry_after(value: str, seconds: float | None) -> None:
    speaker = registrar()
    result = speaker.on_response(answer(speaker.begin(CONTACT), 503, ("Retry-After", value)))
    assert isinstance(result, Refused)
    assert result.retry_after_s == seconds


def test_provisional_responses_change_nothing() -> None:
    speaker = registrar()
    assert speaker.on_response(answer(speaker.begin(CONTACT), 100)) is None


def test_another_process_refreshes_the_same_binding() -> None:
    """§10.2: the same Call-ID, and "a UA MUST increment the CSeq value by one for each REGISTER request"."""
    first = registrar()
    requests = [first.begin(CONTACT) for _ in range(30)]
    kept = {first.snapshot("abc.invalid")}
    second = registrar()
    second.restore_untrusted(kept.pop())
    again = second.begin(CONTACT)
    assert again.call_id == requests[0].call_id
    assert again.cseq.number > requests[-1].cseq.number
    assert second.snapshot("abc.invalid").cseq > again.cseq.number


def test_what_is_kept_of_a_binding_changes_once_in_a_hundred_requests() -> None:
    """Or every refresh would be a write."""
    one = registrar()
    kept = set()
    for _ in range(200):
        number = one.begin(CONTACT).cseq.number
        snapshot = one.snapshot("")
        assert number < snapshot.cseq
        kept.add(snapshot)
    assert len(kept) in (2, 3)


@pytest.mark.parametrize(
    ("call_id", "cseq"), [("", 1), ("a b", 1), ("a\r\nb", 1), ("é", 1), ("x" * 300, 1), ("ok", -1), ("ok", 2**31)]
)
def test_a_damaged_binding_is_refused(call_id: str, cseq: int) -> None:
    """Nothing of it reaches a header."""
    one = registrar()
    before = one.call_id
    with pytest.raises(ParseError):
        one.restore_untrusted(BindingSnapshot(call_id=call_id, cseq=cseq))
    assert one.call_id == before


GRUU = f"sip:1001@pbx.example;gr={INSTANCE}"


def second_of(first: Registrar) -> Registrar:
    account = first._account
    return Registrar(account, ids(), Authenticator(Credentials("1001", "secret"), ids()), first=first)


def bound(*, reg_id: int = 1, more: str = "") -> str:
    return f'<{CONTACT}>;expires=300;+sip.instance="<{INSTANCE}>";reg-id={reg_id}{more}'


def test_the_second_binding_has_its_own_reg_id_and_the_call_id_of_the_first() -> None:
    """RFC 5626 §4.2; a registrar takes another Call-ID of the same instance for a reboot."""
    first = registrar()
    second = second_of(first)
    requests = [first.begin(CONTACT), second.begin(CONTACT), first.begin(CONTACT)]
    assert [request.contacts[0].param("reg-id") for request in requests] == ["1", "2", "1"]
    assert len({(request.call_id, request.from_.tag) for request in requests}) == 1
    numbers = [request.cseq.number for request in requests]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_both_bindings_in_one_answer_are_told_apart() -> None:
    first = registrar()
    second = second_of(first)
    contacts = ("Contact", f"{bound(reg_id=1)}, {bound(reg_id=2).replace('=300', '=200')}")
    assert first.on_response(ok(first.begin(CONTACT), contacts, ("Require", "outbound"))) == Accepted(300, True)
    assert second.on_response(ok(second.begin(CONTACT), contacts, ("Require", "outbound"))) == Accepted(200, True)


def test_outbound_without_an_instance_is_no_outbound() -> None:
    lone = registrar("")
    assert lone.on_response(ok(lone.begin(CONTACT), ("Require", "outbound"))) == Accepted(600, False)


def test_a_second_binding_is_none_without_reg_id() -> None:
    """439: what would be bound then rings the phone twice."""
    second = second_of(registrar())
    second.standby = True
    refused = second.on_response(answer(second.begin(CONTACT), 439))
    assert isinstance(refused, Refused)
    assert refused.verdict is Verdict.PERMANENT


@pytest.mark.parametrize(
    ("more", "taken"),
    [
        (f';pub-gruu="{GRUU}"', GRUU),
        (f';temp-gruu="{GRUU}"', None),
        (';pub-gruu="sip:1001@pbx.example"', None),
        (';pub-gruu="tel:1001;gr=x"', None),
        (';pub-gruu="nonsense"', None),
        (f';pub-gruu="{GRUU}?Replaces=x"', None),
        (f';pub-gruu="{GRUU}{"x" * 600}"', None),
    ],
)
def test_the_gruu_is_taken_where_it_is_one(more: str, taken: str | None) -> None:
    """RFC 5627 §4.3; from the network, so anything may stand there."""
    phone = registrar()
    accepted = phone.on_response(ok(phone.begin(CONTACT), ("Contact", bound(more=more)), ("Require", "outbound")))
    assert isinstance(accepted, Accepted)
    assert accepted.pub_gruu == (None if taken is None else Uri.parse(taken))


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("0", None), ("soon", None)])
def test_the_flow_timer(value: str, seconds: int | None) -> None:
    phone = registrar()
    accepted = phone.on_response(ok(phone.begin(CONTACT), ("Flow-Timer", value)))
    assert isinstance(accepted, Accepted)
    assert accepted.flow_timer_s == seconds
