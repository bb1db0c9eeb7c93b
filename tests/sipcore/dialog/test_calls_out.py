"""Calls of ours: progress, forks, refusals, and what is tried again (RFC 3261 §13.2, §8.1.3, RFC 3262 §4)."""

from typing import TYPE_CHECKING

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError
from sipcore.events import CallEnded, CallRinging, CallState, EndedBy, MediaNegotiated
from sipcore.media import CryptoKey, LocalMedia, Profile
from sipcore.message.message import Request
from tests.sipcore.dialog.pair import MEDIA, MOVED_MEDIA
from tests.sipcore.dialog.solo import Solo

if TYPE_CHECKING:
    from collections.abc import Callable

CHALLENGE = ("WWW-Authenticate", 'Digest realm="x", nonce="n1", qop="auth"')


def ended(solo: Solo) -> CallEnded:
    """How the call ended."""
    assert solo.alice.ended is not None
    return solo.alice.ended


# --- the INVITE ---------------------------------------------------------------------------------------------


def test_the_invite_says_who_we_are_and_what_we_can_do() -> None:
    """§13.2.1, §8.1.1; RFC 7118 §5.2 for the Contact."""
    solo = Solo()
    call, invite = solo.dial("600")
    assert str(invite.uri) == "sip:600@example.com"
    assert str(invite.to) == "<sip:600@example.com>"
    assert str(invite.from_.uri) == "sip:alice@example.com"
    assert invite.from_.tag
    assert str(invite.contacts[0].uri) == "sip:alice@alice1.invalid;transport=ws"
    assert invite.max_forwards == 70
    assert {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"} <= set(invite.allow)
    assert {"replaces", "timer", "100rel"} == set(invite.supported)
    assert invite.headers.get("User-Agent") == "Offhook"
    assert invite.content_type is not None
    assert invite.body.startswith(b"v=0")
    assert solo.alice.calls.live == (call,)
    assert not solo.alice.calls.urgent


def test_dialling_without_signalling_or_beyond_the_limit_is_refused_at_once() -> None:
    """Nothing is sent, nothing is left behind."""
    solo = Solo(settings=CallSettings(max_calls=1))
    solo.dial()
    with pytest.raises(LocalProtocolError, match="too many"):
        solo.dial()
    solo.alice.disconnect(solo.now)
    solo.flush()
    with pytest.raises(LocalProtocolError, match="no connection"):
        solo.dial()
    assert solo.alice.calls.live == ()


def test_media_that_cannot_be_offered_leaves_no_call_behind() -> None:
    """RFC 4568 §7: no SDES keys over signalling in the clear."""
    solo = Solo()
    sdes = LocalMedia(
        address="192.0.2.1",
        rtp_port=4000,
        rtcp_port=4001,
        profile=Profile.RTP_SAVP,
        crypto=(CryptoKey(1, "AES_CM_128_HMAC_SHA1_80", "A" * 40),),
    )
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.dial("600", sdes, solo.now)
    assert solo.alice.calls.live == ()
    assert solo.take() == []


# --- progress -----------------------------------------------------------------------------------------------


def test_early_media_is_announced_and_the_same_answer_is_not_announced_twice() -> None:
    """§13.2.1: an answer may come in a provisional response, and again in the 2xx."""
    solo = Solo()
    _, invite = solo.dial()
    answer = solo.answer_to(invite)
    solo.reply(invite, 100, tag="")
    solo.reply(invite, 183, sdp=answer)
    assert solo.alice.states == [CallState.CALLING, CallState.EARLY]
    solo.reply(invite, 180)
    solo.reply(invite, 200, sdp=answer)
    assert solo.alice.states == [CallState.CALLING, CallState.EARLY, CallState.ACTIVE]
    assert len(solo.alice.seen(MediaNegotiated)) == 1
    assert solo.ladder() == ["ACK"]


@pytest.mark.parametrize("order", [(180, 183), (183, 180), (180,), (183, 180, 183, 180)])
def test_ringing_is_told_once_whatever_comes_before_and_after(order: tuple[int, ...]) -> None:
    """RFC 3960 §3.2: a phone makes its own ringback only after a 180, and has to know of one behind a 183."""
    solo = Solo()
    call, invite = solo.dial()
    for status in order:
        solo.reply(invite, status, sdp=solo.answer_to(invite) if status == 183 else None)
    assert solo.alice.seen(CallRinging) == [CallRinging(call)]
    silent = Solo()
    _, invite = silent.dial()
    silent.reply(invite, 183, sdp=silent.answer_to(invite))
    assert silent.alice.seen(CallRinging) == []


def test_a_2xx_without_a_body_takes_the_early_answer() -> None:
    """§13.2.1: "the answer [...] MUST be the same" and may be left out."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 183, sdp=solo.answer_to(invite))
    solo.reply(invite, 200)
    assert solo.alice.states[-1] is CallState.ACTIVE


def test_a_progress_nobody_can_read_is_no_progress() -> None:
    """The final response counts."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 183, sdp=b"nonsense")
    solo.reply(invite, 183, headers=(("Require", "100rel"), ("RSeq", "x")))
    solo.reply(invite, 180, tag="")
    assert solo.alice.states == [CallState.CALLING, CallState.RINGING]
    assert solo.ladder() == []


def test_reliable_progress_is_acknowledged_in_order() -> None:
    """RFC 3262 §4: PRACK each once; one out of order is ignored."""
    solo = Solo()
    _, invite = solo.dial()

    def reliable(rseq: int) -> None:
        solo.reply(invite, 183, headers=(("Require", "100rel"), ("RSeq", str(rseq))))

    reliable(7)
    prack = solo.request("PRACK")
    assert prack.headers.get("RAck") == "7 1 INVITE"
    assert prack.to.tag == "bob"
    assert prack.cseq.number == 2
    solo.reply(prack, 200)
    reliable(7)
    reliable(9)
    assert solo.ladder() == []
    reliable(8)
    second = solo.request("PRACK")
    assert second.headers.get("RAck") == "8 1 INVITE"
    assert second.cseq.number == 3
    solo.reply(invite, 200, sdp=solo.answer_to(invite))
    assert solo.request("ACK").cseq.number == 1


def test_nobody_answers() -> None:
    """The ring time-out is ours: CANCEL, and the 487 ends it."""
    solo = Solo(settings=CallSettings(ring_timeout=30))
    _, invite = solo.dial()
    solo.reply(invite, 180)
    solo.run(31)
    assert solo.ladder() == ["CANCEL"]
    assert solo.alice.states[-1] is CallState.ENDING
    solo.reply(invite, 487)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.LOCAL, 408)


