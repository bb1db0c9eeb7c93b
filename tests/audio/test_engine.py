"""The audio engine whole: two of them in a call over real sockets on loopback, with files, formulas or fake devices."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.core import DtmfReceived, DtmfSent, FirstPacketReceived, RemoteByeReceived
from audio.engine import (
    AudioDeviceLost,
    AudioDeviceRestored,
    AudioProblem,
    AudioSettings,
    CallMediaEnded,
    Channel,
    NoMediaPort,
    Role,
    ToneKind,
)
from audio.io.backend import DeviceFailure, FailureKind
from sipcore.errors import LocalProtocolError
from sipcore.media import G722, PCMA, PCMU, Codec, Direction, LocalMedia
from tests.audio.calling import Phone, connect, parameters, read_wave, until, write_wave
from tests.audio.io.fake_backend import FakeBackend
from tests.audio.sound import likeness, local_likeness, speech
from tests.audio.wideband import needs_g722

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from audio.io.backend import DeviceBackend

QUIET = AudioSettings(input="none", output="none", ring="none")
LOOPBACK = "127.0.0.1"
NO_DEVICE = DeviceFailure(FailureKind.NO_DEVICE, "There is no sound device: plug one in.")


@asynccontextmanager
async def running(settings: AudioSettings = QUIET, backend: DeviceBackend | None = None) -> AsyncIterator[Phone]:
    """A started engine."""
    phone = Phone(settings, backend)
    await phone.engine.start()
    try:
        yield phone
    finally:
        await phone.engine.stop()


class FarEnd:
    """A plain UDP socket that takes what the engine sends."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.setblocking(False)
        self.media = LocalMedia(address=LOOPBACK, rtp_port=self.socket.getsockname()[1], rtcp_port=9)
        self.packets: list[bytes] = []

    def take(self) -> list[bytes]:
        """Everything that has come so far."""
        while True:
            try:
                self.packets.append(self.socket.recv(2048))
            except BlockingIOError:
                return self.packets

    async def take_more(self, count: int) -> list[bytes]:
        """Wait for ``count`` further packets and give those."""
        before = len(self.take())
        await until(lambda: len(self.take()) >= before + count, f"{count} packets")
        return self.packets[before:]


def _sequence(packet: bytes) -> int:
    return int(struct.unpack_from("!H", packet, 2)[0])


def _timestamp(packet: bytes) -> int:
    return int(struct.unpack_from("!I", packet, 4)[0])


# ------------------------------------------------------------------------------------------------------- a call


def test_speech_from_a_file_is_heard_in_a_file_both_ways(tmp_path: Path) -> None:
    spoken = {name: speech(2.5, seed=seed) for seed, name in enumerate(("one", "other"), 1)}
    for name, samples in spoken.items():
        write_wave(tmp_path / f"{name}-in.wav", samples)

    def settings(name: str) -> AudioSettings:
        return replace(QUIET, input=f"wav:{tmp_path}/{name}-in.wav", output=f"wav:{tmp_path}/{name}-out.wav")

    async def test() -> None:
        async with running(settings("one")) as one, running(settings("other")) as other:
            await connect(one, other)
            for phone in (one, other):
                await until(lambda phone=phone: _sent(phone) >= 150, "three seconds of packets")  # type: ignore[misc]
            one.engine.close_call("call")
            other.engine.close_call("call")
            await until(lambda: one.of(CallMediaEnded) and other.of(CallMediaEnded), "both ended")
            assert await one.engine.recordings.finished()
            assert await other.engine.recordings.finished()
            (ended,) = one.of(CallMediaEnded)
            assert isinstance(ended, CallMediaEnded)
            assert ended.recording == f"{tmp_path}/one-out.wav"
            assert ended.statistics.lost == 0
            assert ended.statistics.codec == "PCMU"
            for phone in (one, other):
                assert any(isinstance(event, FirstPacketReceived) for event in phone.media_events())

    asyncio.run(test())
    for mine, theirs in (("one", "other"), ("other", "one")):
        heard = read_wave(tmp_path / f"{mine}-out.wav")
        assert local_likeness(spoken[theirs], heard) >= 0.9
        assert likeness(spoken[theirs], heard)[1] < 8 * 300


