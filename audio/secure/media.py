"""The protection of one call's media: agrees on keys by DTLS or takes them from SDES, and applies them.

    MediaParameters ─ configure ─▶ SDES keys ──────────────────────────┐
                                   DTLS association(s) ── handshake ───┴▶ SrtpContext ◀─ RTP, RTCP of the core
    datagrams of RFC 7983's DTLS range ─ receive_dtls ──▲

With rtcp-mux one association serves RTP and RTCP, else each has its own (RFC 5764 §3). Keys in use stay in use until
their successors are there, so a re-INVITE with a new certificate or new SDES keys is not heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audio.core.events import MediaEvent, MediaSecured, MediaSecurityFailed
from audio.core.ports import Address, Transmit, TransmitKind, is_somewhere
from audio.secure.dtls import DtlsState, DtlsTransport
from audio.secure.sdes import keys_of
from audio.secure.srtp import SrtpContext, SrtpCounters
from sipcore.errors import ParseError
from sipcore.media import DtlsSetup, Fingerprint, MediaParameters

if TYPE_CHECKING:
    from audio.secure.certificate import DtlsCertificate

_EARLY_DATAGRAMS = 8
"""Of a handshake the peer began before its answer reached us (RFC 5763 §5); a flight is at most a few."""

_Identity = tuple[DtlsSetup, tuple[Fingerprint, ...]]


@dataclass(slots=True)
class _Component:
    """RTP or RTCP: where its handshake goes, and the keys in use."""

    kind: TransmitKind
    expected: Address | None = None
    """From the SDP."""

    source: Address | None = None
    """Where its DTLS really comes from, once some came."""

    transport: DtlsTransport | None = None
    context: SrtpContext | None = None
    early: list[tuple[bytes, Address]] = field(default_factory=list)

    @property
    def destination(self) -> Address | None:
        """Where to send the handshake."""
        return self.source or self.expected

    def accept(self, source: Address) -> bool:
        """Whether a datagram from there belongs to the handshake: from the SDP's address, or before any did."""
        if source != self.expected and self.source is not None and self.source != source:
            return False
        self.source = source
        return True


