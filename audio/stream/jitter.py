"""Adaptive jitter buffer on the sender's time line.

    put ─▶ [packets by timestamp] ─▶ get, every 20 ms:  Frame │ Missing │ Silence
              transit = arrival - timestamp
              playout point = slowest transit of the last seconds + margin

A packet's transit is its arrival on our clock less its timestamp on the sender's. The buffer steers the playout
position so that it lags the sender by the slowest recent transit: a packet that comes after its place was reached
moves the position back at once, so that it and what follows is still played; falling back is left to the owner, who
knows where sound can be shortened (:attr:`JitterBuffer.excess`). Loss alone never moves the position. All times in
seconds, durations in units of the RTP clock.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from audio.rtp.packet import RtpPacket

_MOD = 1 << 32
_HALF = 1 << 31


class Frame(NamedTuple):
    """A packet whose turn has come. ``skip`` units at its front were already covered by something else."""

    payload_type: int
    payload: bytes
    duration: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """``duration`` units should have been here and are not: conceal them.

    What follows them ``distance`` units on, where it is here already: ``following``, one packet or, while that is
    short, more. These are handed out again as :class:`Frame` when their turn comes.
    """

    duration: int
    following: tuple[Frame, ...] = ()
    distance: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """The sender is known to be silent for ``duration`` units.

    ``noise`` is its last comfort-noise payload (RFC 3389), ``None`` without one.
    """

    duration: int
    noise: bytes | None


Item = Frame | Missing | Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class JitterConfig:
    """Bounds and speeds."""

    minimum_s: float = 0.020
    maximum_s: float = 0.500
    initial_s: float = 0.025
    """Delay before anything is known about the network."""

    margin_s: float = 0.004
    """Added to the slowest transit: the playout tick itself is not exact."""

    hold_s: float = 7.0
    """How long a slow packet is remembered."""

    quiet_s: float = 0.160
    """A gap longer than this has been faded out by concealment, so the position may move freely inside it."""


@dataclass(slots=True)
class JitterStatistics:
    """Counts of packets since the buffer was made."""

    late: int = 0
    """Came after their place had been played, thrown away."""

    duplicates: int = 0
    discarded: int = 0
    """Overflow, or debris of a timestamp jump."""

    rescued: int = 0
    """Came late, and played all the same by moving the position."""

    resyncs: int = 0
    """Times the sender's timestamps jumped."""


@dataclass(slots=True)
class _Entry:
    timestamp: int
    duration: int
    payload_type: int
    payload: bytes
    silence: bool


class _TransitWindow:
    """Fastest and slowest transit over the last seconds, in bins of one second."""

    def __init__(self, hold_s: float) -> None:
        self._bins: deque[list[float]] = deque()  # [bin number, fastest, slowest]
        self._hold = int(hold_s)
        self.fastest = 0.0
        self.slowest = 0.0

    def __bool__(self) -> bool:
        return bool(self._bins)

    def add(self, transit: float, now: float) -> None:
        number = float(int(now))
        if self._bins and self._bins[-1][0] == number:
            last = self._bins[-1]
            if transit < last[1]:
                last[1] = transit
                self.fastest = min(self.fastest, transit)
            elif transit > last[2]:
                last[2] = transit
                self.slowest = max(self.slowest, transit)
            return
        self._bins.append([number, transit, transit])
        # Two bins stay however old they are: after a long silence old knowledge is better than none.
        while len(self._bins) > 2 and self._bins[0][0] < number - self._hold:
            self._bins.popleft()
        self.fastest = min(item[1] for item in self._bins)
        self.slowest = max(item[2] for item in self._bins)


