"""Random verbs over a network that loses and reorders, replayed by seed; and hostile bytes.

Whatever happens: each call ends at most once and says nothing afterwards, the two sides agree in the end, and nothing
is left behind.
"""

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from sipcore.dialog.core import CallSettings
from sipcore.errors import LocalProtocolError, ParseError
from sipcore.events import CallEnded, Event, HoldChanged, IncomingCall, MediaNegotiated
from sipcore.media import Direction
from sipcore.message.parse import parse_message
from tests.sipcore.dialog.pair import MEDIA, MOVED_MEDIA, OTHER_MEDIA, Agent, Netem, Pair
from tests.sipcore.dialog.solo import Solo

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = CallSettings(ring_timeout=40, session_expires=120)


def of_call(event: Event) -> str | None:
    """The call an event is about."""
    return getattr(event, "call", None)


def check_stories(agent: Agent) -> None:
    """Each call's events: an end at most once, and nothing after it."""
    over: set[str] = set()
    for event in agent.log:
        call = of_call(event)
        if call is None:
            continue
        assert call not in over, event
        if isinstance(event, CallEnded):
            over.add(call)
    rounds: Counter[str] = Counter()
    for event in agent.seen(MediaNegotiated):
        rounds[event.call] += 1
        assert event.parameters.negotiation == rounds[event.call]


def press_something(agent: Agent, random: Random, now: float) -> None:
    """One random verb on a random call; what does not fit must only say so."""
    calls = agent.calls
    ringing = [event.call for event in agent.seen(IncomingCall) if event.call in calls.live]
    call = random.choice(calls.live) if calls.live else "none"
    verbs: list[Callable[[], object]] = [
        lambda: calls.dial("peer", MEDIA, now),
        lambda: calls.ring(random.choice(ringing or ["none"]), now),
        lambda: calls.answer(random.choice(ringing or ["none"]), OTHER_MEDIA, now),
        lambda: calls.answer(random.choice(ringing or ["none"]), OTHER_MEDIA, now),
        lambda: calls.reject(call, 486, "", now),
        lambda: calls.hold(call, now),
        lambda: calls.resume(call, now),
        lambda: calls.update_media(call, MOVED_MEDIA, now),
        lambda: calls.send_info_dtmf(call, "5", now),
        lambda: calls.transfer(call, "600", now),
        lambda: calls.hang_up(call, now),
    ]
    try:
        random.choice(verbs)()
    except LocalProtocolError:
        pass


def wind_up(pair: Pair) -> None:
    """A perfect network, everybody connected, and all the time in the world."""
    pair.netem.loss = pair.netem.jitter_s = 0.0
    for agent in (pair.alice, pair.bob):
        if not agent.connected:
            agent.connect(pair.now, recovered=True)
    pair.run(90)


def check_agreement(pair: Pair) -> None:
    """Every call that lives on one side lives on the other, with the same idea of who holds whom."""
    assert len(pair.alice.calls.live) == len(pair.bob.calls.live)
    for agent in (pair.alice, pair.bob):
        for call in agent.calls.live:
            assert any(event.call == call for event in agent.seen(MediaNegotiated))
    if len(pair.alice.calls.live) == 1:
        one, other = (_holds(agent, agent.calls.live[0]) for agent in (pair.alice, pair.bob))
        assert one == other[::-1]


def _holds(agent: Agent, call: str) -> tuple[bool, bool]:
    """Whether we hold, and whether we are held, as the user was told."""
    changes = [event for event in agent.seen(HoldChanged) if event.call == call]
    return (changes[-1].local, changes[-1].remote) if changes else (False, False)


def check_nothing_left(pair: Pair) -> None:
    """After hanging everything up: no calls, no farewells, no transactions, no timers."""
    for agent in (pair.alice, pair.bob):
        for call in agent.calls.live:
            agent.calls.hang_up(call, pair.now)
    pair.run(300)
    for agent in (pair.alice, pair.bob):
        assert agent.calls.live == ()
        assert agent.calls.pending_farewells == 0
        assert agent.layer.live == 0
        assert agent.next_timeout() is None
        check_stories(agent)


