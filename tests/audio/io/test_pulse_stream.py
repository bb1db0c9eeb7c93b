"""Streams of a sound server: what is sent and read at each tick, loss, dry buffers, and clocks that drift."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from audio.core import FRAME_SAMPLES, Samples
from audio.io.matching import CaptureEnd, PlayoutEnd
from audio.io.pulse_stream import PulseStream, stream_on
from audio.io.pulse_wire import Command, PacketReader
from tests.audio.io.virtual_pulse import CHANNEL, RATE, VirtualServer, VirtualSink, VirtualSource
from tests.audio.sound import likeness, local_likeness, speech

TICK_S = 0.020
SPEECH = speech(10.0)


def _spoken(first: int, count: int) -> bytes:
    """Speech for ever, by sample number."""
    return np.take(SPEECH, range(first, first + count), mode="wrap").tobytes()


def _frame(tick: int) -> Samples:
    return np.frombuffer(_spoken(tick * FRAME_SAMPLES, FRAME_SAMPLES), dtype=np.int16)


def _stream(server: VirtualServer, *, captures: bool) -> PulseStream:
    return stream_on(server.theirs, PacketReader(), server.opened, captures=captures)


def _speaker(sink: VirtualSink) -> tuple[PulseStream, PlayoutEnd]:
    stream = _stream(sink, captures=False)
    assert isinstance(stream.end, PlayoutEnd)
    return stream, stream.end


def _microphone(source: VirtualSource) -> tuple[PulseStream, CaptureEnd]:
    stream = _stream(source, captures=True)
    assert isinstance(stream.end, CaptureEnd)
    return stream, stream.end


def _listen(source: VirtualSource, seconds: float) -> tuple[CaptureEnd, Samples]:
    _, end = _microphone(source)
    silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    frames = []
    for tick in range(1, round(seconds / TICK_S)):
        source.advance(tick * TICK_S)
        frame = end.read(8000)
        source.listen()
        frames.append(silence if frame is None else frame)
    return end, np.concatenate(frames)


def _play(sink: VirtualSink, seconds: float) -> PlayoutEnd:
    _, end = _speaker(sink)
    for tick in range(round(seconds / TICK_S)):
        sink.advance(tick * TICK_S)
        end.write(_frame(tick))
        sink.listen()
    return end


def test_what_is_spoken_is_read_whole_and_within_40_ms() -> None:
    source = VirtualSource(_spoken)
    end, heard = _listen(source, 6.0)
    spoken = np.frombuffer(_spoken(0, 6 * RATE), dtype=np.int16)
    assert end.breaks == 0
    assert end.drained <= RATE * 0.020
    assert local_likeness(spoken[8000:40000], heard[8000:]) > 0.99
    # A frame, a piece, the margin, and the resampler's millisecond.
    assert 0 <= likeness(spoken[8000:40000], heard[8000:])[1] <= RATE * 0.040 - FRAME_SAMPLES


def test_what_is_written_is_played_whole_and_within_20_ms() -> None:
    sink = VirtualSink()
    end = _play(sink, 6.0)
    heard = np.frombuffer(bytes(sink.heard), dtype=np.int16)
    sent = np.frombuffer(_spoken(0, 6 * RATE), dtype=np.int16)
    assert (sink.underflows, end.breaks) == (0, 0)
    assert end.drained <= RATE * 0.010
    assert local_likeness(sent[8000:40000], heard[8000:]) > 0.99
    # ``heard`` runs up to a piece ahead of the ear.
    assert 0 <= likeness(sent[8000:40000], heard[8000:])[1] <= RATE * 0.020


def test_only_the_first_packet_and_the_first_after_a_dry_buffer_are_placed_anew() -> None:
    sink = VirtualSink()
    _, end = _speaker(sink)
    for tick in range(100):
        sink.advance(tick * TICK_S)
        if not 50 <= tick < 55:  # the thread is kept from running
            end.write(_frame(tick))
    sink.listen()
    modes = [flags for _, flags in sink.packets]
    assert modes[0] == 2
    assert sum(mode == 2 for mode in modes) == 2
    assert (sink.underflows, end.breaks) == (1, 1)
    assert all(channel == CHANNEL and payload for (channel, payload), _ in sink.packets)


@pytest.mark.parametrize("ticks", [400, 401])
def test_a_call_soon_after_another_begins_with_its_whole_reserve(ticks: int) -> None:
    """That the buffer ran dry in between is told as the new call begins, and is no news of that."""
    sink = VirtualSink()
    _, end = _speaker(sink)
    for tick in range(ticks):
        sink.advance(tick * TICK_S)
        end.write(_frame(tick))
    end.pause()
    assert end.breaks == 0
    for tick in range(ticks + 10, ticks + 300):
        sink.advance(tick * TICK_S)
        end.write(_frame(tick))
    assert sink.underflows == 1
    assert end.breaks == 0


def test_a_late_thread_makes_the_reserve_grow_and_then_is_covered() -> None:
    """Ticks come up to 15 ms late now and then, as on a loaded machine: after some break-ups there is no more."""
    sink = VirtualSink()
    _, end = _speaker(sink)
    breaks = []
    for tick in range(6000):
        late = 0.015 if tick % 50 == 49 else 0.0
        sink.advance(tick * TICK_S + late)
        end.write(_frame(tick))
        sink.listen()
        breaks.append(end.breaks)
    assert breaks[-1] == breaks[2000] <= 6


def test_a_sink_found_asleep_plays_the_present_when_it_wakes() -> None:
    """A null sink found idle takes up to two seconds; what was said meanwhile is nobody's to hear then."""
    sink = VirtualSink()
    sink.asleep_until = 2.0
    _play(sink, 6.0)
    assert sink.flushed >= 1
    assert sink.waiting <= RATE * 0.050
    heard = np.frombuffer(bytes(sink.heard), dtype=np.int16)
    sent = np.frombuffer(_spoken(0, 6 * RATE), dtype=np.int16)
    delay = likeness(sent[28000:44000], heard)[1] - (28000 - 2 * RATE)
    assert abs(delay) <= RATE * 0.030