class JitterBuffer:
    """Packets of one SSRC in, their sound's order and time out. Feed only packets of a valid source."""

    CAPACITY = 128
    """Packets; half a second holds 50 of the shortest."""

    _STALL_S = 0.1

    def __init__(self, clock_rate: int = 8000, config: JitterConfig | None = None) -> None:
        self._rate = clock_rate
        self._config = config or JitterConfig()
        self.statistics = JitterStatistics()
        self._initial_s = self._config.initial_s
        self._clear()

    def _clear(self) -> None:
        self._entries: list[_Entry] = []
        self._window = _TransitWindow(self._config.hold_s)
        self._started_at = 0.0
        self._last_arrival = 0.0
        self._stall_ends = 0.0
        self._seen: deque[int] = deque(maxlen=self.CAPACITY)
        self._reference: int | None = None  # extended timestamp last seen
        self._position = 0  # extended timestamp of the next unit to hand out
        self._played = 0  # end of the last real sound handed out
        self._playing = False
        self._noise: bytes | None = None
        self._silent = True
        self._missing = 0
        self._excess = 0
        self._frame_duration = 0
        self._suspects: list[tuple[int, float, RtpPacket, int, bool]] = []

    def reset(self) -> None:
        """Start over with a new stream (SSRC change); the delay learnt on this path is kept as the first guess."""
        if self._window:
            config = self._config
            self._initial_s = min(max(self.target_s, config.initial_s), config.maximum_s / 4)
        self._clear()

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def target_s(self) -> float:
        """Delay steered to, counted from the fastest transit."""
        return self._target() - self._window.fastest if self._window else self._initial_s

    def delay_s(self, now: float, ahead: int = 0) -> float:
        """Present delay, counted from the fastest transit; ``ahead`` units were handed out and are not played yet."""
        if not self._playing:
            return 0.0
        return now - (self._position - ahead) / self._rate - self._window.fastest

    @property
    def excess(self) -> int:
        """Units by which the last frame handed out was taken later than it had to be; negative: it was nearly not
        there.
        """
        return self._excess

    @property
    def quiet(self) -> bool:
        """Whether the sender is silent or concealment has faded out: nothing would be heard of a correction."""
        return self._silent or self._missing >= self._config.quiet_s * self._rate

    @property
    def announced_silence(self) -> bool:
        """Whether the sender said itself that it is silent."""
        return self._reference is not None and self._silent and self._noise is not None

    def _target(self) -> float:
        """The transit the position should lag the sender by."""
        config, window = self._config, self._window
        target = max(window.slowest + config.margin_s, window.fastest + config.minimum_s)
        if self._initial_s > config.minimum_s and self._reference is not None and not self._settled:
            target = max(target, window.fastest + self._initial_s)
        return min(target, window.fastest + config.maximum_s)

    @property
    def _settled(self) -> bool:
        """Two seconds of packets teach more than the first guess."""
        return self._last_arrival - self._started_at > 2.0

    # -- in -----------------------------------------------------------------------------------------------------------

    def put(self, packet: RtpPacket, duration: int, now: float) -> None:
        """Take an audio packet that arrived at ``now`` and lasts ``duration`` units."""
        self._put(packet, duration, now, silence=False)

    def put_silence(self, packet: RtpPacket, now: float) -> None:
        """Take a comfort-noise packet: from its timestamp to the next audio the sender is silent.

        A telephone-event packet with its payload left out does the same without noise.
        """
        self._put(packet, 0, now, silence=True)

    def _put(self, packet: RtpPacket, duration: int, now: float, *, silence: bool) -> None:
        timestamp = self._extend(packet.timestamp)
        transit = now - timestamp / self._rate
        if self._reference is None:
            self._start(timestamp, transit, now)
        elif not self._plausible(timestamp, transit):
            self._suspect(timestamp, transit, packet, duration, silence, now)
            return
        elif not silence and timestamp <= self._reference and timestamp in self._seen:
            # Before its transit is looked at: a copy that took longer says nothing about the packets.
            self.statistics.duplicates += 1
            return
        elif now < self._stall_ends and transit > self._window.slowest:
            self.statistics.late += 1
            return
        elif self._suspects:
            self.statistics.discarded += len(self._suspects)
            self._suspects.clear()
        self._seen.append(timestamp)
        self._reference = max(timestamp, self._reference or timestamp)
        self._last_arrival = now
        self._window.add(transit, now)
        self._frame_duration = duration or self._frame_duration
        entry = _Entry(timestamp, duration, packet.payload_type, packet.payload, silence)
        if self._playing and timestamp < self._position:
            self._put_late(entry)
        else:
            self._insert(entry)

    def _extend(self, timestamp: int) -> int:
        if self._reference is None:
            return timestamp + _MOD
        difference = (timestamp - self._reference) % _MOD
        return self._reference + (difference - _MOD if difference >= _HALF else difference)

    def _start(self, timestamp: int, transit: float, now: float) -> None:
        self._reference = timestamp
        self._position = self._played = timestamp
        self._started_at = now
        self._window.add(transit, now)

    def _plausible(self, timestamp: int, transit: float) -> bool:
        """Within the buffer's reach of the time line so far."""
        reach = self._config.maximum_s
        return self._window.fastest - reach <= transit <= self._window.fastest + reach

    def _suspect(
        self, timestamp: int, transit: float, packet: RtpPacket, duration: int, silence: bool, now: float
    ) -> None:
        """A packet off the time line: a stalled network letting go (transit falls as the queue drains), or the
        sender's clock jumped.

        Three in a row whose transit stays are a jump: start over with them. Until then they wait.
        """
        suspects = self._suspects
        suspects.append((timestamp, transit, packet, duration, silence))
        first_timestamp, first_transit = suspects[0][:2]
        advance = (timestamp - first_timestamp) / self._rate
        draining = transit - first_transit < -0.5 * advance
        if draining or advance < 0 or abs(transit - first_transit) > self._config.maximum_s:
            self.statistics.late += len(suspects) - 1
            del suspects[:-1]
            # After a stall longer than the buffer, the rest of the queue is old news too: better live again than half
            # a second behind.
            self._stall_ends = now + self._STALL_S
            return
        if len(suspects) < 3:
            return
        self._suspects = []
        self.statistics.resyncs += 1
        self.statistics.discarded += len(self._entries)
        self.reset()
        for _, _, held, held_duration, held_silence in suspects:
            self._put(held, held_duration, now, silence=held_silence)

    def _put_late(self, entry: _Entry) -> None:
        end = entry.timestamp + entry.duration
        if entry.timestamp < self._played:
            # Something after it has been heard. What reaches beyond that still fits; the rest has had its time.
            if end > self._position and not entry.silence:
                self._insert(entry)
            elif not entry.silence:
                self.statistics.late += 1
            return
        # Only made-up sound stands where it belongs: go back and play it.
        self._position = entry.timestamp
        self.statistics.rescued += 1
        self._insert(entry)

    def _insert(self, entry: _Entry) -> None:
        entries = self._entries
        if not entries or entry.timestamp > entries[-1].timestamp:
            entries.append(entry)
        else:
            insort(entries, entry, key=lambda item: item.timestamp)
        if len(entries) > self.CAPACITY:
            del entries[0]
            self.statistics.discarded += 1

    # -- out ----------------------------------------------------------------------------------------------------------

    def get(self, now: float, wanted: int) -> Item:
        """What comes next on the time line, of which ``wanted`` units are needed now.

        A :class:`Frame` has the length it was sent with; the others last ``wanted`` units at most.
        """
        if self._reference is None:
            return Silence(wanted, None)
        while True:
            if not self._playing or self.quiet:
                self._steer(now, wanted)
            self._drop_played()
            entry = self._entries[0] if self._entries else None
            if entry is None or entry.timestamp > self._position:
                length = entry.timestamp - self._position if entry else wanted
                return self._gap(length, wanted)
            del self._entries[0]
            self._missing = 0
            if not entry.silence:
                break
            self._silent, self._noise = True, entry.payload or None
        self._silent = False
        self._excess = round((now - self._target()) * self._rate) - entry.timestamp
        skip = self._position - entry.timestamp
        self._position = self._played = entry.timestamp + entry.duration
        return Frame(entry.payload_type, entry.payload, entry.duration, skip)

    def _steer(self, now: float, wanted: int) -> None:
        """Nothing is heard just now: put the position where it should be, but not past a packet that waits.

        All packets of a block are taken when it starts, so the last of them decides.
        """
        position = round((now - self._target()) * self._rate) - max(0, wanted - self._frame_duration)
        if self._entries:
            position = min(position, self._entries[0].timestamp)
        if self._playing:
            self._position = max(position, self._position if self._entries else self._played)
            return
        self._playing = True
        # Nothing real was played: whatever came out of order before the start may still move the start back.
        self._position = self._played = position

    def _drop_played(self) -> None:
        while self._entries:
            entry = self._entries[0]
            if entry.silence or entry.timestamp + entry.duration > self._position:
                return
            del self._entries[0]
            self.statistics.late += 1

    def _gap(self, length: int, wanted: int) -> Item:
        """``length`` units are empty up to the next packet, of which ``wanted`` are needed now."""
        # While nothing is heard the next packet waits for the start of a block: inside one it would be taken before
        # its time.
        duration = wanted if self.quiet else min(length, wanted)
        self._position += min(length, duration)
        if self._silent:
            return Silence(duration, self._noise)
        self._missing += duration
        return Missing(duration, self._following(), length)

    def _following(self) -> tuple[Frame, ...]:
        """The packets next in turn, until they are as long as a block."""
        found: list[Frame] = []
        total, end = 0, None
        for entry in self._entries:
            if entry.silence or total >= self._rate // 50 or end not in (None, entry.timestamp):
                break
            found.append(Frame(entry.payload_type, entry.payload, entry.duration))
            total, end = total + entry.duration, entry.timestamp + entry.duration
        return tuple(found)
