"""What becomes of a call depends on what it is doing when its signalling is lost: docs/resilience.md, "Calls"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import root
from tests.lab.asterisk import Asterisk
from tests.lab.call_scene import pause
from tests.lab.evidence import require
from tests.lab.relay import Relay
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.parallel]


@pytest.fixture
def impatient() -> Iterator[Asterisk]:
    """A PBX whose transactions time out after 6.4 s in place of 32."""
    require(root.why_unavailable())
    with Asterisk(extra="[system]\ntype=system\ntimer_t1=100\ntimer_b=6400\n") as pbx:
        yield pbx


@pytest.fixture
def phone(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> Engine:
    """1001 behind the relay."""
    return _registered(make_engine(asterisk.ws_uri.replace(asterisk.address, relay.address), "1001"))


@pytest.fixture
def other(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> Engine:
    """1004, whose signalling is never lost."""
    return _registered(make_engine(asterisk.ws_uri, "1004"))


def _registered(engine: Engine) -> Engine:
    engine.start()
    engine.wait_registered()
    return engine


def _lose(relay: Relay, phone: Engine) -> int:
    since = phone.mark()
    relay.refuse()
    relay.reset()
    phone.wait_event("transportDisconnected", since=since)
    return since


def test_a_held_call_stays_held_and_is_taken_back(asterisk: Asterisk, relay: Relay, phone: Engine) -> None:
    call = phone.dial("606")
    phone.wait_seconds(1)
    phone.ctl("hold")
    since = _lose(relay, phone)
    relay.accept()
    phone.wait_event("signallingChanged", since=since, up=True)
    assert phone.calls()[0]["held"]
    phone.ctl("resume")
    assert [(one["id"], one["held"]) for one in phone.calls()] == [(call, False)]
    phone.ctl("hangup")
    asterisk.wait_no_channels()


def test_two_calls_are_both_told(asterisk: Asterisk, relay: Relay, phone: Engine) -> None:
    """One held, one talked to: a re-INVITE each, and each as it was."""
    first = phone.dial("606")
    phone.wait_seconds(1)
    second = phone.dial("600")
    wait_until(
        lambda: (
            [(one["id"], one["held"], one["state"]) for one in phone.calls()]
            == [(first, True, "active"), (second, False, "active")]
        ),
        what="one held, one talked to",
    )
    since = _lose(relay, phone)
    relay.accept()
    for call in (first, second):
        phone.wait_event("signallingChanged", since=since, call=call, up=True)
    assert [(one["id"], one["held"]) for one in phone.calls()] == [(first, True), (second, False)]
    asterisk.cli("channel request hangup all")
    for call in (first, second):
        phone.wait_event("callEnded", since=since, call=call, by="remote")
    asterisk.wait_no_channels()


def test_a_call_that_rings_here_rings_on_and_is_answered(relay: Relay, phone: Engine, other: Engine) -> None:
    """The 180 is repeated, and the 200 goes by the new connection."""
    since = phone.mark()
    other.dial("1001")
    phone.wait_event("incomingCall", since=since)
    since = _lose(relay, phone)
    relay.accept()
    phone.wait_event("reconnectionSuccess", since=since)
    phone.ctl("answer")
    other.wait_call("active")
    phone.wait_seconds(1)
    other.ctl("hangup")
    phone.wait_no_calls()


def test_a_caller_who_gave_up_during_the_outage_is_found_out(
    impatient: Asterisk, make_engine: Callable[..., Engine]
) -> None:
    """The CANCEL had no way to come; once that has timed out, Asterisk knows the dialog no more and says so."""
    with Relay(impatient.address) as relay:
        phone = _registered(make_engine(impatient.ws_uri.replace(impatient.address, relay.address), "1001"))
        other = _registered(make_engine(impatient.ws_uri, "1004"))
        since = phone.mark()
        other.dial("1001")
        phone.wait_event("incomingCall", since=since)
        since = _lose(relay, phone)
        other.ctl("hangup")
        other.wait_no_calls()
        assert phone.calls()[0]["state"] == "ringing"
        relay.accept()
        ended = phone.wait_event("callEnded", 25, since=since)
        assert (ended["by"], ended["outcome"]) == ("remote", "missed")
        phone.wait_no_calls()


def test_a_caller_who_waits_through_the_outage_is_still_there(relay: Relay, phone: Engine, other: Engine) -> None:
    """Asked more than once, Asterisk never says otherwise."""
    since = phone.mark()
    other.dial("1001")
    phone.wait_event("incomingCall", since=since)
    since = _lose(relay, phone)
    relay.accept()
    phone.wait_event("reconnectionSuccess", since=since)
    pause(6)
    assert not phone.find("callEnded", since=since)
    phone.ctl("answer")
    other.wait_call("active")
    phone.ctl("hangup")
    other.wait_no_calls()


def test_a_call_answered_during_the_outage_is_up_afterwards(relay: Relay, phone: Engine, other: Engine) -> None:
    """The caller hears of the answer once it can be told."""
    since = phone.mark()
    other.dial("1001")
    phone.wait_event("incomingCall", since=since)
    since = _lose(relay, phone)
    phone.ctl("answer")
    assert phone.calls()[0]["state"] == "active"
    relay.accept()
    phone.wait_event("reconnectionSuccess", since=since)
    other.wait_call("active")
    phone.ctl("hangup")
    other.wait_no_calls()


def test_a_call_being_set_up_ends_and_rings_nowhere(
    asterisk: Asterisk, relay: Relay, phone: Engine, other: Engine
) -> None:
    """No response could come back to its INVITE; the phone that rings hears of it as soon as it can be told."""
    began, since = other.mark(), phone.mark()
    phone.dial("1004")
    other.wait_event("incomingCall", since=began)
    phone.wait_call("ringing")
    since = _lose(relay, phone)
    ended = phone.wait_event("callEnded", since=since)
    assert (ended["by"], ended["status"]) == ("error", 503)
    relay.accept()
    other.wait_event("callEnded", since=began, outcome="missed")
    asterisk.wait_no_channels()
