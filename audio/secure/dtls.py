"""One DTLS association that agrees on SRTP keys (RFC 5764), over OpenSSL with memory in place of a socket.

    NEW ──start (active)──────────┐                 ┌─ right certificate ─▶ CONNECTED ──close_notify──▶ CLOSED
     └──a datagram came (passive)─┴─▶ HANDSHAKING ──┤
                                                    └─ anything else, 20 s ─▶ FAILED

Datagrams in and out, deadlines and the outcome as in every sans-I/O object here; but retransmission is OpenSSL's own,
by the real clock: its first is due after a second.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from cryptography import x509
from OpenSSL import SSL

from audio.secure.certificate import DtlsCertificate, matches
from audio.secure.srtp import PROFILES, SrtpKeys, SrtpProfile
from sipcore.errors import Phrase
from sipcore.media import DtlsSetup, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HANDSHAKE_DEADLINE_S = 20.0
"""How long a far end that has agreed to DTLS may take for it, lost datagrams included."""

FIRST_FLIGHT_REPEATS_S = (0.05, 0.15, 0.35)
"""When the ClientHello is sent again before anything came back.

It often overtakes the answer that lets the far end expect it, and OpenSSL would wait a whole second.
"""

_MTU = 1200
"""Octets of a datagram of ours: passes everywhere, tunnels included."""

_DTLS_1_2 = 0xFEFD
_RECORD_HEADER = 13
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
_EXPORTER = b"EXTRACTOR-dtls_srtp"
_SHORTEST_WAIT_S = 0.005


class DtlsState(enum.Enum):
    """How far the association has come."""

    NEW = "new"
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


class DtlsTransport:
    """One association in the role offer and answer gave us, ``ACTIVE`` or ``PASSIVE`` (RFC 5763 §5).

    :attr:`keys` are there once the peer has shown the certificate of one of ``remote_fingerprints``; otherwise
    :attr:`failure` is a sentence for the user. Nothing a datagram holds raises.
    """

    def __init__(
        self, certificate: DtlsCertificate, role: DtlsSetup, remote_fingerprints: Sequence[Fingerprint]
    ) -> None:
        self.role = role
        self.state = DtlsState.NEW
        self.keys: SrtpKeys | None = None
        self.failure: str | None = None
        self._remote_fingerprints = tuple(remote_fingerprints)
        self._connection = _connection(certificate, active=role is DtlsSetup.ACTIVE)
        self._transmits: list[bytes] = []
        self._heard = False
        self._give_up: float | None = None
        self._retransmit: float | None = None
        self._first_flight: list[bytes] = []
        self._repeats: list[float] = []

    # -- verbs ----------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin: send the ClientHello, or wait for it. Once."""
        self._give_up = now + HANDSHAKE_DEADLINE_S
        if self.role is DtlsSetup.ACTIVE:
            self.state = DtlsState.HANDSHAKING
            self._advance(now)
            self._first_flight = list(self._transmits)
            self._repeats = [now + delay for delay in FIRST_FLIGHT_REPEATS_S]

    def receive_untrusted(self, datagram: bytes, now: float) -> None:
        """A datagram of the peer, or of anybody who guessed our port."""
        if self.over:
            return
        if self.state is DtlsState.NEW:
            self.state = DtlsState.HANDSHAKING
        self._heard = True
        self._repeats.clear()
        try:
            self._connection.bio_write(datagram)
        except SSL.Error:
            return
        self._advance(now)

    @property
    def begun(self) -> bool:
        """Whether the peer has taken part at all."""
        return self._heard

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (DtlsState.FAILED, DtlsState.CLOSED)

    def handle_timeout(self, now: float) -> None:
        """Send again what was lost, or give up."""
        if self._give_up is not None and now >= self._give_up:
            if self._heard:
                self._fail(
                    Phrase("The encrypted media connection could not be set up in time; the network loses too much.")
                )
            else:
                self._fail(
                    Phrase("The far end never began to encrypt the media; a firewall may hold back its packets.")
                )
            return
        if self._repeats and now >= self._repeats[0]:
            self._repeats.pop(0)
            self._transmits += self._first_flight
        if self._retransmit is not None and now >= self._retransmit:
            try:
                self._connection.DTLSv1_handle_timeout()
            except SSL.Error:
                self._fail(Phrase("The far end stopped answering while the media encryption was set up."))
                return
            self._collect(now)

    def close(self) -> None:
        """Tell the peer (close_notify); it may be lost, and nothing more is sent. Idempotent."""
        if self.state is DtlsState.CONNECTED:
            try:
                self._connection.shutdown()
            except SSL.Error:
                pass  # the peer has closed before us
            self._transmits += _datagrams(_drain(self._connection))
        if self.state is not DtlsState.FAILED:
            self.state = DtlsState.CLOSED
        self._forget_deadlines()

    def transmits(self) -> list[bytes]:
        """Drain the datagrams to send."""
        drained, self._transmits = self._transmits, []
        return drained

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or None."""
        deadlines = [self._give_up, self._retransmit, self._repeats[0] if self._repeats else None]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # -- the handshake --------------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        if self.state is DtlsState.HANDSHAKING:
            try:
                self._connection.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                # The alert that says why is still to be sent.
                self._transmits += _datagrams(_drain(self._connection))
                self._fail(
                    Phrase("The media encryption could not be agreed with the far end ({why}).", why=_reason(error))
                )
                return
            else:
                self._conclude()
        if self.state is DtlsState.CONNECTED:
            # A last flight of ours that was lost is sent again from in here, when the peer repeats its own.
            self._read()
        self._collect(now)

    def _conclude(self) -> None:
        """RFC 5763 §5: "The certificate ... MUST match the fingerprint"; until it does there are no keys."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if not isinstance(certificate, x509.Certificate) or not matches(certificate, self._remote_fingerprints):
            self._refuse(
                Phrase("The far end's encryption certificate is not the one it announced; somebody may be listening.")
            )
            return
        name = self._connection.get_selected_srtp_profile()
        profile = next((profile for profile in PROFILES if profile.dtls == name), None)
        if profile is None:
            self._refuse(Phrase("The far end agreed on no way to encrypt the media."))
            return
        self.keys = self._export(profile)
        self.state = DtlsState.CONNECTED
        self._give_up = None

    def _export(self, profile: SrtpProfile) -> SrtpKeys:
        """RFC 5764 §4.2: client's key, server's key, client's salt, server's salt."""
        key, salt = profile.key_octets, profile.salt_octets
        material = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        if self.role is DtlsSetup.ACTIVE:
            return SrtpKeys(profile, client, server)
        return SrtpKeys(profile, server, client)

    def _read(self) -> None:
        """Let OpenSSL see what came after the handshake; there is no application data in DTLS-SRTP."""
        try:
            while True:
                self._connection.recv(_MTU)
        except SSL.WantReadError:
            pass
        except SSL.Error:
            # close_notify or a fatal alert, both authenticated: the peer is done with this association. The keys stay
            # in use: signalling ends the call, or replaces the association.
            self.state = DtlsState.CLOSED

    def _collect(self, now: float) -> None:
        self._transmits += _datagrams(_drain(self._connection))
        self._retransmit = None
        if self.state is DtlsState.HANDSHAKING:
            left_s = self._connection.DTLSv1_get_timeout()
            if left_s is not None:
                self._retransmit = now + max(left_s, _SHORTEST_WAIT_S)

    def _refuse(self, sentence: str) -> None:
        """Break off a handshake that OpenSSL found good: the peer gets close_notify in place of our last flight."""
        _drain(self._connection)
        try:
            self._connection.shutdown()
        except SSL.Error:
            pass  # then it hears nothing, which is as good
        self._fail(sentence)

    def _fail(self, sentence: str) -> None:
        self.state = DtlsState.FAILED
        self.failure = sentence
        self.keys = None
        self._forget_deadlines()

    def _forget_deadlines(self) -> None:
        self._give_up = self._retransmit = None
        self._repeats.clear()


