"""The jitter buffer alone: a sender's time line, packets that come as the test says, ticks of 20 ms."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from audio.rtp.packet import RtpPacket
from audio.stream.jitter import Frame, Item, JitterBuffer, JitterConfig, Missing, Silence

START = 1000.0


@dataclass
class Bench:
    """Feeds packets by arrival time and reads every 20 ms, keeping what came out."""

    buffer: JitterBuffer = field(default_factory=JitterBuffer)
    base: int = 5000
    arrivals: list[tuple[float, int, RtpPacket, int]] = field(default_factory=list)
    out: list[Item] = field(default_factory=list)
    now: float = START
    queued: int = 0

    def packet(
        self, number: int, delay: float, *, ptime: int = 20, base: int | None = None, sent: float = -1.0
    ) -> None:
        """Packet ``number`` of a regular stream, ``delay`` after it was sent."""
        units = ptime * 8
        timestamp = ((self.base if base is None else base) + number * units) % (1 << 32)
        packet = RtpPacket(0, number & 0xFFFF, timestamp, 1, number.to_bytes(4) * (units // 4))
        moment = number * ptime / 1000 if sent < 0 else sent
        self.arrivals.append((START + moment + delay, len(self.arrivals), packet, units))

    def noise(self, number: int, delay: float, payload: bytes) -> None:
        packet = RtpPacket(13, number, self.base + number * 160, 1, payload)
        self.arrivals.append((START + number * 0.02 + delay, len(self.arrivals), packet, 0))

    def run(self, until: float, *, offset: float = 0.007) -> None:
        self.arrivals.sort(key=lambda item: item[:2])
        while self.now < START + until:
            tick = self.now + offset
            while self.arrivals and self.arrivals[0][0] <= tick:
                arrival, _, packet, units = self.arrivals.pop(0)
                if packet.payload_type == 13:
                    self.buffer.put_silence(packet, arrival)
                else:
                    self.buffer.put(packet, units, arrival)
            self._read(tick)
            self.now += 0.02

    def _read(self, tick: float) -> None:
        while self.queued < 160:
            item = self.buffer.get(tick, 160 - self.queued)
            self.out.append(item)
            self.queued += item.duration - (item.skip if isinstance(item, Frame) else 0)
        self.queued -= 160

    @property
    def frames(self) -> list[int]:
        return [int.from_bytes(item.payload[:4]) for item in self.out if isinstance(item, Frame)]

    @property
    def missing(self) -> int:
        return sum(item.duration for item in self.out if isinstance(item, Missing))


def test_a_regular_stream_comes_out_whole_and_soon() -> None:
    bench = Bench()
    for number in range(100):
        bench.packet(number, 0.010)
    bench.run(2.0)
    assert bench.frames == list(range(len(bench.frames)))
    assert len(bench.frames) >= 96
    assert bench.missing == 0
    assert 0.020 <= bench.buffer.delay_s(bench.now + 0.007) <= 0.060


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
def test_packets_of_any_length(ptime: int) -> None:
    """RFC 3551 §4.2: receivers should accept packets of 0 to 200 ms."""
    bench = Bench()
    for number in range(3000 // ptime):
        bench.packet(number, 0.010, ptime=ptime)
    bench.run(2.9)
    assert bench.frames == list(range(len(bench.frames)))
    assert bench.missing <= 160


@pytest.mark.parametrize("base", [(1 << 32) - 1600, (1 << 31) - 1600, 0])
def test_the_timestamp_wraps(base: int) -> None:
    bench = Bench(base=base)
    for number in range(100):
        bench.packet(number, 0.010)
    bench.run(1.9)
    assert bench.frames == list(range(len(bench.frames)))
    assert bench.missing == 0


def test_a_lost_packet_is_missing_for_its_length_and_moves_nothing() -> None:
    bench = Bench()
    for number in range(100):
        if number not in (30, 50, 51):
            bench.packet(number, 0.010)
    bench.run(1.9)
    assert bench.missing == 3 * 160
    assert bench.frames == [n for n in range(100) if n not in (30, 50, 51)][: len(bench.frames)]
    assert bench.buffer.delay_s(bench.now + 0.007) < 0.060
    assert bench.buffer.statistics.rescued == 0


@pytest.mark.parametrize(("ptime", "shown"), [(10, 2), (20, 1), (40, 1)])
def test_a_hole_shows_what_follows_it_where_that_has_come(ptime: int, shown: int) -> None:
    """As many packets as make a block, and how far on they are; each comes out again in its turn."""
    bench = Bench()
    lost = 600 // ptime
    for number in range(2000 // ptime):
        if number != lost:
            bench.packet(number, 0.010, ptime=ptime)
    bench.run(1.9)
    holes = [item for item in bench.out if isinstance(item, Missing)]
    assert holes
    for hole in holes:
        assert hole.distance >= hole.duration
        first = [int.from_bytes(frame.payload[:4]) for frame in hole.following]
        assert first == list(range(lost + 1, lost + 1 + shown))[: len(first)]
    assert len(holes[-1].following) == shown
    assert bench.frames == [n for n in range(2000 // ptime) if n != lost][: len(bench.frames)]


def test_reordered_packets_come_out_in_order() -> None:
    bench = Bench()
    for number in range(100):
        bench.packet(number, 0.010 + (0.025 if number % 20 == 10 else 0.0))
    bench.run(1.9)
    assert bench.frames == list(range(len(bench.frames)))
    assert bench.missing <= 160


def test_duplicates_are_dropped_and_teach_nothing() -> None:
    bench = Bench()
    for number in range(100):
        bench.packet(number, 0.010)
        bench.packet(number, 0.200)
    bench.run(1.9)
    assert bench.frames == list(range(len(bench.frames)))
    assert bench.buffer.statistics.duplicates >= 85
    assert bench.buffer.target_s < 0.050


def test_a_late_packet_is_played_and_raises_the_delay_at_once() -> None:
    """The stream stalls for 100 ms: nothing of what was said is lost, and the same again finds the buffer ready."""
    bench = Bench()
    for number in range(200):
        stalled = 60 <= number < 66 or 120 <= number < 126
        bench.packet(number, (0.010 + 0.120 - (number - 60) % 60 * 0.02) if stalled else 0.010)
    bench.run(2.0)
    assert bench.buffer.statistics.rescued >= 1
    missing = bench.missing
    assert 0 < missing <= 130 * 8
    bench.run(3.9)
    assert bench.frames == list(range(len(bench.frames)))
    assert bench.buffer.statistics.late == 0
    assert bench.missing == missing
    assert bench.buffer.delay_s(bench.now + 0.007) >= 0.120


def test_what_was_learnt_is_forgotten_after_the_hold() -> None:
    bench = Bench()
    for number in range(600):
        bench.packet(number, 0.150 if number == 50 else 0.010)
    bench.run(2.0)
    assert bench.buffer.target_s > 0.140
    bench.run(11.0)
    assert bench.buffer.target_s < 0.030


def test_a_stall_longer_than_the_buffer_ends_live_again() -> None:
    """Two seconds of queued packets come at once: they are old news, and the delay is soon what it was."""
    bench = Bench()
    for number in range(400):
        bench.packet(number, 0.010 + (2.0 - (number - 100) * 0.02 if 100 <= number < 200 else 0.0))
    bench.run(7.9)
    assert bench.buffer.delay_s(bench.now + 0.007) < 0.150
    assert bench.frames[-1] > 380
    assert bench.buffer.statistics.late >= 70


def test_the_delay_keeps_to_its_upper_bound() -> None:
    bench = Bench()
    for number in range(300):
        bench.packet(number, 0.010 + (0.450 if number % 10 == 5 else 0.0))
    bench.run(5.5)
    assert bench.buffer.target_s <= 0.500
    assert bench.buffer.delay_s(bench.now + 0.007) <= 0.530


@pytest.mark.parametrize("jump", [80_000, -80_000, 1 << 31, 3_000_000_000])
def test_a_jump_of_the_timestamps_starts_a_new_time_line(jump: int) -> None:
    """A PBX bridges somebody else in and keeps the SSRC: sound is back within a few packets, at the usual delay."""
    bench = Bench()
    for number in range(50):
        bench.packet(number, 0.010)
    for number in range(50, 200):
        bench.packet(number, 0.010, base=(bench.base + jump) % (1 << 32))
    bench.run(3.9)
    assert bench.frames[-1] > 180
    assert [n for n in range(bench.frames[-1]) if n not in bench.frames] == []
    assert bench.buffer.statistics.resyncs == 1
    assert bench.buffer.delay_s(bench.now + 0.007) < 0.080


def test_one_wild_timestamp_changes_nothing() -> None:
    bench = Bench()
    for number in range(100):
        bench.packet(number, 0.010, base=bench.base + 1_000_000 if number == 50 else None)
    bench.run(1.9)
    assert bench.buffer.statistics.resyncs == 0
    assert bench.missing == 160
    assert bench.frames[-1] > 90


def test_silence_announced_by_comfort_noise_is_no_loss() -> None:
    """RFC 3389: between the noise packet and the next talkspurt nothing is missing, and the noise is handed on."""
    bench = Bench()
    for number in (*range(50), *range(100, 150)):
        bench.packet(number, 0.010)
    bench.noise(50, 0.010, b"\x40")
    bench.run(2.9)
    assert bench.missing == 0
    noises = [item.noise for item in bench.out if isinstance(item, Silence) and item.noise]
    assert len(noises) >= 45
    assert bench.frames == [*range(50), *range(100, 100 + len(bench.frames) - 50)]


def test_an_unannounced_gap_is_concealed_first_and_the_talkspurt_after_it_is_whole() -> None:
    bench = Bench()
    for number in (*range(50), *range(150, 200)):
        bench.packet(number, 0.010)
    bench.run(3.9)
    assert bench.missing >= 160
    assert bench.frames[50:] == list(range(150, 100 + len(bench.frames)))
    assert bench.frames[-1] >= 190
    assert bench.buffer.delay_s(bench.now + 0.007) < 0.060


def test_a_drifting_sender_is_followed() -> None:
    """+1000 ppm over two minutes: the fastest transit moves, the delay does not grow."""
    bench = Bench()
    for number in range(6_000):
        bench.packet(number, 0.010 + number * 0.02 * 1000e-6)
    bench.run(119.0)
    assert bench.buffer.target_s < 0.040


def test_overflow_is_bounded() -> None:
    buffer = JitterBuffer(8000, JitterConfig(maximum_s=10.0))
    for number in range(1000):
        buffer.put(RtpPacket(0, number, number * 80, 1, b"\xff" * 80), 80, START + number * 1e-6)
    assert buffer.statistics.discarded + buffer.statistics.late >= 1000 - JitterBuffer.CAPACITY - 200


def test_a_new_stream_starts_with_what_was_learnt() -> None:
    bench = Bench()
    for number in range(150):
        bench.packet(number, 0.010 + (0.080 if number % 10 == 5 else 0.0))
    bench.run(2.9)
    learnt = bench.buffer.target_s
    bench.buffer.reset()
    assert bench.buffer.target_s == pytest.approx(learnt)
    assert bench.buffer.get(bench.now, 160) == Silence(160, None)
