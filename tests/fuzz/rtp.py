"""Hostile media datagrams: ``python -m tests.fuzz.rtp COUNT [SEED]``.

Real RTP and RTCP is cut, bitten, doubled and mixed, then driven through the parsers and through a whole media core, an
echo robot and their ticks. Anything but ParseError out of a parser, and anything at all out of a core, is a failure
and is printed with its seed and number.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from audio.robots import EchoRobot
from audio.rtp.packet import HeaderExtension, RtpPacket
from audio.rtp.rtcp import (
    Goodbye,
    Report,
    ReportBlock,
    SenderInfo,
    SourceDescription,
    parse_compound_untrusted,
    serialise_compound,
)
from sipcore.errors import ParseError
from sipcore.ids import IdSource
from tests.audio.core.pair import BOB, make_core, parameters

if TYPE_CHECKING:
    from audio.core import MediaCore

SOURCES = (BOB, BOB, BOB, (BOB[0], 9), ("203.0.113.7", 5000))
BLOCK = ReportBlock(
    ssrc=7, fraction_lost=9, cumulative_lost=-1, highest_sequence=5, jitter=8, last_sr=99, delay_since_last_sr=1
)
INFO = SenderInfo(ntp=1 << 60, rtp_timestamp=1, packet_count=2, octet_count=3)


class Fuzzer:
    """One long-lived core and robot, so that hostile packets meet every state."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.core = self._new_core()
        self.robot = EchoRobot(IdSource(self.rng))
        self.now = 0.0
        self.sequence = 0
        self.ssrc = 7

    def _new_core(self) -> MediaCore:
        core = make_core(self.rng.getrandbits(30))
        core.configure(parameters(BOB, rtcp_mux=self.rng.random() < 0.5), 0.0)
        return core

    def step(self) -> None:
        rng = self.rng
        self.now += rng.choice((0.0, 0.001, 0.02, 0.02, 0.02, 0.3))
        data = self.mutate(rng.choice((self.rtp, self.rtp, self.rtp, self.rtcp))())
        source = rng.choice(SOURCES)
        for name, parse in (("rtp", RtpPacket.parse_untrusted), ("rtcp", parse_compound_untrusted)):
            try:
                parse(data)
                self.outcomes[name] += 1
            except ParseError:
                self.outcomes[f"no {name}"] += 1
        self.core.receive(data, source, self.now)
        self.core.receive_rtcp(data, source, self.now)
        self.robot.receive(data, source, self.now)
        sound = self.core.tick(self.now, None)
        if sound.dtype != "int16" or len(sound) != 160:
            raise AssertionError("a tick gives 160 samples of 16 bits")
        due = self.core.next_timeout()
        if due is not None and due <= self.now:
            self.core.handle_timeout(self.now)
        self.core.transmits()
        self.robot.transmits()
        self.outcomes["events"] += len(self.core.events())
        if rng.random() < 0.001:
            self.core.statistics(self.now)
            self.core.close(self.now)
            self.core, self.now = self._new_core(), 0.0

    def rtp(self) -> bytes:
        """A packet of a stream that goes on, or nearly."""
        rng = self.rng
        self.sequence += rng.choice((1, 1, 1, 1, 2, -1, 0, 1000, 40_000))
        if rng.random() < 0.005:
            self.ssrc = rng.getrandbits(32)
        payload_type = rng.choice((0, 0, 0, 0, 8, 13, 101, 101, rng.randrange(128)))
        sizes = {13: (0, 1, 11, 60), 101: (0, 3, 4, 4, 4, 8)}.get(payload_type, (160, 160, 80, 480, 0, 1, 1400))
        return RtpPacket(
            payload_type,
            self.sequence & 0xFFFF,
            (self.sequence * 160 + rng.choice((0, 0, 0, 80, 1 << 20, 1 << 31))) & 0xFFFFFFFF,
            self.ssrc,
            rng.randbytes(rng.choice(sizes)),
            rng.random() < 0.05,
            tuple(rng.getrandbits(32) for _ in range(rng.choice((0, 0, 0, 1, 15)))),
            rng.choice((None, None, HeaderExtension(0xBEDE, rng.randbytes(8)))),
            rng.choice((0, 0, 0, 1, 4, 255)),
        ).serialise()

    def rtcp(self) -> bytes:
        """A compound about the stream."""
        rng = self.rng
        report = Report(ssrc=self.ssrc, sender=rng.choice((None, INFO)), blocks=(BLOCK,) * rng.randrange(4))
        rest = (SourceDescription(chunks=((self.ssrc, "somebody@somewhere"),)), Goodbye(ssrcs=(self.ssrc,), reason="x"))
        return serialise_compound((report, *rest[: rng.randrange(3)]))

    def mutate(self, data: bytes) -> bytes:
        """Bitten, cut, doubled; every other one is left whole."""
        rng = self.rng
        for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
            if not data:
                return data
            place = rng.randrange(len(data))
            match rng.randrange(5):
                case 0:
                    data = data[:place]
                case 1:
                    data = (
                        data[:place]
                        + bytes([rng.choice((0, 1, 127, 128, 255, rng.getrandbits(8)))])
                        + data[place + 1 :]
                    )
                case 2:
                    data = data[:place] + rng.randbytes(rng.randrange(8)) + data[place:]
                case 3:
                    data = data[:16] + bytes([data[min(place, 3)] ^ (1 << rng.randrange(8))]) + data[17:]
                case _:
                    data += rng.choice((data, self.rtcp(), b"\x80"))
        return data[:3000]


def run(count: int, seed: int = 1) -> Counter[str]:
    """``count`` datagrams; how many came to what."""
    fuzzer = Fuzzer(seed)
    for number in range(count):
        try:
            fuzzer.step()
        except Exception:
            print(f"rtp: seed {seed}, datagram {number}", file=sys.stderr)
            raise
    return fuzzer.outcomes


def main() -> int:
    """Exit status 0 when only ParseError came out."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.perf_counter()
    outcomes = run(count, seed)
    print(f"rtp: {count} datagrams in {time.perf_counter() - began:.1f} s: {dict(outcomes)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
