"""Calls outlive their signalling (docs/resilience.md 3.1)."""

from dataclasses import replace

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.events import (
    CallEnded,
    CallState,
    EndedBy,
    HoldChanged,
    IncomingCall,
    MediaNegotiated,
    SignallingChanged,
    VerbFailed,
)
from sipcore.media import CryptoKey, Profile
from sipcore.message.message import Request
from tests.sipcore.dialog.pair import MEDIA, MOVED_MEDIA, OTHER_MEDIA, Pair, summary
from tests.sipcore.dialog.solo import Solo, lose, recover, sleep


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
    """The 180 is repeated on the new flow, the caller is asked for, and the 200 goes there."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    call = solo.alice.incoming
    solo.alice.calls.ring(call, solo.now)
    solo.take()
    lose(solo, 10)
    recover(solo)
    ringing, question = solo.take()
    assert (summary(ringing), summary(question)) == ("180 INVITE", "INFO")
    assert isinstance(question, Request)
    solo.reply(question, 200)
    assert solo.alice.calls.urgent
    solo.alice.calls.answer(call, MEDIA, solo.now)
    assert solo.ladder() == ["200 INVITE"]


def test_a_caller_who_gave_up_during_the_outage_is_found_out() -> None:
    """The CANCEL was lost; without an answer nothing else would tell, and the phone would ring on."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    call = solo.alice.incoming
    solo.alice.calls.ring(call, solo.now)
    lose(solo, 10)
    recover(solo)
    solo.reply(solo.request("INFO"), 200)
    solo.run(5)
    solo.reply(solo.request("INFO"), 481)
    assert solo.ladder() == ["487 INVITE"]
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.REMOTE, 487)
    assert solo.alice.calls.live == ()


def test_a_caller_nobody_can_tell_of_is_still_expected() -> None:
    """Only the word that there is no such call ends it."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    call = solo.alice.incoming
    solo.alice.calls.ring(call, solo.now)
    lose(solo, 1)
    recover(solo)
    solo.reply(solo.request("INFO"), 405)
    assert solo.alice.calls.live == (call,)


def test_answering_during_the_outage_waits_for_the_ack_without_giving_up() -> None:
    """The 200 goes out with the recovery, however late that is, and 64*T1 counts from there."""
    solo = Solo()
    invite = solo.invite(sdp=solo.offer())
    solo.receive(invite)
    call = solo.alice.incoming
    lose(solo)
    solo.alice.calls.answer(call, MEDIA, solo.now)
    solo.run(100)
    assert solo.alice.states == [CallState.ACTIVE]
    recover(solo)
    assert solo.ladder() == ["200 INVITE"]
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
    """Its INVITE died with the flow; there is no dialog to save. A BYE in the early one (§15) stops the ringing."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 180)
    solo.take()
    lose(solo)
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.ERROR, 503)
    assert solo.alice.calls.live == ()
    assert solo.alice.calls.pending_farewells == 1
    recover(solo)
    bye = solo.request("BYE")
    assert (bye.call_id, bye.to.tag, bye.from_.tag) == (invite.call_id, "bob", invite.from_.tag)
    assert bye.cseq.number > invite.cseq.number
    solo.reply(bye, 200)
    assert solo.alice.calls.pending_farewells == 0


def test_an_invite_that_nobody_answered_at_all_is_not_sent_again() -> None:
    """It may have arrived, and another might ring twice."""
    solo = Solo()
    solo.dial()
    lose(solo)
    recover(solo)
    assert solo.ladder() == []
    assert solo.alice.calls.pending_farewells == 0


def test_a_call_taken_back_in_vain_is_ended_after_the_recovery() -> None:
    """The CANCEL died with the flow: the far end would ring on."""
    solo = Solo()
    call, invite = solo.dial()
    solo.reply(invite, 180)
    solo.alice.calls.hang_up(call, solo.now)
    lose(solo)
    assert solo.alice.ended is not None
    assert solo.alice.ended.by is EndedBy.LOCAL
    solo.take()
    recover(solo)
    assert solo.ladder() == ["BYE"]


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


