"""One call's media without sockets, threads or clocks: RTP, RTCP, jitter buffer, concealment, DTMF (RFC 3550, 3551, 4733, 4961).

    microphone ─ tick ─▶ meter ▶ mute ▶ encode ▶ RTP ─▶ (SRTP) ─▶ transmits
                          DTMF ──────────────────▲
    playout ◀─ tick ── meter ◀ conceal ◀ decode ◀ jitter buffer ◀ source gate ◀ (SRTP) ◀─ receive

The shell calls :meth:`receive` for each datagram and :meth:`tick` every 20 ms, then drains :meth:`transmits` and :meth:`events`;
it wakes for :meth:`next_timeout`. ``now`` is one monotonic clock in seconds for all of them.
"""

from __future__ import annotations

from audio.core.events import MediaEvent
from audio.core.ports import Address, NonRtpHandler, Samples, SecureTransport, Transmit
from audio.core.statistics import MediaStatistics
from sipcore.ids import IdSource
from sipcore.media import MediaParameters


class MediaCore:
    """The media of one call. Calls on one core never overlap: one thread owns it.

    ``wall_offset_s`` is Unix time minus ``now`` (for NTP timestamps in RTCP). ``cname`` is made up when not given (RFC 7022).
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
    ) -> None: ...

    @property
    def ssrc(self) -> int:
        """Our synchronisation source, for ``LocalMedia.ssrc``."""
        ...

    @property
    def cname(self) -> str:
        """Our RTCP canonical name, for ``LocalMedia.cname``."""
        ...

    @property
    def muted(self) -> bool:
        """Whether the microphone is replaced by faint noise."""
        ...

    @property
    def remote(self) -> Address | None:
        """Where RTP goes now; ``None`` before :meth:`configure`."""
        ...

    def configure(self, parameters: MediaParameters, now: float) -> None:
        """Apply a finished offer/answer round. Sequence numbers, timestamps and the jitter buffer go on; a lower ``negotiation`` than seen is ignored."""
        ...

    def set_secure(self, secure: SecureTransport | None) -> None:
        """Install or replace SRTP keys, from the next packet on."""
        ...

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTP socket: RTP, muxed RTCP (RFC 5761), or something for the handler (RFC 7983). Never raises for what is in it."""
        ...

    def receive_rtcp(self, data: bytes, source: Address, now: float) -> None:
        """A datagram from the RTCP socket. Never raises for what is in it."""
        ...

    def tick(self, now: float, microphone: Samples | None) -> Samples:
        """20 ms of sound each way: 160 samples in (``None``: no microphone), 160 out. The returned array is the caller's."""
        ...

    def transmits(self) -> list[Transmit]:
        """Drain the datagrams to send, in order."""
        ...

    def events(self) -> list[MediaEvent]:
        """Drain what happened."""
        ...

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called (RTCP), or ``None``. :meth:`tick` does not count on it."""
        ...

    def handle_timeout(self, now: float) -> None:
        """Do what is due: RTCP reports."""
        ...

    def send_dtmf(self, digits: str, now: float, *, duration_ms: int = 100, gap_ms: int = 70) -> bool:
        """Queue ``0-9 * # A-D ! ,`` (comma: 1 s pause). False and nothing queued when the far end took no telephone-event.

        Raises :class:`sipcore.errors.LocalProtocolError` for any other character.
        """
        ...

    def set_mute(self, muted: bool) -> None:
        """Send faint noise in place of the microphone; RTP keeps flowing."""
        ...

    def close(self, now: float) -> None:
        """Queue RTCP BYE and go quiet: later input is ignored, :meth:`transmits` still drains. Idempotent."""
        ...

    def statistics(self, now: float) -> MediaStatistics:
        """The figures as of ``now``."""
        ...
