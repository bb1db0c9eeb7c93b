"""ICE agents against each other, through NATs, loss and malice, on virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from audio.core import Address, Transmit, TransmitKind
from audio.ice.agent import CONSENT_EXPIRY_S, CONSENT_S, IceAgent
from audio.ice.stun import REQUEST, SUCCESS, StunMessage, parse_untrusted
from sipcore.errors import ParseError
from sipcore.ids import IdSource
from sipcore.media import IceCandidate, IceCredentials, IceRemote

if TYPE_CHECKING:
    from collections.abc import Callable

ALICE = IceCredentials("aliceuf", "alice" * 5)
BOB = IceCredentials("bobsuf", "bobby" * 5)
HERE: Address = ("192.0.2.1", 4000)
THERE: Address = ("192.0.2.2", 4000)
NAT: Address = ("203.0.113.9", 61000)
HELLO = b"\x16\xfe\xfd hello"
RTP = b"\x80\x00" + bytes(20)


def candidate(address: Address, component: int = 1, priority: int = 2130706431) -> IceCandidate:
    return IceCandidate(component, address[0], address[1], priority)


def make(
    us: IceCredentials,
    them: IceCredentials,
    candidates: tuple[IceCandidate, ...],
    *,
    controlling: bool,
    seed: int = 1,
    components: int = 1,
    lite: bool = False,
    now: float = 0.0,
    before: IceAgent | None = None,
) -> IceAgent:
    return IceAgent(
        IdSource(random.Random(seed)),
        local=us,
        remote=IceRemote(them, candidates, lite),
        controlling=controlling,
        components=components,
        now=now,
        before=before,
    )


def two(*, components: int = 1) -> tuple[IceAgent, IceAgent]:
    """Alice offered; both know one address of the other for each component."""
    at_bob = tuple(candidate((THERE[0], 3999 + n), n) for n in range(1, components + 1))
    at_alice = tuple(candidate((HERE[0], 3999 + n), n) for n in range(1, components + 1))
    return (
        make(ALICE, BOB, at_bob, controlling=True, seed=1, components=components),
        make(BOB, ALICE, at_alice, controlling=False, seed=2, components=components),
    )


@dataclass
class Wire:
    """Carries datagrams between two agents. ``translate`` is the network: a datagram's source, None if it is lost."""

    alice: IceAgent
    bob: IceAgent
    translate: Callable[[IceAgent, Transmit], Address | None]
    now: float = 0.0
    delay_s: float = 0.01
    queue: list[tuple[float, IceAgent, Address, Transmit]] = field(default_factory=list)
    media: list[tuple[IceAgent, Transmit]] = field(default_factory=list)
    checks: int = 0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            for agent, peer in ((self.alice, self.bob), (self.bob, self.alice)):
                for transmit in agent.transmits():
                    self.checks += 1
                    if transmit.data[0] > 3:
                        self.media.append((agent, transmit))
                    elif (source := self.translate(agent, transmit)) is not None:
                        self.queue.append((self.now + self.delay_s, peer, source, transmit))
            due = [at for at, *_ in self.queue]
            due += [at for agent in (self.alice, self.bob) if (at := agent.next_timeout()) is not None]
            if not due or min(due) > end:
                self.now = end
                return
            self.now = max(self.now, min(due))
            arrived = [entry for entry in self.queue if entry[0] <= self.now]
            self.queue = [entry for entry in self.queue if entry[0] > self.now]
            for _, agent, source, transmit in arrived:
                agent.receive_untrusted(transmit.data, source, transmit.kind, self.now)
            for agent in (self.alice, self.bob):
                if (at := agent.next_timeout()) is not None and at <= self.now:
                    agent.handle_timeout(self.now)


def direct(alice: IceAgent, bob: IceAgent) -> Wire:
    """No NAT: what is sent to an address arrives from the other's own."""

    def translate(sender: IceAgent, transmit: Transmit) -> Address | None:
        port = 4000 if transmit.kind is TransmitKind.RTP else 4001
        return (HERE if sender is alice else THERE)[0], port

    return Wire(alice, bob, translate)


def test_two_on_one_network() -> None:
    """A path within three round trips, chosen by the controlling one; then only consent is asked for."""
    wire = direct(*two())
    wire.run(0.2)
    assert wire.alice.selected() == THERE
    assert wire.bob.selected() == HERE
    checks = wire.checks
    assert checks <= 10
    wire.run(60)
    assert 2 * 60 / (CONSENT_S * 1.2) * 2 - 4 <= wire.checks - checks <= 2 * 60 / (CONSENT_S * 0.8) * 2 + 4
    assert wire.alice.selected() == THERE


def test_rtcp_has_its_own_path() -> None:
    """Two components, two selections; a datagram of each goes its way."""
    wire = direct(*two(components=2))
    wire.run(0.5)
    assert [wire.alice.selected(n) for n in (1, 2)] == [("192.0.2.2", 4000), ("192.0.2.2", 4001)]
    routed = wire.alice.route(Transmit(b"\x80\xc8", ("0.0.0.0", 9), TransmitKind.RTCP))
    assert routed is not None
    assert routed.destination == ("192.0.2.2", 4001)