@pytest.mark.parametrize("seed", range(12))
def test_random_calls_over_a_bad_network(seed: int) -> None:
    """UDP with loss and reordering, or a WebSocket with reordering-free delay."""
    random = Random(seed)
    udp = seed % 2 == 0
    netem = Netem(seed, loss=0.15 if udp else 0.0, jitter_s=0.3 if udp else 0.0)
    pair = Pair(transport="UDP" if udp else "WSS", netem=netem, settings=SETTINGS, seed=seed)
    for _ in range(30):
        press_something(random.choice((pair.alice, pair.bob)), random, pair.now)
        pair.run(random.choice((0.0, 0.02, 0.2, 1.0, 5.0)))
    wind_up(pair)
    check_agreement(pair)
    check_nothing_left(pair)


@pytest.mark.parametrize("seed", range(12))
def test_random_calls_through_outages(seed: int) -> None:
    """Connections break at any moment and come back some time later."""
    random = Random(1000 + seed)
    pair = Pair(settings=SETTINGS, seed=seed)
    for _ in range(40):
        agent = random.choice((pair.alice, pair.bob))
        if random.random() < 0.2:
            if agent.connected:
                agent.disconnect(pair.now)
            else:
                agent.connect(pair.now, recovered=True)
        else:
            press_something(agent, random, pair.now)
        pair.run(random.choice((0.0, 0.02, 0.2, 1.0, 20.0)))
    wind_up(pair)
    check_nothing_left(pair)


@pytest.mark.parametrize("seed", range(12))
def test_hold_by_both_at_random_moments_settles(seed: int) -> None:
    """Glare over and over; what was pressed last is what holds."""
    random = Random(seed)
    pair = Pair(seed=seed)
    alice, bob = pair.connect_call()
    wanted = {"alice": False, "bob": False}
    for _ in range(12):
        for agent, call in ((pair.alice, alice), (pair.bob, bob)):
            if random.random() < 0.5:
                wanted[agent.name] = not wanted[agent.name]
                (agent.calls.hold if wanted[agent.name] else agent.calls.resume)(call, pair.now)
        pair.run(random.choice((0.005, 0.015, 0.1, 1.5)))
    pair.run(60)
    for agent, other in ((pair.alice, "bob"), (pair.bob, "alice")):
        changes = agent.seen(HoldChanged)
        last = (changes[-1].local, changes[-1].remote) if changes else (False, False)
        assert last == (wanted[agent.name], wanted[other])
        direction = agent.seen(MediaNegotiated)[-1].parameters.direction
        assert direction == Direction.of(sends=not wanted[other], receives=not wanted[agent.name])


@pytest.mark.parametrize("seed", range(12))
def test_hostile_bytes_raise_nothing_but_parse_errors(seed: int) -> None:
    """Messages of a real call, mutated and replayed in any order."""
    random = Random(seed)
    pair = Pair(seed=seed)
    alice, bob = pair.connect_call()
    pair.bob.calls.hold(bob, pair.now)
    pair.settle()
    pair.alice.calls.hang_up(alice, pair.now)
    pair.settle()
    corpus = [bytes(message) for _, _, message in pair.wire]
    solo = Solo()
    call, invite, ok = solo.connect_call()
    corpus += [bytes(invite), bytes(ok)]
    for method in ("INVITE", "UPDATE", "INFO", "NOTIFY", "BYE", "PRACK"):
        headers = (
            ("Event", "refer;id=2"),
            ("Subscription-State", "active"),
            ("Session-Expires", "90;refresher=uas"),
            ("Replaces", "a;to-tag=b;from-tag=c"),
            ("RAck", "1 1 INVITE"),
        )
        corpus.append(bytes(solo.within(method, ok, sdp=solo.offer(), headers=headers)))
    for _ in range(150):
        data = bytearray(random.choice(corpus))
        for _ in range(random.randint(0, 6)):
            place = random.randrange(len(data))
            choice = random.random()
            if choice < 0.4:
                data[place] = random.randrange(256)
            elif choice < 0.7:
                del data[place : place + random.randint(1, 20)]
            else:
                data[place:place] = random.choice(corpus)[: random.randint(1, 40)]
            if not data:
                data = bytearray(b"x")
        try:
            message = parse_message(bytes(data))
        except ParseError:
            continue
        solo.alice.layer.receive(message, solo.alice.flow, solo.now)
        solo.run(random.choice((0.0, 0.1, 2.0)))
        if random.random() < 0.1:
            press_something(solo.alice, random, solo.now)
    check_stories(solo.alice)
    assert call
