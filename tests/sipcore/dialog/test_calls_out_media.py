"""Calls of ours whose media is refused: the application is asked for another offer (RFC 3261 §8.1.3.5)."""

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError
from sipcore.events import CallEnded, CallState, EndedBy, OfferRefused
from tests.sipcore.dialog.pair import MOVED_MEDIA
from tests.sipcore.dialog.solo import Solo, lose


def ended(solo: Solo) -> CallEnded:
    """How the call ended."""
    assert solo.alice.ended is not None
    return solo.alice.ended


@pytest.mark.parametrize("status", [415, 488, 606])
def test_refused_media_is_asked_about_and_offered_anew(status: int) -> None:
    """The media ladder: the application gets the time to make another offer, of the same attempt (§8.1.3.5)."""
    solo = Solo()
    call, invite = solo.dial(fallback=True)
    solo.reply(invite, status)
    assert solo.ladder() == ["ACK"]
    assert solo.alice.seen(OfferRefused) == [OfferRefused(call)]
    solo.run(5)
    solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)
    again = solo.request("INVITE")
    assert b"198.51.100.7" in again.body
    assert b"192.0.2.1" in invite.body
    assert again.call_id == invite.call_id
    assert again.cseq.number == invite.cseq.number + 1
    solo.reply(again, 200, sdp=solo.answer_to(again))
    assert solo.alice.states[-1] is CallState.ACTIVE


def test_media_refused_again_is_the_end_where_there_is_no_other_offer() -> None:
    """The refusal stands, with its own status."""
    solo = Solo()
    call, invite = solo.dial(fallback=True)
    solo.reply(invite, 488)
    solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)
    solo.reply(solo.request("INVITE"), 606)
    assert solo.alice.seen(OfferRefused) == [OfferRefused(call)] * 2
    solo.alice.calls.offer_again(call, None, solo.now)
    solo.flush()
    assert ended(solo) == CallEnded(call=call, by=EndedBy.REMOTE, status=606, reason="Not Acceptable")


def test_refused_media_is_the_end_where_nothing_else_was_announced() -> None:
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 488)
    assert ended(solo).status == 488
    assert not solo.alice.seen(OfferRefused)


def test_hanging_up_between_two_offers_ends_the_call_at_once() -> None:
    """There is nothing to cancel; the offer that comes too late is refused."""
    solo = Solo()
    call, invite = solo.dial(fallback=True)
    solo.reply(invite, 180)
    solo.reply(invite, 488)
    solo.take()
    solo.alice.calls.hang_up(call, solo.now)
    assert solo.ladder() == []
    assert ended(solo).by is EndedBy.LOCAL
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)


def test_an_offer_that_never_comes_ends_the_call_when_it_has_rung_for_long_enough() -> None:
    solo = Solo()
    _, invite = solo.dial(fallback=True)
    solo.reply(invite, 488)
    solo.run(CallSettings().ring_timeout)
    assert (ended(solo).by, ended(solo).status) == (EndedBy.LOCAL, 408)


def test_another_offer_without_a_connection_fails_as_any_call_does() -> None:
    solo = Solo()
    call, invite = solo.dial(fallback=True)
    solo.reply(invite, 488)
    lose(solo)
    solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)
    solo.flush()
    assert (ended(solo).by, ended(solo).status) == (EndedBy.ERROR, 503)


def test_another_offer_is_for_a_call_whose_media_was_refused() -> None:
    solo = Solo()
    call, invite = solo.dial(fallback=True)
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)
    solo.reply(invite, 200, sdp=solo.answer_to(invite))
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.offer_again(call, MOVED_MEDIA, solo.now)
