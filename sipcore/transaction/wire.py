"""What the two halves of the transaction layer share: open flows, timers, and the drains."""

import enum
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from sipcore.events import FlowId, Transmit
from sipcore.transaction.events import TransactionEvent, TransactionId, ViaTemplate
from sipcore.transaction.timers import TimerQueue

TimerKey = tuple[TransactionId, enum.Enum]
"""A transaction and the input its machine gets when the time has come."""


@dataclass(slots=True)
class Wire:
    """One per layer; the halves write, the layer drains."""

    flows: dict[FlowId, ViaTemplate] = field(default_factory=dict)
    timers: TimerQueue[TimerKey] = field(default_factory=TimerQueue)
    transmits: list[Transmit] = field(default_factory=list)
    events: list[TransactionEvent] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(self, flow: FlowId | None, data: bytes) -> None:
        """Queue ``data``; what is meant for a flow that is gone is dropped."""
        if flow is not None and flow in self.flows:
            self.transmits.append(Transmit(flow, data))

    def start(self, transaction: TransactionId, timer: enum.Enum, at: float) -> None:
        """Let ``timer`` be fed to ``transaction`` at ``at``."""
        self.timers.set((transaction, timer), at)

    def stop(self, transaction: TransactionId, *timers: enum.Enum) -> None:
        """Cancel these timers."""
        for timer in timers:
            self.timers.cancel((transaction, timer))