class SecureMedia:
    """Satisfies :class:`audio.core.SecureTransport`. ``certificate`` is needed for DTLS only.

    Sans-I/O: :meth:`transmits` and :meth:`events` are to be drained after every call but the four of the packets.
    """

    def __init__(self, certificate: DtlsCertificate | None = None) -> None:
        self._certificate = certificate
        self._rtp = _Component(TransmitKind.RTP)
        self._rtcp = _Component(TransmitKind.RTCP)
        self._mux = True
        self._identity: _Identity | None = None
        self._failed = False
        self._announced = False
        self._transmits: list[Transmit] = []
        self._events: list[MediaEvent] = []

    # -- the keys -------------------------------------------------------------------------------------------------

    def configure(self, parameters: MediaParameters, now: float) -> None:
        """Apply an offer/answer round that agreed on encryption. A handshake starts only if roles or certificates
        changed (RFC 8842 §4), so a hold, a move or a refresh keeps the association."""
        self._mux = parameters.rtcp_mux
        self._expect(self._rtp, (parameters.remote_address, parameters.remote_rtp_port))
        self._expect(self._rtcp, (parameters.remote_address, parameters.remote_rtcp_port))
        if (keys := keys_of(parameters)) is not None:
            self._identity = None
            self._failed = False
            if self._rtp.context is None or self._rtp.context.keys != keys:
                self._rtp.context = SrtpContext(keys, before=self._rtp.context)
                self._announced = False
            # One master key serves both; libsrtp keeps the indices of RTP and RTCP apart.
            self._rtcp.context = None
            self._rtp.transport = self._rtcp.transport = None
            self._announce()
        elif parameters.dtls_role is not None:
            self._configure_dtls(parameters.dtls_role, parameters.remote_fingerprints, now)

    def _expect(self, component: _Component, address: Address) -> None:
        if component.expected != address:
            component.expected, component.source = address, None

    def _configure_dtls(self, role: DtlsSetup, fingerprints: tuple[Fingerprint, ...], now: float) -> None:
        identity = (role, tuple(sorted(fingerprints, key=lambda f: (f.algorithm, f.value))))
        renewed = identity != self._identity or self._failed
        self._identity, self._failed = identity, False
        for component in self._components():
            if renewed or component.transport is None:
                self._begin(component, role, fingerprints, now)

    def _begin(self, component: _Component, role: DtlsSetup, fingerprints: tuple[Fingerprint, ...], now: float) -> None:
        if self._certificate is None:
            self._fail("The far end wants DTLS, and this phone has no certificate for it.")
            return
        self._announced = False
        component.transport = DtlsTransport(self._certificate, role, fingerprints)
        component.transport.start(now)
        early, component.early = component.early, []
        for datagram, source in early:
            if component.accept(source):
                component.transport.receive_untrusted(datagram, now)
        self._settle(component)

    def _components(self) -> tuple[_Component, ...]:
        return (self._rtp,) if self._mux else (self._rtp, self._rtcp)

    # -- datagrams and time -----------------------------------------------------------------------------------------

    def receive_dtls_untrusted(self, datagram: bytes, source: Address, kind: TransmitKind, now: float) -> None:
        """A datagram of the DTLS range that came to the RTP or the RTCP socket. Never raises for what is in it."""
        component = self._rtp if kind is TransmitKind.RTP else self._rtcp
        if component.transport is None:
            if self._identity is None and len(component.early) < _EARLY_DATAGRAMS:
                component.early.append((datagram, source))
        elif component.accept(source):
            component.transport.receive_untrusted(datagram, now)
            self._settle(component)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or None."""
        deadlines = [c.transport.next_timeout() for c in (self._rtp, self._rtcp) if c.transport is not None]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Send lost flights again, or give up."""
        for component in (self._rtp, self._rtcp):
            transport = component.transport
            due = transport.next_timeout() if transport is not None else None
            if transport is not None and due is not None and due <= now:
                transport.handle_timeout(now)
                self._settle(component)

    def close(self) -> None:
        """End the associations (close_notify); :meth:`transmits` still drains. Idempotent.

        Keys stay: what the core still has to say (RTCP BYE) goes out under them.
        """
        for component in (self._rtp, self._rtcp):
            if component.transport is not None:
                component.transport.close()
                self._settle(component)

    def transmits(self) -> list[Transmit]:
        """Drain the handshake's datagrams."""
        drained, self._transmits = self._transmits, []
        return drained

    def events(self) -> list[MediaEvent]:
        """Drain what happened: keys agreed, or failed."""
        drained, self._events = self._events, []
        return drained

    def _settle(self, component: _Component) -> None:
        """Take over what a mutation of a transport left behind."""
        transport = component.transport
        if transport is None:
            return
        if (destination := component.destination) is not None and is_somewhere(destination):
            self._transmits += [Transmit(data, destination, component.kind) for data in transport.transmits()]
        if transport.state is DtlsState.FAILED:
            if component is self._rtp:
                self._fail(transport.failure or "The media encryption failed.")
            else:
                component.context = None  # the call lives without RTCP
        elif transport.keys is not None and (component.context is None or component.context.keys != transport.keys):
            component.context = SrtpContext(transport.keys, before=component.context)
            self._announce()

    def _announce(self) -> None:
        context = self._rtp.context
        if self.ready and context is not None and not self._announced:
            self._announced = True
            keying = "sdes" if self._identity is None else "dtls"
            self._events.append(MediaSecured(keying, context.keys.profile.sdes))

    def _fail(self, sentence: str) -> None:
        """RFC 5763 §5: no media without the right certificate, not even under the keys of before."""
        self._rtp.context = self._rtcp.context = None
        if not self._failed:
            self._failed = True
            self._events.append(MediaSecurityFailed(sentence))

    # -- packets ----------------------------------------------------------------------------------------------------

    @property
    def counters(self) -> SrtpCounters:
        """Packets turned away, of RTP and RTCP together."""
        contexts = [c.context for c in (self._rtp, self._rtcp) if c.context is not None]
        return SrtpCounters(
            forged=sum(context.counters.forged for context in contexts),
            replayed=sum(context.counters.replayed for context in contexts),
            malformed=sum(context.counters.malformed for context in contexts),
        )

    @property
    def ready(self) -> bool:
        """Whether media can flow: keys of both directions, for RTP at least."""
        return self._rtp.context is not None

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
        if self._rtp.context is None:
            raise ParseError("no keys yet")
        return self._rtp.context

    def _for_rtcp(self) -> SrtpContext:
        if (context := self._rtcp_context()) is None:
            raise ParseError("no keys yet")
        return context

    def _rtcp_context(self) -> SrtpContext | None:
        own = self._identity is not None and not self._mux
        return self._rtcp.context if own else self._rtp.context


def preload() -> None:
    """Load what the first encrypted packet would load: some tens of milliseconds no 20 ms deadline can wait for."""
    import pylibsrtp  # noqa: F401