@pytest.mark.parametrize("behind", ["alice", "bob"])
def test_one_behind_a_nat(behind: str) -> None:
    """Its own address is no use to the peer, which learns the NAT's from the checks (peer-reflexive, §7.3.1.3)."""
    alice, bob = two()
    hidden = alice if behind == "alice" else bob

    def translate(sender: IceAgent, transmit: Transmit) -> Address | None:
        if sender is hidden:
            return NAT
        if transmit.destination != NAT:
            return None  # to a private address
        return THERE if hidden is alice else HERE

    wire = Wire(alice, bob, translate)
    wire.run(3)
    assert (bob if hidden is alice else alice).selected() == NAT
    assert hidden.selected() == (THERE if hidden is alice else HERE)


def test_best_of_several() -> None:
    """The peer's candidates that lead nowhere cost nothing but checks; the highest that works wins."""
    lost, low = candidate(("198.51.100.1", 1)), candidate(("192.0.2.2", 5000), priority=100)
    alice = make(ALICE, BOB, (lost, low, candidate(THERE, priority=200)), controlling=True)
    bob = make(BOB, ALICE, (candidate(HERE),), controlling=False, seed=2)

    def translate(sender: IceAgent, transmit: Transmit) -> Address | None:
        if sender is bob:
            return THERE
        return HERE if transmit.destination == THERE else None

    wire = Wire(alice, bob, translate)
    wire.run(2)
    assert alice.selected() == THERE


def test_a_path_from_host_to_host_is_chosen_without_waiting_for_a_better() -> None:
    """The far end's DTLS waits for the nomination: a dead address of higher priority must not cost its 100 ms."""
    dead, good = candidate(("198.51.100.1", 1)), candidate(THERE, priority=(126 << 24) | 1)
    alice = make(ALICE, BOB, (dead, good), controlling=True)
    bob = make(BOB, ALICE, (candidate(HERE),), controlling=False, seed=2)

    def translate(sender: IceAgent, transmit: Transmit) -> Address | None:
        if sender is bob:
            return THERE
        return HERE if transmit.destination == THERE else None

    wire = Wire(alice, bob, translate)
    wire.run(0.12)
    assert alice.selected() == THERE


@pytest.mark.parametrize("seed", range(8))
def test_lossy_network(seed: int) -> None:
    """A third of all checks lost: found all the same, within seconds."""
    rng = random.Random(seed)
    alice, bob = two()
    perfect = direct(alice, bob).translate
    wire = Wire(alice, bob, lambda sender, t: None if rng.random() < 0.33 else perfect(sender, t))
    wire.run(12)
    assert alice.selected() == THERE
    assert bob.selected() == HERE


def test_handshake_waits_for_the_path() -> None:
    """What DTLS sends too early is kept; sound is not."""
    alice, bob = two()
    assert alice.route(Transmit(HELLO, THERE, TransmitKind.RTP)) is None
    assert bob.route(Transmit(RTP, HERE, TransmitKind.RTP)) is None
    wire = direct(alice, bob)
    wire.run(0.5)
    # Once when the path works, once more when it is selected.
    assert wire.media == [(alice, Transmit(HELLO, THERE, TransmitKind.RTP))] * 2


def test_handshake_does_not_wait_for_the_nomination() -> None:
    """With a candidate that never answers the selection takes a while; Asterisk begins its handshake before."""
    alice = make(ALICE, BOB, (candidate(THERE), candidate(NAT, priority=1)), controlling=True)
    bob = make(BOB, ALICE, (candidate(HERE),), controlling=False, seed=2)
    assert alice.route(Transmit(HELLO, THERE, TransmitKind.RTP)) is None
    wire = direct(alice, bob)
    wire.translate = lambda agent, transmit: (
        None if transmit.destination == NAT else (HERE if agent is alice else THERE)
    )
    wire.run(0.03)
    assert alice.selected() is None
    assert wire.media == [(alice, Transmit(HELLO, THERE, TransmitKind.RTP))]


@pytest.mark.parametrize("both", [True, False])
def test_role_conflict(both: bool) -> None:
    """§7.3.1.1: two controlling, or two controlled agents settle it by their tie-breakers."""
    alice = make(ALICE, BOB, (candidate(THERE),), controlling=both, seed=1)
    bob = make(BOB, ALICE, (candidate(HERE),), controlling=both, seed=2)
    wire = direct(alice, bob)
    wire.run(3)
    assert alice.controlling is not bob.controlling
    assert alice.selected() == THERE
    assert bob.selected() == HERE