def _connection(certificate: DtlsCertificate, *, active: bool) -> SSL.Connection:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_cipher_list(_CIPHERS)
    context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # Certificates are self-signed (RFC 5763 §3): one is demanded, and judged by its fingerprint after the handshake.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(certificate.certificate)
    context.use_privatekey(certificate.key)
    context.set_tlsext_use_srtp(b":".join(profile.dtls for profile in PROFILES))
    connection = SSL.Connection(context)
    connection.set_ciphertext_mtu(_MTU)
    if active:
        connection.set_connect_state()
    else:
        connection.set_accept_state()
    return connection


def _drain(connection: SSL.Connection) -> bytes:
    parts: list[bytes] = []
    try:
        while True:
            parts.append(connection.bio_read(65_536))
    except SSL.WantReadError:
        return b"".join(parts)


def _datagrams(stream: bytes) -> Iterable[bytes]:
    """OpenSSL's output cut at record borders: the memory it writes to does not know where a datagram ends."""
    datagram = b""
    while stream:
        length = _RECORD_HEADER + int.from_bytes(stream[11:13], "big")
        record, stream = stream[:length], stream[length:]
        if datagram and len(datagram) + len(record) > _MTU:
            yield datagram
            datagram = b""
        datagram += record
    if datagram:
        yield datagram


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words for what went wrong, such as ``no shared cipher``."""
    entries = error.args[0] if error.args else None
    if isinstance(entries, list) and entries:
        return str(entries[0][-1])
    return Phrase("the connection broke")