def _sent(phone: Phone) -> int:
    statistics = phone.engine.statistics("call")
    return statistics.packets_sent if statistics is not None else 0


def test_later_calls_are_recorded_to_numbered_files(tmp_path: Path) -> None:
    async def test() -> None:
        far = FarEnd()
        async with running(replace(QUIET, output=f"wav:{tmp_path}/ear.wav")) as phone:
            for call in ("first", "never answered", "second"):
                await phone.engine.open(call, LOOPBACK)
                if "never" not in call:
                    phone.engine.configure(call, parameters(far.media))
                    await far.take_more(5)
                phone.engine.close_call(call)
            await phone.engine.recordings.finished()

    asyncio.run(test())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ear.wav", "ear.wav-2"]
    for path in tmp_path.iterdir():
        assert len(read_wave(path)) >= 4 * 160


def test_digits_arrive_as_they_were_sent() -> None:
    async def test() -> None:
        async with running() as one, running() as other:
            assert not one.engine.send_dtmf("call", "1")
            await connect(one, other)
            assert one.engine.send_dtmf("call", "1*#D")
            with pytest.raises(LocalProtocolError):
                one.engine.send_dtmf("call", "1x")
            await until(lambda: len(_digits(other)) == 4, "four digits")
            assert _digits(other) == ["1", "*", "#", "D"]
            await until(lambda: _digits(one, DtmfSent) == ["1", "*", "#", "D"], "all told as sent")

    asyncio.run(test())


def _digits(phone: Phone, kind: type[DtmfReceived | DtmfSent] = DtmfReceived) -> list[str]:
    return [event.digit for event in phone.media_events() if isinstance(event, kind)]


def test_closing_says_bye_and_frees_the_ports() -> None:
    async def test() -> None:
        async with running() as one, running() as other:
            here = await one.engine.open("call", LOOPBACK)
            there = await other.engine.open("call", LOOPBACK)
            one.engine.configure("call", parameters(there))
            other.engine.configure("call", parameters(here))
            await until(lambda: _sent(one) > 10 and _sent(other) > 10, "sound")
            before = time.monotonic()
            one.engine.close_call("call")
            assert time.monotonic() - before < 0.1
            await until(lambda: any(isinstance(event, RemoteByeReceived) for event in other.media_events()), "BYE")
            assert one.engine.statistics("call") is None
            again = await one.engine.open("next", LOOPBACK, port=here.rtp_port)
            assert again.rtp_port == here.rtp_port

    asyncio.run(test())


def test_a_call_that_is_handed_over_says_nothing_and_goes_on_in_another_engine() -> None:
    """The same port, another stream; the far end hears no goodbye in between."""

    async def test() -> None:
        far = FarEnd()
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp.bind((LOOPBACK, 0))
        rtcp.setblocking(False)
        media = replace(far.media, rtcp_port=rtcp.getsockname()[1])
        async with running() as one, running() as other:
            before = await one.engine.open("call", LOOPBACK)
            one.engine.configure("call", parameters(media))
            await far.take_more(5)
            await one.engine.hand_over()
            after = await other.engine.open("call", LOOPBACK, port=before.rtp_port)
            other.engine.configure("call", parameters(media))
            packets = await far.take_more(5)
            assert (after.rtp_port, after.rtcp_port) == (before.rtp_port, before.rtcp_port)
            assert int.from_bytes(packets[-1][8:12]) == after.ssrc != before.ssrc
            said = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    said.append(rtcp.recv(2048))
            assert not any(b"\xcb" in (packet[1:2], packet[9:10]) for packet in said)  # RFC 3550 §12.1: BYE is 203
        rtcp.close()

    asyncio.run(test())


# ---------------------------------------------------------------------------------------------------- the clock


