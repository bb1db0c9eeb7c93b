"""Calls of theirs, until the ACK (RFC 3261 §13.3, §9.2, RFC 3262 §3, RFC 3891)."""

from dataclasses import replace

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError
from sipcore.events import AlertSource, CallEnded, CallId, CallState, EndedBy, IncomingCall, MediaNegotiated
from sipcore.media import Fingerprint, Profile
from sipcore.message.message import Request, Response
from sipcore.sdp.offer_answer import OfferAnswer, Unacceptable
from sipcore.transaction.events import AckReceived, ResponseReceived, TransactionTimedOut
from tests.sipcore.dialog.pair import MEDIA, OTHER_MEDIA
from tests.sipcore.dialog.solo import Extra, Solo


def ring(solo: Solo, *, headers: Extra = (), offered: bool = True) -> tuple[CallId, Request]:
    """Bob's INVITE arrives; returns the call and the INVITE."""
    invite = solo.invite(sdp=solo.offer() if offered else None, headers=headers)
    solo.receive(invite)
    return solo.alice.incoming, invite


def answered(solo: Solo) -> tuple[CallId, Request, Response]:
    """Bob's call, answered and acknowledged."""
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    return call, invite, response


def ended(solo: Solo) -> CallEnded:
    """How the call ended."""
    assert solo.alice.ended is not None
    return solo.alice.ended


# --- ringing and answering ----------------------------------------------------------------------------------


def test_the_user_is_told_who_calls_whom_and_how() -> None:
    """Strings as the network sent them; the PBX's own word on the caller counts most (RFC 3325 §9.1)."""
    solo = Solo()
    headers = (
        ("P-Asserted-Identity", '"Real Bob" <sip:555@pbx>'),
        ("Alert-Info", "<http://x>;info=alert-autoanswer"),
        ("Alert-Info", "<urn:alert:source:internal>"),
        ("Subject", "not shown"),
    )
    call, _ = ring(solo, headers=headers)
    (event,) = solo.alice.seen(IncomingCall)
    assert (event.call, event.peer, event.peer_uri) == (call, "555", "sip:555@pbx")
    assert (event.display_name, event.called, event.replaces) == ("Real Bob", "alice", None)
    assert event.source is AlertSource.INTERNAL
    assert [name for name, _ in event.headers] == ["Alert-Info", "Alert-Info", "P-Asserted-Identity"]
    plain = Solo()
    ring(plain, headers=(("P-Asserted-Identity", "<<<"), ("Alert-Info", "<<internal")))
    (event,) = plain.alice.seen(IncomingCall)
    assert (event.peer, event.display_name, event.source) == ("bob", "Bob B.", None)


def test_answering_negotiates_sends_200_and_waits_for_the_ack() -> None:
    """§13.3.1.4."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.ring(call, solo.now)
    ringing = solo.response(180)
    assert ringing.to.tag
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    assert response.to.tag == ringing.to.tag
    assert str(response.contacts[0].uri) == "sip:alice@alice1.invalid;transport=ws"
    assert b"192.0.2.1" in response.body
    assert "Allow" in response.headers
    assert solo.alice.states == [CallState.ACTIVE]
    assert solo.alice.seen(MediaNegotiated)[0].parameters.remote_address == "192.0.2.2"
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    solo.run(60)
    assert solo.take() == []
    assert solo.alice.calls.urgent


def test_the_200_is_sent_again_until_the_ack_on_a_websocket_too() -> None:
    """§13.3.1.4: T1 doubling to T2 for 64*T1, then BYE."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    start, times = solo.now, []
    while solo.now < start + 40:
        times += [round(solo.now - start, 1)] * solo.ladder().count("200 INVITE")
        solo.run(0.1)
    assert times[:6] == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5, 11.5], abs=0.11)
    assert ended_by_bye(solo)
    solo.run(33)
    assert (ended(solo).by, ended(solo).answered) == (EndedBy.ERROR, True)


def ended_by_bye(solo: Solo) -> bool:
    """Whether the user sees the call end."""
    return solo.alice.states[-1] is CallState.ENDING


