"""One call's media without sockets, threads or clocks (RFC 3550, 3551, 4733, 4961, 5761, 7983).

    microphone ─ tick ─▶ meter ▶ mute ▶ encode ▶ RTP ─▶ (SRTP) ─▶ transmits
                          DTMF ──────────────────▲
    playout ◀─ tick ── meter ◀ conceal ◀ decode ◀ jitter buffer ◀ source gate ◀ (SRTP) ◀─ receive

The shell calls :meth:`~MediaCore.receive` for each datagram and :meth:`~MediaCore.tick` every 20 ms, then drains
:meth:`~MediaCore.transmits` and :meth:`~MediaCore.events`; it wakes for :meth:`~MediaCore.next_timeout`. ``now`` is one
monotonic clock in seconds for all of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from audio.core.control import RtcpSession
from audio.core.events import (
    DtmfReceived,
    DtmfSent,
    FirstPacketReceived,
    MediaEvent,
    MediaResumed,
    MediaSilent,
    RemoteAddressChanged,
    RemoteByeReceived,
    RemoteSsrcChanged,
)
from audio.core.gate import SourceGate
from audio.core.inbound import Inbound
from audio.core.outbound import Outbound
from audio.core.ports import (
    CLOCK_RATE,
    Address,
    NonRtpHandler,
    Samples,
    SecureTransport,
    Transmit,
    TransmitKind,
    is_somewhere,
    silence,
)
from audio.core.quality import Counters, QualityWindow
from audio.core.statistics import MediaStatistics
from audio.rtp.demux import DatagramKind, classify_untrusted
from audio.rtp.packet import RtpPacket
from audio.rtp.rtcp import Report, RtcpPacket, parse_compound_untrusted
from sipcore.errors import ParseError

if TYPE_CHECKING:
    from audio.rtp.telephone_event import ReceivedDigit
    from audio.stream.jitter import JitterConfig
    from sipcore.ids import IdSource
    from sipcore.media import MediaParameters

_MAXIMUM_EVENTS = 256
_SILENCE_PATIENCE = 5
"""A sender that announced silence (comfort noise) is given so many times longer."""


class MediaCore:
    """The media of one call. Calls on one core never overlap: one thread owns it.

    ``wall_offset_s`` is Unix time minus ``now`` (for NTP timestamps in RTCP). ``cname`` is made up when not given
    (RFC 7022). :class:`MediaSilent` is reported after ``silent_after_s``. With ``dtx`` our silence is not sent.
    """

    def __init__(
        self,
        ids: IdSource,
        *,
        wall_offset_s: float,
        cname: str | None = None,
        secure: SecureTransport | None = None,
        on_non_rtp: NonRtpHandler | None = None,
        silent_after_s: float = 3.0,
        jitter: JitterConfig | None = None,
        dtx: bool = False,
    ) -> None:
        self._cname = cname or ids.token(96)
        self._secure = secure
        self._on_non_rtp = on_non_rtp
        self._silent_after_s = silent_after_s
        self._outbound = Outbound(ids, dtx=dtx)
        self._inbound = Inbound(jitter)
        self._gate = SourceGate()
        self._control = RtcpSession(ids, self._outbound, self._inbound, cname=self._cname, wall_offset_s=wall_offset_s)
        self._parameters: MediaParameters | None = None
        self._rtcp_latched: Address | None = None
        self._transmits: list[Transmit] = []
        self._events: deque[MediaEvent] = deque(maxlen=_MAXIMUM_EVENTS)
        self._quality = QualityWindow()
        self._discarded = 0
        self._last_received: float | None = None
        self._listening_since: float | None = None
        self._silent = False
        self._closed = False

    # -- what we are --------------------------------------------------------------------------------------------------

    @property
    def ssrc(self) -> int:
        """Our synchronisation source, for ``LocalMedia.ssrc``."""
        return self._outbound.sender.ssrc

    @property
    def cname(self) -> str:
        """Our RTCP canonical name, for ``LocalMedia.cname``."""
        return self._cname

    @property
    def muted(self) -> bool:
        """Whether the microphone is replaced by faint noise."""
        return self._outbound.muted

    @property
    def speaks(self) -> bool:
        """Whether the microphone is sent: agreed on, and not muted."""
        return self._outbound.sends and not self._outbound.muted and not self._closed

    @property
    def heard_at(self) -> float | None:
        """When the far end was last heard of, by RTP or RTCP."""
        return self._last_received

    @property
    def spoken(self) -> Samples:
        """What the last tick gave the far end to hear, before coding; silence where that is nothing."""
        return self._outbound.spoken

    @property
    def sample_rate(self) -> int:
        """Hz of the sound :meth:`tick` takes and gives: the negotiated codec's, 8000 before there is one."""
        return self._inbound.playout.rate

    @property
    def remote(self) -> Address | None:
        """Where RTP goes now; ``None`` before :meth:`configure`."""
        return self._gate.remote if self._parameters else None

    # -- verbs --------------------------------------------------------------------------------------------------------

    def configure(self, parameters: MediaParameters, now: float) -> None:
        """Apply a finished offer/answer round.

        Sequence numbers, timestamps and the jitter buffer go on; a lower ``negotiation`` than seen is ignored.
        KeyError for a ``send_codec`` :func:`audio.codec.registry.supports` denies; then nothing has changed.
        """
        before = self._parameters
        if self._closed or (before and parameters.negotiation < before.negotiation):
            return
        self._outbound.configure(parameters)
        self._inbound.configure(parameters)
        self._parameters = parameters
        self._gate.expect((parameters.remote_address, parameters.remote_rtp_port))
        if before is None or before.remote_rtcp_port != parameters.remote_rtcp_port:
            self._rtcp_latched = None
        self._control.start(now)
        if not parameters.direction.receives:
            self._listening_since, self._silent = None, False
        elif self._listening_since is None:
            self._listening_since = now

    def set_secure(self, secure: SecureTransport | None) -> None:
        """Install or replace SRTP keys, from the next packet on."""
        self._secure = secure

    def set_mute(self, muted: bool) -> None:
        """Send faint noise in place of the microphone; RTP keeps flowing."""
        self._outbound.muted = muted

    def send_dtmf(self, digits: str, now: float, *, duration_ms: int = 100, gap_ms: int = 70) -> bool:
        """Queue ``0-9 * # A-D ! ,`` (comma: 1 s pause); they leave with the ticks to come.

        False, and nothing queued, while the far end takes no telephone-event or we may not send.
        :class:`sipcore.errors.LocalProtocolError` for any other character.
        """
        parameters = self._parameters
        if self._closed or parameters is None or not (self._outbound.can_dtmf and parameters.direction.sends):
            return False
        self._outbound.dtmf.send(digits, duration_ms=duration_ms, gap_ms=gap_ms)
        return True

    def close(self, now: float) -> None:
        """Queue RTCP BYE and go quiet: later input is ignored, :meth:`transmits` still drains. Idempotent."""
        if self._closed:
            return
        if goodbye := self._control.goodbye(now):
            self._send_rtcp(goodbye)
        self._closed = True

    # -- bytes in -----------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTP socket: RTP, muxed RTCP (RFC 5761), or something for the handler (RFC 7983).

        Never raises for what is in it.
        """
        if self._closed:
            return
        match classify_untrusted(data):
            case DatagramKind.RTP:
                self.receive_rtp(data, source, now)
            case DatagramKind.RTCP:
                self.receive_rtcp(data, source, now)
            case DatagramKind.STUN | DatagramKind.DTLS | DatagramKind.TURN_CHANNEL:
                if self._on_non_rtp:
                    self._on_non_rtp(data, source, now)
            case DatagramKind.UNKNOWN:
                self._discarded += 1

    def receive_rtcp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTCP socket. Never raises for what is in it."""
        parameters = self._parameters
        if self._closed or parameters is None:
            return
        try:
            if self._secure:
                data = self._unprotected(data, rtcp=True)
            packets = parse_compound_untrusted(data)
        except ParseError:
            self._discarded += 1
            return
        if not self._is_rtcp_of_peer(parameters, packets, source):
            self._gate.strangers += 1
            return
        self._heard(now)
        for ssrc in self._control.receive(packets, len(data), now):
            if ssrc == self._gate.ssrc:
                self._events.append(RemoteByeReceived(ssrc))

    def receive_rtp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram that is RTP by its first octets, from the RTP socket. Never raises for what is in it."""
        if self._closed:
            return
        if self._parameters is None:
            self._discarded += 1
            return
        try:
            if self._secure:
                data = self._unprotected(data, rtcp=False)
            packet = RtpPacket.parse_untrusted(data)
        except ParseError:
            self._discarded += 1
            return
        ssrc_before, remote_before = self._gate.ssrc, self._gate.remote
        admitted = self._gate.admit(packet, source, now, authentic=self._secure is not None)
        if not admitted:
            return
        if self._gate.ssrc != ssrc_before:
            self._inbound.start_stream(admitted[0][0])
            first = ssrc_before is None
            self._events.append(FirstPacketReceived(source, packet.ssrc) if first else RemoteSsrcChanged(packet.ssrc))
        if self._gate.remote != remote_before:
            self._events.append(RemoteAddressChanged(source))
        self._heard(now)
        for held, arrival in admitted:
            if digits := self._inbound.receive(held, arrival):
                self._report_digits(digits)

    def _unprotected(self, data: bytes, *, rtcp: bool) -> bytes:
        secure = self._secure
        if secure is None or not (secure.rtcp_ready if rtcp else secure.ready):
            raise ParseError("no keys yet")
        return secure.unprotect_rtcp(data) if rtcp else secure.unprotect_rtp(data)

    def _is_rtcp_of_peer(self, parameters: MediaParameters, packets: tuple[RtcpPacket, ...], source: Address) -> bool:
        """Whether a compound comes from the SDP's host, or names the stream we hear; learns where RTCP comes from."""
        report = packets[0] if packets else None
        names_stream = isinstance(report, Report) and self._gate.ssrc is not None and report.ssrc == self._gate.ssrc
        remote = self._gate.remote
        if names_stream and remote and source[0] == remote[0] and not parameters.rtcp_mux:
            self._rtcp_latched = source
        hosts = (parameters.remote_address, remote[0] if remote else None)
        return self._secure is not None or names_stream or source[0] in hosts

    # -- time in ------------------------------------------------------------------------------------------------------

    def tick(self, now: float, microphone: Samples | None, *, over: Samples | None = None) -> Samples:
        """20 ms of sound each way (``None``: no microphone); what is returned has :attr:`sample_rate`, and must stay as
        it is.

        The far end hears ``over`` even while the microphone is muted.

        To be called on even 20 ms deadlines; a late caller calls again at once, up to half a second. Later than that
        the time is skipped.
        """
        if self._closed:
            return silence(self.sample_rate)
        leaves = self._secure is None or self._secure.ready
        packets, digit = self._outbound.tick(now, microphone, over, leaves=leaves)
        for packet in packets:
            self._send_rtp(packet)
        if digit:
            self._events.append(DtmfSent(digit))
        if digits := self._inbound.expire_digits(now):
            self._report_digits(digits)
        self._watch_silence(now)
        if now >= self._quality.due:
            self._quality.add(now, self._counters())
        return self._inbound.read(now)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called (RTCP), or ``None``. :meth:`tick` is not counted in."""
        return self._control.due

    def handle_timeout(self, now: float) -> None:
        """Send the RTCP report if it is due."""
        if compound := self._control.poll(now):
            self._send_rtcp(compound)

    def _watch_silence(self, now: float) -> None:
        since = self._listening_since
        if since is None or self._silent:
            return
        silent_s = now - max(since, self._last_received or since)
        announced = self._inbound.jitter.announced_silence
        if silent_s >= self._silent_after_s * (_SILENCE_PATIENCE if announced else 1):
            self._silent = True
            self._events.append(MediaSilent(silent_s))

    def _heard(self, now: float) -> None:
        if self._silent:
            self._silent = False
            since = now if self._listening_since is None else self._listening_since
            self._events.append(MediaResumed(now - max(since, self._last_received or since)))
        self._last_received = now

    def _report_digits(self, digits: list[ReceivedDigit]) -> None:
        for digit in digits:
            self._events.append(DtmfReceived(digit.digit, round(digit.duration * 1000 / CLOCK_RATE)))

    # -- bytes and events out -----------------------------------------------------------------------------------------

    def transmits(self) -> list[Transmit]:
        """Drain the datagrams to send, in order."""
        drained, self._transmits = self._transmits, []
        return drained

    def events(self) -> list[MediaEvent]:
        """Drain what happened."""
        if not self._events:
            return []
        drained = list(self._events)
        self._events.clear()
        return drained

    def _send_rtp(self, packet: RtpPacket) -> None:
        remote = self._gate.remote
        if remote is None or not is_somewhere(remote):
            return
        data = packet.serialise()
        if self._secure:
            if not self._secure.ready:
                return
            data = self._secure.protect_rtp(data)
        self._transmits.append(Transmit(data, remote, TransmitKind.RTP))

    def _send_rtcp(self, compound: bytes) -> None:
        parameters = self._parameters
        if parameters is None:
            return
        if parameters.rtcp_mux:
            destination, kind = self._gate.remote, TransmitKind.RTP
        else:
            expected = (parameters.remote_address, parameters.remote_rtcp_port)
            destination, kind = self._rtcp_latched or expected, TransmitKind.RTCP
        if destination is None or not is_somewhere(destination):
            return
        if self._secure:
            if not self._secure.rtcp_ready:
                return
            compound = self._secure.protect_rtcp(compound)
        self._transmits.append(Transmit(compound, destination, kind))

    # -- figures ------------------------------------------------------------------------------------------------------

    def _counters(self) -> Counters:
        inbound = self._inbound
        return Counters(
            expected=inbound.expected,
            lost=inbound.lost,
            late=inbound.jitter.statistics.late,
            played=inbound.playout.played,
            concealed=inbound.playout.concealed,
        )

    def statistics(
        self, now: float, *, forged: int = 0, replayed: int = 0, underruns: int = 0, overruns: int = 0
    ) -> MediaStatistics:
        """The figures as of ``now``; what keys turned away and devices had is told by who has them."""
        inbound, sender, control = self._inbound, self._outbound.sender, self._control
        counters, jitter = self._counters(), self._inbound.jitter.statistics
        buffer_ms = inbound.playout.delay_s(now) * 1000
        rtt_ms = None if control.rtt_s is None else control.rtt_s * 1000
        heard = inbound.packets > 0
        return MediaStatistics(
            codec=self._outbound.codec_name,
            packets_sent=sender.packet_count,
            octets_sent=sender.octet_count,
            packets_received=inbound.packets,
            octets_received=inbound.octets,
            lost=inbound.lost,
            loss=self._quality.loss(counters),
            jitter_ms=inbound.reception.jitter_ms if inbound.reception else 0.0,
            rtt_ms=rtt_ms,
            remote_loss=control.remote_loss,
            remote_jitter_ms=control.remote_jitter_ms,
            mos=self._quality.mos(counters, buffer_ms=buffer_ms, rtt_ms=rtt_ms) if heard else None,
            buffer_ms=buffer_ms,
            target_ms=inbound.jitter.target_s * 1000,
            late=jitter.late,
            duplicates=jitter.duplicates,
            discarded=jitter.discarded + inbound.discarded + self._discarded,
            strangers=self._gate.strangers,
            forged=forged,
            replayed=replayed,
            underruns=underruns,
            overruns=overruns,
            concealed_ms=counters.concealed * 1000 / CLOCK_RATE,
            concealed=self._quality.concealed(counters),
            level_in_dbfs=self._outbound.meter.rms_dbfs,
            level_out_dbfs=inbound.meter.rms_dbfs,
            last_received_s=None if self._last_received is None else now - self._last_received,
        )
