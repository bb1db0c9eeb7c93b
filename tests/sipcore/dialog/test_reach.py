"""Silence and lost signalling: what ends a call, and what does not (docs/resilience.md "Calls")."""

from sipcore.dialog.core import CallSettings
from sipcore.events import CallEnded, CallState, EndedBy, HoldChanged
from tests.sipcore.dialog.pair import Pair
from tests.sipcore.dialog.solo import Solo, lose, recover, sleep


def test_silence_and_lost_signalling_together_end_a_call() -> None:
    """3.1: silent for ``media_timeout`` and signalling not restored. The BYE is said when it can be."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo, 10)
    solo.alice.calls.media_silent(call, solo.now)
    solo.run(31.9)
    assert not solo.alice.seen(CallEnded)
    solo.run(0.2)
    assert solo.alice.ended is not None
    assert (solo.alice.ended.by, solo.alice.ended.status) == (EndedBy.ERROR, 408)
    assert solo.alice.ended.reason == "Nothing was heard for 32 s, and the PBX could not be reached."
    assert solo.alice.calls.live == ()
    recover(solo)
    assert solo.ladder() == ["BYE"]


def test_silence_from_before_the_loss_counts_from_the_loss() -> None:
    """A far end that is quiet by nature gets the full time to be reached again."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.media_silent(call, solo.now - 300)
    solo.run(100)
    assert not solo.alice.seen(CallEnded)
    lose(solo, 31.9)
    assert not solo.alice.seen(CallEnded)
    solo.run(0.2)
    assert solo.alice.ended is not None


def test_live_media_is_never_dropped() -> None:
    """Hours without signalling."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo)
    for _ in range(100):
        solo.alice.calls.media_silent(call, solo.now - 3)
        solo.run(20)
        solo.alice.calls.media_silent(call, None)
        solo.run(60)
    assert solo.alice.calls.live == (call,)


def test_signalling_that_is_back_in_time_saves_a_silent_call() -> None:
    """The far end says that it is there, and that is enough."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    lose(solo)
    solo.alice.calls.media_silent(call, solo.now)
    solo.run(20)
    recover(solo)
    solo.reply(solo.request("INVITE"), 200, sdp=ok.body)
    solo.run(500)
    assert solo.alice.calls.live == (call,)


def test_a_registered_phone_gives_up_a_silent_call_whose_far_end_never_answers() -> None:
    """There is a flow, but not to the far end."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo)
    solo.alice.calls.media_silent(call, solo.now)
    solo.run(5)
    recover(solo)
    solo.run(28)
    assert solo.alice.ended is not None or CallState.ENDING in solo.alice.states


def test_on_hold_nothing_is_to_be_heard() -> None:
    """Whom we hold may be silent for as long as it takes."""
    pair = Pair()
    alice, _ = pair.connect_call()
    pair.alice.calls.media_silent(alice, pair.now)
    pair.alice.calls.hold(alice, pair.now)
    pair.settle()
    pair.alice.disconnect(pair.now)
    pair.run(500)
    assert pair.alice.calls.live == (alice,)


def test_a_sleep_is_no_silence() -> None:
    """Neither side could be heard then."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    lose(solo)
    solo.alice.calls.media_silent(call, solo.now)
    solo.run(10)
    sleep(solo, 3600)
    solo.run(21.9)
    assert not solo.alice.seen(CallEnded)
    solo.run(0.2)
    assert solo.alice.ended is not None


def test_media_timeout_can_be_turned_off() -> None:
    """0: the user alone decides."""
    solo = Solo(settings=CallSettings(media_timeout=0))
    call, _, _ = solo.connect_call()
    lose(solo)
    solo.alice.calls.media_silent(call, solo.now)
    solo.run(5000)
    assert solo.alice.calls.live == (call,)


def test_what_is_told_of_a_call_that_is_gone_is_ignored() -> None:
    """Sound reports come from another thread, late."""
    solo = Solo()
    solo.alice.calls.media_silent("nobody", solo.now)
    assert solo.alice.next_timeout() is None


def test_who_holds_us_may_be_silent() -> None:
    """Not every PBX plays music, or sends RTCP; once it has taken us back, it is to be heard again."""
    pair = Pair()
    alice, bob = pair.connect_call()
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    pair.alice.disconnect(pair.now)
    pair.alice.calls.media_silent(alice, pair.now)
    pair.run(500)
    assert pair.alice.calls.live == (alice,)
    pair.alice.connect(pair.now, recovered=True)
    pair.settle()
    last = pair.alice.seen(HoldChanged)[-1]
    assert (last.local, last.remote) == (False, True)
    pair.bob.calls.resume(bob, pair.now)
    pair.settle()
    assert not pair.alice.seen(HoldChanged)[-1].remote
    pair.alice.disconnect(pair.now)
    pair.run(32.1)
    assert pair.alice.ended is not None
    assert pair.alice.ended.status == 408