def test_a_late_ack_ends_the_retransmission() -> None:
    """And its copies are absorbed."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    solo.run(10)
    solo.take()
    for _ in range(3):
        solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    solo.run(60)
    assert solo.take() == []
    assert solo.alice.calls.live == (call,)


def test_an_ack_with_another_number_acknowledges_nothing() -> None:
    """§13.2.2.4: the CSeq number is the INVITE's."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number + 1))
    solo.receive(solo.outside("ACK"))
    solo.run(0.6)
    assert solo.ladder() == ["200 INVITE"]


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    """§15: the callee "MUST NOT send a BYE on a confirmed dialog until it has received an ACK"."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == []
    assert solo.alice.states[-1] is CallState.ENDING
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    solo.reply(solo.request("BYE"), 200)
    assert (ended(solo).by, ended(solo).status, ended(solo).answered) == (EndedBy.LOCAL, 0, True)


def test_hanging_up_without_ever_an_ack_says_bye_in_the_end() -> None:
    """§15: "or until the server transaction times out"."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.alice.calls.hang_up(call, solo.now)
    solo.run(33)
    assert solo.ladder()[-1] == "BYE"


def test_an_invite_without_offer_gets_ours_and_the_ack_brings_the_answer() -> None:
    """§13.2.1: delayed offer."""
    solo = Solo()
    call, invite = ring(solo, offered=False)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    assert b"192.0.2.1" in response.body
    assert solo.alice.seen(MediaNegotiated) == []
    theirs = OfferAnswer(solo.ids)
    theirs.receive_offer(response.body)
    answer = theirs.create_answer(OTHER_MEDIA)[0]
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number, sdp=answer))
    assert solo.alice.seen(MediaNegotiated)[0].parameters.remote_address == "192.0.2.2"


@pytest.mark.parametrize("sdp", [None, b"nonsense"])
def test_an_ack_without_the_answer_that_is_due_ends_the_call(sdp: bytes | None) -> None:
    """There is no media to talk over."""
    solo = Solo()
    call, invite = ring(solo, offered=False)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    response = solo.response(200)
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number, sdp=sdp))
    solo.reply(solo.request("BYE"), 200)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.ERROR, 488)


def test_media_that_does_not_fit_the_offer_leaves_the_call_waiting() -> None:
    """The phone may try other media, or reject."""
    solo = Solo()
    keyed = replace(MEDIA, profile=Profile.UDP_TLS_RTP_SAVPF, fingerprint=Fingerprint("sha-256", "AB:" * 31 + "AB"))
    solo.receive(solo.invite(sdp=solo.offer(keyed)))
    call = solo.alice.incoming
    with pytest.raises((Unacceptable, LocalProtocolError)):
        solo.alice.calls.answer(call, MEDIA, solo.now)
    assert solo.ladder() == []
    solo.alice.calls.answer(call, keyed, solo.now)
    assert solo.ladder() == ["200 INVITE"]


def test_ringing_is_repeated_every_minute() -> None:
    """§13.3.1.1: so that proxies do not give up."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.ring(call, solo.now)
    solo.run(125)
    assert solo.ladder() == ["180 INVITE"] * 3


def test_nobody_answers() -> None:
    """480 after the ring time-out, or the caller's own Expires (§13.2.1)."""
    solo = Solo(settings=CallSettings(ring_timeout=30))
    ring(solo)
    solo.run(31)
    assert solo.ladder() == ["100 INVITE", "480 INVITE"]
    assert (ended(solo).by, ended(solo).status) == (EndedBy.LOCAL, 480)
    brief = Solo()
    ring(brief, headers=(("Expires", "5"),))
    brief.run(6)
    assert brief.ladder()[-1] == "480 INVITE"
    odd = Solo()
    ring(odd, headers=(("Expires", "soon"),))
    odd.run(6)
    assert odd.ladder() == ["100 INVITE"]


# --- rejecting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "reason"), [(486, ""), (603, "No thanks"), (302, "")])
def test_rejecting_says_what_the_user_chose(status: int, reason: str) -> None:
    """And the call is over at once."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.reject(call, status, reason, solo.now)
    response = solo.response(status)
    assert response.reason == (reason or response.reason)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.LOCAL, status)
    assert solo.alice.calls.live == ()


def test_hanging_up_a_ringing_call_is_busy_here() -> None:
    """`hangup` on a ringing call rejects it (486)."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == ["486 INVITE"]
    assert (ended(solo).by, ended(solo).status) == (EndedBy.LOCAL, 486)


@pytest.mark.parametrize("status", [200, 180, 700, 0])
def test_only_refusals_reject(status: int) -> None:
    """300 to 699."""
    solo = Solo()
    call, _ = ring(solo)
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.reject(call, status, "", solo.now)
    assert solo.alice.calls.live == (call,)


# --- the caller gives up ------------------------------------------------------------------------------------


