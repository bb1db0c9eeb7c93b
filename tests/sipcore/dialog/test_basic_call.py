"""Whole calls between two agents, in the manner of RFC 3665."""

from __future__ import annotations

from sipcore.events import CallState, EndedBy, IncomingCall, MediaNegotiated
from sipcore.media import Direction
from tests.sipcore.dialog.pair import Pair


def test_a_call_is_dialled_answered_and_hung_up_by_the_caller() -> None:
    """RFC 3665 §3.1: Session Establishment Through Two Proxies, without the proxies."""
    pair = Pair()
    call = pair.call()
    bob = pair.bob.incoming
    assert pair.alice.states == [CallState.CALLING, CallState.RINGING]
    pair.bob.calls.answer(bob, MEDIA_OF_BOB, pair.now)
    pair.settle()
    assert pair.alice.states[-1] is CallState.ACTIVE
    assert pair.bob.states == [CallState.ACTIVE]
    pair.alice.calls.hang_up(call, pair.now)
    pair.settle()
    assert pair.flow == [
        "alice INVITE",
        "bob 100 INVITE",
        "bob 180 INVITE",
        "bob 200 INVITE",
        "alice ACK",
        "alice BYE",
        "bob 200 BYE",
    ]
