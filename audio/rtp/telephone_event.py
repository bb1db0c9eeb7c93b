"""DTMF as RTP events, RFC 4733: digits out as growing events, events in as digits.

sending, one packet every 20 ms, all with the timestamp of the digit's start
M 160 │ 320 │ 480 │ 640 │ E 800 │ E 800 │ E 800 │ gap … next digit
"""

from __future__ import annotations

import enum
import struct
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.errors import LocalProtocolError, Phrase

if TYPE_CHECKING:
    from audio.rtp.packet import RtpPacket
    from audio.rtp.sending import SenderState

DIGITS = "0123456789*#ABCD!"
"""Index is the event code: 0 to 15 are the keys, 16 is a hook flash (RFC 4733 §3.2)."""

VOLUME = 10
"""-dBm0 of the digits sent."""

PAUSE_S = 1.0
"""What a comma means."""

MAXIMUM_QUEUE = 256
_PAYLOAD = struct.Struct("!BBH")
_END = 0x80
_END_PACKETS = 3
_MASK_32 = 0xFFFFFFFF
_LONGEST_SEGMENT = 0xFFFF


class Suppression(enum.Enum):
    """What becomes of the microphone during this tick."""

    NONE = enum.auto()
    SILENCE = enum.auto()  # the gap between digits: the far end must hear nothing of a key click
    SKIP = enum.auto()  # event packets take the place of audio


@dataclass(slots=True)
class _Tone:
    digit: str
    event: int
    total: int
    gap: int
    timestamp: int = 0
    elapsed: int = 0
    ends_left: int = _END_PACKETS


class DtmfSender:
    """Plays queued digits, one call of :meth:`tick` every 20 ms."""

    def __init__(self) -> None:
        self._queue: deque[_Tone | int] = deque()
        self._tone: _Tone | None = None
        self._gap = 0
        self._pause = 0

    @property
    def active(self) -> bool:
        """Whether anything is queued or under way."""
        return bool(self._queue or self._tone or self._gap or self._pause)

    def send(self, digits: str, *, clock_rate: int = 8000, duration_ms: int = 100, gap_ms: int = 70) -> None:
        """Queue ``0-9 * # A-D ! ,``. Durations are kept within RFC 4733's and RFC 7874's 40 to 8000 ms, gaps at 30 ms
        or more.

        LocalProtocolError, and nothing queued, for another character or a full queue.
        """
        units = clock_rate * min(max(duration_ms, 40), 8000) // 1000
        gap = clock_rate * min(max(gap_ms, 30), 8000) // 1000
        steps: list[_Tone | int] = []
        for character in digits.upper():
            if character == ",":
                steps.append(int(clock_rate * PAUSE_S))
            elif character in DIGITS:
                steps.append(_Tone(character, DIGITS.index(character), units, gap))
            else:
                raise LocalProtocolError(f"{character!r} is no DTMF digit")
        if len(self._queue) + len(steps) > MAXIMUM_QUEUE:
            raise LocalProtocolError(Phrase("too many DTMF digits are waiting"))
        self._queue += steps

    def clear(self) -> None:
        """Forget everything queued and under way; the far end closes an open event by itself."""
        self._queue.clear()
        self._tone, self._gap, self._pause = None, 0, 0

    def tick(
        self, sender: SenderState, payload_type: int, units: int
    ) -> tuple[Suppression, RtpPacket | None, str | None]:
        """``units`` of the media clock, starting at the sender's: what to do with audio, a packet to send, a digit
        just completed.
        """
        if self._tone is None and not self._gap and not self._pause:
            if not self._queue:
                return Suppression.NONE, None, None
            step = self._queue.popleft()
            if isinstance(step, int):
                self._pause = step
            else:
                step.timestamp = sender.timestamp
                self._tone = step
        if self._tone:
            return self._tone_tick(self._tone, sender, payload_type, units)
        if self._gap:
            self._gap = max(self._gap - units, 0)
            return Suppression.SILENCE, None, None
        self._pause = max(self._pause - units, 0)
        return Suppression.NONE, None, None

    def _tone_tick(
        self, tone: _Tone, sender: SenderState, payload_type: int, units: int
    ) -> tuple[Suppression, RtpPacket, str | None]:
        first = tone.elapsed == 0
        tone.elapsed += units
        ended = tone.elapsed >= tone.total
        payload = _PAYLOAD.pack(tone.event, VOLUME | (_END if ended else 0), min(tone.elapsed, tone.total))
        packet = sender.event(payload_type, payload, tone.timestamp, marker=first)
        if not ended:
            return Suppression.SKIP, packet, None
        # RFC 4733 §2.5.1.4: the final packet "SHOULD be sent a total of three times".
        tone.ends_left -= 1
        if tone.ends_left:
            return Suppression.SKIP, packet, None
        # The retransmitted ends have already used up part of the gap.
        self._gap = max(tone.gap - (tone.elapsed - tone.total), 0)
        self._tone = None
        return Suppression.SKIP, packet, tone.digit


@dataclass(frozen=True, slots=True)
class ReceivedDigit:
    """A digit that has ended."""

    digit: str
    duration: int
    """In timestamp units."""


@dataclass(slots=True)
class _Event:
    code: int
    timestamp: int
    segment: int
    duration: int
    seen_at: float
    carried: int = 0


class DtmfReceiver:
    """Turns event packets into digits: one for each, though any packet may be lost, repeated or late."""

    END_AFTER_S = 0.25
    """RFC 4733 §2.5.2.2: without further packets an event ends by itself; five packet times."""

    def __init__(self) -> None:
        self._current: _Event | None = None
        self._finished: deque[int] = deque(maxlen=8)

    def receive(self, packet: RtpPacket, now: float) -> list[ReceivedDigit]:
        """Take a telephone-event packet of a valid source; a malformed or unknown one changes nothing."""
        if len(packet.payload) < _PAYLOAD.size:
            return []
        code, flags, duration = _PAYLOAD.unpack_from(packet.payload)
        if code >= len(DIGITS) or packet.timestamp in self._finished:
            return []
        digits: list[ReceivedDigit] = []
        current = self._current
        if current and packet.timestamp != current.segment:
            advance = (packet.timestamp - current.segment) & _MASK_32
            if advance >= 1 << 31:
                return []
            if advance == _LONGEST_SEGMENT and code == current.code and not packet.marker:
                # §2.5.1.3: an event too long for 16 bits goes on in a new segment, without a marker bit.
                current.carried += _LONGEST_SEGMENT
                self._finished.append(current.segment)
                current.segment, current.duration = packet.timestamp, 0
            else:
                digits.append(self._finish(current))
                current = None
        if current is None:
            current = self._current = _Event(code, packet.timestamp, packet.timestamp, duration, now)
        current.duration = max(current.duration, duration)
        current.seen_at = now
        if flags & _END:
            digits.append(self._finish(current))
        return digits

    def expire(self, now: float) -> list[ReceivedDigit]:
        """End a digit whose end packets were all lost."""
        if self._current and now - self._current.seen_at >= self.END_AFTER_S:
            return [self._finish(self._current)]
        return []

    def _finish(self, event: _Event) -> ReceivedDigit:
        self._current = None
        self._finished.append(event.segment)
        return ReceivedDigit(DIGITS[event.code], event.carried + event.duration)
