"""Hostile session descriptions: ``python -m tests.fuzz.sdp COUNT [SEED]``.

Real offers and answers are cut, doubled, mixed and bitten, then driven through parsing and through a whole
negotiation on both sides. Anything but the errors a body may raise is a failure and is printed with its seed.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

from sipcore.errors import ParseError
from sipcore.ids import IdSource
from sipcore.media import Direction, LocalMedia
from sipcore.sdp.offer_answer import OfferAnswer, Unacceptable
from sipcore.sdp.parse import parse
from tests.sipcore.sdp import bodies

SEEDS = (
    bodies.ASTERISK_ANSWER,
    bodies.ASTERISK_WEBRTC_ANSWER,
    bodies.ASTERISK_WEBRTC_OFFER,
    bodies.BROWSER_OFFER,
    bodies.BEST_EFFORT_OFFER,
    bodies.sdp("m=audio 5004 RTP/SAVP 0 101", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{bodies.PEER_KEY}"),
)
LOCALS = (bodies.PLAIN, bodies.DTLS, bodies.SDES)
TOKENS = (
    b":",
    b"/",
    b" ",
    b"=",
    b"\r\n",
    b"\0",
    b"\xff",
    b"-1",
    b"65536",
    b"9" * 30,
    b"m=audio 1 RTP/AVP 0\r\n",
    b"a=",
)


def mutate(rng: random.Random) -> bytes:
    """One hostile body."""
    lines = rng.choice(SEEDS).split(b"\r\n")
    for _ in range(rng.randint(0, 4)):
        place = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, rng.choice(rng.choice(SEEDS).split(b"\r\n")))
            case 2:
                lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
            case 3:
                lines[place] *= rng.randint(2, 40)
            case _:
                rng.shuffle(lines)
        lines = lines or [b""]
    body = bytearray(b"\r\n".join(lines))
    for _ in range(rng.randint(0, 6)):
        place = rng.randrange(len(body) + 1)
        if rng.random() < 0.5:
            body[place:place] = rng.choice(TOKENS)
        elif place < len(body):
            body[place] = rng.randrange(256)
    return bytes(body)


def negotiate(body: bytes, local: LocalMedia, seed: int) -> str:
    """Take ``body`` as an offer and as an answer; the outcome's name. Raises what should not be raised."""
    try:
        description = parse(body)
        assert parse(bytes(description)) == description
    except ParseError:
        return "malformed"
    outcome = "refused"
    answering = OfferAnswer(IdSource(random.Random(seed)), allow_sdes=True)
    offering = answering.fork()
    everything = LocalMedia(
        address=local.address,
        rtp_port=local.rtp_port,
        rtcp_port=local.rtcp_port,
        rtcp_mux=True,
        fingerprint=bodies.OUR_FINGERPRINT,
        crypto=bodies.SDES.crypto,
    )
    try:
        answering.receive_offer(body)
        answer, _ = answering.create_answer(everything)
        assert len(parse(answer).media) == len(description.media)
        assert bytes(parse(answer)) == answer
        answering.create_offer(everything, Direction.SENDONLY)
        outcome = "agreed"
    except Unacceptable:
        pass
    offering.create_offer(local)
    try:
        offering.receive_answer(body)
        outcome = "agreed"
    except Unacceptable:
        pass
    return outcome


def run(count: int, seed: int = 1) -> Counter[str]:
    """``count`` bodies; how many came to what."""
    outcomes: Counter[str] = Counter()
    for number in range(count):
        rng = random.Random(seed * 1_000_003 + number)
        body = mutate(rng)
        try:
            outcomes[negotiate(body, rng.choice(LOCALS), number)] += 1
        except Exception:
            print(f"seed {seed} number {number}: {body!r}", file=sys.stderr)
            raise
    return outcomes


def main() -> int:
    """Exit status 0 when only allowed errors came out."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.perf_counter()
    outcomes = run(count, seed)
    print(f"sdp: {count} bodies in {time.perf_counter() - began:.1f} s: {dict(outcomes)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