# --- forks --------------------------------------------------------------------------------------------------


def test_of_two_forks_that_answer_the_second_is_acknowledged_and_ended() -> None:
    """§13.2.2.4: every 2xx is acknowledged, the unwanted get a BYE; copies are acknowledged again."""
    solo = Solo()
    call, invite = solo.dial()
    for tag in ("one", "two"):
        solo.reply(invite, 180, tag=tag)
    first = solo.reply(invite, 200, tag="two", sdp=solo.answer_to(invite))
    assert solo.ladder() == ["ACK"]
    second = solo.reply(invite, 200, tag="one", sdp=solo.answer_to(invite, MOVED_MEDIA))
    ack, bye = solo.take()
    assert (ack.to.tag, bye.to.tag) == ("one", "one")
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    solo.receive(second)
    solo.receive(first)
    assert solo.ladder() == ["ACK", "ACK"]
    assert solo.alice.calls.pending_farewells == 1
    solo.reply(bye, 200)
    assert solo.alice.calls.pending_farewells == 0
    assert solo.alice.calls.live == (call,)
    assert [event.parameters.remote_address for event in solo.alice.seen(MediaNegotiated)] == ["192.0.2.2"]


def test_a_copy_of_the_2xx_gets_the_same_ack_for_32_seconds() -> None:
    """§13.2.2.4: "the ACK [...] is generated [...] for each final response received", byte for byte."""
    solo = Solo()
    _, invite = solo.dial()
    response = solo.reply(invite, 200, sdp=solo.answer_to(invite))
    (ack,) = solo.take()
    solo.run(20)
    solo.receive(response)
    (again,) = solo.take()
    assert bytes(again) == bytes(ack)
    solo.run(20)
    solo.receive(response)
    assert solo.take() == []


