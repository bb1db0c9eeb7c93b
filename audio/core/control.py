"""RTCP of one call: reports both ways, round trip, BYE (RFC 3550 §6; muxed or on its own port, RFC 5761).

timeout ▶ SR or RR + SDES(CNAME) ▶ compound          compound ▶ blocks about us ▶ RTT, loss, jitter at the far end
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.rtp import ntp
from audio.rtp.reception import round_trip_s
from audio.rtp.rtcp import Goodbye, Report, ReportBlock, RtcpPacket, SourceDescription, serialise_compound
from audio.rtp.schedule import RtcpSchedule

if TYPE_CHECKING:
    from audio.core.inbound import Inbound
    from audio.core.outbound import Outbound
    from sipcore.ids import IdSource


class RtcpSession:
    """Builds our compounds and learns from theirs. Knows no addresses."""

    def __init__(
        self, ids: IdSource, outbound: Outbound, inbound: Inbound, *, cname: str, wall_offset_s: float
    ) -> None:
        self._ids = ids
        self._outbound = outbound
        self._inbound = inbound
        self._cname = cname
        self._wall_offset_s = wall_offset_s
        self._schedule: RtcpSchedule | None = None
        self._counts = (0, 0)  # packets sent at the last two reports
        self._received_at_report = 0
        self.rtt_s: float | None = None
        self.remote_loss: float | None = None
        self.remote_jitter_ms: float | None = None

    @property
    def due(self) -> float | None:
        """When :meth:`poll` wants to be called."""
        return self._schedule.due if self._schedule else None

    def start(self, now: float) -> None:
        """Begin reporting; again does nothing."""
        self._schedule = self._schedule or RtcpSchedule(self._ids, now=now)

    def poll(self, now: float) -> bytes | None:
        """The compound that is due, if one is."""
        if self._schedule is None or not self._schedule.expired(now):
            return None
        compound = serialise_compound(self._report(now))
        self._schedule.sent(len(compound), now)
        return compound

    def goodbye(self, now: float) -> bytes | None:
        """The last compound, or ``None`` when nothing was ever sent (§6.3.7: then no BYE either)."""
        schedule, self._schedule = self._schedule, None
        if schedule is None or not self._outbound.sender.packet_count:
            return None
        # §6.3.7: fewer than 50 members: the BYE may leave at once.
        return serialise_compound((*self._report(now), Goodbye(ssrcs=(self._outbound.sender.ssrc,))))

    def receive(self, packets: tuple[RtcpPacket, ...], size: int, now: float) -> list[int]:
        """Learn from a compound of ``size`` octets. The SSRCs it says goodbye for."""
        if self._schedule:
            self._schedule.received(size)
        leaving: list[int] = []
        for packet in packets:
            match packet:
                case Report():
                    self._learn(packet, now)
                case Goodbye(ssrcs=ssrcs):
                    leaving += ssrcs
                case SourceDescription():
                    pass  # one source at a time: its name tells nothing its SSRC does not
        return leaving

    def _learn(self, report: Report, now: float) -> None:
        reception = self._inbound.reception
        if report.sender and reception and report.ssrc == reception.ssrc:
            reception.sender_report(report.sender, now)
        for block in report.blocks:
            if block.ssrc == self._outbound.sender.ssrc:
                self._learn_of_us(block, now)

    def _learn_of_us(self, block: ReportBlock, now: float) -> None:
        self.remote_loss = block.fraction_lost / 256
        self.remote_jitter_ms = block.jitter * 1000 / self._outbound.sender.clock_rate
        rtt_s = round_trip_s(block, ntp.from_unix(now + self._wall_offset_s))
        if rtt_s is not None:
            self.rtt_s = rtt_s

    def _report(self, now: float) -> tuple[RtcpPacket, ...]:
        sender = self._outbound.sender
        reception = self._inbound.reception
        # §6.4: SR "if a site has sent any data packets during the interval since issuing the last report or the
        # previous one".
        sent_lately = sender.packet_count > self._counts[0]
        self._counts = (self._counts[1], sender.packet_count)
        info = None
        if sent_lately:
            info = sender.sender_info(unix_s=now + self._wall_offset_s, since_clock_s=self._outbound.clock_age_s(now))
        heard_lately = self._inbound.packets > self._received_at_report
        self._received_at_report = self._inbound.packets
        blocks = (reception.report_block(now),) if reception and heard_lately else ()
        return Report(ssrc=sender.ssrc, sender=info, blocks=blocks), SourceDescription(
            chunks=((sender.ssrc, self._cname),)
        )
