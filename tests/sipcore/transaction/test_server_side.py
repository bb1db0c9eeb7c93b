"""Server transactions through the layer (RFC 3261 §17.2, §8.2.2.2, RFC 6026, RFC 4320)."""

import pytest

from sipcore.errors import LocalProtocolError
from sipcore.message.message import Request, Response
from sipcore.transaction.events import AckReceived, RequestReceived, TransactionTimedOut, ViaTemplate
from tests.sipcore.transaction.bench import FLOW, Bench, parsed, their_request


def begin(bench: Bench, method: str = "OPTIONS", **options: str) -> tuple[int, Request]:
    """A request arrives; returns its transaction and itself."""
    bench.receive(their_request(method, **options))  # type: ignore[arg-type]
    (event,) = bench.take()
    assert isinstance(event, RequestReceived)
    return event.transaction, event.request


def statuses(bench: Bench) -> list[int]:
    """What was answered, in order."""
    return [message.status for _, message in bench.sent if isinstance(message, Response)]


def ack_of(response: Response, branch: str = "z9hG4bKtheirs") -> Request:
    """The peer's ACK."""
    ack = their_request("ACK", branch=branch)
    ack.headers.set("To", response.headers.get("To") or "")
    return ack


# --- §17.2.1 INVITE -----------------------------------------------------------------------------------------


def test_a_100_is_sent_when_the_user_is_silent_for_200_ms() -> None:
    """§17.2.1; it has no To tag."""
    bench = Bench()
    begin(bench, "INVITE")
    bench.run(0.19)
    assert statuses(bench) == []
    bench.run(0.02)
    assert statuses(bench) == [100]
    assert bench.last.to.tag is None


@pytest.mark.parametrize("status", [180, 200, 486])
def test_no_100_is_sent_after_a_quick_answer(status: int) -> None:
    """§17.2.1: "unless it knows that the TU will generate a [...] response within 200 ms"."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    bench.respond(transaction, invite, status)
    bench.run(10)
    assert statuses(bench) == [status]


def test_a_retransmitted_invite_gets_the_last_provisional_response_again() -> None:
    """§17.2.1; before the first one, the 100 is due."""
    bench = Bench("UDP")
    transaction, invite = begin(bench, "INVITE")
    bench.receive(invite)
    bench.respond(transaction, invite, 180)
    bench.receive(invite)
    assert statuses(bench) == [100, 180, 180]
    assert bench.take() == []


def test_a_refusal_over_udp_is_retransmitted_until_its_ack() -> None:
    """§17.2.1: timer G doubles up to T2; the ACK and its copies are absorbed for T4."""
    bench = Bench("UDP")
    transaction, invite = begin(bench, "INVITE")
    response = bench.respond(transaction, invite, 486)
    bench.run(8)
    bench.receive(invite)
    assert bench.times() == [0.0, 0.5, 1.5, 3.5, 7.5, 8.0]
    bench.receive(ack_of(response))
    bench.receive(ack_of(response))
    bench.run(4.9)
    assert bench.layer.live == 1
    bench.run(0.2)
    assert bench.layer.live == 0
    assert bench.take() == []
    assert len(bench.sent) == 6


def test_a_refusal_without_ack_times_out() -> None:
    """§17.2.1: timer H, on every transport."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    bench.respond(transaction, invite, 486)
    bench.run(40)
    assert bench.take() == [TransactionTimedOut(transaction)]
    assert bench.layer.live == 0
    assert statuses(bench) == [486]


def test_the_ack_of_a_refusal_ends_it_at_once_on_reliable_transports() -> None:
    """§17.2.1: timer I is zero there."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    response = bench.respond(transaction, invite, 486)
    bench.receive(ack_of(response))
    assert bench.layer.live == 0
    assert bench.layer.next_timeout() is None


def test_after_a_2xx_invites_are_absorbed_and_the_user_retransmits() -> None:
    """RFC 6026 §7.1: timer L."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    response = bench.respond(transaction, invite, 200)
    bench.receive(invite)
    assert statuses(bench) == [200]
    bench.layer.respond(transaction, response, bench.now)
    bench.respond(transaction, invite, 486)
    assert statuses(bench) == [200, 200]
    bench.receive(ack_of(response))
    (event,) = bench.take()
    assert isinstance(event, AckReceived)
    bench.run(32.1)
    assert bench.layer.live == 0
    bench.layer.respond(transaction, response, bench.now)
    bench.drain()
    assert statuses(bench) == [200, 200]


def test_a_2xx_the_user_sends_again_counts_timer_l_anew() -> None:
    """For minutes it may have had no flow to go by (RFC 6026 §7.1 knows no such thing)."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    response = bench.respond(transaction, invite, 200)
    for _ in range(4):
        bench.run(20)
        bench.layer.respond(transaction, response, bench.now)
        bench.drain()
    assert statuses(bench) == [200] * 5
    bench.run(32.1)
    assert bench.layer.live == 0


def test_the_ack_of_a_2xx_has_a_branch_of_its_own_and_is_handed_up() -> None:
    """§13.3.1.4: it is the user's, and no transaction."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    response = bench.respond(transaction, invite, 200)
    bench.receive(ack_of(response, branch="z9hG4bKelse"))
    bench.receive(ack_of(response, branch="z9hG4bKelse"))
    assert [type(event) for event in bench.take()] == [AckReceived, AckReceived]


