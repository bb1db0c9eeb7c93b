"""What is known about one source received: probation, loss, jitter, report blocks, RFC 3550 A.1, A.3, A.8 and §6.4.1.

new source ──MIN_SEQUENTIAL packets in sequence──▶ valid ──jump twice in a row──▶ valid, counted from there
"""

from __future__ import annotations

from audio.rtp import ntp
from audio.rtp.rtcp import ReportBlock, SenderInfo

MIN_SEQUENTIAL = 2
MAX_DROPOUT = 3000
MAX_MISORDER = 100
_SEQ_MOD = 1 << 16


class ReceiverStatistics:
    """Counts one SSRC. Feed every packet of it to :meth:`update`, every sender report to :meth:`sender_report`."""

    def __init__(self, ssrc: int, sequence: int, *, clock_rate: int = 8000) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.received = 0
        self._probation = MIN_SEQUENTIAL
        self._restart(sequence)
        # A.1: "init_seq(s, seq); s->max_seq = seq - 1; s->probation = MIN_SEQUENTIAL".
        self._maximum = (sequence - 1) % _SEQ_MOD
        self._jitter = 0.0
        self._transit: float | None = None
        self._last_sr = 0
        self._last_sr_at: float | None = None
        self._expected_prior = 0
        self._received_prior = 0

    def _restart(self, sequence: int) -> None:
        self._base = sequence
        self._maximum = sequence
        self._bad: int | None = None
        self._cycles = 0
        self.received = 0
        self._expected_prior = 0
        self._received_prior = 0

    @property
    def valid(self) -> bool:
        """Whether the source has passed probation."""
        return self._probation == 0

    def update(self, sequence: int, timestamp: int, now: float) -> bool:
        """Count a packet that arrived at ``now``. True when it belongs to a valid source's sequence (A.1
        ``update_seq``).
        """
        if not self._update_sequence(sequence):
            return False
        self._update_jitter(timestamp, now)
        return True

    def _update_sequence(self, sequence: int) -> bool:
        advance = (sequence - self._maximum) % _SEQ_MOD
        if self._probation:
            if advance == 1:
                self._probation -= 1
                self._maximum = sequence
                if self._probation == 0:
                    self._restart(sequence)
                    self.received = 1
                    return True
            else:
                self._probation = MIN_SEQUENTIAL - 1
                self._maximum = sequence
            return False
        if advance < MAX_DROPOUT:
            if sequence < self._maximum:
                self._cycles += _SEQ_MOD
            self._maximum = sequence
            self._bad = None
        elif advance <= _SEQ_MOD - MAX_MISORDER:
            # "the sequence number made a very large jump": two in sequence mean the other side restarted.
            if sequence != self._bad:
                self._bad = (sequence + 1) % _SEQ_MOD
                return False
            self._restart(sequence)
        self.received += 1
        return True

    def _update_jitter(self, timestamp: int, now: float) -> None:
        transit = (now * self.clock_rate - timestamp) % (1 << 32)
        if self._transit is not None:
            difference = abs(transit - self._transit)
            difference = min(difference, (1 << 32) - difference)
            # A jump of the timestamp itself is no network jitter.
            if difference < self.clock_rate:
                self._jitter += (difference - self._jitter) / 16
        self._transit = transit

    def sender_report(self, info: SenderInfo, now: float) -> None:
        """Remember when the source's last sender report came, for LSR and DLSR."""
        self._last_sr = ntp.middle(info.ntp)
        self._last_sr_at = now

    @property
    def extended_maximum(self) -> int:
        """Highest sequence number received with its cycles above bit 16."""
        return self._cycles + self._maximum

    @property
    def expected(self) -> int:
        """Packets the source has sent since it was counted from."""
        return self.extended_maximum - self._base + 1 if self.valid else 0

    @property
    def lost(self) -> int:
        """Expected less received; negative with duplicates (A.3)."""
        return self.expected - self.received if self.valid else 0

    @property
    def jitter(self) -> float:
        """Interarrival jitter in timestamp units (A.8)."""
        return self._jitter

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter in milliseconds."""
        return self._jitter * 1000 / self.clock_rate

    def report_block(self, now: float) -> ReportBlock:
        """The block for the next report; starts the next interval of the loss fraction (A.3)."""
        expected, received = self.expected, self.received
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (received - self._received_prior)
        self._expected_prior, self._received_prior = expected, received
        fraction = (
            0 if expected_interval <= 0 or lost_interval <= 0 else min((lost_interval << 8) // expected_interval, 255)
        )
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            cumulative_lost=expected - received,
            highest_sequence=self.extended_maximum & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=self._last_sr,
            delay_since_last_sr=0 if self._last_sr_at is None else ntp.units_from_seconds(now - self._last_sr_at),
        )


def round_trip_s(block: ReportBlock, arrival_ntp: int) -> float | None:
    """RTT from a block about us (§6.4.1: A - LSR - DLSR), or ``None`` when it answers no report of ours or makes no
    sense.
    """
    if block.last_sr == 0:
        return None
    rtt = ntp.seconds_between(ntp.middle(arrival_ntp), block.last_sr) - block.delay_since_last_sr / 65536
    # The clocks are ours alone; small negatives are rounding, the rest is a peer that miscounts.
    if not -0.005 <= rtt <= 30.0:
        return None
    return max(rtt, 0.0)
