"""Hear yourself: three seconds are recorded through the real path, then played back.

    microphone ─▶ media thread ── RTP ──▶ Parrot (keeps three seconds) ── RTP ──▶ media thread ─▶ speaker

The same devices and jitter buffer as in a call, on loopback, and the best codec there is. Nothing is played while it
records, so that a microphone beside a loudspeaker does not howl.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast

from audio.engine import NoMediaPort
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.translate import worded
from sipcore.media import Direction, MediaParameters

if TYPE_CHECKING:
    from audio.engine import AudioEngine
    from phone.protocol.codec import Json
    from sipcore.media import Codec

Phase = Literal["off", "recording", "playing"]

RECORD_S = 3.0
_TAIL_S = 0.6
"""The devices and the jitter buffer still hold a little when the last packet was sent back."""

_CALL = "sound-test"
_LOOPBACK = "127.0.0.1"
_MAX_PACKETS = 1000
_RTCP_TYPES = range(192, 224)  # RFC 5761 §4


class SoundTest:
    """At most one test at a time; all methods belong to the loop."""

    def __init__(self, audio: AudioEngine, *, record_s: float = RECORD_S) -> None:
        self._audio = audio
        self._record_s = record_s
        self._phase: Phase = "off"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to record; one that runs starts anew. Raises CommandRefused."""
        await self.stop()
        try:
            media = await self._audio.open(_CALL, _LOOPBACK)
        except (NoMediaPort, OSError) as error:
            raise CommandRefused(
                "no_port", Phrase("The sound cannot be tested: {why}", why=worded(str(error)))
            ) from None
        self._phase = "recording"
        self._task = asyncio.create_task(self._run(media.rtp_port), name="sound test")

    async def stop(self) -> None:
        """End a test that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            self._end()  # a task that never ran has not

    def report(self) -> Json:
        """Where it stands, and how loud both sides are."""
        levels = self._audio.levels()
        return {"phase": self._phase, "input_dbfs": levels.input_dbfs, "output_dbfs": levels.output_dbfs}

    async def _run(self, rtp_port: int) -> None:
        loop = asyncio.get_running_loop()
        parrot: Parrot | None = None
        try:
            _, parrot = await loop.create_datagram_endpoint(Parrot, local_addr=(_LOOPBACK, 0))
            self._audio.configure(_CALL, _parameters(parrot.port, self._audio.codecs[0]))
            self._audio.activate(_CALL)
            await asyncio.sleep(self._record_s)
            self._phase = "playing"
            await asyncio.sleep(parrot.play((_LOOPBACK, rtp_port)) + _TAIL_S)
        finally:
            self._end()
            if parrot is not None:
                parrot.close()

    def _end(self) -> None:
        self._phase = "off"
        self._audio.close_call(_CALL)


class Parrot(asyncio.DatagramProtocol):
    """Keeps what it hears until told to repeat it, at the pace it came."""

    def __init__(self) -> None:
        self._heard: list[tuple[float, bytes]] = []
        self._repeating: list[asyncio.TimerHandle] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._listening = True
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is bound."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Keep a packet; a flood is not kept."""
        is_rtcp = len(data) > 1 and data[1] in _RTCP_TYPES
        if self._listening and not is_rtcp and len(self._heard) < _MAX_PACKETS:
            self._heard.append((asyncio.get_running_loop().time(), data))

    def play(self, target: tuple[str, int]) -> float:
        """Repeat what was heard; returns how many seconds that takes."""
        self._listening = False
        if not self._heard or self._transport is None:
            return 0.0
        loop, first = asyncio.get_running_loop(), self._heard[0][0]
        for at, data in self._heard:
            self._repeating.append(loop.call_later(at - first, self._transport.sendto, data, target))
        return self._heard[-1][0] - first

    def close(self) -> None:
        """Be silent and give the port back."""
        for handle in self._repeating:
            handle.cancel()
        if self._transport is not None:
            self._transport.close()


def _parameters(port: int, codec: Codec) -> MediaParameters:
    return MediaParameters(
        negotiation=1,
        remote_address=_LOOPBACK,
        remote_rtp_port=port,
        remote_rtcp_port=port,
        direction=Direction.SENDRECV,
        send_codec=codec,
        receive_codecs=(codec,),
    )
