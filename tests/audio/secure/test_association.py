"""Associations that are replaced: by new terms, by a peer that starts anew, and not by anybody else."""

from __future__ import annotations

import pytest

from audio.core import Address, TransmitKind
from audio.secure.association import Association, client_random_untrusted
from audio.secure.certificate import DtlsCertificate
from audio.secure.dtls import HANDSHAKE_DEADLINE_S, DtlsTransport
from sipcore.media import DtlsSetup

ALICE, BOB, EVE = DtlsCertificate.generate(), DtlsCertificate.generate(), DtlsCertificate.generate()
HERE: Address = ("192.0.2.1", 4000)
THERE: Address = ("192.0.2.2", 4000)
ACTIVE, PASSIVE = DtlsSetup.ACTIVE, DtlsSetup.PASSIVE


def make(alice_role: DtlsSetup = PASSIVE) -> tuple[Association, Association]:
    """Alice and Bob, agreed, nothing exchanged yet."""
    alice, bob = Association(TransmitKind.RTP), Association(TransmitKind.RTP)
    alice.expect(THERE)
    bob.expect(HERE)
    agree(alice, ALICE, BOB, alice_role, 0.0)
    agree(bob, BOB, ALICE, PASSIVE if alice_role is ACTIVE else ACTIVE, 0.0)
    return alice, bob


def agree(association: Association, ours: DtlsCertificate, peer: DtlsCertificate, role: DtlsSetup, now: float) -> None:
    association.agree(ours, role, (peer.fingerprint,), now)


def exchange(alice: Association, bob: Association, now: float = 0.0) -> None:
    for _ in range(20):
        for transmit in alice.transmits():
            bob.receive_untrusted(transmit.data, HERE, now)
        for transmit in bob.transmits():
            alice.receive_untrusted(transmit.data, THERE, now)


def assert_agree(alice: Association, bob: Association) -> None:
    assert alice.keys is not None
    assert bob.keys is not None
    assert alice.keys.local == bob.keys.remote
    assert alice.keys.remote == bob.keys.local


@pytest.mark.parametrize("role", [ACTIVE, PASSIVE])
def test_peer_that_starts_anew(role: DtlsSetup) -> None:
    """Asterisk after a re-INVITE: its association is cleared, ours is not; either may be the one to begin."""
    alice, bob = make(role)
    exchange(alice, bob)
    before = alice.keys
    agree(bob, BOB, ALICE, PASSIVE if role is ACTIVE else ACTIVE, 30.0)
    alice.renew(30.0)
    assert alice.keys is before
    exchange(alice, bob, 30.0)
    assert_agree(alice, bob)
    assert alice.keys != before
    assert alice.failure is bob.failure is None


def test_again_and_again() -> None:
    """Every re-INVITE of a long call."""
    alice, bob = make()
    exchange(alice, bob)
    seen = set()
    for round_ in range(1, 6):
        agree(bob, BOB, ALICE, ACTIVE, 10.0 * round_)
        exchange(alice, bob, 10.0 * round_)
        assert_agree(alice, bob)
        assert alice.keys is not None
        seen.add(alice.keys.local)
    assert len(seen) == 5


def test_peer_that_keeps_its_association() -> None:
    """RFC 8842: our attempt is not answered, and given up without a word; the keys stay."""
    alice, bob = make(ACTIVE)
    exchange(alice, bob)
    before = alice.keys
    alice.renew(10.0)
    assert alice.transmits()
    now = 10.0
    while (due := alice.next_timeout()) is not None:
        now = due
        alice.handle_timeout(now)
    assert now <= 10.0 + HANDSHAKE_DEADLINE_S
    assert alice.keys is before
    assert alice.failure is None


def test_renewal_is_for_the_active_one() -> None:
    """The passive one waits; before there are keys there is nothing to renew."""
    alice, bob = make()
    bob.renew(0.0)
    alice.renew(0.0)
    exchange(alice, bob)
    assert_agree(alice, bob)
    alice.renew(1.0)
    assert alice.transmits() == []


def test_repeated_hello_is_not_a_new_one() -> None:
    """A ClientHello the network doubled belongs to the handshake it began, long after that is over."""
    alice, bob = make()
    (hello,) = bob.transmits()
    alice.receive_untrusted(hello.data, THERE, 0.0)
    exchange(alice, bob)
    keys = alice.keys
    alice.receive_untrusted(hello.data, THERE, 5.0)
    assert alice.next_timeout() is None
    exchange(alice, bob, 5.0)
    assert alice.keys is keys


def test_somebody_elses_handshake() -> None:
    """Eve sends from the peer's own address: her certificate is not Bob's, so nothing changes."""
    alice, bob = make()
    exchange(alice, bob)
    keys = alice.keys
    eve = Association(TransmitKind.RTP)
    eve.expect(HERE)
    agree(eve, EVE, ALICE, ACTIVE, 5.0)
    exchange(alice, eve, 5.0)
    assert alice.keys is keys
    assert alice.failure is None
    agree(bob, BOB, ALICE, ACTIVE, 7.0)
    exchange(alice, bob, 7.0)
    assert_agree(alice, bob)


def test_hello_that_interrupts_a_handshake() -> None:
    """For a second it is left alone; a peer that was restarted meanwhile is served then."""
    alice, bob = make()
    alice.receive_untrusted(bob.transmits()[0].data, THERE, 0.0)
    alice.transmits()
    stranger = DtlsTransport(EVE, ACTIVE, [ALICE.fingerprint])
    stranger.start(0.0)
    alice.receive_untrusted(stranger.transmits()[0], THERE, 0.5)
    assert alice.transmits() == []
    agree(bob, BOB, ALICE, ACTIVE, 2.0)
    exchange(alice, bob, 2.0)
    assert_agree(alice, bob)


def test_other_addresses_are_not_heard() -> None:
    """Once the SDP's address has spoken; and before it has, whoever speaks first."""
    alice, bob = make()
    (hello,) = bob.transmits()
    alice.receive_untrusted(hello.data, ("198.51.100.1", 9), 0.0)
    assert {transmit.destination for transmit in alice.transmits()} == {("198.51.100.1", 9)}
    alice.receive_untrusted(hello.data, ("203.0.113.1", 9), 0.0)
    assert alice.transmits() == []
    alice.expect(("192.0.2.77", 4000))
    alice.receive_untrusted(hello.data, ("192.0.2.77", 4000), 0.0)
    assert {transmit.destination for transmit in alice.transmits()} <= {("192.0.2.77", 4000)}


def test_nowhere_to_send() -> None:
    """A far end on the hold of old has no address: nothing is sent there, not even a handshake."""
    alice = Association(TransmitKind.RTP)
    agree(alice, ALICE, BOB, ACTIVE, 0.0)
    assert alice.transmits() == []
    alice.expect(("0.0.0.0", 4000))
    assert alice.transmits() == []
    alice.expect(THERE)
    assert len(alice.transmits()) == 1


def test_client_random() -> None:
    """Only a ClientHello in the clear has one."""
    _, bob = make()
    hello = bob.transmits()[0].data
    assert client_random_untrusted(hello) == hello[27:59]
    for other in (b"", hello[:40], b"\x17" + hello[1:], hello[:4] + b"\1" + hello[5:], hello[:13] + b"\2" + hello[14:]):
        assert client_random_untrusted(other) is None


def test_dropped_and_closed() -> None:
    """SDES took over, or the call is over."""
    alice, bob = make()
    exchange(alice, bob)
    bob.close()
    assert len(bob.transmits()) == 1
    alice.drop()
    assert alice.keys is None
    assert not alice.agreed
    assert alice.next_timeout() is None
