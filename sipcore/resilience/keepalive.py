"""Signs of life: pings below SIP, OPTIONS above, and the interval that adapts (promises R4 and 3.9; RFC 5626 §3.5).

    Heartbeat   flow open ──interval──▶ ping ──any byte──▶ alive
                                          └──nothing in ping_timeout──▶ dead
    KeepAlive   registered ──interval──▶ OPTIONS ──any response──▶ answered
                                          └──no SIP in keep_alive_timeout──▶ missed, dead

Sans-I/O. What is to be done is returned by ``handle_timeout``; the owner does it.
"""

from __future__ import annotations

import enum
import logging
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.config import Resilience

_log = logging.getLogger(__name__)

_FLOOR = 1 / 6
_STABLE_S = 600.0
_IDLE_SHARE = 0.5
_VERIFY_TIMEOUT_S = 3.0
_FLOW_TIMER_SHARE = 0.8


class AdaptiveInterval:
    """Halves after an idle loss, grows by half after ten stable minutes; from a sixth of the setting to all of it."""

    __slots__ = ("_base_s", "_factor", "_since")

    def __init__(self, base_s: float) -> None:
        self._base_s = base_s
        self._factor = 1.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """The interval now."""
        return self._base_s * self._factor

    def begin(self, now: float) -> None:
        """A flow is in use from now on."""
        self._since = now

    def lost(self, idle_s: float) -> None:
        """The flow was lost after ``idle_s`` without a byte from the far end."""
        if self._since is not None and idle_s >= self.seconds * _IDLE_SHARE:
            self._factor = max(_FLOOR, self._factor / 2)
        self._since = None

    def alive(self, now: float) -> None:
        """A sign of life after an idle time: long enough without a loss, and the interval may grow again."""
        if self._since is not None and self._factor < 1.0 and now - self._since >= _STABLE_S:
            self._factor = min(1.0, self._factor * 1.5)
            self._since = now


class Ping(enum.Enum):
    """How a flow is asked for a sign of life."""

    WEBSOCKET = enum.auto()  # RFC 6455 §5.5.2; always answered
    CRLF = enum.auto()  # RFC 5626 §3.5.1; many never answer, so silence proves nothing until one did
    DATAGRAM = enum.auto()  # the same over UDP, where nobody has to answer: RFC 5626 §3.5.2 has STUN for that


class Heartbeat:
    """Pings one flow. Any inbound byte is life and puts the next ping off."""

    __slots__ = (
        "_answers",
        "_asked_until",
        "_interval",
        "_kind",
        "_last_life",
        "_longest_s",
        "_next_at",
        "_timeout_s",
    )

    def __init__(self, settings: Resilience) -> None:
        self._interval = AdaptiveInterval(settings.ping_interval)
        self._timeout_s = settings.ping_timeout
        self._kind = Ping.WEBSOCKET
        self._answers = False
        self._last_life = 0.0
        self._longest_s = math.inf
        self._next_at: float | None = None
        self._asked_until: float | None = None

    @property
    def interval_s(self) -> float:
        """The distance of two pings on an idle flow."""
        return self._interval.seconds

    @property
    def _wait_s(self) -> float:
        return min(self._interval.seconds, self._longest_s)

    @property
    def expects_answer(self) -> bool:
        """Whether silence after a ping means that the flow is dead."""
        return self._kind is Ping.WEBSOCKET or self._answers

    def flow_up(self, kind: Ping, now: float) -> None:
        """A flow is open."""
        self._kind, self._answers, self._asked_until = kind, False, None
        self._last_life = now
        self._interval.begin(now)
        self._longest_s = math.inf
        self._next_at = now + self._interval.seconds if self._interval.seconds > 0 else None

    def promised(self, flow_timer_s: float, now: float) -> None:
        """The first hop keeps the flow no longer than that without a ping, which it answers (RFC 5626 §4.4)."""
        self._answers = self._answers or self._kind is not Ping.DATAGRAM
        if self._next_at is not None:
            # "a random number between 80 and 100 percent" of it; the lower end is as good, and needs no dice.
            self._longest_s = flow_timer_s * _FLOW_TIMER_SHARE
            self._next_at = min(self._next_at, now + self._wait_s)

    def flow_down(self, now: float, *, remote: bool) -> None:
        """The flow is gone; ``remote`` unless we closed it for a reason of our own."""
        if remote and self._next_at is not None:
            self._interval.lost(now - self._last_life)
        self._next_at = self._asked_until = None

    def life(self, now: float, *, pong: bool = False) -> None:
        """Bytes came in; ``pong`` if they were the CRLF that answers ours."""
        self._answers = self._answers or pong
        self._last_life = now
        self._asked_until = None
        self._interval.alive(now)
        if self._next_at is not None:
            self._next_at = now + self._wait_s

    def verify(self, now: float) -> bool:
        """Ask at once whether the flow lives, with a short deadline; False where it cannot be asked this way.

        On True the owner sends a ping.
        """
        if not self.expects_answer:
            return False
        deadline = now + min(self._timeout_s, _VERIFY_TIMEOUT_S)
        self._asked_until = deadline if self._asked_until is None else min(deadline, self._asked_until)
        return True

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        return min((at for at in (self._next_at, self._asked_until) if at is not None), default=None)

    def due_to_ping(self, now: float) -> bool:
        """Whether a ping is to be sent now; asking arms its deadline."""
        if self._next_at is None or now < self._next_at:
            return False
        self._next_at = now + self._wait_s
        if self.expects_answer and self._asked_until is None:
            self._asked_until = now + self._timeout_s
        return True

    def found_dead(self, now: float) -> bool:
        """Whether a ping stayed without any byte for too long."""
        return self._asked_until is not None and now >= self._asked_until

    def resumed(self, gap_s: float) -> None:
        """The machine slept: deadlines are put off."""
        self._next_at = None if self._next_at is None else self._next_at + gap_s
        self._asked_until = None if self._asked_until is None else self._asked_until + gap_s
        self._last_life += gap_s