def test_digits_during_the_outage_are_sent_once_the_far_end_is_reached() -> None:
    """In order, after the re-INVITE that restored the routing."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    lose(solo)
    for digit in "159":
        solo.alice.calls.send_info_dtmf(call, digit, solo.now)
    solo.run(20)
    recover(solo)
    (refresh,) = solo.take()
    assert isinstance(refresh, Request)
    solo.reply(refresh, 200, sdp=ok.body)
    ack, *infos = solo.take()
    assert summary(ack) == "ACK"
    assert [info.body.splitlines()[0] for info in infos] == [b"Signal=1", b"Signal=5", b"Signal=9"]
    assert solo.alice.seen(VerbFailed) == []


def test_a_digit_under_way_at_the_loss_is_told_as_failed() -> None:
    """It may have been heard or not; pressed twice would be worse."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    solo.alice.calls.send_info_dtmf(call, "7", solo.now)
    assert solo.ladder() == ["INFO"]
    lose(solo)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("dtmf", 503)
    recover(solo)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    assert solo.ladder() == ["ACK"]


def test_who_holds_us_gets_the_same_description_again() -> None:
    """The re-INVITE says what was agreed: the far end's hold stays its own."""
    pair = Pair()
    alice, bob = pair.connect_call()
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    pair.alice.disconnect(pair.now)
    pair.run(5)
    pair.wire.clear()
    pair.alice.connect(pair.now, recovered=True)
    pair.settle()
    assert pair.flow == ["alice INVITE", "bob 200 INVITE", "alice ACK"]
    for agent, (local, remote) in ((pair.alice, (False, True)), (pair.bob, (True, False))):
        last = agent.seen(HoldChanged)[-1]
        assert (last.local, last.remote) == (local, remote)
    assert (pair.alice.calls.live, pair.bob.calls.live) == ((alice,), (bob,))


def test_the_refresh_after_the_recovery_winds_the_session_timer_up() -> None:
    """RFC 4028 §7.4: any re-INVITE does; ours is due half an interval after it, not after the one before."""
    solo = Solo()
    _, _, ok = solo.connect_call(headers=(("Session-Expires", "90;refresher=uac"),))
    solo.run(40)
    solo.take()
    lose(solo, 1)
    recover(solo)
    refresh = solo.request("INVITE")
    assert (refresh.headers.get("Session-Expires") or "").startswith("90")
    solo.reply(refresh, 200, sdp=ok.body, headers=(("Session-Expires", "90;refresher=uac"),))
    solo.take()
    solo.run(44)
    assert solo.ladder() == []
    solo.run(2)
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


def test_a_sleep_shifts_our_own_waits() -> None:
    """A phone that slept an hour did not ring for an hour."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    solo.flush()
    sleep(solo, 3600)
    assert len(solo.alice.seen(IncomingCall)) == 1
    assert solo.alice.ended is None


@pytest.mark.parametrize(("status", "ends"), [(200, False), (481, True)])
def test_a_session_that_ran_out_in_a_sleep_ends_only_by_the_peers_word(status: int, ends: bool) -> None:
    """RFC 4028 §10 lets us hang up; the user would rather have the call that is still there."""
    solo = Solo()
    _, _, ok = solo.connect_call(headers=(("Session-Expires", "90;refresher=uas"),))
    sleep(solo, 3600)
    refresh = solo.request("INVITE")
    headers = (("Session-Expires", "90;refresher=uas"),) if status == 200 else ()
    solo.reply(refresh, status, sdp=ok.body if status == 200 else None, headers=headers)
    assert solo.ladder() == (["ACK", "BYE"] if ends else ["ACK"])
    assert (CallState.ENDING in solo.alice.states) == ends
    if not ends:
        solo.run(61)
        assert solo.ladder() == ["BYE"]  # awake, the timer counts as before


def test_a_session_that_ran_out_in_a_sleep_is_given_up_when_nobody_answers() -> None:
    """Half a minute is what a transaction takes."""
    solo = Solo()
    solo.connect_call(headers=(("Session-Expires", "90;refresher=uas"),))
    sleep(solo, 3600)
    assert solo.ladder() == ["INVITE"]
    solo.run(33)
    assert solo.ladder() == ["BYE"]


def test_our_own_refresh_that_a_sleep_delayed_is_sent_at_once() -> None:
    """RFC 4028 §10: half of the interval went by while nobody could."""
    solo = Solo()
    solo.connect_call(headers=(("Session-Expires", "1800;refresher=uac"),))
    sleep(solo, 1200)
    assert solo.ladder() == ["INVITE"]


# --- whether the far end can be reached ------------------------------------------------------------------------


def signalling(solo: Solo) -> list[bool]:
    """What was told of the far end's being reached, in order."""
    return [event.up for event in solo.alice.seen(SignallingChanged)]