def cancel_of(invite: Request, headers: Extra = ()) -> Request:
    """The caller's CANCEL."""
    cancel = Request("CANCEL", invite.uri)
    for name in ("Via", "From", "To", "Call-ID", "Max-Forwards"):
        cancel.headers.add(name, invite.headers.get(name) or "")
    cancel.headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def test_a_cancel_gets_its_200_and_the_invite_its_487() -> None:
    """§9.2: with the same To tag."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.ring(call, solo.now)
    tag = solo.response(180).to.tag
    solo.receive(cancel_of(invite))
    messages = solo.take()
    assert {(m.cseq.method, m.status, m.to.tag) for m in messages if isinstance(m, Response)} == {
        ("CANCEL", 200, tag),
        ("INVITE", 487, tag),
    }
    assert (ended(solo).by, ended(solo).status, ended(solo).answered_elsewhere) == (EndedBy.REMOTE, 487, False)


@pytest.mark.parametrize(
    ("reason", "elsewhere"),
    [
        ('SIP;cause=200;text="Call completed elsewhere"', True),
        ("SIP;cause=487", False),
        ('Q.850;cause=16, SIP;cause=200;text="x"', True),
        ("SIP;cause=x", False),
        ("<<<", False),
    ],
)
def test_a_call_that_somebody_else_took_is_not_missed(reason: str, elsewhere: bool) -> None:
    """RFC 3326 §3.1."""
    solo = Solo()
    _, invite = ring(solo)
    solo.receive(cancel_of(invite, (("Reason", reason),)))
    assert ended(solo).answered_elsewhere is elsewhere


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    """§9.2: "has no effect [...] on the original request", and still a 200."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.take()
    solo.receive(cancel_of(invite))
    assert solo.ladder() == ["200 CANCEL"]
    assert solo.alice.states == [CallState.ACTIVE]
    rejected = Solo()
    call, invite = ring(rejected)
    rejected.alice.calls.hang_up(call, rejected.now)
    rejected.take()
    rejected.receive(cancel_of(invite))
    assert rejected.ladder() == ["200 CANCEL"]


def test_a_cancel_of_nothing_gets_a_481() -> None:
    """§9.2."""
    solo = Solo()
    solo.receive(cancel_of(solo.invite()))
    assert solo.ladder() == ["481 CANCEL"]


def test_a_bye_on_the_early_dialog_ends_the_attempt() -> None:
    """§15: the caller may do that."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.ring(call, solo.now)
    solo.receive(solo.within("BYE", solo.response(180)))
    assert sorted(solo.ladder()) == ["200 BYE", "487 INVITE"]
    assert ended(solo).by is EndedBy.REMOTE


# --- refused before anybody hears of it ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "explained_by"),
    [
        ((("Require", "precondition, 100rel"),), 420, "Unsupported"),
        ((("Content-Encoding", "gzip"),), 415, "Accept-Encoding"),
        ((("Session-Expires", "60"), ("Supported", "timer")), 422, "Min-SE"),
        ((("Session-Expires", "x"),), 400, None),
        ((("Replaces", "x"),), 400, None),
        ((("Replaces", "unknown;to-tag=a;from-tag=b"),), 481, None),
        ((("Record-Route", "<<<"),), 400, None),
        ((("P-Asserted-Identity", '"'),), 0, None),
    ],
)
def test_invites_that_cannot_be_served(headers: Extra, status: int, explained_by: str | None) -> None:
    """§8.2.2.3, §8.2.3, RFC 4028 §9, RFC 3891 §3."""
    solo = Solo()
    invite = solo.invite(sdp=solo.offer(), headers=headers)
    solo.receive(invite)
    if not status:
        assert len(solo.alice.seen(IncomingCall)) == 1
        return
    response = solo.response(status)
    assert response.to.tag
    assert explained_by is None or explained_by in response.headers
    assert solo.alice.log == []
    assert solo.alice.calls.live == ()


def test_only_the_unknown_demands_are_named() -> None:
    """§8.2.2.3: "a list of the options not understood"."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer(), headers=(("Require", "timer, precondition, foo"),)))
    assert solo.response(420).headers.get("Unsupported") == "precondition, foo"


def test_a_body_that_is_no_sdp_gets_a_415_unless_it_may_be_ignored() -> None:
    """§8.2.3, §20.11."""
    solo = Solo()
    strange = solo.invite(headers=(("Content-Type", "text/plain"),))
    strange.body = b"hello"
    solo.receive(strange)
    assert solo.response(415).headers.get("Accept") == "application/sdp"
    optional = solo.invite(
        headers=(("Content-Type", "text/plain"), ("Content-Disposition", "render; handling=optional")), call_id="c2"
    )
    optional.body = b"hello"
    solo.receive(optional)
    assert len(solo.alice.seen(IncomingCall)) == 1


