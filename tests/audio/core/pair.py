"""Two media cores joined by two seeded networks, on virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audio.core import Address, MediaCore, MediaEvent, TransmitKind
from sipcore.ids import IdSource
from sipcore.media import COMFORT_NOISE, PCMU, TELEPHONE_EVENT, Codec, Direction, MediaParameters
from tests.audio.netem import Netem, NetworkModel

Samples = NDArray[np.int16]
ALICE: Address = ("192.0.2.1", 4000)
BOB: Address = ("192.0.2.2", 5000)


def parameters(
    remote: Address,
    *,
    negotiation: int = 1,
    codec: Codec = PCMU,
    direction: Direction = Direction.SENDRECV,
    ptime_ms: int = 20,
    dtmf: Codec | None = TELEPHONE_EVENT,
    rtcp_mux: bool = False,
) -> MediaParameters:
    return MediaParameters(
        negotiation=negotiation,
        remote_address=remote[0],
        remote_rtp_port=remote[1],
        remote_rtcp_port=remote[1] if rtcp_mux else remote[1] + 1,
        direction=direction,
        send_codec=codec,
        receive_codecs=(codec,),
        send_dtmf=dtmf,
        receive_dtmf=dtmf,
        receive_cn=COMFORT_NOISE,
        ptime_ms=ptime_ms,
        rtcp_mux=rtcp_mux,
    )


def make_core(seed: int, **options: object) -> MediaCore:
    return MediaCore(IdSource(random.Random(seed)), wall_offset_s=1.7e9, **options)  # type: ignore[arg-type]


@dataclass(slots=True)
class End:
    core: MediaCore
    address: Address
    network: Netem
    """What this end's datagrams go through."""

    microphone: Samples
    heard: list[Samples] = field(default_factory=list)
    events: list[MediaEvent] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    place: int = 0
    clock: float = 1.0
    """Ticks of this end per tick of the other; its sound card's error."""

    next_tick: float = 0.0
    frame: int = 160
    """Samples of the microphone in a tick."""

    @property
    def recording(self) -> Samples:
        return np.concatenate(self.heard)

    def tick(self, now: float) -> None:
        block = self.microphone[self.place : self.place + self.frame]
        self.place += self.frame
        block = np.concatenate([block, np.zeros(self.frame - len(block), dtype=np.int16)])
        self.heard.append(self.core.tick(now, block))


class Pair:
    """Alice and Bob in a call. Bob's ticks are 7 ms off Alice's, as ticks of two machines are."""

    def __init__(
        self,
        *,
        alice_says: Samples,
        bob_says: Samples | None = None,
        model: NetworkModel | None = None,
        back: NetworkModel | None = None,
        seed: int = 1,
        frame: int = 160,
        dtx: bool = False,
        **negotiated: object,
    ) -> None:
        model = model or NetworkModel()
        silence = np.zeros(0, dtype=np.int16)
        self.now = 1000.0
        self.alice = End(make_core(seed * 2, dtx=dtx), ALICE, Netem(model, seed), alice_says)
        self.bob = End(
            make_core(seed * 2 + 1, dtx=dtx),
            BOB,
            Netem(back or model, seed + 1000),
            silence if bob_says is None else bob_says,
        )
        self.alice.core.configure(parameters(BOB, **negotiated), self.now)  # type: ignore[arg-type]
        self.bob.core.configure(parameters(ALICE, **negotiated), self.now)  # type: ignore[arg-type]
        self.alice.next_tick = self.now
        self.alice.frame = self.bob.frame = frame
        self.bob.next_tick = self.now + 0.007

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            who = self.alice if self.alice.next_tick <= self.bob.next_tick else self.bob
            if who.next_tick > end:
                self.now = end
                return
            self.now = who.next_tick
            who.next_tick += 0.020 * who.clock
            self._deliver(self.alice, self.bob)
            self._deliver(self.bob, self.alice)
            who.tick(self.now)
            due = who.core.next_timeout()
            if due is not None and due <= self.now:
                who.core.handle_timeout(self.now)
            self._collect(who)

    def _collect(self, end: End) -> None:
        for data, _, kind in end.core.transmits():
            end.sent.append(data)
            end.network.send(bytes([kind is TransmitKind.RTCP]) + data, self.now)
        end.events += end.core.events()

    def _deliver(self, sender: End, receiver: End) -> None:
        for arrival, data in sender.network.receive(self.now):
            host, port = sender.address
            if data[0]:
                receiver.core.receive_rtcp(data[1:], (host, port + 1), arrival)
            else:
                receiver.core.receive(data[1:], sender.address, arrival)
        receiver.events += receiver.core.events()