def test_lite_peer() -> None:
    """RFC 8445 §6.1.1: facing a lite agent we control, though we answered; it only answers our checks."""
    agent = make(ALICE, BOB, (candidate(THERE),), controlling=False, lite=True)
    assert agent.controlling
    nominated = False
    for step in range(40):
        now = step * 0.05
        agent.handle_timeout(now)
        for transmit in agent.transmits():
            request = parse_untrusted(transmit.data, BOB.password)
            assert request.controlling is not None
            nominated = nominated or request.use_candidate
            response = StunMessage(kind=SUCCESS, transaction_id=request.transaction_id, mapped=HERE)
            agent.receive_untrusted(response.serialise(BOB.password), THERE, TransmitKind.RTP, now)
    assert nominated
    assert agent.selected() == THERE


def test_consent_runs_out() -> None:
    """RFC 7675: a peer that no longer answers is no longer sent to; once it is back, it is found again."""
    wire = direct(*two())
    wire.run(1)
    perfect, wire.translate = wire.translate, lambda *_: None
    wire.run(CONSENT_EXPIRY_S - 1)
    assert wire.alice.selected() == THERE
    wire.run(CONSENT_S + 5)
    assert wire.alice.selected() is wire.bob.selected() is None
    assert wire.alice.route(Transmit(RTP, THERE, TransmitKind.RTP)) is None
    wire.translate = perfect
    wire.run(40)
    assert wire.alice.selected() == THERE


def test_restart_keeps_the_old_path_meanwhile() -> None:
    """RFC 8445 §9."""
    wire = direct(*two())
    wire.run(1)
    again = make(ALICE, BOB, (candidate(NAT),), controlling=True, before=wire.alice, now=1.0)
    routed = again.route(Transmit(RTP, NAT, TransmitKind.RTP))
    assert routed is not None
    assert routed.destination == THERE


def test_forged_checks() -> None:
    """Without the password nothing is answered and nothing is learnt."""
    alice, _ = two()
    alice.transmits()
    request = StunMessage(
        kind=REQUEST, transaction_id=bytes(12), username="aliceuf:bobsuf", use_candidate=True, controlling=1, priority=1
    )
    wrong_name = StunMessage(kind=REQUEST, transaction_id=bytes(12), username="aliceuf:eve", controlled=1)
    for data in (request.serialise("wrong" * 5), wrong_name.serialise(ALICE.password), b"", b"\0\1", HELLO, bytes(60)):
        assert alice.receive_untrusted(data, NAT, TransmitKind.RTP, 0.0) == []
    assert alice.transmits() == []
    assert alice.receive_untrusted(request.serialise(ALICE.password), NAT, TransmitKind.RTCP, 0.0) == []
    assert alice.transmits() == []


def test_response_from_elsewhere() -> None:
    """§7.2.5.2.1: it must come from where the request went."""
    alice, _ = two()
    alice.handle_timeout(0.0)
    (check,) = alice.transmits()
    request = parse_untrusted(check.data, BOB.password)
    response = StunMessage(kind=SUCCESS, transaction_id=request.transaction_id, mapped=HERE).serialise(BOB.password)
    alice.receive_untrusted(response, NAT, TransmitKind.RTP, 0.01)
    assert alice.route(Transmit(RTP, THERE, TransmitKind.RTP)) is None
    alice.receive_untrusted(response, THERE, TransmitKind.RTP, 0.02)
    assert alice.route(Transmit(RTP, NAT, TransmitKind.RTP)) is not None


def test_nobody_answers() -> None:
    """Checks get rarer and end; there is never a path."""
    wire = direct(*two())
    wire.translate = lambda *_: None
    wire.run(120)
    assert wire.checks <= 14
    assert wire.alice.next_timeout() is None
    assert wire.alice.selected() is None


def test_peer_that_makes_up_addresses() -> None:
    """A peer may check from many ports; the number of pairs is bounded, and each is answered at most one for one."""
    alice, _ = two()
    for port in range(1, 500):
        request = StunMessage(
            kind=REQUEST,
            transaction_id=port.to_bytes(12, "big"),
            username="aliceuf:bobsuf",
            controlled=1,
            priority=port,
        )
        alice.receive_untrusted(request.serialise(ALICE.password), ("192.0.2.2", port), TransmitKind.RTP, 0.0)
    assert len(alice.transmits()) == 499
    for step in range(400):
        alice.handle_timeout(step * 0.05)
    assert len({transmit.destination for transmit in alice.transmits()}) <= 40


def test_every_check_is_authentic() -> None:
    """USERNAME, role and priority as §7.2.2 asks, under the peer's password only."""
    alice, bob = two()
    for agent, key in ((alice, BOB.password), (bob, ALICE.password)):
        agent.handle_timeout(0.0)
        (check,) = agent.transmits()
        request = parse_untrusted(check.data, key)
        assert (request.controlling is None) is (agent is bob)
        assert request.priority == (110 << 24) | (65_535 << 8) | 255
        with pytest.raises(ParseError):
            parse_untrusted(check.data, "x" * 22)
