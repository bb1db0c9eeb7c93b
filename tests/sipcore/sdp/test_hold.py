"""Hold and resume, RFC 3264 §8.4, every combination of directions."""

from __future__ import annotations

import itertools

import pytest

from sipcore.media import Direction
from sipcore.sdp.offer_answer import OfferAnswer
from sipcore.sdp.parse import parse
from tests.sipcore.sdp.bodies import PLAIN, ids, sdp

AUDIO = "m=audio 5004 RTP/AVP 0"
SENDRECV, SENDONLY, RECVONLY, INACTIVE = Direction

# RFC 3264 §6.1: (offered by the peer, wanted by us) -> answered.
ANSWERED = {
    (SENDRECV, SENDRECV): SENDRECV,
    (SENDRECV, SENDONLY): SENDONLY,
    (SENDRECV, RECVONLY): RECVONLY,
    (SENDRECV, INACTIVE): INACTIVE,
    (SENDONLY, SENDRECV): RECVONLY,
    (SENDONLY, SENDONLY): INACTIVE,
    (SENDONLY, RECVONLY): RECVONLY,
    (SENDONLY, INACTIVE): INACTIVE,
    (RECVONLY, SENDRECV): SENDONLY,
    (RECVONLY, SENDONLY): SENDONLY,
    (RECVONLY, RECVONLY): INACTIVE,
    (RECVONLY, INACTIVE): INACTIVE,
    (INACTIVE, SENDRECV): INACTIVE,
    (INACTIVE, SENDONLY): INACTIVE,
    (INACTIVE, RECVONLY): INACTIVE,
    (INACTIVE, INACTIVE): INACTIVE,
}


@pytest.mark.parametrize(("offered", "wanted"), itertools.product(Direction, repeat=2))
def test_answers(offered: Direction, wanted: Direction) -> None:
    """The whole table, and what is told before answering."""
    negotiation = OfferAnswer(ids())
    offer = negotiation.receive_offer(sdp(AUDIO, f"a={offered.value}"))
    assert offer.direction is offered.reversed()
    assert offer.held is (offered in (SENDONLY, INACTIVE))
    body, parameters = negotiation.create_answer(PLAIN, wanted)
    assert parameters.direction is ANSWERED[offered, wanted]
    assert parse(body).media[0].has(parameters.direction.value)


@pytest.mark.parametrize(("offered", "answered"), itertools.product(Direction, repeat=2))
def test_offers(offered: Direction, answered: Direction) -> None:
    """What we do is what we offered and the answer allows, the peer's view reversed."""
    negotiation = OfferAnswer(ids())
    assert parse(negotiation.create_offer(PLAIN, offered)).media[0].has(offered.value)
    parameters = negotiation.receive_answer(sdp(AUDIO, f"a={answered.value}"))
    assert parameters.direction.sends is (offered.sends and answered.receives)
    assert parameters.direction.receives is (offered.receives and answered.sends)


def test_hold_and_resume() -> None:
    """sendonly → recvonly, then sendrecv again."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(PLAIN)
    negotiation.receive_answer(sdp(AUDIO))
    negotiation.create_offer(PLAIN, SENDONLY)
    assert negotiation.receive_answer(sdp(AUDIO, "a=recvonly", version=2)).direction is SENDONLY
    negotiation.create_offer(PLAIN)
    assert negotiation.receive_answer(sdp(AUDIO, "a=sendrecv", version=3)).direction is SENDRECV


def test_direction_at_session_level() -> None:
    """RFC 8866 §6.7: it is the default of all streams, overridden by theirs."""
    negotiation = OfferAnswer(ids())
    assert negotiation.receive_offer(sdp(AUDIO, session=("a=sendonly",))).direction is RECVONLY
    negotiation.rollback()
    assert negotiation.receive_offer(sdp(AUDIO, "a=sendrecv", session=("a=sendonly",))).direction is SENDRECV


@pytest.mark.parametrize("lines", [(), ("a=sendrecv",), ("a=sendonly",), ("a=inactive",)])
def test_legacy_hold(lines: tuple[str, ...]) -> None:
    """c=0.0.0.0 of RFC 2543: accepted, never sent, nothing may be sent there."""
    negotiation = OfferAnswer(ids())
    negotiation.create_offer(PLAIN)
    negotiation.receive_answer(sdp(AUDIO))
    offer = negotiation.receive_offer(sdp(AUDIO, *lines, address="0.0.0.0", version=2))
    assert offer.held
    body, parameters = negotiation.create_answer(PLAIN)
    assert b"0.0.0.0" not in body
    assert not parameters.direction.sends
    assert parameters.on_hold_by_peer
    assert parameters.direction.receives is ("a=inactive" not in lines)
    negotiation.receive_offer(sdp(AUDIO, version=3))
    assert negotiation.create_answer(PLAIN)[1].direction is SENDRECV


def test_no_address_yet_is_no_hold() -> None:
    """RFC 8839: with ICE, 0.0.0.0 and port 9 mean that no candidate is known."""
    negotiation = OfferAnswer(ids())
    offer = negotiation.receive_offer(
        sdp("m=audio 9 RTP/AVPF 0", "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", address="0.0.0.0")
    )
    assert offer.direction is SENDRECV