# --- §17.2.2 non-INVITE -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("transport", "lives"), [("UDP", True), ("WSS", False)])
def test_a_request_is_answered_and_its_copies_too(transport: str, lives: bool) -> None:
    """§17.2.2: timer J is 64*T1 over UDP, zero elsewhere."""
    bench = Bench(transport)
    transaction, request = begin(bench)
    bench.receive(request)
    assert bench.take() == []
    bench.respond(transaction, request, 200)
    assert bench.layer.live == lives
    if lives:
        bench.receive(request)
        bench.respond(transaction, request, 500)
        assert statuses(bench) == [200, 200]
    bench.run(32.1)
    assert bench.layer.live == 0


def test_a_provisional_response_is_repeated_to_copies() -> None:
    """§17.2.2 PROCEEDING."""
    bench = Bench("UDP")
    transaction, request = begin(bench)
    bench.respond(transaction, request, 100)
    bench.respond(transaction, request, 100)
    bench.receive(request)
    bench.respond(transaction, request, 200)
    assert statuses(bench) == [100, 100, 100, 200]


@pytest.mark.parametrize("provisional", [False, True])
def test_a_request_nobody_answers_is_forgotten_when_its_client_gives_up(provisional: bool) -> None:
    """RFC 4320 §4.2: no 408; the memory of the transaction is bounded all the same."""
    bench = Bench()
    transaction, request = begin(bench)
    if provisional:
        bench.respond(transaction, request, 100)
    bench.run(33)
    assert bench.layer.live == 0
    assert 408 not in statuses(bench)


def test_a_408_to_a_non_invite_is_a_mistake_of_ours() -> None:
    """RFC 4320 §4.2."""
    bench = Bench()
    transaction, request = begin(bench)
    with pytest.raises(LocalProtocolError):
        bench.respond(transaction, request, 408)
    bench.respond(transaction, request, 200)
    assert statuses(bench) == [200]


# --- §17.2.3 matching, §9.2, §8.2.2.2 -----------------------------------------------------------------------


def test_a_cancel_names_the_invite_it_means() -> None:
    """§9.2: same branch and sent-by, another method; it is a transaction of its own."""
    bench = Bench()
    transaction, _ = begin(bench, "INVITE")
    bench.receive(their_request("CANCEL"))
    (event,) = bench.take()
    assert isinstance(event, RequestReceived)
    assert event.cancels == transaction
    assert event.transaction != transaction
    bench.receive(their_request("CANCEL", branch="z9hG4bKunknown"))
    (stray,) = bench.take()
    assert isinstance(stray, RequestReceived)
    assert stray.cancels is None


def test_the_same_branch_from_another_host_is_another_transaction() -> None:
    """§17.2.3: sent-by is compared as well."""
    bench = Bench()
    begin(bench, to_tag="x")
    other = their_request(to_tag="x", cseq=2)
    other.headers.set("Via", "SIP/2.0/WSS other.example.com;branch=z9hG4bKtheirs")
    bench.receive(other)
    assert len(bench.take()) == 1
    assert bench.layer.live == 2


def test_a_client_of_rfc_2543_is_matched_by_what_its_requests_have_in_common() -> None:
    """§17.2.3, second half: the branch has no magic cookie."""
    bench = Bench("UDP")
    transaction, invite = begin(bench, "INVITE", branch="1")
    bench.receive(invite)
    response = bench.respond(transaction, invite, 486)
    bench.receive(their_request("CANCEL", branch="1"))
    (event,) = bench.take()
    assert isinstance(event, RequestReceived)
    assert event.cancels == transaction
    bench.receive(ack_of(response, branch="1"))
    assert bench.take() == []
    bench.run(6)
    bench.run(40)
    assert bench.layer.live == 0


def test_a_merged_request_gets_a_482() -> None:
    """§8.2.2.2: the same request by another path."""
    bench = Bench()
    begin(bench, "INVITE")
    bench.receive(their_request("INVITE", branch="z9hG4bKotherpath"))
    assert bench.take() == []
    assert statuses(bench) == [482]
    assert bench.last.to.tag
    assert bench.layer.live == 1


def test_requests_within_a_dialog_are_never_merged() -> None:
    """§8.2.2.2 speaks of requests without a To tag."""
    bench = Bench()
    begin(bench, to_tag="x")
    bench.receive(their_request(branch="z9hG4bKotherpath", to_tag="x"))
    assert len(bench.take()) == 1


def test_more_requests_than_the_limit_are_turned_away_without_a_transaction() -> None:
    """Strangers decide how many there are, but not how much memory they take."""
    bench = Bench(limit=2)
    for number in range(1, 5):
        bench.receive(their_request("INVITE", branch=f"z9hG4bK{number}", cseq=number))
    assert len(bench.take()) == 2
    assert statuses(bench) == [503, 503]
    assert bench.last.headers.get("Retry-After") is not None
    assert bench.layer.live == 2


