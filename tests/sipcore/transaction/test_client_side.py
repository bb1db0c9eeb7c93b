"""Client transactions through the layer (RFC 3261 §17.1, §9.1)."""

import pytest

from sipcore.message.message import Request, Response
from sipcore.transaction.events import ResponseReceived, TransactionTimedOut, TransactionTransportFailed
from tests.sipcore.transaction.bench import FLOW, Bench


def reply(bench: Bench, status: int, *, to: Request | None = None, tag: str = "bob") -> Response:
    """A response to the last request, or to ``to``, arrives."""
    response = (to or bench.last_request).response(status, to_tag=tag)
    bench.receive(response)
    return response


# --- §17.1.1 INVITE -----------------------------------------------------------------------------------------


def test_an_invite_over_udp_is_retransmitted_at_doubling_intervals_until_timer_b() -> None:
    """§17.1.1.2: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s, then the failure at 32 s."""
    bench = Bench("UDP")
    transaction = bench.request("INVITE")
    bench.run(40)
    assert bench.times() == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.take() == [TransactionTimedOut(transaction)]
    assert bench.layer.live == 0
    assert bench.layer.next_timeout() is None


def test_a_reliable_transport_sends_once_and_still_times_out() -> None:
    """§17.1.1.2: timer A is for unreliable transports only, timer B for all."""
    bench = Bench()
    transaction = bench.request("INVITE")
    bench.run(31.9)
    assert bench.times() == [0.0]
    assert bench.take() == []
    bench.run(0.2)
    assert bench.take() == [TransactionTimedOut(transaction)]


def test_a_provisional_response_ends_retransmission_and_timer_b() -> None:
    """PROCEEDING has no timer: a phone may ring for an hour."""
    bench = Bench("UDP")
    transaction = bench.request("INVITE")
    bench.run(0.6)
    reply(bench, 180, to=bench.last_request)
    bench.run(3600)
    assert bench.times() == [0.0, 0.5]
    assert [event.transaction for event in bench.take() if isinstance(event, ResponseReceived)] == [transaction]


@pytest.mark.parametrize(("transport", "absorbs"), [("UDP", True), ("WSS", False)])
def test_a_refusal_is_acknowledged_and_delivered_once(transport: str, absorbs: bool) -> None:
    """§17.1.1.2: copies are acknowledged again for 32 s over UDP; timer D is zero elsewhere."""
    bench = Bench(transport)
    bench.request("INVITE")
    invite = bench.last_request
    reply(bench, 486, to=invite)
    reply(bench, 486, to=invite)
    acks = [message for _, message in bench.sent if isinstance(message, Request) and message.method == "ACK"]
    assert len(acks) == (2 if absorbs else 1)
    assert len([event for event in bench.take() if isinstance(event, ResponseReceived)]) == 1
    bench.run(31.9)
    assert bench.layer.live == absorbs
    bench.run(0.2)
    assert bench.layer.live == 0


def test_the_ack_of_a_refusal_is_made_as_the_rfc_says() -> None:
    """§17.1.1.3: the same Request-URI, Via, Call-ID, From, Route and CSeq number; the To of the response."""
    bench = Bench()
    bench.request("INVITE")
    invite = bench.last_request
    response = reply(bench, 404, to=invite, tag="xyz")
    ack = bench.last_request
    assert ack.method == "ACK"
    assert ack.uri == invite.uri
    assert ack.headers.get_all("Via") == invite.headers.get_all("Via")[:1]
    for name in ("Call-ID", "From"):
        assert ack.headers.get(name) == invite.headers.get(name)
    assert ack.headers.get("To") == response.headers.get("To")
    assert str(ack.cseq) == "1 ACK"


def test_every_copy_of_a_2xx_reaches_the_user_for_64_t1() -> None:
    """RFC 6026 §7.2."""
    bench = Bench()
    bench.request("INVITE")
    invite = bench.last_request
    for _ in range(3):
        reply(bench, 200, to=invite)
        bench.run(10)
    assert len(bench.take()) == 3
    bench.run(3)
    reply(bench, 200, to=invite)
    assert bench.take() == []
    assert bench.layer.live == 0


# --- §9.1 CANCEL --------------------------------------------------------------------------------------------


