"""Calls outlive their signalling (docs/resilience.md 3.1)."""

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.events import CallEnded, CallState, EndedBy, HoldChanged, IncomingCall, VerbFailed
from sipcore.message.message import Request
from tests.sipcore.dialog.pair import MEDIA, MOVED_MEDIA, Pair
from tests.sipcore.dialog.solo import Solo


def lose(solo: Solo, seconds: float = 0.0) -> None:
    """Alice's connection breaks, and time passes."""
    solo.flush()
    solo.alice.disconnect(solo.now)
    solo.run(seconds)


def recover(solo: Solo) -> None:
    """Alice is connected and registered again."""
    solo.alice.connect(solo.now, recovered=True)
    solo.flush()


def test_a_lost_connection_ends_no_call_and_recovery_refreshes_it_once() -> None:
    """One re-INVITE with the SDP unchanged, byte for byte, and the new Contact."""
    solo = Solo()
    call, invite, ok = solo.connect_call()
    lose(solo, 300)
    assert solo.take() == []
    assert solo.alice.calls.live == (call,)
    assert solo.alice.calls.urgent
    assert solo.alice.ended is None
    recover(solo)
    refresh = solo.request("INVITE")
    assert refresh.body == invite.body
    assert str(refresh.contacts[0].uri) == "sip:alice@alice2.invalid;transport=ws"
    assert refresh.to.tag == ok.to.tag
    solo.reply(refresh, 200, sdp=ok.body)
    assert solo.ladder() == ["ACK"]
    solo.run(600)
    assert solo.ladder() == []


def test_a_wish_during_the_outage_comes_true_afterwards_in_the_same_reinvite() -> None:
    """A hold is not lost, and needs no second round."""
    pair = Pair()
    alice, _ = pair.connect_call()
    pair.alice.disconnect(pair.now)
    pair.alice.calls.hold(alice, pair.now)
    pair.alice.calls.update_media(alice, MOVED_MEDIA, pair.now)
    pair.run(20)
    pair.wire.clear()
    pair.alice.connect(pair.now, recovered=True)
    pair.settle()
    assert pair.flow == ["alice INVITE", "bob 200 INVITE", "alice ACK"]
    assert pair.alice.seen(HoldChanged)[-1].local
    assert pair.bob.seen(HoldChanged)[-1].remote


def test_a_reinvite_that_the_loss_swallowed_is_sent_again() -> None:
    """Nobody refused it."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    solo.alice.calls.hold(call, solo.now)
    solo.request("INVITE")
    lose(solo, 5)
    assert solo.alice.seen(VerbFailed) == []
    recover(solo)
    again = solo.request("INVITE")
    assert b"a=sendonly" in again.body
    assert ok.status == 200


def test_hanging_up_during_the_outage_ends_the_call_here_and_says_bye_later() -> None:
    """The user is done with it at once; the peer hears it when it can."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo, 5)
    solo.alice.calls.hang_up(call, solo.now)
    solo.flush()
    assert solo.alice.ended is not None
    assert solo.alice.ended.by is EndedBy.LOCAL
    assert solo.alice.calls.live == ()
    assert solo.alice.calls.pending_farewells == 1
    solo.run(60)
    recover(solo)
    bye = solo.request("BYE")
    solo.reply(bye, 200)
    assert solo.alice.calls.pending_farewells == 0
    assert len(solo.alice.seen(CallEnded)) == 1


def test_a_bye_that_the_loss_swallowed_is_sent_again() -> None:
    """With a number of its own, since the peer may have seen the first."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.hang_up(call, solo.now)
    first = solo.request("BYE")
    lose(solo, 5)
    assert len(solo.alice.seen(CallEnded)) == 1
    recover(solo)
    second = solo.request("BYE")
    assert second.cseq.number == first.cseq.number + 1
    lose(solo, 5)
    recover(solo)
    solo.reply(solo.request("BYE"), 481)
    assert solo.alice.calls.pending_farewells == 0
    recover(solo)
    assert solo.take() == []


def test_a_farewell_is_not_kept_for_ever() -> None:
    """The PBX has given up long ago."""
    solo = Solo(settings=CallSettings(bye_memory=60))
    call, _, _ = solo.connect_call()
    lose(solo)
    solo.alice.calls.hang_up(call, solo.now)
    solo.run(61)
    assert solo.alice.calls.pending_farewells == 0
    recover(solo)
    assert solo.take() == []
    assert solo.alice.next_timeout() is None


@pytest.mark.parametrize("status", [404, 408, 481])
def test_a_call_that_is_gone_over_there_ends_after_recovery(status: int) -> None:
    """Only the peer's word ends it."""
    solo = Solo()
    solo.connect_call()
    lose(solo, 120)
    recover(solo)
    solo.reply(solo.request("INVITE"), status)
    solo.reply(solo.request("BYE"), 481)
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.ERROR, status)