def test_lost_signalling_is_told_and_so_is_its_return() -> None:
    """It is back when the far end has answered on the new flow, not when there is a flow."""
    solo = Solo()
    _, _, ok = solo.connect_call()
    lose(solo)
    assert signalling(solo) == [False]
    recover(solo)
    assert signalling(solo) == [False]
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    assert signalling(solo) == [False, True]
    lose(solo, 5)
    recover(solo)
    solo.receive(solo.within("INFO", ok))
    assert signalling(solo) == [False, True, False, True]


def test_a_lost_refresh_is_sent_until_the_far_end_answers() -> None:
    """A call that is heard goes on however long that takes."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    lose(solo, 5)
    recover(solo)
    for _ in range(12):
        solo.request("INVITE")
        while not solo.sent:
            solo.run(1)
    assert solo.alice.seen(VerbFailed) == []
    assert solo.alice.calls.live == (call,)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    assert signalling(solo) == [False, True]


def test_a_pbx_that_stays_overloaded_is_asked_less_and_less() -> None:
    """4, 8, 16, then every 30 s."""
    solo = Solo()
    solo.connect_call()
    lose(solo)
    recover(solo)
    waits = []
    for _ in range(12):
        solo.reply(solo.request("INVITE"), 503)
        solo.take()
        asked = solo.now
        while not solo.sent:
            solo.run(0.5)
        waits.append(round(solo.now - asked))
    assert waits[:5] == [4, 8, 16, 30, 30]
    assert waits[-1] == 30


def test_a_refused_hold_does_not_cost_the_new_contact() -> None:
    """What was refused is the change, so the refresh goes alone."""
    solo = Solo()
    call, invite, ok = solo.connect_call()
    lose(solo)
    solo.alice.calls.hold(call, solo.now)
    recover(solo)
    solo.reply(solo.request("INVITE"), 488)
    (failed,) = solo.alice.seen(VerbFailed)
    assert failed.verb == "hold"
    refresh = solo.request("INVITE")
    assert refresh.body == invite.body
    solo.reply(refresh, 200, sdp=ok.body)
    assert signalling(solo) == [False, True]


def test_media_that_moved_is_told_with_the_new_contact() -> None:
    """S4: one re-INVITE says both; keys, formats and the kind of stream stay."""
    pair = Pair()
    alice, _ = pair.connect_call()
    pair.alice.disconnect(pair.now)
    pair.alice.calls.move_media(alice, replace(MOVED_MEDIA, profile=Profile.RTP_SAVP, codecs=()), pair.now)
    pair.run(5)
    pair.wire.clear()
    pair.alice.connect(pair.now, recovered=True)
    pair.settle()
    assert pair.flow == ["alice INVITE", "bob 200 INVITE", "alice ACK"]
    (offer,) = [m.body for _, _, m in pair.wire if isinstance(m, Request) and m.method == "INVITE"]
    assert b"c=IN IP4 198.51.100.7" in offer
    assert b"m=audio 6000 RTP/AVP 0 8 13 101" in offer
    assert pair.bob.seen(MediaNegotiated)[-1].parameters.remote_address == "198.51.100.7"


def test_keys_do_not_travel_over_a_connection_in_the_clear() -> None:
    """RFC 4568 §7: a failover to a server without encryption costs the routing of the call, not its secrecy."""
    pair = Pair()
    keyed = [
        replace(media, profile=Profile.RTP_SAVP, crypto=(CryptoKey(1, "AES_CM_128_HMAC_SHA1_80", letter * 40),))
        for media, letter in ((MEDIA, "A"), (OTHER_MEDIA, "B"))
    ]
    for agent in (pair.alice, pair.bob):
        agent.connect(pair.now, recovered=True)
    call = pair.alice.calls.dial("bob", keyed[0], pair.now)
    pair.settle()
    pair.bob.calls.answer(pair.bob.incoming, keyed[1], pair.now)
    pair.settle()
    pair.alice.disconnect(pair.now)
    pair.alice.transport = "WS"
    pair.wire.clear()
    pair.alice.connect(pair.now, recovered=True)
    pair.settle()
    assert pair.flow == []
    (failed,) = pair.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("refresh", 488)
    assert pair.alice.calls.live == (call,)
