"""What one tick of a media core costs: ``python -m bench.media_core [SECONDS]``.

Prints microseconds of CPU for receiving one packet, for one tick, and for both, clean and under loss and jitter.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from audio.codec.g711 import PCMU
from audio.rtp.packet import RtpPacket
from tests.audio.core.pair import ALICE, make_core, parameters
from tests.audio.netem import Netem, NetworkModel
from tests.audio.sound import speech

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.core import MediaCore


def _packets(ticks: int) -> list[bytes]:
    sound = speech(ticks * 0.02)
    payloads = (PCMU.encode(sound[i * 160 : (i + 1) * 160]) for i in range(ticks))
    return [
        RtpPacket(0, i & 0xFFFF, i * 160, 0x1234, payload, marker=i == 0).serialise()
        for i, payload in enumerate(payloads)
    ]


def _timed(call: Callable[[], object]) -> float:
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1000


def _run(name: str, model: NetworkModel, ticks: int) -> None:
    core: MediaCore = make_core(1)
    core.configure(parameters(ALICE), 0.0)
    network = Netem(model, 1)
    microphone = speech(1.0, seed=2)
    receive_us: list[float] = []
    tick_us: list[float] = []
    for number, data in enumerate(_packets(ticks)):
        now = number * 0.02
        network.send(data, now)
        for arrival, arrived in network.receive(now + 0.015):
            receive_us.append(_timed(lambda arrived=arrived, arrival=arrival: core.receive(arrived, ALICE, arrival)))  # type: ignore[misc]
        block = microphone[(number % 50) * 160 : (number % 50) * 160 + 160]
        tick_us.append(_timed(lambda now=now, block=block: core.tick(now + 0.015, block)))  # type: ignore[misc]
        core.transmits()
        core.events()
    receive, tick = np.array(receive_us), np.array(tick_us)
    print(
        f"{name:<22} receive {np.median(receive):6.1f} µs   tick {np.median(tick):6.1f} µs   "
        f"both, mean {receive.mean() + tick.mean():6.1f} µs   tick p99 {np.percentile(tick, 99):6.1f} µs   "
        f"{(receive.sum() + tick.sum()) / (ticks * 20_000) * 100:.2f} % of a core"
    )


def main() -> None:
    """Run all cases."""
    ticks = int(float(sys.argv[1]) * 50) if len(sys.argv) > 1 else 3000
    _run("clean", NetworkModel(), ticks)
    _run("loss 5 %", NetworkModel(loss=0.05), ticks)
    _run("jitter 60 ms", NetworkModel(jitter_s=0.06), ticks)
    _run("loss 5 %, jitter 60 ms", NetworkModel(loss=0.05, jitter_s=0.06), ticks)


if __name__ == "__main__":
    main()
