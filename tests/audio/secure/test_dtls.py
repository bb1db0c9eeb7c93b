"""DTLS-SRTP handshakes in memory, RFC 5763 and RFC 5764."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from OpenSSL import SSL

from audio.secure import dtls
from audio.secure.certificate import DtlsCertificate
from audio.secure.dtls import FIRST_FLIGHT_REPEATS_S, HANDSHAKE_DEADLINE_S, DtlsState, DtlsTransport
from audio.secure.srtp import AEAD_AES_128_GCM, AES128_CM_SHA1_80, SrtpContext, SrtpProfile
from sipcore.media import DtlsSetup, Fingerprint

ALICE, BOB = DtlsCertificate.generate(), DtlsCertificate.generate()
WRONG = Fingerprint("sha-256", ":".join(["00"] * 32))
Loss = Callable[[bytes], bool]


def make_pair(
    alice_expects: Fingerprint = BOB.fingerprint, bob_expects: Fingerprint = ALICE.fingerprint
) -> tuple[DtlsTransport, DtlsTransport]:
    """Alice active, Bob passive, both started."""
    alice = DtlsTransport(ALICE, DtlsSetup.ACTIVE, [alice_expects])
    bob = DtlsTransport(BOB, DtlsSetup.PASSIVE, [bob_expects])
    bob.start(0.0)
    alice.start(0.0)
    return alice, bob


def exchange(alice: DtlsTransport, bob: DtlsTransport, now: float = 0.0, lost: Loss = lambda _: False) -> int:
    """Carry datagrams until both are quiet; how many arrived."""
    count = 0
    while True:
        waiting = [(bob, data) for data in alice.transmits()] + [(alice, data) for data in bob.transmits()]
        if not waiting:
            return count
        for receiver, data in waiting:
            if not lost(data):
                receiver.receive_untrusted(data, now)
                count += 1


def assert_media_flows(alice: DtlsTransport, bob: DtlsTransport) -> None:
    assert alice.keys is not None
    assert bob.keys is not None
    one, other = SrtpContext(alice.keys), SrtpContext(bob.keys)
    packet = bytes.fromhex("800000010000000000000001") + b"sound" * 30
    assert other.unprotect_rtp(one.protect_rtp(packet)) == packet
    assert one.unprotect_rtp(other.protect_rtp(packet)) == packet


def state_of(transport: DtlsTransport) -> DtlsState:
    return transport.state


def test_handshake() -> None:
    """Four flights, AEAD preferred, every datagram small enough for any path, no deadline left."""
    alice, bob = make_pair()
    assert state_of(bob) is DtlsState.NEW
    assert exchange(alice, bob) == 4
    assert alice.state is bob.state is DtlsState.CONNECTED
    assert alice.keys is not None
    assert alice.keys.profile is AEAD_AES_128_GCM
    assert_media_flows(alice, bob)
    assert alice.next_timeout() is bob.next_timeout() is None
    assert alice.failure is bob.failure is None


def test_profile_that_asterisk_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer without AEAD: AES128_CM_SHA1_80 (RFC 5764 §4.1.2 demands it of everybody)."""
    alice = DtlsTransport(ALICE, DtlsSetup.ACTIVE, [BOB.fingerprint])
    monkeypatch.setattr(dtls, "PROFILES", (AES128_CM_SHA1_80,))
    bob = DtlsTransport(BOB, DtlsSetup.PASSIVE, [ALICE.fingerprint])
    monkeypatch.undo()
    bob.start(0.0)
    alice.start(0.0)
    exchange(alice, bob)
    assert alice.keys is not None
    assert alice.keys.profile is AES128_CM_SHA1_80
    assert_media_flows(alice, bob)


def test_peer_that_knows_no_srtp(monkeypatch: pytest.MonkeyPatch) -> None:
    """DTLS itself would succeed, but there is no profile: one sentence, no keys."""
    alice = DtlsTransport(ALICE, DtlsSetup.ACTIVE, [BOB.fingerprint])
    odd = SrtpProfile(b"SRTP_AEAD_AES_256_GCM", "x", "x", key_octets=32, salt_octets=12)
    monkeypatch.setattr(dtls, "PROFILES", (odd,))
    bob = DtlsTransport(BOB, DtlsSetup.PASSIVE, [ALICE.fingerprint])
    monkeypatch.undo()
    bob.start(0.0)
    alice.start(0.0)
    exchange(alice, bob)
    assert state_of(bob) is DtlsState.FAILED
    assert bob.failure == "The far end agreed on no way to encrypt the media."
    assert alice.keys is bob.keys is None


@pytest.mark.parametrize("deceived", ["active", "passive"])
def test_wrong_fingerprint(deceived: str) -> None:
    """RFC 5763 §5: no keys on the side that noticed; the other never believes the association is up, or is told."""
    if deceived == "active":
        alice, bob = make_pair(alice_expects=WRONG)
        victim, other = alice, bob
    else:
        alice, bob = make_pair(bob_expects=WRONG)
        victim, other = bob, alice
    exchange(alice, bob)
    assert state_of(victim) is DtlsState.FAILED
    assert victim.keys is None
    assert victim.failure is not None
    assert "not the one it announced" in victim.failure
    assert state_of(other) is not DtlsState.CONNECTED
    victim.receive_untrusted(b"\x16\xfe\xfd" + bytes(20), 1.0)
    victim.handle_timeout(100.0)
    assert victim.transmits() == []


