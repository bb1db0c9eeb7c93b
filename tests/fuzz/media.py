"""Hostile datagrams on a call's media sockets: ``python -m tests.fuzz.media COUNT [SEED]``.

Random octets, every first octet of RFC 7983's map, bitten RTP, RTCP, SRTP, STUN and DTLS of real calls, on both sockets
into a plain call, an SDES call and a DTLS call before and after its handshake. Nothing may come out but figures.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field

from audio.core import MediaSecurityFailed, Transmit, TransmitKind
from sipcore.media import Profile
from tests.audio.secure.calling import LOUD_RMS, Call, Phone

SOURCES = (("192.0.2.2", 4000), ("192.0.2.2", 4001), ("203.0.113.9", 5))
KINDS = (TransmitKind.RTP, TransmitKind.RTCP)


@dataclass
class Target:
    """A call, and what it looks like on the wire."""

    call: Call
    samples: list[bytes] = field(default_factory=lambda: [b"\x80"])

    @classmethod
    def make(cls, profile: Profile) -> Target:
        """A call that is up."""
        target = cls(Call(profile, ice=profile.dtls))
        target.call.tamper = target._tap
        target.call.negotiate()
        target.call.talk(1.0)
        return target

    @classmethod
    def unfinished(cls, samples: list[bytes], *, answered: bool, active: bool = False) -> Target:
        """A DTLS call whose far end is never heard: before the answer, or in the handshake."""
        call = Call(Profile.UDP_TLS_RTP_SAVPF, ice=True)
        call.tamper = lambda *_: []
        if answered:
            call.negotiate(call.bob if active else call.alice)
        return cls(call, samples)

    def _tap(self, _: Phone, transmit: Transmit) -> list[bytes]:
        if len(self.samples) < 200:
            self.samples.append(transmit.data)
        return [transmit.data]


def mutate(rng: random.Random, samples: list[bytes]) -> bytes:
    """One hostile datagram."""
    choice = rng.random()
    if choice < 0.3:
        return bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(64))
    if choice < 0.4:
        return rng.randbytes(rng.randrange(1600))
    data = bytearray(rng.choice(samples))
    for _ in range(rng.randint(0, 4)):
        match rng.randrange(3):
            case 0 if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
            case 1:
                del data[rng.randrange(len(data) + 1) :]
            case _:
                data += rng.randbytes(rng.randrange(30))
    return bytes(data)


def run(count: int, seed: int = 1) -> dict[str, int]:
    """``count`` datagrams over all kinds of calls; what was counted of them."""
    rng = random.Random(seed)
    targets = [Target.make(profile) for profile in (Profile.RTP_AVP, Profile.RTP_SAVP, Profile.UDP_TLS_RTP_SAVPF)]
    samples = targets[-1].samples
    targets.append(Target.unfinished(samples, answered=False))
    handshaking: list[Target] = []
    for number in range(count):
        if number % 2_000 == 0:
            # A forged alert ends a handshake, as it may; so there are always fresh ones.
            handshaking = [Target.unfinished(samples, answered=True, active=active) for active in (False, True)]
        target = rng.choice((*targets, *handshaking))
        data = mutate(rng, target.samples)
        session = target.call.alice.session
        try:
            session.receive_untrusted(data, rng.choice(SOURCES), rng.choice(KINDS), target.call.now)
            if number % 64 == 0:
                target.call.now += 0.001
                session.transmits()
                session.events()
        except Exception:
            print(f"seed {seed} number {number}: {data.hex()}", file=sys.stderr)
            raise
    totals = {"discarded": 0, "forged": 0, "replayed": 0, "strangers": 0}
    for target in targets:
        figures = target.call.alice.session.statistics(target.call.now)
        for name in totals:
            totals[name] += getattr(figures, name)
    return totals


def still_works(profile: Profile, count: int, seed: int = 1) -> bool:
    """Whether an encrypted call still talks after ``count`` hostile datagrams in the midst of it."""
    rng = random.Random(seed)
    target = Target.make(profile)
    for _ in range(count):
        data = mutate(rng, target.samples)
        target.call.alice.session.receive_untrusted(data, rng.choice(SOURCES), rng.choice(KINDS), target.call.now)
    target.call.talk(1.0)
    failed = any(isinstance(event, MediaSecurityFailed) for event in target.call.alice.events)
    return not failed and target.call.alice.loudness > LOUD_RMS


def main() -> int:
    """Exit status 0 when nothing came out."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.perf_counter()
    totals = run(count, seed)
    print(f"media: {count} datagrams in {time.perf_counter() - began:.1f} s: {totals}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
