"""The protection of one call's media: agrees on keys by DTLS or takes them from SDES, and applies them.

    MediaParameters ─ configure ─▶ SDES keys ──────────────────────────┐
                                   Association(s) ─── DTLS handshake ──┴▶ SrtpContext ◀─ RTP, RTCP of the core
    datagrams of RFC 7983's DTLS range ─▲

With rtcp-mux one association serves RTP and RTCP, else each has its own (RFC 5764 §3). Keys in use stay in use until
their successors are there, so a re-INVITE with a new certificate or new SDES keys is not heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.core.events import MediaEvent, MediaSecured, MediaSecurityFailed
from audio.core.ports import Address, Transmit, TransmitKind
from audio.secure.association import Association
from audio.secure.sdes import keys_of
from audio.secure.srtp import SrtpContext, SrtpCounters, SrtpKeys
from sipcore.errors import ParseError, Phrase
from sipcore.media import DtlsSetup, Fingerprint, MediaParameters

if TYPE_CHECKING:
    from audio.secure.certificate import DtlsCertificate

_Identity = tuple[DtlsSetup, tuple[Fingerprint, ...]]


class SecureMedia:
    """Satisfies :class:`audio.core.SecureTransport`. ``certificate`` is needed for DTLS only.

    Sans-I/O: :meth:`transmits` and :meth:`events` are to be drained after every call but the four of the packets.
    """

    def __init__(self, certificate: DtlsCertificate | None = None) -> None:
        self._certificate = certificate
        self._rtp = Association(TransmitKind.RTP)
        self._rtcp = Association(TransmitKind.RTCP)
        self._rtp_context: SrtpContext | None = None
        self._own_rtcp_context: SrtpContext | None = None
        self._mux = True
        self._identity: _Identity | None = None
        self._failed = False
        self._events: list[MediaEvent] = []
        self._transmits: list[Transmit] = []
        self._due: float | None = None

    # -- the keys -------------------------------------------------------------------------------------------------

    def configure(self, parameters: MediaParameters, now: float) -> None:
        """Apply an offer/answer round that agreed on encryption. Unchanged terms keep the keys (RFC 8842 §4)."""
        self._mux = parameters.rtcp_mux
        self._rtp.expect((parameters.remote_address, parameters.remote_rtp_port))
        self._rtcp.expect((parameters.remote_address, parameters.remote_rtcp_port))
        if (keys := keys_of(parameters)) is not None:
            self._identity, self._failed = None, False
            self._rtp.drop()
            self._rtcp.drop()
            self._own_rtcp_context = None
            self._use(keys)
            self._collect()
        elif parameters.dtls_role is not None:
            self._configure_dtls(parameters.dtls_role, parameters.remote_fingerprints, now)

    def _configure_dtls(self, role: DtlsSetup, fingerprints: tuple[Fingerprint, ...], now: float) -> None:
        if self._certificate is None:
            self._fail(Phrase("The far end wants DTLS, and this phone has no certificate for it."))
            return
        identity = (role, tuple(sorted(fingerprints, key=lambda f: (f.algorithm, f.value))))
        changed = identity != self._identity or self._failed
        self._identity, self._failed = identity, False
        for association in (self._rtp,) if self._mux else (self._rtp, self._rtcp):
            if changed or not association.agreed:
                association.agree(self._certificate, role, fingerprints, now)
            else:
                association.renew(now)
        self._settle()

    # -- datagrams and time -----------------------------------------------------------------------------------------

    def receive_dtls_untrusted(self, datagram: bytes, source: Address, kind: TransmitKind, now: float) -> None:
        """A datagram of the DTLS range that came to the RTP or the RTCP socket. Never raises for what is in it."""
        association = self._rtp if kind is TransmitKind.RTP else self._rtcp
        association.receive_untrusted(datagram, source, now)
        self._settle()

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or None."""
        return self._due

    def handle_timeout(self, now: float) -> None:
        """Send lost flights again, or give up."""
        self._rtp.handle_timeout(now)
        self._rtcp.handle_timeout(now)
        self._settle()

    def close(self) -> None:
        """End the associations (close_notify); :meth:`transmits` still drains. Idempotent.

        Keys stay: what the core still has to say (RTCP BYE) goes out under them.
        """
        self._rtp.close()
        self._rtcp.close()
        self._collect()

    def transmits(self) -> list[Transmit]:
        """Drain the handshake's datagrams."""
        drained, self._transmits = self._transmits, []
        return drained

    def events(self) -> list[MediaEvent]:
        """Drain what happened: keys agreed, or failed."""
        drained, self._events = self._events, []
        return drained

    def _settle(self) -> None:
        """Take over what a mutation of the associations left behind."""
        if self._rtp.failure is not None:
            self._fail(self._rtp.failure)
        elif self._rtp.keys is not None:
            self._use(self._rtp.keys)
        keys = self._rtcp.keys
        if keys is None:
            self._own_rtcp_context = None  # a call can live without RTCP
        elif self._own_rtcp_context is None or self._own_rtcp_context.keys != keys:
            self._own_rtcp_context = SrtpContext(keys, before=self._own_rtcp_context)
        self._collect()

    def _collect(self) -> None:
        """Take what the associations have to say and when they want to be called: every packet of the call asks."""
        self._transmits += self._rtp.transmits()
        self._transmits += self._rtcp.transmits()
        deadlines = (self._rtp.next_timeout(), self._rtcp.next_timeout())
        self._due = min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _use(self, keys: SrtpKeys) -> None:
        """Protect RTP with ``keys``, and RTCP too where it has none of its own; libsrtp keeps their indices apart."""
        if self._rtp_context is None or self._rtp_context.keys != keys:
            self._rtp_context = SrtpContext(keys, before=self._rtp_context)
            self._events.append(MediaSecured("sdes" if self._identity is None else "dtls", keys.profile.sdes))

    def _fail(self, sentence: str) -> None:
        """RFC 5763 §5: no media without the right certificate, not even under the keys of before."""
        self._rtp_context = self._own_rtcp_context = None
        if not self._failed:
            self._failed = True
            self._events.append(MediaSecurityFailed(sentence))

    # -- packets ----------------------------------------------------------------------------------------------------

    @property
    def counters(self) -> SrtpCounters:
        """Packets turned away, of RTP and RTCP together."""
        contexts = [context for context in (self._rtp_context, self._own_rtcp_context) if context is not None]
        return SrtpCounters(
            forged=sum(context.counters.forged for context in contexts),
            replayed=sum(context.counters.replayed for context in contexts),
            malformed=sum(context.counters.malformed for context in contexts),
        )

    @property
    def ready(self) -> bool:
        """Whether media can flow: keys of both directions, for RTP at least."""
        return self._rtp_context is not None

    @property
    def rtcp_ready(self) -> bool:
        """The same for RTCP, which has keys of its own where it is not multiplexed."""
        return self._rtcp_context() is not None

    def protect_rtp(self, packet: bytes) -> bytes:
        """The SRTP packet for an RTP packet of ours; only while :attr:`ready`."""
        return self._for_rtp().protect_rtp(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet for a compound RTCP packet of ours; only while :attr:`rtcp_ready`."""
        return self._for_rtcp().protect_rtcp(packet)

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """The RTP packet inside, or :class:`ParseError`."""
        return self._for_rtp().unprotect_rtp(packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The compound RTCP packet inside, or :class:`ParseError`."""
        return self._for_rtcp().unprotect_rtcp(packet)

    def _for_rtp(self) -> SrtpContext:
        if self._rtp_context is None:
            raise ParseError("no keys yet")
        return self._rtp_context

    def _for_rtcp(self) -> SrtpContext:
        if (context := self._rtcp_context()) is None:
            raise ParseError("no keys yet")
        return context

    def _rtcp_context(self) -> SrtpContext | None:
        own = self._identity is not None and not self._mux
        return self._own_rtcp_context if own else self._rtp_context


def preload() -> None:
    """Load what the first encrypted packet would load: some tens of milliseconds no 20 ms deadline can wait for."""
    import pylibsrtp  # noqa: F401