@pytest.mark.parametrize("fixed_ms", [0, 150])
@pytest.mark.parametrize("ppm", [-800.0, -200.0, 200.0, 800.0])
def test_drift_is_absorbed_both_ways(ppm: float, fixed_ms: int) -> None:
    """A minute at 200 ppm is 12 ms, null sinks run up to 800 ppm fast, and a headset's radio link is no reserve."""
    source, sink = VirtualSource(_spoken, ppm, fixed_s=fixed_ms / 1000), VirtualSink(ppm, fixed_s=fixed_ms / 1000)
    capture, _ = _listen(source, 60.0)
    playout = _play(sink, 60.0)
    assert (capture.breaks, playout.breaks, sink.underflows) == (0, 0, 0)
    assert capture.drained <= RATE * 0.030
    assert playout.drained <= RATE * 0.030
    assert sink.waiting <= RATE * 0.045


@pytest.mark.parametrize("ppm", [-6000.0, 6000.0])
def test_a_clock_beyond_correction_costs_a_gap_now_and_then_and_no_delay(ppm: float) -> None:
    """What 2,000 ppm do not absorb is 4 ms a second: one gap makes up for several of them."""
    source, sink = VirtualSource(_spoken, ppm), VirtualSink(ppm)
    capture, _ = _listen(source, 60.0)
    playout = _play(sink, 60.0)
    assert max(capture.breaks, playout.breaks) <= 60
    assert capture.delay_s <= 0.060
    assert playout.delay_s <= 0.060
    assert sink.waiting <= RATE * 0.060