def test_the_media_follows_the_fork_that_answers() -> None:
    """Each early dialog has a negotiation of its own; the rounds of the call count up."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 183, tag="one", sdp=solo.answer_to(invite))
    solo.reply(invite, 183, tag="two", sdp=solo.answer_to(invite, MOVED_MEDIA))
    solo.reply(invite, 200, tag="one", sdp=solo.answer_to(invite))
    rounds = [
        (event.parameters.negotiation, event.parameters.remote_address) for event in solo.alice.seen(MediaNegotiated)
    ]
    assert rounds == [(1, "192.0.2.2"), (2, "198.51.100.7"), (3, "192.0.2.2")]


def test_forks_have_a_limit() -> None:
    """Strangers decide how many there are."""
    solo = Solo(settings=CallSettings(max_forks=2))
    _, invite = solo.dial()
    for number in range(5):
        solo.reply(invite, 180, tag=f"t{number}")
    solo.reply(invite, 200, tag="t4", sdp=solo.answer_to(invite))
    assert solo.alice.states[-1] is CallState.ACTIVE


# --- CANCEL -------------------------------------------------------------------------------------------------


def test_hanging_up_before_any_response_waits_for_one() -> None:
    """§9.1."""
    solo = Solo()
    call, invite = solo.dial()
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == []
    solo.reply(invite, 100, tag="")
    assert solo.ladder() == ["CANCEL"]
    solo.reply(invite, 487)
    assert (ended(solo).by, ended(solo).status, ended(solo).answered) == (EndedBy.LOCAL, 487, False)
    assert solo.alice.states == [CallState.CALLING, CallState.ENDING]


def test_a_cancel_that_crosses_the_200_becomes_ack_and_bye() -> None:
    """§9.1: CANCEL "has no effect on a request to which a UAS has already given a final response"."""
    solo = Solo()
    call, invite = solo.dial()
    solo.reply(invite, 180)
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == ["CANCEL"]
    solo.reply(invite, 200, sdp=solo.answer_to(invite))
    assert [m.method for m in solo.take() if isinstance(m, Request)] == ["ACK", "BYE"]
    assert CallState.ACTIVE not in solo.alice.states
    assert solo.alice.seen(MediaNegotiated) == []


def test_a_200_long_after_everything_was_given_up_is_acknowledged_and_ended() -> None:
    """Whoever answers a call that is over must not be left alone in it."""
    solo = Solo()
    call, invite = solo.dial()
    solo.reply(invite, 180)
    solo.reply(invite, 200, sdp=b"nonsense")
    assert solo.ladder() == ["ACK", "BYE"]
    assert (ended_or_ending(solo), call in solo.alice.calls.live) == (True, True)
    solo.reply(invite, 200, tag="other", sdp=solo.answer_to(invite))
    assert solo.ladder() == ["ACK", "BYE"]


def ended_or_ending(solo: Solo) -> bool:
    """Whether the user was told that the call is ending."""
    return CallState.ENDING in solo.alice.states


def test_an_answer_nobody_can_use_ends_the_call() -> None:
    """§13.2.2.4: "the UAC core [...] generates an ACK and then sends a BYE"."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 200)
    bye = solo.request("BYE")
    solo.reply(bye, 200)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.ERROR, 488)


def test_hanging_up_twice_is_hanging_up_once() -> None:
    """In every state."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.hang_up(call, solo.now)
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == ["BYE"]


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 480, 486, 500, 503, 600, 603])
def test_a_refusal_ends_the_attempt_with_its_words(status: int) -> None:
    """What the PBX said is what the user hears."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, status)
    assert solo.ladder() == ["ACK"]
    end = ended(solo)
    assert (end.by, end.status, end.answered) == (EndedBy.REMOTE, status, False)
    assert end.reason
    assert solo.alice.calls.live == ()
    assert solo.alice.calls.next_timeout() is None


def test_nobody_there_at_all() -> None:
    """Timer B."""
    solo = Solo()
    solo.dial()
    solo.run(33)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.ERROR, 408)


def test_a_challenge_is_answered_and_the_ack_of_the_2xx_carries_the_credentials() -> None:
    """§22.2, §22.1."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 401, headers=(CHALLENGE,))
    messages = solo.take()
    again = messages[-1]
    assert isinstance(again, Request)
    assert (again.method, again.cseq.number) == ("INVITE", 2)
    assert again.call_id == invite.call_id
    assert again.body == invite.body
    solo.reply(again, 200, sdp=solo.answer_to(again))
    ack = solo.request("ACK")
    assert ack.cseq.number == 2
    assert ack.headers.get("Authorization") == again.headers.get("Authorization")


def test_a_wrong_password_ends_the_attempt() -> None:
    """§22.1."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 401, headers=(CHALLENGE,))
    again = solo.request("INVITE")
    solo.reply(again, 401, headers=(CHALLENGE,))
    assert (ended(solo).by, ended(solo).status) == (EndedBy.REMOTE, 401)