class KeepAlive:
    """OPTIONS while registered, one at a time. The owner sends it and reports what became of it."""

    __slots__ = ("_interval", "_next_at", "_running", "_sent_at", "_sip_seen", "_timeout_s")

    def __init__(self, settings: Resilience) -> None:
        self._interval = AdaptiveInterval(settings.keep_alive_interval)
        self._timeout_s = settings.keep_alive_timeout
        self._running = False
        self._next_at: float | None = None
        self._sent_at: float | None = None
        self._sip_seen = False

    @property
    def running(self) -> bool:
        """Between :meth:`start` and :meth:`stop`."""
        return self._running

    @property
    def interval_s(self) -> float:
        """The distance of two OPTIONS."""
        return self._interval.seconds

    @property
    def timeout_s(self) -> float:
        """How long an OPTIONS may stay unanswered."""
        return self._timeout_s

    @property
    def asked(self) -> bool:
        """Whether an OPTIONS is unanswered."""
        return self._sent_at is not None

    def start(self, now: float) -> bool:
        """Registered: run. True where it did not run before and is not turned off."""
        if self._running or self._interval.seconds <= 0:
            return False
        self._running = True
        self._interval.begin(now)
        self._next_at = now + self._interval.seconds
        _log.info("Starting keep-alive mechanism (interval: %gs)", self._interval.seconds)
        return True

    def stop(self) -> bool:
        """Disconnected, unregistered or shut down. True where it ran."""
        was_running, self._running = self._running, False
        self._next_at = self._sent_at = None
        if was_running:
            _log.info("Keep-alive mechanism stopped")
        return was_running

    def ask_now(self, now: float) -> None:
        """Let the next OPTIONS be due at once: the flow is in doubt."""
        if self._running and self._sent_at is None:
            self._next_at = now

    def due_to_send(self, now: float) -> bool:
        """Whether an OPTIONS is to be sent now; the owner sends it and later calls answered or missed."""
        if self._next_at is None or now < self._next_at:
            return False
        _log.info("Sending keep-alive OPTIONS request")
        self._next_at = None
        self._sent_at = now
        self._sip_seen = False
        return True

    def sip_life(self) -> None:
        """Some SIP message came in: the far end is there, whatever becomes of the OPTIONS."""
        self._sip_seen = True

    def answered(self, now: float) -> float:
        """Any response came; returns the round trip in milliseconds."""
        rtt_ms = 0.0 if self._sent_at is None else (now - self._sent_at) * 1000.0
        _log.info("Keep-alive answered in %.0f ms", rtt_ms)
        self._sent_at = None
        self._interval.alive(now)
        self._again(now)
        return rtt_ms

    def missed(self, now: float) -> bool:
        """No response in time. True where that makes the flow dead: no other SIP came in either."""
        _log.info("Keep-alive missed")
        idle_s = 0.0 if self._sent_at is None else now - self._sent_at + self._interval.seconds
        self._sent_at = None
        if not self._sip_seen:
            self._interval.lost(idle_s)
            return True
        self._again(now)
        return False

    def next_timeout(self) -> float | None:
        """When the next OPTIONS is due, or None."""
        return self._next_at

    def resumed(self, gap_s: float) -> None:
        """The machine slept: the next OPTIONS is put off."""
        self._next_at = None if self._next_at is None else self._next_at + gap_s

    def _again(self, now: float) -> None:
        if self._running:
            self._next_at = now + self._interval.seconds