@pytest.mark.parametrize("lost_flight", range(4))
def test_lost_flights(lost_flight: int) -> None:
    """RFC 6347 §4.2.4, each flight lost once. OpenSSL waits by the real clock, so that is waited for, not simulated."""
    alice, bob = make_pair()
    began, seen = time.monotonic(), [0]

    def lost(_: bytes) -> bool:
        seen[0] += 1
        return seen[0] == lost_flight + 1

    while alice.keys is None or bob.keys is None:
        now = time.monotonic() - began
        assert now < 5
        exchange(alice, bob, now, lost)
        deadlines = [t for t in (alice.next_timeout(), bob.next_timeout()) if t is not None]
        time.sleep(max(0.0, min(deadlines, default=now) - now))
        for transport in (alice, bob):
            transport.handle_timeout(time.monotonic() - began)
    assert_media_flows(alice, bob)


def test_first_flight_is_repeated_quickly() -> None:
    """A ClientHello that overtook the SDP answer is lost; the next comes after 50 ms, not after a second."""
    alice, bob = make_pair()
    hello = alice.transmits()
    for delay in FIRST_FLIGHT_REPEATS_S:
        assert alice.next_timeout() == delay
        alice.handle_timeout(delay)
        assert alice.transmits() == hello
    alice.handle_timeout(0.36)
    assert alice.transmits() == []
    for data in hello * 3:
        bob.receive_untrusted(data, 0.36)
    exchange(alice, bob, 0.36)
    assert_media_flows(alice, bob)


def test_repeats_end_with_the_first_answer() -> None:
    """Whatever came back, OpenSSL's own timer takes over."""
    alice, bob = make_pair()
    for data in alice.transmits():
        bob.receive_untrusted(data, 0.0)
    alice.receive_untrusted(bob.transmits()[0], 0.02)
    alice.transmits()
    deadline = alice.next_timeout()
    assert deadline is not None
    assert deadline > 0.5


def test_reordered_and_doubled_datagrams() -> None:
    """What networks do."""
    alice, bob = make_pair()
    for _ in range(6):
        for data in reversed(alice.transmits()):
            bob.receive_untrusted(data, 0.0)
            bob.receive_untrusted(data, 0.0)
        for data in reversed(bob.transmits()):
            alice.receive_untrusted(data, 0.0)
            alice.receive_untrusted(data, 0.0)
    assert_media_flows(alice, bob)


@pytest.mark.parametrize("role", [DtlsSetup.ACTIVE, DtlsSetup.PASSIVE])
def test_nobody_answers(role: DtlsSetup) -> None:
    """Given up after the deadline, with a sentence; nothing is sent afterwards."""
    transport = DtlsTransport(ALICE, role, [BOB.fingerprint])
    transport.start(5.0)
    transport.handle_timeout(5.0 + HANDSHAKE_DEADLINE_S - 0.1)
    assert state_of(transport) is not DtlsState.FAILED
    transport.handle_timeout(5.0 + HANDSHAKE_DEADLINE_S)
    assert transport.failure is not None
    assert "never began" in transport.failure
    assert transport.next_timeout() is None


def test_handshake_that_gets_stuck() -> None:
    """The peer began and never finished."""
    alice, bob = make_pair()
    for data in alice.transmits():
        bob.receive_untrusted(data, 0.0)
    bob.handle_timeout(HANDSHAKE_DEADLINE_S)
    assert bob.failure is not None
    assert "in time" in bob.failure


def test_close_is_told() -> None:
    """close_notify reaches the peer once; the keys stay, as signalling decides about the call."""
    alice, bob = make_pair()
    exchange(alice, bob)
    alice.close()
    alice.close()
    assert exchange(alice, bob) >= 1
    assert alice.state is DtlsState.CLOSED
    assert state_of(bob) is DtlsState.CLOSED
    assert bob.keys is not None
    bob.close()
    fresh = DtlsTransport(ALICE, DtlsSetup.PASSIVE, [BOB.fingerprint])
    fresh.start(0.0)
    fresh.close()
    assert fresh.transmits() == []
    assert fresh.next_timeout() is None


@pytest.mark.parametrize("stage", ["new", "waiting", "connected"])
def test_noise_is_survived(stage: str) -> None:
    """Random octets and bitten records at every stage: nothing raised, and the handshake still succeeds."""
    rng = random.Random(7)
    alice, bob = make_pair()
    if stage == "connected":
        exchange(alice, bob)
    hello = alice.transmits()
    for victim in [bob] if stage == "new" else [alice, bob]:
        for _ in range(300):
            victim.receive_untrusted(bytes([rng.randint(20, 63)]) + rng.randbytes(rng.randint(0, 300)), 0.0)
            victim.receive_untrusted(b"\x17\xfe\xfd" + rng.randbytes(rng.randint(0, 60)), 0.0)
            victim.receive_untrusted(b"", 0.0)
    assert alice.failure is bob.failure is None
    for data in hello:
        bob.receive_untrusted(data, 0.0)
    exchange(alice, bob)
    assert_media_flows(alice, bob)


def test_peer_of_another_protocol() -> None:
    """No common cipher: the alert leaves, and the sentence has OpenSSL's reason."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_cipher_list(b"PSK")
    context.set_options(SSL.OP_NO_QUERY_MTU)
    peer = SSL.Connection(context)
    peer.set_ciphertext_mtu(1200)
    peer.set_connect_state()
    with pytest.raises(SSL.Error):
        peer.do_handshake()
    bob = DtlsTransport(BOB, DtlsSetup.PASSIVE, [ALICE.fingerprint])
    bob.start(0.0)
    other = SSL.Context(SSL.DTLS_METHOD)
    other.set_cipher_list(b"DHE+AES")
    connection = SSL.Connection(other)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    bob.receive_untrusted(connection.bio_read(4096), 0.0)
    assert state_of(bob) is DtlsState.FAILED
    assert bob.failure is not None
    assert "no shared cipher" in bob.failure
    assert bob.transmits()