def test_a_redirection_is_followed_once_to_the_best_target() -> None:
    """§8.1.3.4: same Call-ID, To and From tag, CSeq one higher; headers of strangers' URIs are not obeyed (§19.1.5)."""
    solo = Solo()
    _, invite = solo.dial()
    contacts = "<sip:low@x.example.com>;q=0.1, <sip:best@x.example.com?Replaces=a>;q=0.9, <sip:bad@x>;q=y"
    solo.reply(invite, 302, headers=(("Contact", contacts),))
    again = solo.request("INVITE")
    assert str(again.uri) == "sip:best@x.example.com"
    assert again.headers.get("To") == invite.headers.get("To")
    assert again.from_ == invite.from_
    assert again.cseq.number == 2
    solo.reply(again, 302, headers=(("Contact", "<sip:third@x.example.com>"),))
    assert ended(solo).status == 302


@pytest.mark.parametrize("contact", ["<sip:bob@example.com>", "<tel:123>", "<<<", "<mailto:bob@x>"])
def test_a_redirection_that_leads_nowhere_is_the_end(contact: str) -> None:
    """In a circle, or out of SIP."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 302, headers=(("Contact", contact),))
    assert ended(solo).status == 302


def test_a_session_interval_too_small_is_raised() -> None:
    """RFC 4028 §7.3."""
    solo = Solo(settings=CallSettings(session_expires=300))
    _, invite = solo.dial()
    assert invite.headers.get("Session-Expires") == "300"
    solo.reply(invite, 422, headers=(("Min-SE", "600"),))
    again = solo.request("INVITE")
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("600", "600")
    solo.reply(again, 422, headers=(("Min-SE", "600"),))
    assert ended(solo).status == 422


@pytest.mark.parametrize("min_se", ["", "x", "999999999"])
def test_an_interval_nobody_can_mean_is_a_refusal(min_se: str) -> None:
    """RFC 4028 §7.3: a 422 without a usable Min-SE."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 422, headers=(("Min-SE", min_se),) if min_se else ())
    assert ended(solo).status == 422


def test_what_is_tried_again_is_not_tried_after_hanging_up() -> None:
    """A redirection that crosses the CANCEL."""
    solo = Solo()
    call, invite = solo.dial()
    solo.reply(invite, 180)
    solo.alice.calls.hang_up(call, solo.now)
    solo.reply(invite, 302, headers=(("Contact", "<sip:other@x.example.com>"),))
    assert solo.ladder() == ["CANCEL", "ACK"]
    assert ended(solo).by is EndedBy.LOCAL


def test_a_2xx_without_a_tag_cannot_be_acknowledged() -> None:
    """§12.1: no dialog, no ACK; the attempt goes on waiting."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 200, tag="", sdp=solo.answer_to(invite))
    assert solo.ladder() == []
    assert solo.alice.states == [CallState.CALLING]


# --- in the early dialog ------------------------------------------------------------------------------------


def test_requests_of_the_callee_before_the_answer() -> None:
    """RFC 3311 §5.2: an UPDATE with an offer while ours is open gets 491, one without is fine; an INVITE gets 491."""
    solo = Solo()
    _, invite = solo.dial()
    ringing = solo.reply(invite, 180)
    solo.receive(solo.within("UPDATE", ringing, sdp=solo.offer()))
    solo.receive(solo.within("UPDATE", ringing))
    solo.receive(solo.within("INVITE", ringing, sdp=solo.offer()))
    solo.receive(solo.within("PRACK", ringing))
    solo.receive(solo.within("BYE", ringing))
    assert solo.ladder() == ["491 UPDATE", "200 UPDATE", "491 INVITE", "481 PRACK", "200 BYE"]


def test_verbs_that_do_not_fit_say_so_and_change_nothing() -> None:
    """LocalProtocolError is for our own caller."""
    solo = Solo()
    call, _ = solo.dial()
    calls, now = solo.alice.calls, solo.now
    verbs: tuple[Callable[[], object], ...] = (
        lambda: calls.hold(call, now),
        lambda: calls.resume(call, now),
        lambda: calls.ring(call, now),
        lambda: calls.answer(call, MEDIA, now),
        lambda: calls.reject(call, 486, "", now),
        lambda: calls.update_media(call, MEDIA, now),
        lambda: calls.transfer(call, "600", now),
        lambda: calls.send_info_dtmf(call, "1", now),
        lambda: calls.attended_transfer(call, call, now),
        lambda: calls.hang_up("nobody", now),
    )
    for verb in verbs:
        with pytest.raises(LocalProtocolError):
            verb()
    assert solo.ladder() == []
    assert solo.alice.states == [CallState.CALLING]
