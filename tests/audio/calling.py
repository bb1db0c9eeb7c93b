"""Two audio engines in a call on loopback, as signalling would join them."""

from __future__ import annotations

import asyncio
import time
import wave
from typing import TYPE_CHECKING

import numpy as np

from audio.engine import AudioEngine, AudioEvent, AudioSettings, CallMediaEvent
from sipcore.media import PCMU, TELEPHONE_EVENT, Codec, Direction, LocalMedia, MediaParameters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audio.core import Samples
    from audio.io.backend import DeviceBackend

RATE = 8000


class Phone:
    """An engine and everything it told."""

    def __init__(self, settings: AudioSettings, backend: DeviceBackend | None = None) -> None:
        self.events: list[AudioEvent] = []
        self.engine = AudioEngine(settings, on_event=self.events.append, backend=backend)

    def media_events(self) -> list[object]:
        """What its calls told."""
        return [event.event for event in self.events if isinstance(event, CallMediaEvent)]

    def of(self, kind: type[AudioEvent]) -> list[AudioEvent]:
        """The events of one type."""
        return [event for event in self.events if isinstance(event, kind)]


def parameters(remote: LocalMedia, *, negotiation: int = 1, codec: Codec = PCMU) -> MediaParameters:
    """What an offer/answer round with ``remote`` gives."""
    return MediaParameters(
        negotiation=negotiation,
        remote_address=remote.address,
        remote_rtp_port=remote.rtp_port,
        remote_rtcp_port=remote.rtcp_port,
        direction=Direction.SENDRECV,
        send_codec=codec,
        receive_codecs=(codec,),
        send_dtmf=TELEPHONE_EVENT,
        receive_dtmf=TELEPHONE_EVENT,
    )


async def connect(one: Phone, other: Phone, call: str = "call") -> None:
    """Both answer at the same moment."""
    here = await one.engine.open(call, "127.0.0.1")
    there = await other.engine.open(call, "127.0.0.1")
    one.engine.configure(call, parameters(there))
    other.engine.configure(call, parameters(here))


async def until(condition: Callable[[], object], what: str, deadline_s: float = 10.0) -> None:
    """Wait for ``condition``, looking often."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        await asyncio.sleep(0.01)


def write_wave(path: Path, samples: Samples, rate: int = RATE) -> None:
    """A mono 16-bit file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def read_wave(path: Path) -> Samples:
    """The samples of a file that must be 16-bit mono at 8 kHz."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        data = file.readframes(file.getnframes())
        assert len(data) == file.getnframes() * 2
    return np.frombuffer(data, dtype="<i2").astype(np.int16)
