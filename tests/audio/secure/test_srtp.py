"""SRTP contexts: what is let through, what is turned away and counted, and what happens at a change of keys."""

from __future__ import annotations

import random

import pytest

from audio.secure.srtp import AES128_CM_SHA1_80, PROFILES, SrtpContext, SrtpKeys, SrtpProfile
from sipcore.errors import ParseError


def make_keys(seed: int, profile: SrtpProfile = AES128_CM_SHA1_80) -> tuple[SrtpKeys, SrtpKeys]:
    """Both ends' view of one stream."""
    rng = random.Random(seed)
    one, other = rng.randbytes(profile.master_octets), rng.randbytes(profile.master_octets)
    return SrtpKeys(profile, one, other), SrtpKeys(profile, other, one)


def make_pair(seed: int = 1, profile: SrtpProfile = AES128_CM_SHA1_80) -> tuple[SrtpContext, SrtpContext]:
    alice, bob = make_keys(seed, profile)
    return SrtpContext(alice), SrtpContext(bob)


def rtp(sequence: int, ssrc: int = 0xCAFE, payload: bytes = b"\xd5" * 160) -> bytes:
    return (
        b"\x80\x00"
        + sequence.to_bytes(2, "big")
        + (sequence * 160).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + payload
    )


REPORT = bytes.fromhex("80c90001cafebabe")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.sdes)
def test_both_ways(profile: SrtpProfile) -> None:
    """RTP and RTCP, each direction with its own key; nothing of the payload shows."""
    alice, bob = make_pair(profile=profile)
    for sequence in range(1, 50):
        for sender, receiver, ssrc in ((alice, bob, 1), (bob, alice, 2)):
            packet = rtp(sequence, ssrc)
            protected = sender.protect_rtp(packet)
            assert b"\xd5" * 8 not in protected
            assert receiver.unprotect_rtp(protected) == packet
            assert receiver.unprotect_rtcp(sender.protect_rtcp(REPORT)) == REPORT
    assert (bob.counters.forged, bob.counters.replayed, bob.counters.malformed) == (0, 0, 0)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.sdes)
def test_forged_packets(profile: SrtpProfile) -> None:
    """RFC 3711 §3.3: one changed bit anywhere is enough, and a reflected packet is forged too."""
    alice, bob = make_pair(profile=profile)
    protected = alice.protect_rtp(rtp(1))
    for place in (1, 4, 20, len(protected) - 1):
        forged = bytearray(protected)
        forged[place] ^= 0x10
        with pytest.raises(ParseError):
            bob.unprotect_rtp(bytes(forged))
    with pytest.raises(ParseError):
        alice.unprotect_rtp(protected)
    assert (bob.counters.forged, alice.counters.forged) == (4, 1)
    control = bytearray(alice.protect_rtcp(REPORT))
    control[-1] ^= 1
    with pytest.raises(ParseError):
        bob.unprotect_rtcp(bytes(control))
    assert bob.counters.forged == 5
    assert bob.unprotect_rtp(protected) == rtp(1)


def test_replayed_packets() -> None:
    """RFC 3711 §3.3.2: once each, in any order within the window, never again."""
    alice, bob = make_pair()
    packets = [alice.protect_rtp(rtp(sequence)) for sequence in range(1, 2001)]
    late = packets.pop(1500)
    for packet in packets:
        bob.unprotect_rtp(packet)
    assert bob.unprotect_rtp(late) == rtp(1501)
    for packet in (late, packets[-1], packets[0]):
        with pytest.raises(ParseError):
            bob.unprotect_rtp(packet)
    report = alice.protect_rtcp(REPORT)
    bob.unprotect_rtcp(report)
    with pytest.raises(ParseError):
        bob.unprotect_rtcp(report)
    assert bob.counters.replayed == 4


def test_sequence_numbers_roll_over() -> None:
    """RFC 3711 §3.3.1: the rollover counter follows without being sent."""
    alice, bob = make_pair()
    for sequence in range(65_000, 66_500):
        packet = rtp(sequence & 0xFFFF)
        assert bob.unprotect_rtp(alice.protect_rtp(packet)) == packet


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80" * 11, rtp(1), b"\xbf\xff" + b"\xff" * 40, bytes(1501), bytes(70_000)]
)
def test_what_is_no_srtp(data: bytes) -> None:
    """Anything at all is a ParseError."""
    _, bob = make_pair()
    for unprotect in (bob.unprotect_rtp, bob.unprotect_rtcp):
        with pytest.raises(ParseError):
            unprotect(data)
    counters = bob.counters
    assert counters.forged + counters.replayed + counters.malformed == 2


def test_only_the_changed_direction_starts_anew() -> None:
    """Under an unchanged key the indices go on: none is used twice, and no replay gets a second chance."""
    alice, bob = make_pair()
    old = alice.protect_rtp(rtp(7))
    bob.unprotect_rtp(old)
    ours, theirs = make_keys(1)
    fresh = make_keys(2)[0].local
    alice_again = SrtpContext(SrtpKeys(ours.profile, fresh, ours.remote), before=alice)
    bob_again = SrtpContext(SrtpKeys(theirs.profile, theirs.local, fresh), before=bob)
    assert bob_again.unprotect_rtp(alice_again.protect_rtp(rtp(8))) == rtp(8)
    answer = bob.protect_rtp(rtp(1, ssrc=2))
    assert alice_again.unprotect_rtp(answer) == rtp(1, ssrc=2)
    with pytest.raises(ParseError):
        alice_again.unprotect_rtp(answer)
    unchanged = SrtpContext(bob_again.keys, before=bob_again)
    with pytest.raises(ParseError):
        unchanged.unprotect_rtp(old)
    assert unchanged.counters is bob.counters


def test_keys_do_not_show() -> None:
    """Neither key is in a representation."""
    keys, _ = make_keys(1)
    assert repr(keys.local) not in repr(keys)
    assert repr(keys.remote) not in repr(keys)
    assert keys.local.hex() not in repr(keys)