def _largest_jump_ms(heard: Samples, sent: Samples, first_s: int, last_s: int) -> tuple[float, float]:
    """How far the delay moves between a second and the next, and how far in all."""
    delays = []
    for second in range(first_s, last_s):
        piece = sent[second * RATE : second * RATE + RATE]
        low = second * RATE - 1600
        delays.append((likeness(piece, heard[low : low + RATE + 3200])[1] - 1600) * 1000 / RATE)
    return float(np.abs(np.diff(delays)).max()), max(delays) - min(delays)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_ten_minutes_of_drift_are_not_heard(ppm: float) -> None:
    """120 ms of drift: no jump over 4 ms, and the delay stays within 25 ms."""
    seconds = 600
    sent = np.frombuffer(_spoken(0, seconds * RATE), dtype=np.int16)
    sink = VirtualSink(ppm)
    _play(sink, seconds)
    # In the sink's own samples, played at its own speed: put back on the thread's clock.
    heard = np.frombuffer(bytes(sink.heard), dtype=np.int16)
    places = np.arange(len(heard) * (1 - 2 * abs(ppm) * 1e-6)) * (1 + ppm * 1e-6)
    heard = heard[places.astype(np.int64)]
    jump_ms, spread_ms = _largest_jump_ms(heard, sent, 5, seconds - 5)
    assert sink.underflows == 0
    assert jump_ms <= 4.0
    assert spread_ms <= 25.0


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc to see its own memory")
@pytest.mark.timeout(600)
def test_an_hour_costs_no_memory_and_moves_no_buffer() -> None:
    source, sink = VirtualSource(_spoken, 150.0), VirtualSink(-150.0, remembers=False)
    _, capture = _microphone(source)
    _, playout = _speaker(sink)
    silence = np.zeros(FRAME_SAMPLES, dtype=np.int16)
    before, fills = 0, []
    for tick in range(1, 3600 * 50):
        source.advance(tick * TICK_S)
        sink.advance(tick * TICK_S)
        sink.packets.clear()
        frame = capture.read(8000)
        playout.write(silence if frame is None else frame)
        source.listen()
        sink.listen()
        if tick == 6000:
            before = _resident_bytes()
        if tick > 6000 and tick % 500 == 0:
            fills.append(sink.waiting)
    assert _resident_bytes() - before < 1_000_000
    assert (capture.breaks, playout.breaks) == (0, 0)
    assert max(fills) - min(fills) <= RATE * 0.025


def test_what_came_while_nobody_listened_is_thrown_away() -> None:
    source = VirtualSource(_spoken)
    _, end = _microphone(source)
    for tick in range(1, 200):
        source.advance(tick * 0.1)
        end.pause()
    source.advance(20.1)
    frames = []
    for tick in range(10):
        source.advance(20.1 + tick * TICK_S)
        frames.append(end.read(8000))
        source.listen()
    heard = np.concatenate([frame for frame in frames if frame is not None])
    place = likeness(heard[40:], np.frombuffer(_spoken(0, 22 * RATE), dtype=np.int16)[18 * RATE :])[1] + 18 * RATE
    assert place > 20.0 * RATE


@pytest.mark.parametrize("how", ["hang up", "kill the stream", "talk nonsense"])
def test_the_end_of_the_server_or_of_the_stream_is_seen_at_the_next_pump(how: str) -> None:
    sink = VirtualSink()
    stream, end = _speaker(sink)
    end.write(_frame(0))
    assert not _has_finished(stream)
    match how:
        case "hang up":
            sink.hang_up()
        case "kill the stream":
            sink.say(Command.PLAYBACK_STREAM_KILLED, 0xFFFFFFFF)
        case _:
            sink.send(b"\x7f" * 40)
    end.write(_frame(1))
    assert _has_finished(stream)
    end.write(_frame(2))
    stream.close()


def _has_finished(stream: PulseStream) -> bool:
    return stream.finished


def test_a_server_that_takes_nothing_costs_sound_and_no_time() -> None:
    """A frozen server: its socket fills up, and later it is told whole packets again."""
    sink = VirtualSink()
    stream, end = _speaker(sink)
    for tick in range(5000):
        end.write(_frame(tick))
    assert not stream.finished
    before = len(sink.packets)
    for tick in range(200):
        sink.advance(tick * TICK_S)
        end.write(_frame(tick))
    assert len(sink.packets) > before + 190
    assert not stream.finished


def test_a_server_that_says_nothing_is_told_from_a_thread_that_does_not_ask() -> None:
    source = VirtualSource(_spoken)
    stream, end = _microphone(source)
    assert stream.age(1e9) == 0.0
    source.advance(0.5)
    end.read(8000)
    assert stream.age(1e9) == 0.0
    assert asyncio.run(stream.answers()) is False