@pytest.mark.parametrize(("sdp", "status"), [(b"nonsense", 400), (b"", 0), (None, 0)])
def test_an_offer_nobody_can_read(sdp: bytes | None, status: int) -> None:
    """400 with the reason; no body is no offer."""
    solo = Solo()
    solo.receive(solo.invite(sdp=sdp))
    assert [m.status for m in solo.take() if isinstance(m, Response)] == ([status] if status else [])


def test_an_offer_without_anything_in_common_gets_a_488_with_a_warning() -> None:
    """§21.4.26."""
    solo = Solo()
    video = solo.offer().replace(b"m=audio", b"m=video")
    solo.receive(solo.invite(sdp=video))
    assert "Warning" in solo.response(488).headers
    assert solo.alice.log == []


def test_too_many_calls_are_busy() -> None:
    """Before the phone's own limit of lines."""
    solo = Solo(settings=CallSettings(max_calls=1))
    ring(solo)
    solo.receive(solo.invite(sdp=solo.offer(), call_id="second"))
    assert solo.ladder() == ["486 INVITE"]


# --- RFC 3262 -----------------------------------------------------------------------------------------------


def test_ringing_is_reliable_where_the_caller_demands_it() -> None:
    """RFC 3262 §3: RSeq, retransmission, PRACK."""
    solo = Solo()
    call, invite = ring(solo, headers=(("Require", "100rel"),))
    solo.alice.calls.ring(call, solo.now)
    solo.run(0.6)
    first, copy = solo.take()
    assert bytes(first) == bytes(copy)
    assert "100rel" in first.require
    rseq = int(first.headers.get("RSeq") or "0")
    assert rseq > 0
    wrong = solo.within("PRACK", first, headers=(("RAck", f"{rseq + 1} {invite.cseq.number} INVITE"),))
    solo.receive(wrong)
    solo.receive(solo.within("PRACK", first, headers=(("RAck", f"{rseq} {invite.cseq.number} INVITE"),)))
    solo.receive(solo.within("PRACK", first))
    assert solo.ladder() == ["481 PRACK", "200 PRACK", "400 PRACK"]
    solo.run(10)
    assert solo.take() == []
    solo.run(49.5)
    (again,) = solo.take()
    assert again.headers.get("RSeq") == str(rseq + 1)


def test_reliable_ringing_that_is_never_acknowledged_gives_up() -> None:
    """RFC 3262 §3: a 5xx after 64*T1."""
    solo = Solo()
    call, _ = ring(solo, headers=(("Require", "100rel"),))
    solo.alice.calls.ring(call, solo.now)
    solo.alice.calls.ring(call, solo.now)
    solo.run(33)
    assert solo.ladder()[-1] == "504 INVITE"
    assert ended(solo).by is EndedBy.ERROR


def test_answering_stops_reliable_ringing() -> None:
    """RFC 3262 §3: our provisional holds no SDP, so the 2xx need not wait; a late PRACK is fine."""
    solo = Solo()
    call, _ = ring(solo, headers=(("Require", "100rel"),))
    solo.alice.calls.ring(call, solo.now)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.run(0.4)
    assert solo.ladder() == ["180 INVITE", "200 INVITE"]


def test_a_delayed_offer_is_never_rung_reliably() -> None:
    """RFC 3262 §5: the first reliable response would have to hold our offer. The 100 must do."""
    solo = Solo()
    call, _ = ring(solo, headers=(("Require", "100rel"),), offered=False)
    solo.alice.calls.ring(call, solo.now)
    solo.run(1)
    assert solo.ladder() == ["100 INVITE"]


# --- RFC 3891 Replaces --------------------------------------------------------------------------------------


def takeover(call: Request | Response, *, early_only: bool = False) -> Extra:
    """A Replaces header that means the dialog of ``call``."""
    ours_is_from = call.from_.uri.user == "alice"
    ours, theirs = (call.from_, call.to) if ours_is_from else (call.to, call.from_)
    early = ";early-only" if early_only else ""
    return (("Replaces", f"{call.call_id};to-tag={ours.tag};from-tag={theirs.tag}{early}"),)