def test_packets_leave_every_20_ms_without_a_gap() -> None:
    """Counts, not milliseconds: the deadlines are absolute, so what a busy machine delays is made up for."""

    async def test() -> None:
        far = FarEnd()
        async with running(replace(QUIET, input="synthetic")) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await far.take_more(1)
            began = time.monotonic()
            packets = await far.take_more(100)
            elapsed = time.monotonic() - began
        assert 0.9 < len(packets) * 0.020 / elapsed < 1.1
        assert {(_sequence(b) - _sequence(a)) & 0xFFFF for a, b in pairwise(packets)} == {1}
        assert {(_timestamp(b) - _timestamp(a)) & 0xFFFFFFFF for a, b in pairwise(packets)} == {160}

    asyncio.run(test())


def test_the_first_packet_waits_for_no_device() -> None:
    """A device that takes for ever to open costs sound, not packets."""

    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        backend.open_gate.clear()
        async with running(AudioSettings(), backend) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            assert len(await far.take_more(20)) >= 20
            assert backend.streams == []
            assert phone.events == []
            backend.open_gate.set()
            await until(lambda: phone.engine.device_name(Role.MICROPHONE) == "fake", "device open")

    asyncio.run(test())


def test_stale_and_unknown_commands_change_nothing() -> None:
    async def test() -> None:
        old, new = FarEnd(), FarEnd()
        async with running() as phone:
            phone.engine.configure("nobody", parameters(old.media))
            phone.engine.mute("nobody", True)
            phone.engine.close_call("nobody")
            await phone.engine.open("call", LOOPBACK)
            with pytest.raises(LocalProtocolError):
                await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(new.media, negotiation=2))
            phone.engine.configure("call", parameters(old.media, negotiation=1))
            await new.take_more(10)
            assert old.take() == []
            phone.engine.configure("call", parameters(old.media, negotiation=3, codec=PCMA))
            assert {packet[1] & 0x7F for packet in await old.take_more(10)} == {8}

    asyncio.run(test())


def test_a_held_call_hears_nothing_and_the_active_one_everything() -> None:
    async def test() -> None:
        first, second = FarEnd(), FarEnd()
        async with running(replace(QUIET, input="synthetic")) as phone:
            for call, far in (("first", first), ("second", second)):
                await phone.engine.open(call, LOOPBACK)
                phone.engine.configure(call, parameters(far.media))
            await _speech_comes(first)
            await _silence_comes(second)
            phone.engine.activate("second")
            await _speech_comes(second)
            await _silence_comes(first)
            phone.engine.mute("second", True)
            await _silence_comes(second)
            phone.engine.mute("second", False)
            await _speech_comes(second)
            phone.engine.activate(None)
            await _silence_comes(first)
            await _silence_comes(second)

    asyncio.run(test())


def _loud(packet: bytes) -> bool:
    """µ-law whose upper bits say more than a whisper."""
    return min(octet & 0x7F for octet in packet[12:]) < 0x30


async def _speech_comes(far: FarEnd) -> None:
    far.take().clear()
    await until(lambda: any(map(_loud, far.take())), "speech")


async def _silence_comes(far: FarEnd) -> None:
    """From a few packets on, which were under way already."""
    await far.take_more(5)
    assert not any(map(_loud, await far.take_more(20)))


def test_a_failing_call_ends_alone() -> None:
    """One call's defect is logged and told; the others' sound goes on."""

    async def test() -> None:
        good, bad = FarEnd(), FarEnd()
        async with running() as phone:
            for call, far in (("good", good), ("bad", bad)):
                await phone.engine.open(call, LOOPBACK)
                phone.engine.configure(call, parameters(far.media))
            await bad.take_more(3)
            # A codec the engine never offered: the core refuses it with an exception.
            nonsense = replace(parameters(bad.media, negotiation=2), send_codec=replace(PCMA, encoding="nonsense"))
            phone.engine.configure("bad", nonsense)
            await until(lambda: phone.of(AudioProblem), "told")
            assert len(await good.take_more(20)) >= 20

    asyncio.run(test())


