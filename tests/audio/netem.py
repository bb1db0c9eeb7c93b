"""A network without sockets: seeded delay, jitter, loss, bursts, reordering and duplicates on virtual time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkModel:
    """What one direction of a path does; probabilities 0 to 1, times in seconds."""

    delay_s: float = 0.010
    jitter_s: float = 0.0
    """Added evenly from 0 to this much. Packets may overtake each other unless ``in_order``."""

    in_order: bool = True
    loss: float = 0.0
    reorder: float = 0.0
    """Chance that a packet takes 25 ms longer and so comes after its successor."""

    duplicate: float = 0.0
    burst_loss: float = 0.0
    """Share of packets lost in bursts (Gilbert-Elliott); ``burst_length`` packets each on average."""

    burst_length: float = 4.0


class Netem:
    """One direction. :meth:`send` puts datagrams in, :meth:`receive` gives those that have arrived."""

    def __init__(self, model: NetworkModel, seed: int) -> None:
        self.model = model
        self._random = random.Random(seed)
        self._queue: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._last_arrival = 0.0
        self._bad = False
        self.lost = 0

    def send(self, data: bytes, now: float) -> None:
        model, draw = self.model, self._random
        if self._is_lost():
            self.lost += 1
            return
        arrival = now + model.delay_s + draw.uniform(0.0, model.jitter_s)
        if model.in_order:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        if model.reorder and draw.random() < model.reorder:
            arrival += 0.025
        self._push(arrival, data)
        if model.duplicate and draw.random() < model.duplicate:
            self._push(arrival + draw.uniform(0.0, 0.030), data)

    def receive(self, now: float) -> list[tuple[float, bytes]]:
        """``(arrival, datagram)`` of everything that arrived by ``now``, in order of arrival."""
        arrived = []
        while self._queue and self._queue[0][0] <= now:
            arrival, _, data = heapq.heappop(self._queue)
            arrived.append((arrival, data))
        return arrived

    def _push(self, arrival: float, data: bytes) -> None:
        self._count += 1
        heapq.heappush(self._queue, (arrival, self._count, data))

    def _is_lost(self) -> bool:
        model, draw = self.model, self._random
        if model.burst_loss:
            # Leaving probability from the mean length, entering probability from the share of time in the bad state.
            leave = 1.0 / model.burst_length
            enter = leave * model.burst_loss / (1.0 - model.burst_loss)
            self._bad = draw.random() >= leave if self._bad else draw.random() < enter
            if self._bad:
                return True
        return draw.random() < model.loss
