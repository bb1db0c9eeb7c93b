"""Two phones' media in a call, joined in memory: offer and answer, sound and keys are the real ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from audio.core import Address, MediaCore, MediaEvent, Samples, Transmit, TransmitKind
from audio.secure.certificate import DtlsCertificate
from audio.secure.sdes import generate_keys
from audio.session import MediaSession
from sipcore.ids import IdSource
from sipcore.media import Direction, IceCredentials, LocalMedia, MediaParameters, Profile
from sipcore.sdp.offer_answer import OfferAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

ALICE_CERTIFICATE, BOB_CERTIFICATE = DtlsCertificate.generate(), DtlsCertificate.generate()
TICK_S = 0.02
LOUD_RMS = 4000
"""Only the tone reaches it: it has 5657."""


def tone(place: int) -> Samples:
    """20 ms of 440 Hz."""
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(place, place + 160) / 8000)).astype(np.int16)


@dataclass(slots=True)
class Phone:
    """One end."""

    local: LocalMedia
    negotiation: OfferAnswer
    session: MediaSession
    events: list[MediaEvent] = field(default_factory=list)
    heard: list[Samples] = field(default_factory=list)
    sent: list[Transmit] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        host: str,
        seed: int,
        profile: Profile,
        certificate: DtlsCertificate | None,
        *,
        mux: bool = True,
        ice: bool = False,
    ) -> Phone:
        ids = IdSource(random.Random(seed))
        core = MediaCore(ids, wall_offset_s=1.7e9)
        local = LocalMedia(
            address=host,
            rtp_port=4000,
            rtcp_port=4001,
            profile=profile,
            rtcp_mux=mux,
            ssrc=core.ssrc,
            cname=core.cname,
            fingerprint=certificate.fingerprint if certificate else None,
            crypto=generate_keys(ids),
            ice=IceCredentials(ids.token(40), ids.token(128)) if ice else None,
        )
        session = MediaSession(host, core, ids=ids)
        if certificate is not None:
            session.certify(certificate)
        return cls(local, OfferAnswer(ids, allow_sdes=True), session)

    @property
    def loudness(self) -> float:
        """RMS of the last 200 ms heard."""
        return float(np.sqrt(np.mean(np.concatenate(self.heard[-10:]).astype(np.float64) ** 2)))


class Call:
    """Alice calls Bob. ``tamper`` sees every datagram on its way and says what arrives."""

    def __init__(self, profile: Profile = Profile.UDP_TLS_RTP_SAVPF, *, mux: bool = True, ice: bool = False) -> None:
        self.alice = Phone.make("192.0.2.1", 1, profile, ALICE_CERTIFICATE, mux=mux, ice=ice)
        self.bob = Phone.make("192.0.2.2", 2, profile, BOB_CERTIFICATE, mux=mux, ice=ice)
        self.tamper: Callable[[Phone, Transmit], list[bytes]] = lambda _, transmit: [transmit.data]
        self.now = 100.0
        self.place = 0

    def negotiate(
        self,
        caller: Phone | None = None,
        direction: Direction = Direction.SENDRECV,
        change: Callable[[MediaParameters], MediaParameters] = lambda parameters: parameters,
    ) -> tuple[MediaParameters, MediaParameters]:
        """One round; the answerer's media starts before the offerer has the answer. ``change`` forges the caller's."""
        caller = caller or self.alice
        callee = self.bob if caller is self.alice else self.alice
        callee.negotiation.receive_offer(caller.negotiation.create_offer(caller.local, direction))
        answer, callees = callee.negotiation.create_answer(callee.local)
        callee.session.configure(callees, self.now)
        self.carry()
        callers = change(caller.negotiation.receive_answer(answer))
        caller.session.configure(callers, self.now)
        self.carry()
        return callers, callees

    def carry(self) -> None:
        """Deliver until all is quiet."""
        for _ in range(100):
            moved = False
            for sender, receiver in ((self.alice, self.bob), (self.bob, self.alice)):
                for transmit in sender.session.transmits():
                    moved = True
                    sender.sent.append(transmit)
                    source: Address = (sender.local.address, 4000 if transmit.kind is TransmitKind.RTP else 4001)
                    kind = TransmitKind.RTP if transmit.destination[1] == 4000 else TransmitKind.RTCP
                    for data in self.tamper(sender, transmit):
                        receiver.session.receive_untrusted(data, source, kind, self.now)
                sender.events += sender.session.events()
            if not moved:
                return
        raise AssertionError("the two never stop talking")

    def talk(self, seconds: float) -> None:
        """Let time pass, a tone spoken on both sides."""
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            self.place += 160
            for phone in (self.alice, self.bob):
                phone.heard.append(phone.session.tick(self.now, tone(self.place), active=True))
                due = phone.session.next_timeout()
                if due is not None and due <= self.now:
                    phone.session.handle_timeout(self.now)
            self.carry()


def with_fingerprint(certificate: DtlsCertificate) -> Callable[[MediaParameters], MediaParameters]:
    """The peer's announced certificate replaced."""
    return lambda parameters: replace(parameters, remote_fingerprints=(certificate.fingerprint,))