def test_a_cancel_waits_for_a_provisional_response() -> None:
    """§9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
    bench = Bench()
    transaction = bench.request("INVITE")
    invite = bench.last_request
    bench.layer.cancel(transaction, bench.now, (("Reason", 'SIP;cause=200;text="gone"'),))
    bench.drain()
    assert len(bench.sent) == 1
    reply(bench, 100, to=invite)
    cancel = bench.last_request
    assert cancel.method == "CANCEL"
    assert cancel.via.branch == invite.via.branch
    assert str(cancel.cseq) == "1 CANCEL"
    assert cancel.headers.get("Reason") is not None
    assert "Require" not in cancel.headers
    bench.layer.cancel(transaction, bench.now)
    reply(bench, 180, to=invite)
    assert bench.last_request is cancel


def test_the_answer_to_the_cancel_is_nobodys_business_and_the_invite_ends_by_its_own() -> None:
    """§9.1: the 487 to the INVITE is what counts."""
    bench = Bench()
    transaction = bench.request("INVITE")
    invite = bench.last_request
    reply(bench, 180, to=invite)
    bench.take()
    bench.layer.cancel(transaction, bench.now)
    bench.drain()
    reply(bench, 200, to=bench.last_request)
    assert bench.take() == []
    reply(bench, 487, to=invite)
    (event,) = bench.take()
    assert isinstance(event, ResponseReceived)
    assert (event.transaction, event.response.status) == (transaction, 487)
    assert bench.layer.live == 0


def test_an_invite_without_final_response_after_a_cancel_is_given_up() -> None:
    """§9.1: 64*T1 after the CANCEL."""
    bench = Bench()
    transaction = bench.request("INVITE")
    reply(bench, 180)
    bench.take()
    bench.layer.cancel(transaction, bench.now)
    bench.run(40)
    assert bench.take() == [TransactionTimedOut(transaction)]
    assert bench.layer.live == 0


def test_a_cancel_after_the_final_response_is_not_sent() -> None:
    """§9.1: it "has no effect"."""
    bench = Bench()
    transaction = bench.request("INVITE")
    reply(bench, 200)
    bench.layer.cancel(transaction, bench.now)
    bench.layer.cancel(4711, bench.now)
    bench.drain()
    assert len(bench.sent) == 1


def test_a_stray_provisional_after_the_refusal_sends_no_cancel() -> None:
    """The CANCEL that waited has nothing left to cancel."""
    bench = Bench("UDP")
    transaction = bench.request("INVITE")
    invite = bench.last_request
    bench.layer.cancel(transaction, bench.now)
    reply(bench, 486, to=invite)
    reply(bench, 180, to=invite)
    assert bench.last_request.method == "ACK"


def test_a_2xx_instead_of_a_provisional_leaves_the_cancel_unsent() -> None:
    """The race is the user's to resolve, by ACK and BYE."""
    bench = Bench()
    transaction = bench.request("INVITE")
    bench.layer.cancel(transaction, bench.now)
    reply(bench, 200)
    bench.run(40)
    assert len(bench.sent) == 1
    assert bench.layer.live == 0


# --- §17.1.2 non-INVITE -------------------------------------------------------------------------------------


def test_a_request_over_udp_is_retransmitted_up_to_t2() -> None:
    """§17.1.2.2: 0.5, 1, 2, then every 4 s until timer F."""
    bench = Bench("UDP")
    transaction = bench.request()
    bench.run(40)
    assert bench.times() == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.take() == [TransactionTimedOut(transaction)]


def test_a_provisional_response_slows_retransmission_to_t2() -> None:
    """§17.1.2.2: "timer E [...] reset to fire in T2 seconds" while PROCEEDING."""
    bench = Bench("UDP")
    bench.request()
    bench.run(0.1)
    reply(bench, 100)
    bench.run(12)
    assert bench.times() == [0.0, 0.5, 4.5, 8.5]


@pytest.mark.parametrize(("transport", "lives"), [("UDP", True), ("WSS", False)])
def test_copies_of_a_final_response_are_absorbed(transport: str, lives: bool) -> None:
    """§17.1.2.2: timer K is T4 over UDP and zero elsewhere."""
    bench = Bench(transport)
    bench.request()
    request = bench.last_request
    reply(bench, 200, to=request)
    assert bench.layer.live == lives
    reply(bench, 200, to=request)
    assert len(bench.take()) == 1
    bench.run(5.1)
    assert bench.layer.live == 0


def test_the_time_to_answer_can_be_shortened() -> None:
    """Registrations give up sooner (R1)."""
    bench = Bench()
    transaction = bench.request("REGISTER", timeout_s=6.0)
    bench.run(5.9)
    assert bench.take() == []
    bench.run(0.2)
    assert bench.take() == [TransactionTimedOut(transaction)]


# --- §17.1.3 matching ---------------------------------------------------------------------------------------