def test_a_failing_device_end_costs_sound_and_no_packet() -> None:
    """Whatever goes wrong between thread and device, RTP goes on."""

    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        async with running(AudioSettings(), backend) as phone:
            await phone.engine.open("call", LOOPBACK)
            await until(lambda: len(backend.streams) == 2, "both devices open")
            # A ring that says it is full and fails when read.
            backend.newest(Role.MICROPHONE).ring.__dict__["_store"] = None
            backend.newest(Role.MICROPHONE).ring.__dict__["_written"] = 96000
            phone.engine.configure("call", parameters(far.media))
            await until(lambda: phone.of(AudioProblem), "told")
            assert len(await far.take_more(20)) >= 20

    asyncio.run(test())


def test_an_engine_that_never_started_stops() -> None:
    asyncio.run(Phone(QUIET).engine.stop())


def test_a_far_end_given_by_name_is_resolved_off_the_media_thread() -> None:
    async def test() -> None:
        far = FarEnd()
        async with running() as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", replace(parameters(far.media), remote_address="localhost"))
            await far.take_more(5)
            await phone.engine.open("lost", LOOPBACK)
            phone.engine.configure("lost", replace(parameters(far.media), remote_address="no.such.host.invalid"))
            await until(lambda: phone.of(AudioProblem), "told")

    asyncio.run(test())


def test_a_call_moves_to_another_address_and_its_stream_goes_on() -> None:
    async def test() -> None:
        far = FarEnd()
        async with running() as phone:
            before = await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            first = (await far.take_more(5))[-1]
            after = await phone.engine.rehome("call", "127.0.0.2")
            assert after is not None
            assert (after.address, after.ssrc) == ("127.0.0.2", before.ssrc)
            await far.take_more(5)
            data, source = b"", ("", 0)
            while source[0] != "127.0.0.2":
                await asyncio.sleep(0.01)
                try:
                    data, source = far.socket.recvfrom(2048)
                except BlockingIOError:
                    continue
            assert source[1] == after.rtp_port
            assert data[8:12] == first[8:12]
            assert 0 < (_sequence(data) - _sequence(first)) & 0xFFFF < 500
            assert await phone.engine.rehome("nobody", LOOPBACK) is None

    asyncio.run(test())


def test_no_port_is_one_sentence() -> None:
    async def test() -> None:
        async with running(replace(QUIET, port_min=21100, port_max=21101)) as phone:
            await phone.engine.open("call", LOOPBACK)
            with pytest.raises(NoMediaPort):
                await phone.engine.open("second", LOOPBACK)

    asyncio.run(test())


def test_hold_without_direction_to_send_sends_nothing() -> None:
    async def test() -> None:
        far = FarEnd()
        async with running(replace(QUIET, input="synthetic")) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await far.take_more(5)
            held = replace(parameters(far.media, negotiation=2), direction=Direction.INACTIVE)
            phone.engine.configure("call", held)
            await asyncio.sleep(0.1)
            count = len(far.take())
            await asyncio.sleep(0.3)
            assert len(far.take()) == count

    asyncio.run(test())


# --------------------------------------------------------------------------------------------------- the devices


def test_without_a_device_the_call_goes_on_and_the_user_is_told_once() -> None:
    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        backend.failure = NO_DEVICE
        async with running(AudioSettings(), backend) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await far.take_more(50)
            assert phone.of(AudioProblem) == [AudioProblem(NO_DEVICE.sentence, Role.MICROPHONE)] or phone.of(
                AudioProblem
            ) == [AudioProblem(NO_DEVICE.sentence, Role.SPEAKER)]
            backend.failure = None
            await until(lambda: phone.of(AudioDeviceRestored), "sound is back")

    asyncio.run(test())


