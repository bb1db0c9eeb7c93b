"""The DTLS associations behind the keys of RTP, or of RTCP: the one that counts, and a successor on trial.

    agree ─▶ main ── handshake ──▶ keys            failure: no media
    renew, a new ClientHello ─▶ trial ─ handshake ─▶ becomes main, its keys are used       failure: nothing happened

RFC 8842 §4 keeps an association as long as roles and certificates stay. Asterisk without ICE does not: it starts a new
handshake, or waits for one, after every re-INVITE. So a successor is tried, under the certificates that were agreed on,
while the keys in use stay in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio.core.ports import Address, Transmit, TransmitKind, is_somewhere
from sipcore.media import DtlsSetup, Fingerprint

if TYPE_CHECKING:
    from audio.secure.certificate import DtlsCertificate
    from audio.secure.dtls import DtlsTransport
    from audio.secure.srtp import SrtpKeys

_EARLY_DATAGRAMS = 8
"""Of a handshake the peer began before its answer reached us (RFC 5763 §5); a flight is at most a few."""

_PATIENCE_S = 1.0
"""How long a handshake under way, or on trial, is left alone by another ClientHello."""

_RANDOM = slice(27, 59)
"""Where a ClientHello has its random: after the headers of record and message, and the version (RFC 6347 §4.2)."""


def client_random_untrusted(datagram: bytes) -> bytes | None:
    """What tells one ClientHello from another and from its own repetition; None for anything else."""
    is_hello = datagram[:1] == b"\x16" and datagram[3:5] == bytes(2) and datagram[13:14] == b"\x01"
    return datagram[_RANDOM] if is_hello and len(datagram) >= _RANDOM.stop else None


@dataclass(frozen=True, slots=True)
class _Terms:
    """What offer and answer said of the handshake."""

    certificate: DtlsCertificate
    role: DtlsSetup
    fingerprints: tuple[Fingerprint, ...]


@dataclass(slots=True)
class _Handshake:
    """A transport, and which ClientHello began it."""

    terms: _Terms
    transport: DtlsTransport
    since: float
    hello: bytes | None = None

    @classmethod
    def begin(cls, terms: _Terms, now: float) -> _Handshake:
        """A new one under way, in the agreed role. Loads what calls without DTLS can do without."""
        from audio.secure.dtls import DtlsTransport

        transport = DtlsTransport(terms.certificate, terms.role, terms.fingerprints)
        transport.start(now)
        return cls(terms, transport, now)

    @property
    def connected(self) -> bool:
        """Whether it led to keys."""
        return self.transport.keys is not None


class Association:
    """For one component; sans-I/O. :attr:`keys` change when a handshake succeeds."""

    def __init__(self, kind: TransmitKind) -> None:
        self._kind = kind
        self._expected: Address | None = None
        self._source: Address | None = None
        self._main: _Handshake | None = None
        self._trial: _Handshake | None = None
        self._early: list[tuple[bytes, Address]] = []

    @property
    def agreed(self) -> bool:
        """Whether there is an association at all."""
        return self._main is not None

    @property
    def keys(self) -> SrtpKeys | None:
        """Those of the last successful handshake of the agreed terms."""
        return self._main.transport.keys if self._main is not None else None

    @property
    def failure(self) -> str | None:
        """Why there are no keys and will be none: a sentence."""
        return self._main.transport.failure if self._main is not None else None

    # -- verbs ----------------------------------------------------------------------------------------------------

    def expect(self, address: Address) -> None:
        """Where the SDP says the peer is."""
        if self._expected != address:
            self._expected, self._source = address, None

    def agree(
        self, certificate: DtlsCertificate, role: DtlsSetup, fingerprints: tuple[Fingerprint, ...], now: float
    ) -> None:
        """Start the association of newly agreed terms; what came early is taken up."""
        self._main = _Handshake.begin(_Terms(certificate, role, fingerprints), now)
        self._trial = None
        early, self._early = self._early, []
        for datagram, source in early:
            self.receive_untrusted(datagram, source, now)

    def renew(self, now: float) -> None:
        """Another offer/answer round confirmed the terms: where it is for us to begin, try a successor."""
        if self._main is not None and self._main.connected and self._main.terms.role is DtlsSetup.ACTIVE:
            self._trial = _Handshake.begin(self._main.terms, now)

    def drop(self) -> None:
        """Forget everything but the addresses: keys come from elsewhere now."""
        self._main = self._trial = None

    def close(self) -> None:
        """Tell the peer (close_notify); :meth:`transmits` still drains. Idempotent."""
        for handshake in self._handshakes():
            handshake.transport.close()

    # -- datagrams and time ---------------------------------------------------------------------------------------

    def receive_untrusted(self, datagram: bytes, source: Address, now: float) -> None:
        """A datagram of the DTLS range. Never raises for what is in it."""
        main = self._main
        if main is None:
            if len(self._early) < _EARLY_DATAGRAMS:
                self._early.append((datagram, source))
            return
        if not self._accepts(source):
            return
        hello = client_random_untrusted(datagram)
        if hello is not None and main.transport.role is DtlsSetup.PASSIVE:
            self._receive_hello(main, hello, datagram, now)
        else:
            # A transport that is connected passes over what belongs to another handshake, unharmed.
            for handshake in self._handshakes():
                handshake.transport.receive_untrusted(datagram, now)
        self._settle()

    def _receive_hello(self, main: _Handshake, hello: bytes, datagram: bytes, now: float) -> None:
        known = next((handshake for handshake in self._handshakes() if handshake.hello in (None, hello)), None)
        if known is None:
            newest = self._trial or main
            if not newest.connected and now - newest.since < _PATIENCE_S:
                return
            known = _Handshake.begin(main.terms, now)
            if main.connected:
                self._trial = known
            else:
                self._main = known
        if known.hello is None:
            known.hello, known.since = hello, now
        known.transport.receive_untrusted(datagram, now)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or None."""
        deadlines = [handshake.transport.next_timeout() for handshake in self._handshakes()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Send lost flights again, or give up."""
        for handshake in self._handshakes():
            due = handshake.transport.next_timeout()
            if due is not None and due <= now:
                handshake.transport.handle_timeout(now)
        self._settle()

    def transmits(self) -> list[Transmit]:
        """Drain what is to be sent."""
        destination = self._source or self._expected
        if destination is None or not is_somewhere(destination):
            return []
        return [
            Transmit(data, destination, self._kind)
            for handshake in self._handshakes()
            for data in handshake.transport.transmits()
        ]

    # -- inside ---------------------------------------------------------------------------------------------------

    def _handshakes(self) -> list[_Handshake]:
        return [handshake for handshake in (self._main, self._trial) if handshake is not None]

    def _settle(self) -> None:
        """Take over from a trial that succeeded, forget one that did not."""
        if self._trial is None:
            return
        if self._trial.connected:
            # Nothing of the old one is worth sending: the peer has let go of it.
            self._main, self._trial = self._trial, None
        elif self._trial.transport.over:
            self._trial = None

    def _accepts(self, source: Address) -> bool:
        """Whether a datagram from there belongs to a handshake: from the SDP's address, or before any did."""
        if source != self._expected and self._source is not None and self._source != source:
            return False
        self._source = source
        return True
