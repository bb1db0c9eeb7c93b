"""Requests outside of calls, and small requests within them (RFC 3261 §8.2, §11; RFC 3842; RFC 6086)."""

import pytest

from sipcore.events import DtmfInfoReceived, MessageWaiting, VerbFailed
from sipcore.message.message import Response
from tests.sipcore.dialog.solo import Extra, Solo

MWI = b"Messages-Waiting: yes\r\nMessage-Account: sip:*97@pbx\r\nVoice-Message: 2/8 (0/2)\r\n"


def statuses(solo: Solo) -> list[int]:
    """What was answered since the last look."""
    return [message.status for message in solo.take() if isinstance(message, Response)]


def test_options_is_answered_in_and_out_of_calls() -> None:
    """§11.2: Allow, Accept, Accept-Encoding, Accept-Language, Supported."""
    solo = Solo()
    solo.receive(solo.outside("OPTIONS"))
    response = solo.response(200)
    for name in ("Allow", "Accept", "Accept-Encoding", "Accept-Language", "Supported"):
        assert name in response.headers
    assert response.to.tag
    _, _, ok = solo.connect_call()
    solo.receive(solo.within("OPTIONS", ok))
    assert statuses(solo) == [200]


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "REGISTER", "FOO"])
def test_methods_we_do_not_serve_get_a_405_that_names_those_we_do(method: str) -> None:
    """§8.2.1."""
    solo = Solo()
    solo.receive(solo.outside(method))
    response = solo.response(405)
    assert "INVITE" in response.allow
    assert method not in response.allow
    _, _, ok = solo.connect_call()
    solo.receive(solo.within(method, ok))
    assert statuses(solo) == [405]


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK"])
def test_requests_of_a_call_need_one(method: str) -> None:
    """§12.2.2, §15.1.2: 481."""
    solo = Solo()
    solo.receive(solo.outside(method))
    stray = solo.outside(method, call_id="gone")
    stray.headers.set("To", "<sip:alice@example.com>;tag=gone")
    solo.receive(stray)
    assert statuses(solo) == [481, 481]


def test_an_unknown_demand_is_refused_in_any_request() -> None:
    """§8.2.2.3."""
    solo = Solo()
    solo.receive(solo.outside("OPTIONS", headers=(("Require", "foo"),)))
    assert solo.response(420).headers.get("Unsupported") == "foo"


def test_what_cannot_be_read_gets_a_400_with_a_word_of_why() -> None:
    """§21.4.1."""
    solo = Solo()
    solo.receive(solo.outside("OPTIONS", headers=(("Require", "<<<"),)))
    assert solo.response(400).reason != "Bad Request"


# --- voicemail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (MWI, MessageWaiting(waiting=True, account="sip:*97@pbx", new=2, old=8)),
        (b"messages-waiting:no\r\n", MessageWaiting(waiting=False)),
        (b"Messages-Waiting: yes\nVoice-Message: 1/0\n", MessageWaiting(waiting=True, new=1, old=0)),
        (b"nonsense", None),
        (b"", None),
        (b"Messages-Waiting: perhaps\r\n", None),
        (b"\xff\xfeMessages-Waiting: yes\r\n", None),
    ],
)
def test_a_voicemail_indication_nobody_subscribed_to(body: bytes, event: MessageWaiting | None) -> None:
    """RFC 3842 §5.2; PBXs send it unasked."""
    solo = Solo()
    headers = (("Event", "message-summary"), ("Subscription-State", "active"))
    solo.receive(solo.outside("NOTIFY", headers=headers, body=body))
    assert statuses(solo) == [200]
    assert solo.alice.seen(MessageWaiting) == ([] if event is None else [event])


@pytest.mark.parametrize(
    ("headers", "status"),
    [((("Event", "presence"),), 489), ((("Event", "refer"),), 481), ((), 489), ((("Event", "<"),), 400)],
)
def test_other_notifies_out_of_the_blue(headers: Extra, status: int) -> None:
    """RFC 6665 §4.1.3."""
    solo = Solo()
    solo.receive(solo.outside("NOTIFY", headers=headers))
    assert statuses(solo) == [status]


# --- DTMF ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n", ("5", 250)),
        ("application/dtmf-relay", b"Signal= *\nDuration= 100", ("*", 100)),
        ("application/dtmf-relay", b"Duration=99999\r\nSignal=#\r\n", ("#", 10_000)),
        ("application/dtmf-relay", b"signal=a\r\n", ("A", 160)),
        ("application/dtmf", b"7", ("7", 160)),
        ("application/dtmf", b"Signal=7", ("7", 160)),
    ],
)
def test_digits_by_info(content_type: str, body: bytes, digit: tuple[str, int]) -> None:
    """De facto, as PBXs send them."""
    solo = Solo()
    call, _, ok = solo.connect_call()
    info = solo.within("INFO", ok, headers=(("Content-Type", content_type),))
    info.body = body
    solo.receive(info)
    assert statuses(solo) == [200]
    assert solo.alice.seen(DtmfInfoReceived) == [DtmfInfoReceived(call, *digit)]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (None, b"", 200),
        ("application/dtmf-relay", b"Signal=Z", 415),
        ("application/dtmf", b"x", 415),
        ("application/media_control+xml", b"<x/>", 415),
        (None, b"x", 415),
        ("<<<", b"x", 400),
    ],
)
def test_other_infos(content_type: str | None, body: bytes, status: int) -> None:
    """RFC 6086 §4.2.2: an empty one is harmless."""
    solo = Solo()
    _, _, ok = solo.connect_call()
    info = solo.within("INFO", ok, headers=() if content_type is None else (("Content-Type", content_type),))
    info.body = body
    solo.receive(info)
    assert statuses(solo) == [status]
    assert solo.alice.seen(DtmfInfoReceived) == []


def test_a_digit_of_ours_by_info() -> None:
    """And what a refusal of it means."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    solo.alice.calls.send_info_dtmf(call, "d", solo.now, duration_ms=100)
    info = solo.request("INFO")
    assert info.body == b"Signal=D\r\nDuration=100\r\n"
    solo.reply(info, 100, tag="")
    solo.reply(info, 200)
    assert solo.alice.seen(VerbFailed) == []
    solo.alice.calls.send_info_dtmf(call, "*", solo.now)
    solo.reply(solo.request("INFO"), 415)
    solo.alice.calls.send_info_dtmf(call, "1", solo.now)
    solo.run(33)
    assert [(event.verb, event.status) for event in solo.alice.seen(VerbFailed)] == [("dtmf", 415), ("dtmf", 408)]
    solo.take()
    solo.alice.calls.send_info_dtmf(call, "1", solo.now)
    solo.reply(solo.request("INFO"), 481)
    assert solo.ladder() == ["BYE"]


@pytest.mark.parametrize("digit", ["", "12", "x", "٣"])
def test_what_is_no_digit_is_not_sent(digit: str) -> None:
    """0 to 9, *, #, A to D."""
    solo = Solo()
    call, _, _ = solo.connect_call()
    with pytest.raises(Exception, match="DTMF"):
        solo.alice.calls.send_info_dtmf(call, digit, solo.now)
