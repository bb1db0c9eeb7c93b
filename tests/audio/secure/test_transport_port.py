"""The seam for ICE and TURN: whatever satisfies MediaTransport is given its datagrams and routes ours."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from audio.core import Address, MediaCore, MediaTransport, Transmit, TransmitKind
from audio.session import MediaSession
from sipcore.ids import IdSource
from sipcore.media import PCMU, Direction, MediaParameters

RELAY: Address = ("203.0.113.3", 3478)
PEER: Address = ("192.0.2.2", 4000)
PARAMETERS = MediaParameters(
    negotiation=1,
    remote_address=PEER[0],
    remote_rtp_port=PEER[1],
    remote_rtcp_port=4001,
    direction=Direction.SENDRECV,
    send_codec=PCMU,
    receive_codecs=(PCMU,),
)


@dataclass
class Relay:
    """Wraps everything in a four-octet header once a STUN datagram has opened it."""

    open: bool = False
    due: float | None = None
    seen: list[tuple[bytes, Address]] = field(default_factory=list)
    own: list[Transmit] = field(default_factory=list)

    def receive_untrusted(
        self, data: bytes, source: Address, kind: TransmitKind, now: float
    ) -> list[tuple[bytes, Address]]:
        self.seen.append((data, source))
        if data[0] < 4:
            self.open, self.due = True, now + 1.0
            self.own.append(Transmit(b"\0\1hello", RELAY, TransmitKind.RTP))
            return []
        return [(data[4:], PEER)]

    def route(self, transmit: Transmit) -> Transmit | None:
        return transmit._replace(data=b"\x40\x00\x00\x00" + transmit.data, destination=RELAY) if self.open else None

    def transmits(self) -> list[Transmit]:
        drained, self.own = self.own, []
        return drained

    def next_timeout(self) -> float | None:
        return self.due

    def handle_timeout(self, now: float) -> None:
        self.due = None


def test_relayed_call() -> None:
    """Nothing leaves without a way; then all goes by it, and what it unwraps is heard."""
    relay = Relay()
    port: MediaTransport = relay
    session = MediaSession("x", MediaCore(IdSource(random.Random(1)), wall_offset_s=0.0), transport=port)
    session.configure(PARAMETERS, 10.0)
    session.tick(10.0, None, active=True)
    assert session.transmits() == []
    session.receive_untrusted(b"\0\1" + bytes(18), RELAY, TransmitKind.RTP, 10.01)
    assert session.transmits() == [Transmit(b"\0\1hello", RELAY, TransmitKind.RTP)]
    assert session.next_timeout() is not None
    session.tick(10.02, None, active=True)
    (sent,) = session.transmits()
    assert sent.destination == RELAY
    assert sent.data[4] == 0x80
    for sequence in range(4):
        inner = b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(8) + b"\xd5" * 160
        session.receive_untrusted(b"\x40\x00\x00\xac" + inner, RELAY, TransmitKind.RTP, 10.03)
    assert session.statistics(10.03).packets_received == 4
    session.handle_timeout(11.5)
    assert relay.due is None


def test_a_relay_in_a_relay_is_not_followed() -> None:
    """A datagram that unwraps to another of the same kind ends there."""
    relay = Relay(open=True)
    session = MediaSession("x", MediaCore(IdSource(random.Random(1)), wall_offset_s=0.0), transport=relay)
    session.receive_untrusted(b"\x40\x00\x00\x08\x40\x00\x00\x04\x40\x00\x00\x00", RELAY, TransmitKind.RTP, 0.0)
    assert len(relay.seen) == 1