def test_a_refresh_that_fails_otherwise_keeps_the_call() -> None:
    """Media may well be alive. A PBX that is still starting is asked again."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo)
    recover(solo)
    solo.reply(solo.request("INVITE"), 503)
    assert solo.ladder() == ["ACK"]
    solo.run(4.1)
    solo.reply(solo.request("INVITE"), 488)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("refresh", 488)
    assert solo.alice.calls.live == (call,)


def test_the_session_timer_ends_nothing_while_nobody_can_be_told() -> None:
    """The refresh after the recovery finds out."""
    solo = Solo()
    call, _, ok = solo.connect_call(headers=(("Session-Expires", "90;refresher=uas"), ("Require", "timer")))
    lose(solo, 200)
    assert solo.alice.calls.live == (call,)
    recover(solo)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body, headers=(("Session-Expires", "90;refresher=uas"),))
    solo.take()
    solo.run(61)
    assert solo.ladder() == ["BYE"]


def test_a_call_that_rings_here_can_be_answered_after_the_recovery() -> None:
    """The 180 is repeated on the new flow, and the 200 goes there."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    call = solo.alice.incoming
    solo.alice.calls.ring(call, solo.now)
    solo.take()
    lose(solo, 10)
    recover(solo)
    assert solo.ladder() == ["180 INVITE"]
    solo.alice.calls.answer(call, MEDIA, solo.now)
    assert solo.ladder() == ["200 INVITE"]


def test_answering_during_the_outage_waits_for_the_ack_without_giving_up() -> None:
    """64*T1 counts from the recovery on."""
    solo = Solo()
    invite = solo.invite(sdp=solo.offer())
    solo.receive(invite)
    call = solo.alice.incoming
    lose(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.run(100)
    assert solo.alice.states == [CallState.ACTIVE]
    recover(solo)
    solo.run(31)
    assert CallState.ENDING not in solo.alice.states
    solo.run(2)
    assert solo.alice.states[-1] is CallState.ENDING


def test_a_reinvite_of_theirs_waits_for_its_ack_again_after_the_recovery() -> None:
    """Its 2xx is repeated."""
    pair = Pair()
    alice, bob = pair.connect_call()
    pair.drop = lambda sender, message: sender == "bob" and isinstance(message, Request) and message.method == "ACK"
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    pair.alice.disconnect(pair.now)
    pair.run(5)
    pair.drop = None
    pair.alice.connect(pair.now, recovered=True)
    pair.run(5)
    assert pair.alice.seen(HoldChanged)[-1].remote
    assert pair.alice.calls.live == (alice,)


def test_a_call_nobody_answered_yet_ends_with_the_connection() -> None:
    """Its INVITE died with the flow; there is no dialog to save."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 180)
    lose(solo)
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.ERROR, 503)
    assert solo.alice.calls.live == ()


def test_a_2xx_taken_while_the_connection_is_gone_is_acknowledged_when_it_is_repeated() -> None:
    """Two flows: the response came just as the flow was declared lost."""
    solo = Solo()
    call, invite = solo.dial()
    solo.alice.calls.set_flow(None, None, solo.now)
    response = solo.reply(invite, 200, sdp=solo.answer_to(invite))
    assert solo.take() == []
    solo.alice.calls.set_flow(solo.alice.flow, None, solo.now)
    solo.receive(response)
    assert solo.ladder() == ["ACK"]
    assert solo.alice.calls.live == (call,)


def test_a_dtmf_digit_during_the_outage_is_said_to_have_failed() -> None:
    """A digit that comes a minute later is worse than none."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo)
    solo.alice.calls.send_info_dtmf(call, "5", solo.now)
    solo.flush()
    assert solo.alice.seen(VerbFailed)[0].verb == "dtmf"
    recover(solo)
    assert solo.ladder() == ["INVITE"]


def test_both_sides_recover_at_once() -> None:
    """Glare of two refreshes, resolved by the waits of §14.1."""
    pair = Pair()
    alice, bob = pair.connect_call()
    for agent in (pair.alice, pair.bob):
        agent.disconnect(pair.now)
    pair.run(10)
    for agent in (pair.alice, pair.bob):
        agent.connect(pair.now, recovered=True)
    pair.run(10)
    assert (pair.alice.calls.live, pair.bob.calls.live) == ((alice,), (bob,))
    assert [agent.seen(VerbFailed) for agent in (pair.alice, pair.bob)] == [[], []]
    pair.alice.calls.hang_up(alice, pair.now)
    pair.settle()
    assert pair.bob.ended is not None


def test_a_sleep_shifts_our_own_waits_but_not_the_session_timer() -> None:
    """A phone that slept an hour did not ring for an hour; its peer's session did run out."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    solo.flush()
    solo.alice.layer.resumed(3600)
    solo.alice.calls.resumed(3600)
    solo.now += 3600
    solo.run(1)
    assert len(solo.alice.seen(IncomingCall)) == 1
    assert solo.alice.ended is None
    timed = Solo()
    timed.connect_call(headers=(("Session-Expires", "90;refresher=uas"),))
    timed.alice.calls.resumed(3600)
    timed.now += 3600
    timed.run(0)
    assert timed.ladder() == ["BYE"]
