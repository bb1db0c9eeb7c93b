"""One call in the media thread: its core, its keys, and whatever it alone speaks into and is heard by. Sans-I/O.

shared microphone ─┐                               ┌─▶ shared speaker
                   ├─ (active call) ▶ MediaCore ▶ ─┤
wav: file ─────────┘                ║     ║        └─▶ wav: file         both sides ─▶ Recorder
                       SecureMedia ═╝     ╚══ datagrams, by way of the MediaTransport where there is one
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from audio.core import (
    Address,
    MediaCore,
    MediaEvent,
    MediaStatistics,
    MediaTransport,
    Samples,
    Transmit,
    TransmitKind,
    silence,
)
from audio.rtp.demux import DatagramKind, classify_untrusted
from audio.stream.loudness import mix

if TYPE_CHECKING:
    from audio.ice.agent import IceAgent
    from audio.secure.certificate import DtlsCertificate
    from audio.secure.media import SecureMedia
    from sipcore.ids import IdSource
    from sipcore.media import IceCredentials, MediaParameters


class Microphone(Protocol):
    """Where 20 ms at a time come from."""

    def read(self, rate: int) -> Samples | None:
        """The next 20 ms at ``rate``, or ``None`` when there are none now. Never blocks."""
        ...

    def pause(self) -> None:
        """Nobody will read for a while; what was stored until then is stale."""
        ...


class Speaker(Protocol):
    """Where 20 ms at a time go."""

    def write(self, frame: Samples) -> None:
        """Take 20 ms, at a rate their number tells. Never blocks, never raises."""
        ...

    def pause(self) -> None:
        """Nothing will be written for a while."""
        ...

    def close(self) -> None:
        """No more will come. Never blocks."""
        ...


class Recorder(Protocol):
    """Where both sides of a call go, 20 ms at a time. Nothing here blocks or raises."""

    def beep(self, rate: int) -> Samples | None:
        """20 ms of what tells both sides of it now, at ``rate``, or ``None``."""
        ...

    def write(self, spoken: Samples, heard: Samples) -> None:
        """Take 20 ms of each."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class MediaSession:
    """The media of one call between :meth:`configure` and :meth:`close`.

    ``microphone`` and ``speaker`` are this call's own (a file each); without them the shared device serves the active
    call. ``ids`` let it take part in ICE; ``transport`` is used where ICE is not agreed on.
    """

    def __init__(
        self,
        call: str,
        core: MediaCore,
        *,
        microphone: Microphone | None = None,
        speaker: Speaker | None = None,
        transport: MediaTransport | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self.call = call
        self.core = core
        self.speaker = speaker
        self._recorder: Recorder | None = None
        self._microphone = microphone
        self._certificate: DtlsCertificate | None = None
        self._transport = self._given_transport = transport
        self._ids = ids
        self._agent: IceAgent | None = None
        self._paths: tuple[IceCredentials, IceCredentials] | None = None
        self._secure: SecureMedia | None = None
        self._negotiation = -1

    @property
    def listens(self) -> bool:
        """Whether the far end is to hear the shared microphone, should this be the active call."""
        return self._microphone is None and self.core.speaks

    @property
    def configured(self) -> bool:
        """Whether an offer was answered: from then on every tick counts."""
        return self._negotiation >= 0

    @property
    def settled(self) -> bool:
        """Whether nothing that may come has to be answered before the next tick: sound flows, and how it is protected
        and which way it goes is found out.
        """
        secure, agent = self._secure, self._agent
        return self.core.heard_at is not None and (secure is None or secure.ready) and (agent is None or agent.settled)

    def certify(self, certificate: DtlsCertificate) -> None:
        """Take part in DTLS, from the first datagram on; to be told before the offer leaves.

        RFC 5763 §5: "be prepared to receive a client_hello before it receives the answer".
        """
        self._certificate = certificate

    def configure(self, parameters: MediaParameters, now: float) -> bool:
        """Apply an offer/answer round; false, and nothing done, when a later one was applied before."""
        if parameters.negotiation < self._negotiation:
            return False
        self._negotiation = parameters.negotiation
        encrypted = parameters.dtls_role is not None or parameters.local_crypto is not None
        self._find_path(parameters, now)
        # Told before the core is, so that nothing leaves in the clear.
        self.core.set_secure(self._keys() if encrypted else None)
        self.core.configure(parameters, now)
        if encrypted:
            self._keys().configure(parameters, now)
        return True

    def _find_path(self, parameters: MediaParameters, now: float) -> None:
        """Check connectivity where both sides do (RFC 8445); other credentials than before mean a restart."""
        local, remote = parameters.local_ice, parameters.remote_ice
        if local is None or remote is None or self._ids is None:
            if self._agent is not None:
                self._agent = self._paths = None
                self._transport = self._given_transport
            return
        if self._paths == (local, remote.credentials):
            return
        from audio.ice.agent import IceAgent

        self._paths = (local, remote.credentials)
        self._transport = self._agent = IceAgent(
            self._ids,
            local=local,
            remote=remote,
            controlling=parameters.ice_controlling,
            components=1 if parameters.rtcp_mux else 2,
            now=now,
            before=self._agent,
        )

    def _keys(self) -> SecureMedia:
        """This call's encryption, with the libraries it takes: loaded for the first call that needs them."""
        if self._secure is None:
            from audio.secure.media import SecureMedia

            self._secure = SecureMedia(self._certificate)
        return self._secure

    # -- datagrams and time ---------------------------------------------------------------------------------------

    def receive_untrusted(self, data: bytes, source: Address, kind: TransmitKind, now: float) -> None:
        """A datagram of the RTP or the RTCP socket, to whom it is for (RFC 7983 §7). Never raises for what is in it."""
        what = classify_untrusted(data)
        if what is DatagramKind.RTP and kind is TransmitKind.RTP:
            self.core.receive_rtp(data, source, now)
        elif what is DatagramKind.DTLS and self._certificate is not None:
            self._keys().receive_dtls_untrusted(data, source, kind, now)
        elif what in (DatagramKind.STUN, DatagramKind.TURN_CHANNEL) and self._transport is not None:
            for inner, sender in self._transport.receive_untrusted(data, source, kind, now):
                if classify_untrusted(inner) not in (DatagramKind.STUN, DatagramKind.TURN_CHANNEL):
                    self.receive_untrusted(inner, sender, kind, now)
        elif kind is TransmitKind.RTP:
            self.core.receive(data, source, now)
        else:
            self.core.receive_rtcp(data, source, now)

    def transmits(self) -> list[Transmit]:
        """Drain the datagrams to send, in order."""
        said = self.core.transmits()
        if self._secure is not None and (handshake := self._secure.transmits()):
            said = handshake + said
        transport = self._transport
        if transport is None:
            return said
        leaving = [routed for transmit in said if (routed := transport.route(transmit)) is not None]
        leaving += transport.transmits()
        return leaving

    def events(self) -> list[MediaEvent]:
        """Drain what happened."""
        happened = self.core.events()
        if self._secure is not None and (agreed := self._secure.events()):
            return agreed + happened
        return happened

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called, or ``None``. :meth:`tick` is not counted in."""
        first = self.core.next_timeout()
        for part in (self._secure, self._transport):
            if part is not None and (due := part.next_timeout()) is not None and (first is None or due < first):
                first = due
        return first

    def handle_timeout(self, now: float) -> None:
        """Do what is due: RTCP reports, lost handshake flights."""
        for part in (self.core, self._secure, self._transport):
            if part is not None and (due := part.next_timeout()) is not None and due <= now:
                part.handle_timeout(now)

    def statistics(self, now: float, *, underruns: int = 0, overruns: int = 0) -> MediaStatistics:
        """The figures as of ``now``; what the devices had is told by who has them."""
        forged = replayed = 0
        if self._secure is not None:
            counters = self._secure.counters
            forged, replayed = counters.forged, counters.replayed
        return self.core.statistics(now, forged=forged, replayed=replayed, underruns=underruns, overruns=overruns)

    # -- sound ----------------------------------------------------------------------------------------------------

    def tick(self, now: float, microphone: Samples | None, *, active: bool, tone: Samples | None = None) -> Samples:
        """20 ms each way at the core's rate. Only the active call hears the microphone and is heard, with ``tone`` in
        the file that is its earpiece.

        A file as the microphone starts with the call's first tick as the active one.
        """
        if active and self._microphone is not None:
            microphone = self._microphone.read(self.core.sample_rate)
        beep = self._recorder.beep(self.core.sample_rate) if active and self._recorder is not None else None
        playout = self.core.tick(now, microphone if active else None, over=beep)
        if self._recorder is not None:
            self._recorder.write(self.core.spoken, playout)
        if beep is not None:
            playout = mix(playout, beep)
        if self.speaker is not None:
            heard = playout if active else silence(self.core.sample_rate)
            self.speaker.write(heard if tone is None else mix(heard, tone))
        return playout

    def speak_from(self, microphone: Microphone) -> None:
        """Take this call's own microphone from now on."""
        self._microphone = microphone

    def record(self, recorder: Recorder | None) -> None:
        """Record both sides from now on; ``None`` finishes the recording there is."""
        if self._recorder is not None:
            self._recorder.close()
        self._recorder = recorder

    def close(self, now: float) -> None:
        """RTCP BYE, and close_notify, are left to :meth:`transmits`; what is recorded is finished."""
        self.core.close(now)
        if self._secure is not None:
            self._secure.close()
        self.abandon()

    def abandon(self) -> None:
        """Say nothing; what is recorded is finished."""
        self.record(None)
        if self.speaker is not None:
            self.speaker.close()
            self.speaker = None
