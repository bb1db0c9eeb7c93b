"""Transfers by REFER (RFC 3515, RFC 3892, RFC 5589)."""

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError
from sipcore.events import CallEnded, CallId, EndedBy, TransferProgress, VerbFailed
from sipcore.message.message import Request, Response
from tests.sipcore.dialog.solo import Solo


def begin(solo: Solo) -> tuple[CallId, Request, Response]:
    """A call whose transfer was accepted; returns call, REFER and the call's 200."""
    call, _, ok = solo.connect_call()
    solo.alice.calls.transfer(call, "600", solo.now)
    refer = solo.request("REFER")
    solo.reply(refer, 202)
    return call, refer, ok


def notify(solo: Solo, ok: Response, fragment: str, state: str = "active;expires=60", event: str = "refer") -> None:
    """A NOTIFY of the subscription arrives."""
    request = solo.within("NOTIFY", ok, headers=(("Event", event), ("Subscription-State", state)))
    request.headers.add("Content-Type", "message/sipfrag;version=2.0")
    request.body = fragment.encode()
    solo.receive(request)


def progress(solo: Solo) -> list[tuple[int, bool]]:
    """(status, done) of each report."""
    return [(event.status, event.done) for event in solo.alice.seen(TransferProgress)]


def test_a_blind_transfer_ends_our_call_when_the_fragment_says_200() -> None:
    """RFC 5589 §6.1."""
    solo = Solo()
    call, refer, ok = begin(solo)
    assert refer.headers.get("Refer-To") == "<sip:600@example.com>"
    assert refer.headers.get("Referred-By") == "<sip:alice@example.com>"
    assert refer.contacts
    notify(solo, ok, "SIP/2.0 100 Trying\r\n")
    notify(solo, ok, "SIP/2.0 180 Ringing", event=f"refer;id={refer.cseq.number}")
    assert solo.ladder() == ["200 NOTIFY", "200 NOTIFY"]
    notify(solo, ok, "SIP/2.0 200 OK\r\n", "terminated;reason=noresource")
    assert progress(solo) == [(100, False), (180, False), (200, True)]
    messages = solo.take()
    assert {m.cseq.method for m in messages} == {"NOTIFY", "BYE"}
    solo.reply(next(m for m in messages if isinstance(m, Request)), 200)
    assert solo.alice.ended == CallEnded(call=call, by=EndedBy.LOCAL, answered=True)


def test_a_failed_transfer_gives_the_caller_back() -> None:
    """The call goes on, and may be transferred again."""
    solo = Solo()
    call, _, ok = begin(solo)
    notify(solo, ok, "SIP/2.0 486 Busy Here", "terminated;reason=noresource")
    (report,) = solo.alice.seen(TransferProgress)
    assert (report.status, report.reason, report.done) == (486, "Busy Here", True)
    assert solo.alice.ended is None
    solo.take()
    solo.alice.calls.transfer(call, "601", solo.now)
    assert solo.ladder() == ["REFER"]


def test_a_refused_refer_is_a_failed_verb() -> None:
    """The call goes on."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.transfer(call, "600", solo.now)
    with pytest.raises(LocalProtocolError, match="under way"):
        solo.alice.calls.transfer(call, "600", solo.now)
    solo.reply(solo.request("REFER"), 603)
    (failed,) = solo.alice.seen(VerbFailed)
    assert (failed.verb, failed.status) == ("transfer", 603)
    assert solo.alice.ended is None


def test_a_refer_nobody_answers_or_the_connection_swallows() -> None:
    """Failed verbs as well."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.transfer(call, "600", solo.now)
    refer = solo.request("REFER")
    solo.reply(refer, 100, tag="")
    solo.run(33)
    solo.alice.calls.transfer(call, "600", solo.now)
    solo.flush()
    solo.alice.disconnect(solo.now)
    solo.flush()
    assert [event.status for event in solo.alice.seen(VerbFailed)] == [408, 503]


def test_silence_after_the_202_is_over_at_some_point() -> None:
    """A PBX that never sends a NOTIFY."""
    solo = Solo(settings=CallSettings(transfer_timeout=50))
    _, _, ok = begin(solo)
    notify(solo, ok, "SIP/2.0 180 Ringing")
    solo.run(49)
    assert progress(solo) == [(180, False)]
    solo.run(2)
    assert progress(solo) == [(180, False), (408, True)]
    assert solo.alice.ended is None


def test_a_pbx_that_ends_the_call_itself_ends_the_transfer() -> None:
    """The last news was the last."""
    solo = Solo()
    _, _, ok = begin(solo)
    notify(solo, ok, "SIP/2.0 180 Ringing")
    solo.receive(solo.within("BYE", ok))
    assert progress(solo) == [(180, False), (180, True)]


def test_a_notify_before_the_202_counts() -> None:
    """RFC 6665 §4.1.2.4: "NOTIFY requests may arrive before the response"."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    solo.alice.calls.transfer(call, "600", solo.now)
    refer = solo.request("REFER")
    notify(solo, ok, "SIP/2.0 200 OK", "terminated")
    solo.reply(refer, 202)
    assert progress(solo) == [(200, True)]


@pytest.mark.parametrize(
    ("event", "state", "status"),
    [
        ("refer", "active", 481),
        ("refer;id=9999", "active", 481),
        ("presence", "active", 489),
        ("refer", "", 400),
        ("", "active", 489),
    ],
)
def test_notifies_nobody_asked_for(event: str, state: str, status: int) -> None:
    """RFC 6665 §4.1.3: 481 for an unknown subscription, 489 for an unknown package."""
    solo = Solo()
    if "id" in event:
        _, _, ok = begin(solo)
    else:
        _, _, ok = solo.connect_call()
    headers = tuple((n, v) for n, v in (("Event", event), ("Subscription-State", state)) if v)
    solo.take()
    solo.receive(solo.within("NOTIFY", ok, headers=headers))
    assert [m.status for m in solo.take() if isinstance(m, Response)] == [status]
    assert progress(solo) == []


def test_a_fragment_that_says_nothing_is_no_news() -> None:
    """Still a 200; the subscription may be over with it."""
    solo = Solo()
    _, _, ok = begin(solo)
    notify(solo, ok, "garbage")
    notify(solo, ok, "", "terminated;reason=timeout")
    assert progress(solo) == [(100, False), (100, True)]


def test_an_attended_transfer_refers_to_the_other_call() -> None:
    """RFC 5589 §7: Replaces with the tags as the target sees them."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    other, invite = solo.dial("carol")
    solo.reply(invite, 200, tag="carol", sdp=solo.answer_to(invite))
    solo.take()
    solo.alice.calls.attended_transfer(call, other, solo.now)
    refer = solo.request("REFER")
    assert refer.to.tag == "bob"
    ours = invite.from_.tag
    assert refer.headers.get("Refer-To") == (
        f"<sip:carol@example.com?Replaces={invite.call_id}%3Bto-tag%3Dcarol%3Bfrom-tag%3D{ours}>"
    )
    with pytest.raises(LocalProtocolError):
        solo.alice.calls.attended_transfer(call, call, solo.now)


def test_a_call_before_its_ack_cannot_be_transferred() -> None:
    """The callee's side of it."""
    solo = Solo()
    solo.receive(solo.invite(sdp=solo.offer()))
    from tests.sipcore.dialog.pair import MEDIA

    solo.alice.calls.answer(solo.alice.incoming, MEDIA, solo.now)
    with pytest.raises(LocalProtocolError, match="answered"):
        solo.alice.calls.transfer(solo.alice.incoming, "600", solo.now)