def test_responses_are_matched_by_branch_and_method() -> None:
    """§17.1.3; what matches nothing is dropped."""
    bench = Bench()
    bench.request()
    request = bench.last_request
    other = request.response(200, to_tag="x")
    other.headers.set("Via", "SIP/2.0/WSS phone.invalid;branch=z9hG4bKother")
    bench.receive(other)
    wrong_method = request.response(200, to_tag="x")
    wrong_method.headers.set("CSeq", "1 INVITE")
    bench.receive(wrong_method)
    unbranched = request.response(200, to_tag="x")
    unbranched.headers.set("Via", "SIP/2.0/WSS phone.invalid")
    bench.receive(unbranched)
    assert bench.take() == []
    reply(bench, 200, to=request)
    assert len(bench.take()) == 1


def test_a_response_with_two_vias_is_discarded() -> None:
    """§8.1.3.3: it was misrouted."""
    bench = Bench()
    bench.request()
    response = bench.last_request.response(200, to_tag="x")
    response.headers.add("Via", "SIP/2.0/WSS elsewhere;branch=z9hG4bKelse")
    bench.receive(response)
    assert bench.take() == []


def test_our_via_has_a_fresh_branch_and_asks_for_rport_off_websockets() -> None:
    """§8.1.1.7 and RFC 3581 §3; RFC 7118 §5.2 has no use for rport."""
    web, udp = Bench(), Bench("UDP")
    web.request()
    first = web.last_request.via
    web.request()
    assert (first.branch or "").startswith("z9hG4bK")
    assert web.last_request.via.branch != first.branch
    assert not first.wants_rport
    udp.request()
    assert udp.last_request.via.wants_rport
    assert udp.last_request.via.transport == "UDP"


# --- flows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
@pytest.mark.parametrize("ringing", [False, True])
def test_a_lost_flow_fails_what_waits_on_it(method: str, ringing: bool) -> None:
    """§8.1.3.1: like a 503, but told apart from one that somebody sent."""
    bench = Bench()
    transaction = bench.request(method)
    if ringing:
        reply(bench, 100)
        bench.take()
    bench.layer.flow_lost(FLOW, bench.now)
    bench.layer.flow_lost(FLOW, bench.now)
    bench.drain()
    assert bench.take() == [TransactionTransportFailed(transaction)]
    assert bench.layer.live == 0
    assert bench.layer.next_timeout() is None


def test_a_lost_flow_adds_nothing_after_the_final_response() -> None:
    """The user knows the outcome already."""
    bench = Bench("UDP")
    bench.request("INVITE")
    reply(bench, 486)
    bench.request()
    reply(bench, 200)
    bench.take()
    bench.layer.flow_lost(FLOW, bench.now)
    bench.run(40)
    assert bench.take() == []
    assert bench.layer.live == 0


def test_a_cancel_under_way_on_a_lost_flow_is_silent() -> None:
    """Only the INVITE is the user's."""
    bench = Bench()
    transaction = bench.request("INVITE")
    reply(bench, 180)
    bench.layer.cancel(transaction, bench.now)
    bench.drain()
    bench.take()
    bench.layer.flow_lost(FLOW, bench.now)
    bench.drain()
    assert bench.take() == [TransactionTransportFailed(transaction)]


def test_a_request_on_a_flow_that_is_not_open_fails_by_an_event() -> None:
    """So that there is one way to fail."""
    bench = Bench()
    transaction = bench.request(flow=99)
    assert bench.take() == [TransactionTransportFailed(transaction)]
    assert bench.sent == []


def test_nothing_is_taken_from_a_flow_that_is_not_open() -> None:
    """Late bytes of a closed connection."""
    bench = Bench()
    bench.request()
    response = bench.last_request.response(200, to_tag="x")
    bench.receive(response, flow=99)
    assert bench.take() == []


def test_the_ack_of_a_2xx_is_sent_outside_of_transactions() -> None:
    """§13.2.2.4; it has a branch of its own, and its copy is the same bytes."""
    bench = Bench()
    bench.request("INVITE")
    invite = bench.last_request
    ack = Request("ACK", invite.uri)
    for name in ("From", "To", "Call-ID", "Max-Forwards"):
        ack.headers.add(name, invite.headers.get(name) or "")
    ack.headers.add("CSeq", "1 ACK")
    data = bench.layer.send_ack(ack, FLOW)
    bench.layer.send_again(data, FLOW)
    bench.layer.send_again(data, 99)
    bench.drain()
    assert [bytes(message) for _, message in bench.sent[1:]] == [data, data]
    assert bench.last_request.via.branch != invite.via.branch


def test_a_sleep_puts_timers_off() -> None:
    """A time-out counts our own waking time."""
    bench = Bench()
    bench.request()
    bench.layer.resumed(3600)
    bench.run(3600)
    assert bench.take() == []
    bench.run(40)
    assert len(bench.take()) == 1