def test_an_answered_takeover_ends_the_call_it_replaces() -> None:
    """RFC 3891 §3: accept the new one, BYE the old one."""
    solo = Solo()
    old, _, response = solo.connect_call()
    solo.receive(solo.invite(sdp=solo.offer(), headers=takeover(response)))
    (event,) = solo.alice.seen(IncomingCall)
    assert event.replaces == old
    solo.alice.calls.answer(event.call, MEDIA, solo.now)
    messages = solo.take()
    assert [m.method for m in messages if isinstance(m, Request)] == ["BYE"]
    assert solo.alice.calls.live == (old, event.call)


def test_takeovers_that_cannot_be() -> None:
    """RFC 3891 §3: 486 for early-only on an answered call, 603 for one that ends, 481 for a ringing one of theirs."""
    solo = Solo()
    old, _, response = solo.connect_call()
    solo.receive(solo.invite(sdp=solo.offer(), headers=takeover(response, early_only=True)))
    assert solo.ladder() == ["486 INVITE"]
    solo.alice.calls.hang_up(old, solo.now)
    solo.take()
    solo.receive(solo.invite(sdp=solo.offer(), headers=takeover(response), call_id="c2"))
    assert solo.ladder() == ["603 INVITE"]
    ringing = Solo()
    call, _ = ring(ringing)
    ringing.alice.calls.ring(call, ringing.now)
    headers = takeover(ringing.response(180))
    ringing.receive(ringing.invite(sdp=ringing.offer(), headers=headers, call_id="c3"))
    assert ringing.ladder() == ["481 INVITE"]


# --- the end ------------------------------------------------------------------------------------------------


def test_the_caller_hangs_up() -> None:
    """§15.1.2; the Reason is told (RFC 3326)."""
    solo = Solo()
    _, _, response = answered(solo)
    solo.take()
    solo.receive(solo.within("BYE", response, headers=(("Reason", 'Q.850;cause=16;text="Normal"'),)))
    assert solo.ladder() == ["200 BYE"]
    end = ended(solo)
    assert (end.by, end.status, end.reason, end.answered) == (EndedBy.REMOTE, 0, "Normal", True)
    solo.receive(solo.within("BYE", response))
    assert solo.ladder() == ["481 BYE"]
    solo.run(60)
    assert solo.take() == []
    assert solo.alice.next_timeout() is None


def test_a_bye_before_the_ack_ends_the_call() -> None:
    """The ACK was lost; the BYE says enough."""
    solo = Solo()
    call, _ = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.receive(solo.within("BYE", solo.response(200)))
    assert solo.ladder() == ["200 BYE"]
    solo.run(60)
    assert solo.take() == []


def test_a_bye_nobody_answers_is_given_up() -> None:
    """§15.1.1: after 64*T1 the call is over for us."""
    solo = Solo()
    call, _, _ = answered(solo)
    solo.alice.calls.hang_up(call, solo.now)
    bye = solo.request("BYE")
    solo.reply(bye, 100)
    solo.run(33)
    assert ended(solo).by is EndedBy.LOCAL
    assert solo.alice.calls.pending_farewells == 0


def test_an_ack_that_cannot_be_read_acknowledges_nothing() -> None:
    """Nothing from the network raises."""
    solo = Solo()
    call, invite = ring(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    ack = solo.within("ACK", solo.response(200), cseq=invite.cseq.number)
    ack.headers.set("CSeq", "<<<")
    solo.alice.calls.on_request(AckReceived(ack, solo.alice.flow), solo.now)
    solo.run(0.6)
    assert solo.ladder() == ["200 INVITE"]


def test_transactions_of_others_are_left_to_them() -> None:
    """Registrations and keep-alives share the layer."""
    solo = Solo()
    calls = solo.alice.calls
    response = solo.invite().response(200)
    assert not calls.on_response(ResponseReceived(4711, response), solo.now)
    assert not calls.on_failure(TransactionTimedOut(4711), solo.now)


def test_byes_that_cross_are_both_answered() -> None:
    """§15: "both a 200"; the call ends once."""
    solo = Solo()
    call, _, response = answered(solo)
    solo.alice.calls.hang_up(call, solo.now)
    bye = solo.request("BYE")
    solo.receive(solo.within("BYE", response))
    assert solo.ladder() == ["200 BYE"]
    assert len(solo.alice.seen(CallEnded)) == 1
    solo.receive(solo.within("BYE", response))
    solo.reply(bye, 481)
    assert solo.ladder() == ["200 BYE"]
    assert len(solo.alice.seen(CallEnded)) == 1
    assert solo.alice.calls.pending_farewells == 0
