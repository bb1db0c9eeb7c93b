"""Calls that sound before there is an engine, and the engine that adopts them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.core.events import FirstPacketReceived
from audio.engine import AudioEngine, AudioEvent, AudioSettings, CallMediaEnded, CallMediaEvent
from audio.io.ahead import SoundAhead
from audio.io.sockets import NoMediaPort
from audio.rtp.packet import RtpPacket
from sipcore.errors import ParseError
from sipcore.ids import IdSource
from sipcore.media import LocalMedia, MediaParameters
from tests.audio.calling import RATE, parameters, until, write_wave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SETTINGS = AudioSettings(input="none", output="none", ring="none")
DEADLINE_S = 5.0


class FarEnd:
    """A socket that is sent to, and may answer."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(DEADLINE_S)
        self.media = LocalMedia(address="127.0.0.1", rtp_port=self.socket.getsockname()[1], rtcp_port=9)

    def agreed(self, negotiation: int = 0) -> Callable[[LocalMedia], MediaParameters]:
        """What holds for any media of ours."""
        return lambda _: parameters(self.media, negotiation=negotiation)

    def heard(self) -> RtpPacket:
        """The next packet."""
        return RtpPacket.parse_untrusted(self.socket.recv(2048))


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    """One, closed in the end."""
    end = FarEnd()
    yield end
    end.socket.close()


@pytest.fixture
def port() -> int:
    """An even one with a free one above it, as a call has."""
    while True:
        with contextlib.ExitStack() as both:
            low, up = (both.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
            low.bind(("127.0.0.1", 0))
            number = int(low.getsockname()[1])
            if number % 2 == 0 and number < 65534:
                try:
                    up.bind(("127.0.0.1", number + 1))
                except OSError:
                    continue
                return number


def heard(events: list[AudioEvent]) -> list[FirstPacketReceived]:
    """What the engine told of first packets."""
    told = [event.event for event in events if isinstance(event, CallMediaEvent)]
    return [event for event in told if isinstance(event, FirstPacketReceived)]


def ahead(settings: AudioSettings = SETTINGS) -> SoundAhead:
    return SoundAhead(settings, IdSource(random.Random(1)))


def test_one_stream_from_before_the_engine_to_after_it(far_end: FarEnd, port: int) -> None:
    """Packets leave without a loop; the engine adopts the call, and the far end cannot tell when."""
    sound = ahead()
    assert sound.begin("call", "127.0.0.1", port, far_end.agreed())
    sound.activate("call")
    before = far_end.heard()
    for number in range(2):  # a source is on probation until its second packet
        said = before._replace(ssrc=7, sequence=1000 + number)
        far_end.socket.sendto(said.serialise(), ("127.0.0.1", port))
    events: list[AudioEvent] = []

    async def scenario() -> None:
        engine = AudioEngine(SETTINGS, on_event=events.append, ahead=sound)
        await engine.start()
        try:
            media = await engine.adopt("call")
            assert media is not None
            assert (media.rtp_port, media.ssrc) == (port, before.ssrc)
            assert await engine.adopt("call") is None
            engine.configure("call", parameters(far_end.media, negotiation=1))
            engine.abandon_orphans()
            await until(lambda: engine.statistics("call"), "the call goes on")
            await until(lambda: heard(events), "what came before the engine is told")
            engine.close_call("call")
            await until(lambda: any(isinstance(event, CallMediaEnded) for event in events), "it ends like any other")
        finally:
            await engine.stop()

    asyncio.run(scenario())
    last = before
    far_end.socket.setblocking(False)
    while True:
        try:
            packet = far_end.heard()
        except BlockingIOError:
            break
        assert (packet.ssrc, packet.sequence) == (before.ssrc, (last.sequence + 1) & 0xFFFF)
        last = packet
    assert last.sequence != before.sequence


def test_a_call_nobody_adopts_is_ended(far_end: FarEnd, port: int) -> None:
    """The journal turned out to be damaged."""
    sound = ahead()
    sound.begin("call", "127.0.0.1", port, far_end.agreed())
    events: list[AudioEvent] = []

    async def scenario() -> None:
        engine = AudioEngine(SETTINGS, on_event=events.append, ahead=sound)
        await engine.start()
        engine.abandon_orphans()
        await until(lambda: any(isinstance(event, CallMediaEnded) for event in events), "it is over")
        await engine.stop()

    asyncio.run(scenario())
    assert not sound.guard.held


def test_a_file_speaks_into_an_adopted_call(far_end: FarEnd, port: int, tmp_path: Path) -> None:
    """It is loaded only now; until then the far end heard silence."""
    write_wave(tmp_path / "voice.wav", np.full(RATE, 9000))
    settings = dataclasses.replace(SETTINGS, input=f"wav:{tmp_path / 'voice.wav'}")
    sound = ahead(settings)
    sound.begin("call", "127.0.0.1", port, far_end.agreed())
    sound.activate("call")
    silence = far_end.heard().payload

    async def scenario() -> bytes:
        engine = AudioEngine(settings, on_event=lambda _: None, ahead=sound)
        await engine.start()
        await engine.adopt("call")
        try:
            async with asyncio.timeout(DEADLINE_S):
                while (payload := (await asyncio.to_thread(far_end.heard)).payload) == silence:
                    pass
            return payload
        finally:
            await engine.stop()

    spoken = asyncio.run(scenario())
    assert len(spoken) == 160
    assert spoken != silence


def test_what_cannot_sound_leaves_its_ports(far_end: FarEnd, port: int) -> None:
    """For whoever tries again later: what is agreed is no sense, or a name that must be looked up first."""
    sound = ahead()

    def nonsense(_: LocalMedia) -> MediaParameters:
        raise ParseError("nonsense")

    with pytest.raises(ParseError):
        sound.begin("call", "127.0.0.1", port, nonsense)
    named = dataclasses.replace(parameters(far_end.media), remote_address="pbx.example.com")
    assert not sound.begin("call", "127.0.0.1", port, lambda _: named)
    assert sound.calls == {}
    with pytest.raises(NoMediaPort):
        sound.begin("call", "192.0.2.1", port, far_end.agreed())
    assert sound.begin("call", "127.0.0.1", port, far_end.agreed())
    with pytest.raises(NoMediaPort):
        sound.begin("other", "127.0.0.1", port, far_end.agreed())
    asyncio.run(_stop(sound))


async def _stop(sound: SoundAhead) -> None:
    engine = AudioEngine(SETTINGS, on_event=lambda _: None, ahead=sound)
    await engine.start()
    await engine.stop()