def test_sound_of_a_device_is_sent_and_played() -> None:
    """A constant in the capture ring arrives at the far end; what comes back from it reaches the playout ring."""

    async def test() -> None:
        far, backend = FarEnd(), FakeBackend(rate=48000)
        async with running(AudioSettings(), backend) as phone:
            media = await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await until(lambda: len(backend.streams) == 2, "both devices open")
            capture, playout = backend.newest(Role.MICROPHONE), backend.newest(Role.SPEAKER)
            level = np.full(480, 6000, dtype=np.int16).tobytes()
            loud_sent, loud_played = False, False
            for step in range(400):
                capture.ring.write(level)
                capture.last_callback = playout.last_callback = time.monotonic()
                block = memoryview(bytearray(960))
                playout.ring.read_into(block)
                loud_played = loud_played or int(np.abs(np.frombuffer(block, dtype=np.int16)).max()) > 3000
                header = struct.pack("!BBHII", 0x80, 0, step // 2, step * 80, 0x1234)
                if step % 2 == 0:
                    far.socket.sendto(header + bytes([0x20]) * 160, (LOOPBACK, media.rtp_port))
                loud_sent = loud_sent or any(packet[100] & 0x7F < 0x30 for packet in far.take()[-2:])
                if loud_sent and loud_played:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(f"sent {loud_sent}, played {loud_played}")

    asyncio.run(test())


def test_a_device_lost_in_mid_call_never_stops_rtp() -> None:
    """Unplugged, then frozen: packets keep their count, the loop stays awake, sound returns."""

    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        async with running(AudioSettings(), backend) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await until(lambda: len(backend.streams) == 2, "both devices open")
            backend.newest(Role.SPEAKER).vanish()
            await until(lambda: phone.of(AudioDeviceLost), "loss told")
            await until(lambda: phone.of(AudioDeviceRestored), "sound back")
            frozen = backend.newest(Role.MICROPHONE)
            frozen.freeze()
            await until(lambda: len(phone.of(AudioDeviceLost)) == 2, "freeze told")
            packets = await far.take_more(25)
            assert {(_sequence(b) - _sequence(a)) & 0xFFFF for a, b in pairwise(packets)} == {1}
            before = time.monotonic()
            phone.engine.close_call("call")
            assert time.monotonic() - before < 0.1
            await until(lambda: phone.of(CallMediaEnded), "ended while the device still hangs")
            assert not frozen.closed.is_set()
            frozen.close_gate.set()

    asyncio.run(test())


def test_devices_open_with_the_first_call_and_linger_after_the_last() -> None:
    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        async with running(AudioSettings(linger_s=0.2), backend) as phone:
            assert backend.streams == []
            await phone.engine.open("one", LOOPBACK)
            await until(lambda: len(backend.streams) == 2, "microphone and speaker open")
            phone.engine.close_call("one")
            await phone.engine.open("two", LOOPBACK)
            phone.engine.configure("two", parameters(far.media))
            await far.take_more(20)
            assert len(backend.streams) == 2
            assert not any(stream.closed.is_set() for _, stream in backend.streams)
            phone.engine.close_call("two")
            await until(lambda: all(stream.closed.is_set() for _, stream in backend.streams), "given back")

    asyncio.run(test())


@needs_g722
def test_devices_that_convert_are_opened_at_the_rate_of_the_calls() -> None:
    """Telephone sound makes the next call's devices cheaper; wideband is not kept waiting for the next call."""

    async def test() -> None:
        far, backend = FarEnd(), FakeBackend(16000, converts=True)
        async with running(AudioSettings(linger_s=0.0), backend) as phone:

            async def call(name: str, *codecs: Codec) -> list[int]:
                """A call's codecs one after the other, and the rates that microphones were opened at meanwhile."""
                before = len(backend.streams)
                await phone.engine.open(name, LOOPBACK)
                await until(lambda: _microphone(backend), "a device")
                for number, codec in enumerate(codecs):
                    phone.engine.configure(name, parameters(far.media, negotiation=number, codec=codec))
                    if codec is G722:
                        await until(lambda: _microphone(backend) == 16000, "a device good enough")
                phone.engine.close_call(name)
                await until(lambda: all(stream.closed.is_set() for _, stream in backend.streams), "devices closed")
                return [stream.rate for role, stream in backend.streams[before:] if role is Role.MICROPHONE]

            assert await call("first", PCMU) == [16000]
            assert await call("telephone", PCMU) == [8000]
            assert await call("wideband", PCMU, G722, PCMU, G722) == [8000, 16000]
            assert await call("wideband again", G722) == [16000]
            assert phone.of(AudioDeviceLost) == []

    asyncio.run(test())


def _microphone(backend: FakeBackend) -> int:
    """The open microphone's rate, 0 while there is none."""
    streams = [stream for role, stream in backend.streams if role is Role.MICROPHONE]
    rates = [stream.rate for stream in streams if not stream.interrupted and not stream.closed.is_set()]
    return max(rates, default=0)


@pytest.mark.parametrize(("ring", "opened"), [("default", Role.SPEAKER), ("Desk speaker", Role.RINGER)])
def test_the_ring_tone_plays_on_its_device_without_a_call(ring: str, opened: Role) -> None:
    async def test() -> None:
        backend = FakeBackend()
        async with running(AudioSettings(ring=ring, linger_s=0.1), backend) as phone:
            phone.engine.ringing.play(Channel.BELL, ToneKind.RING)
            await until(lambda: backend.streams, "ring device open")
            assert [role for role, _ in backend.streams] == [opened]
            stream = backend.newest(opened)
            loudest = 0
            for _ in range(200):
                block = memoryview(bytearray(960))
                stream.ring.read_into(block)
                stream.last_callback = time.monotonic()
                loudest = max(loudest, int(np.abs(np.frombuffer(block, dtype=np.int16)).max()))
                if loudest > 1000:
                    break
                await asyncio.sleep(0.01)
            assert loudest > 1000
            phone.engine.ringing.play(Channel.BELL, None)
            await until(stream.closed.is_set, "given back")

    asyncio.run(test())


def test_tones_mix_into_the_call_and_stop() -> None:
    async def test() -> None:
        far = FarEnd()
        async with running(replace(QUIET, output="synthetic")) as phone:
            phone.engine.ringing.play(Channel.PROGRESS, ToneKind.RINGBACK)
            await phone.engine.open("call", LOOPBACK)
            speaker = phone.engine.synthetic_speaker
            assert speaker is not None
            await until(lambda: len(speaker.heard()) > 3200, "tone heard")
            assert np.abs(speaker.heard()[-1600:]).max() > 1000
            phone.engine.configure("call", parameters(far.media))
            phone.engine.ringing.play(Channel.PROGRESS, None)
            length = len(speaker.heard())
            await until(lambda: len(speaker.heard()) > length + 4800, "silence heard")
            assert np.abs(speaker.heard()[-1600:]).max() < 50

    asyncio.run(test())


def test_other_devices_serve_a_call_that_is_up() -> None:
    async def test() -> None:
        far, backend = FarEnd(), FakeBackend()
        async with running(AudioSettings(), backend) as phone:
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await until(lambda: len(backend.streams) == 2, "both devices open")
            await phone.engine.set_devices(input="synthetic", output="Headset")
            await _speech_comes(far)
            await until(lambda: phone.engine.device_name(Role.SPEAKER) == "Headset", "headset open")
            assert phone.engine.device_name(Role.MICROPHONE) == "synthetic"
            await until(lambda: backend.streams[0][1].closed.is_set(), "old microphone given back")

    asyncio.run(test())


def test_a_file_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(replace(QUIET, input=f"wav:{tmp_path}/absent.wav")) as phone:
            await until(lambda: phone.of(AudioProblem), "told")
            (problem,) = phone.of(AudioProblem)
            assert isinstance(problem, AudioProblem)
            assert "absent.wav cannot be read" in problem.sentence

    asyncio.run(test())


def test_levels_follow_the_active_call() -> None:
    async def test() -> None:
        far = FarEnd()
        async with running(replace(QUIET, input="synthetic")) as phone:
            assert phone.engine.levels().input_dbfs == -96.0
            await phone.engine.open("call", LOOPBACK)
            phone.engine.configure("call", parameters(far.media))
            await until(lambda: phone.engine.levels().input_dbfs > -40.0, "level seen")
            phone.engine.close_call("call")
            assert phone.engine.levels().input_dbfs == -96.0

    asyncio.run(test())
