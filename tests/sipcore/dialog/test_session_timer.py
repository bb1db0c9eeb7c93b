"""Session timers (RFC 4028)."""

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.events import CallState, EndedBy
from sipcore.message.message import Request
from tests.sipcore.dialog.pair import MEDIA
from tests.sipcore.dialog.solo import Extra, Solo


def test_the_refresher_sends_a_reinvite_with_unchanged_sdp_at_half_the_interval() -> None:
    """§7.2, §10; roles stay as they are (§7.4)."""
    solo = Solo()
    _, invite, ok = solo.connect_call(headers=(("Session-Expires", "200;refresher=uac"),))
    solo.run(99)
    assert solo.take() == []
    solo.run(2)
    refresh = solo.request("INVITE")
    assert refresh.body == invite.body
    assert refresh.headers.get("Session-Expires") == "200;refresher=uac"
    solo.reply(refresh, 200, sdp=ok.body, headers=(("Session-Expires", "200;refresher=uac"),))
    solo.take()
    solo.run(101)
    assert solo.ladder() == ["INVITE"]


def test_a_refresher_that_is_never_answered_says_bye_at_the_end_of_the_interval() -> None:
    """§10."""
    solo = Solo()
    solo.connect_call(headers=(("Session-Expires", "200;refresher=uac"),))
    solo.run(201)
    assert solo.ladder() == ["INVITE", "BYE"]
    assert solo.alice.states[-1] is CallState.ENDING


def test_the_other_side_says_bye_a_little_earlier_when_no_refresh_comes() -> None:
    """§10: min(32 s, a third) before the expiry."""
    solo = Solo()
    solo.connect_call(headers=(("Session-Expires", "90;refresher=uas"),))
    solo.run(59)
    assert solo.take() == []
    solo.run(2)
    solo.reply(solo.request("BYE"), 200)
    assert solo.alice.ended is not None
    assert solo.alice.ended.by is EndedBy.ERROR


def test_their_refresh_winds_the_clock_up_again() -> None:
    """§9, by re-INVITE or by UPDATE without a body."""
    solo = Solo()
    _, _, ok = solo.connect_call(headers=(("Session-Expires", "90;refresher=uas"),))
    for _ in range(5):
        solo.run(40)
        update = solo.within("UPDATE", ok, headers=(("Session-Expires", "90;refresher=uac"), ("Supported", "timer")))
        solo.receive(update)
        response = solo.response(200)
        assert response.headers.get("Session-Expires") == "90;refresher=uac"
        assert response.require == ["timer"]
    solo.run(61)
    assert solo.ladder() == ["BYE"]


def test_without_the_header_in_the_2xx_there_is_no_timer() -> None:
    """§7.2."""
    solo = Solo()
    solo.connect_call()
    solo.run(10_000)
    assert solo.take() == []


def test_the_timer_can_be_left_to_the_peer() -> None:
    """session_expires = 0."""
    solo = Solo(settings=CallSettings(session_expires=0))
    _, invite = solo.dial()
    assert "Session-Expires" not in invite.headers
    assert "Min-SE" not in invite.headers


@pytest.mark.parametrize(
    ("headers", "agreed", "we_refresh"),
    [
        ((("Session-Expires", "200;refresher=uac"), ("Supported", "timer")), "200;refresher=uac", False),
        ((("Session-Expires", "200;refresher=uas"), ("Supported", "timer")), "200;refresher=uas", True),
        ((("Session-Expires", "200"), ("Supported", "timer")), "200;refresher=uac", False),
        # A proxy put it in; the caller itself knows nothing of timers.
        ((("Session-Expires", "200"),), "200;refresher=uas", True),
        ((("Session-Expires", "20"),), "90;refresher=uas", True),
        ((), None, False),
    ],
)
def test_who_refreshes_a_call_of_theirs(headers: Extra, agreed: str | None, we_refresh: bool) -> None:
    """§9, table 2."""
    solo = Solo()
    invite = solo.invite(sdp=solo.offer(), headers=headers)
    solo.receive(invite)
    solo.alice.calls.answer(solo.alice.incoming, MEDIA, solo.now)
    response = solo.response(200)
    assert response.headers.get("Session-Expires") == agreed
    assert ("timer" in response.require) == (agreed is not None and not we_refresh)
    solo.receive(solo.within("ACK", response, cseq=invite.cseq.number))
    solo.run(150)
    sent = [m.method for m in solo.take() if isinstance(m, Request)]
    assert ("INVITE" in sent) == we_refresh


def test_a_refresh_interval_the_peer_finds_too_small_is_raised() -> None:
    """§7.3, in the middle of a call."""
    solo = Solo()
    _, _, ok = solo.connect_call(headers=(("Session-Expires", "200;refresher=uac"),))
    solo.run(101)
    solo.reply(solo.request("INVITE"), 422, headers=(("Min-SE", "400"),))
    again = solo.request("INVITE")
    assert again.headers.get("Session-Expires") == "400;refresher=uac"
    assert again.headers.get("Min-SE") == "400"
    assert ok.status == 200


def test_a_nonsensical_agreement_ends_the_call_attempt_as_unusable() -> None:
    """A Session-Expires nobody can read in a 2xx."""
    solo = Solo()
    _, invite = solo.dial()
    solo.reply(invite, 200, sdp=solo.answer_to(invite), headers=(("Session-Expires", "x"),))
    assert solo.ladder() == ["ACK", "BYE"]
