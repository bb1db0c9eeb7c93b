"""The media thread's own turns, over real sockets."""

from __future__ import annotations

import random
import select
import socket
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from audio.core import MediaCore
from audio.io.arrivals import READ_AT_ONCE
from audio.io.commands import Activate, AddSession, Configure, Stop
from audio.io.sockets import bind_pair
from audio.io.thread import TICK_S, MediaThread
from audio.rtp.packet import RtpPacket
from audio.session import MediaSession
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from tests.audio.calling import parameters
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class FarEnd:
    """Sends sound to the one call of a media thread."""

    thread: MediaThread
    socket: socket.socket
    sent: int = 0
    spoke_at: list[float] = field(default_factory=list)

    def speak(self, packets: int, *, every_s: float, first: float = 0.0) -> None:
        """As evenly as it can."""
        due = max(time.monotonic(), first)
        time.sleep(max(0.0, due - time.monotonic()))
        for _ in range(packets):
            packet = RtpPacket(0, self.sent & 0xFFFF, self.sent * 160, 1234, bytes([0x7F]) * 160)
            self.spoke_at.append(time.monotonic())
            self.socket.send(packet.serialise())
            self.sent += 1
            due += every_s
            time.sleep(max(0.0, due - time.monotonic()))

    @property
    def pending(self) -> bool:
        """Whether something of the call's waits to be read."""
        return bool(select.select([self.socket], [], [], 0.0)[0])

    @property
    def heard(self) -> int:
        """Packets the call took."""
        statistics = self.thread.statistics.get("call")
        return 0 if statistics is None else statistics.packets_received

    @property
    def ticks(self) -> int:
        """Packets the call has sent: one a tick."""
        statistics = self.thread.statistics.get("call")
        return 0 if statistics is None else statistics.packets_sent


@pytest.fixture
def far() -> Iterator[FarEnd]:
    ids = IdSource(random.Random(1))
    sockets = bind_pair("127.0.0.1", ids, port_min=20_000, port_max=40_000)
    thread = MediaThread(lambda event: None)
    thread.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", sockets.rtp_port))
        media = LocalMedia(address="127.0.0.1", rtp_port=sock.getsockname()[1], rtcp_port=9)
        thread.send(AddSession(MediaSession("call", MediaCore(ids, wall_offset_s=0.0)), sockets))
        thread.send(Configure("call", parameters(media)))
        yield FarEnd(thread, sock)
        thread.send(Stop(quietly=True))
        assert thread.join(5.0)


def test_a_call_in_which_sound_flows_wakes_the_thread_once_a_tick(far: FarEnd) -> None:
    """Not for each packet too: those of other phones come between our ticks."""
    far.speak(25, every_s=TICK_S)
    wakes, ticks = far.thread.wakes, far.ticks
    far.speak(100, every_s=TICK_S)
    woken, ticked = far.thread.wakes - wakes, far.ticks - ticks
    assert ticked >= 75
    assert woken < 1.3 * ticked
    wait_until(lambda: far.heard == far.sent, what="every packet was taken")


@pytest.mark.parametrize("phase_s", [0.001, 0.006, 0.011, 0.016])
def test_a_call_ticks_in_step_with_what_comes(far: FarEnd, phase_s: float) -> None:
    """Whenever between two ticks the far end speaks: what has come need not wait for the tick after the next."""
    far.thread.send(Activate("call"))
    far.socket.settimeout(2.0)
    far.socket.recv(2048)
    far.speak(3, every_s=TICK_S, first=time.monotonic() + phase_s)
    while far.pending:
        far.socket.recv(2048)
    ticks = []
    for _ in range(50):
        far.socket.recv(2048)
        ticks.append(time.monotonic())
    # Two packets in a row are a source; with the second its sound begins.
    after = [(at - far.spoke_at[1]) % TICK_S for at in ticks]
    assert 0.005 < statistics.median(after) < 0.008


def test_a_flood_in_such_a_call_is_taken_faster_than_the_ticks_come(far: FarEnd) -> None:
    far.speak(25, every_s=TICK_S)
    before, wakes, ticks = far.heard, far.thread.wakes, far.ticks
    # So many at once fit into the socket; ticks alone would take them in four.
    far.speak(4 * READ_AT_ONCE, every_s=0.0)
    wait_until(lambda: far.heard - before >= 4 * READ_AT_ONCE, what="the flood was taken")
    assert far.thread.wakes - wakes > far.ticks - ticks
