"""When to send RTCP: the randomised interval with timer reconsideration, RFC 3550 §6.2, §6.3 and A.7, for a session
of two.

first report after 1.25..3.75 s / 1.21828, later ones 2.5..7.5 s / 1.21828 apart
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.ids import IdSource

MINIMUM_INTERVAL_S = 5.0
_COMPENSATION = 1.21828  # §6.3.1: e - 3/2, for timer reconsideration converging below the intended average
_MEMBERS = 2


class RtcpSchedule:
    """Tells when the next compound is due. The owner builds and sends it, then calls :meth:`sent`.

    ``session_bandwidth`` is in bit/s; RTCP gets 5 % of it (§6.2), which at two members never exceeds the minimum
    interval in practice.
    """

    def __init__(self, ids: IdSource, *, now: float, session_bandwidth: float = 80_000.0) -> None:
        self._ids = ids
        self._octets_per_s = session_bandwidth * 0.05 / 8
        self._average_size = 128.0
        self._initial = True
        self._last = now
        self._next = now + self._interval()

    @property
    def due(self) -> float:
        """When :meth:`expired` should be asked next."""
        return self._next

    def expired(self, now: float) -> bool:
        """Whether to send now. §6.3.6: the interval is drawn anew, and transmission waits if it now ends later."""
        if now < self._next:
            return False
        self._next = self._last + self._interval()
        return self._next <= now

    def received(self, size: int) -> None:
        """Count an RTCP datagram of ``size`` octets in the average (§6.3.3)."""
        self._average_size += (size + 28 - self._average_size) / 16

    def sent(self, size: int, now: float) -> None:
        """Note that a compound of ``size`` octets has left, and draw the next interval."""
        self.received(size)
        self._initial = False
        self._last = now
        self._next = now + self._interval()

    def _interval(self) -> float:
        # §6.2: the minimum "should be reduced to half" before the first packet.
        minimum = MINIMUM_INTERVAL_S / 2 if self._initial else MINIMUM_INTERVAL_S
        deterministic = max(minimum, _MEMBERS * self._average_size / self._octets_per_s)
        return deterministic * self._ids.uniform(0.5, 1.5) / _COMPENSATION
