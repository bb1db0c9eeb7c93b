"""Sockets and a 20 ms clock for the robots that answer the demo PBX's numbers.

UDP ─▶ robot.receive ─▶ robot.transmits ─▶ UDP          a ticking task while a robot has a mouth
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from audio.codec import registry
from audio.core import TransmitKind
from audio.io.sockets import bind_pair
from sipcore.media import COMFORT_NOISE, LocalMedia

if TYPE_CHECKING:
    import socket

    from audio.core import Address, Transmit
    from sipcore.ids import IdSource

_TICK_S = 0.020
_PORT_MIN, _PORT_MAX = 33000, 36998
"""Beside the phone's own range, since both live on one machine here."""


class Robot(Protocol):
    """What :mod:`audio.robots` has."""

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTP socket."""
        ...

    def receive_rtcp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTCP socket."""
        ...

    def tick(self, now: float) -> None:
        """20 ms have passed."""
        ...

    def transmits(self) -> list[Transmit]:
        """Drain what is to be sent."""
        ...


class RobotMedia:
    """One robot on a pair of loopback ports."""

    def __init__(self, robot: Robot, ids: IdSource, *, speaks: bool) -> None:
        self._robot = robot
        self._sockets = bind_pair("127.0.0.1", ids, port_min=_PORT_MIN, port_max=_PORT_MAX)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sockets.rtp, self._readable, self._sockets.rtp, robot.receive)
        loop.add_reader(self._sockets.rtcp, self._readable, self._sockets.rtcp, robot.receive_rtcp)
        self._ticking = asyncio.create_task(self._tick()) if speaks else None

    @property
    def local(self) -> LocalMedia:
        """How the PBX answers."""
        sockets = self._sockets
        codecs = tuple(codec for codec in registry.offered() if codec != COMFORT_NOISE)
        return LocalMedia(
            address=sockets.address, rtp_port=sockets.rtp_port, rtcp_port=sockets.rtcp_port, codecs=codecs
        )

    def close(self) -> None:
        """Give the ports back."""
        if self._ticking is not None:
            self._ticking.cancel()
        loop = asyncio.get_running_loop()
        for sock in (self._sockets.rtp, self._sockets.rtcp):
            loop.remove_reader(sock)
        self._sockets.close()

    def _readable(self, sock: socket.socket, receive: _Receive) -> None:
        for _ in range(32):
            try:
                data, source = sock.recvfrom(2048)
            except OSError:
                break
            receive(data, (source[0], source[1]), time.monotonic())
        self._send()

    def _send(self) -> None:
        for transmit in self._robot.transmits():
            sock = self._sockets.rtp if transmit.kind is TransmitKind.RTP else self._sockets.rtcp
            try:
                sock.sendto(transmit.data, transmit.destination)
            except OSError:
                continue  # a port nobody listens on any more

    async def _tick(self) -> None:
        due = time.monotonic()
        while True:
            self._robot.tick(due)
            self._send()
            due += _TICK_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class _Receive(Protocol):
    def __call__(self, data: bytes, source: Address, now: float, /) -> None: ...