def test_a_cseq_of_another_method_is_refused() -> None:
    """§8.1.1.5: "The method MUST match that of the request". The parser leaves that to us, or refuses it itself."""
    bench = Bench()
    request = their_request("OPTIONS")
    request.headers.set("CSeq", "1 INVITE")
    bench.layer.receive(request, FLOW, bench.now)
    bench.drain()
    assert statuses(bench) == [400]
    assert bench.layer.live == 0


@pytest.mark.parametrize("name", ["Via", "From", "To", "CSeq"])
def test_a_request_that_cannot_be_read_gets_a_400_and_an_ack_nothing(name: str) -> None:
    """§16.3 in spirit: what can be copied back is."""
    bench = Bench()
    for method in ("OPTIONS", "ACK"):
        request = their_request(method)
        request.headers.set(name, "<<<")
        bench.layer.receive(request, FLOW, bench.now)
    (refusal,) = bench.layer.transmits()
    assert refusal.data.startswith(b"SIP/2.0 400 ")
    assert bench.layer.events() == []


def test_an_unreadable_response_is_dropped() -> None:
    """§8.1.3.3 in spirit."""
    bench = Bench()
    bench.request()
    response = bench.last_request.response(200, to_tag="x")
    response.headers.set("CSeq", "<<<")
    bench.layer.receive(response, FLOW, bench.now)
    bench.drain()
    assert bench.take() == []


# --- flows --------------------------------------------------------------------------------------------------


def test_a_response_outlives_the_flow_of_its_request() -> None:
    """A phone that rings through a reconnection can still be answered: §17.1.3 matches by branch alone."""
    bench = Bench()
    transaction, invite = begin(bench, "INVITE")
    bench.respond(transaction, invite, 180)
    bench.layer.flow_lost(FLOW, bench.now)
    bench.respond(transaction, invite, 183)
    assert statuses(bench) == [180]
    bench.layer.flow_opened(8, ViaTemplate("WSS", "new.invalid"))
    bench.drain()
    assert statuses(bench) == [180, 183]
    bench.respond(transaction, invite, 200)
    assert [transmit[1] for transmit in bench.sent][-1].via.branch == "z9hG4bKtheirs"
    assert statuses(bench) == [180, 183, 200]


def test_a_retransmission_on_another_flow_brings_the_transaction_there() -> None:
    """The peer reconnected before we knew."""
    bench = Bench()
    bench.layer.flow_opened(8, ViaTemplate("UDP", "new.invalid"))
    transaction, invite = begin(bench, "INVITE")
    bench.layer.flow_lost(FLOW, bench.now)
    bench.receive(invite, flow=8)
    bench.respond(transaction, invite, 180)
    assert statuses(bench) == [100, 180]


def test_losing_one_flow_leaves_the_transactions_of_another_alone() -> None:
    """Two flows (RFC 5626), one lost and found again."""
    bench = Bench()
    bench.layer.flow_opened(8, ViaTemplate("WSS", "second.invalid"))
    transaction, request = begin(bench)
    bench.layer.flow_lost(8, bench.now)
    bench.layer.flow_opened(9, ViaTemplate("WSS", "third.invalid"))
    bench.drain()
    assert bench.sent == []
    bench.respond(transaction, request, 200)
    assert statuses(bench) == [200]


def test_an_unanswered_request_has_nothing_to_say_on_the_next_flow() -> None:
    """Nothing is sent before the user has decided."""
    bench = Bench()
    begin(bench)
    bench.layer.flow_lost(FLOW, bench.now)
    bench.layer.flow_opened(8, ViaTemplate("WSS", "new.invalid"))
    bench.drain()
    assert bench.sent == []


def test_the_response_keeps_every_via_in_order() -> None:
    """§8.2.6.2."""
    bench = Bench()
    request = parsed(
        "OPTIONS sip:a@phone.invalid SIP/2.0\r\n"
        "Via: SIP/2.0/WSS one;branch=z9hG4bK1, SIP/2.0/UDP two;branch=z9hG4bK2\r\n"
        "Via: SIP/2.0/UDP three;branch=z9hG4bK3\r\n"
        "From: <sip:b@x>;tag=b\r\nTo: <sip:a@x>\r\nCall-ID: v\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n"
    )
    bench.receive(request)
    (event,) = bench.take()
    assert isinstance(event, RequestReceived)
    bench.respond(event.transaction, request, 200)
    assert [via.host for via in bench.last.vias] == ["one", "two", "three"]


def test_an_accepted_invite_says_nothing_by_itself_on_a_new_flow() -> None:
    """RFC 6026 §7.1: its user sends the 2xx again while the ACK is missing, so a call that is over stays quiet."""
    bench = Bench("WSS")
    transaction, invite = begin(bench, "INVITE")
    bench.respond(transaction, invite, 200)
    bench.layer.flow_lost(FLOW, bench.now)
    bench.layer.flow_opened(8, ViaTemplate("WSS", "new.invalid"))
    bench.run(1)
    assert statuses(bench) == [200]
