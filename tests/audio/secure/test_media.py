"""Whole calls with encrypted media: negotiated, keyed, spoken and heard, on virtual time."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from audio.core import MediaSecured, MediaSecurityFailed, Transmit, TransmitKind
from audio.rtp.demux import DatagramKind, classify_untrusted
from audio.secure.certificate import DtlsCertificate
from audio.secure.dtls import HANDSHAKE_DEADLINE_S
from audio.secure.media import SecureMedia
from audio.secure.sdes import generate_keys
from sipcore.errors import ParseError
from sipcore.ids import IdSource
from sipcore.media import Direction, DtlsSetup, Fingerprint, IceCredentials, MediaParameters, Profile
from tests.audio.secure.calling import ALICE_CERTIFICATE, LOUD_RMS, Call, Phone, with_fingerprint

if TYPE_CHECKING:
    from audio.core.ports import Address

ENCRYPTED = (Profile.UDP_TLS_RTP_SAVPF, Profile.RTP_SAVP)


def secured(phone: Phone) -> list[MediaSecured]:
    return [event for event in phone.events if isinstance(event, MediaSecured)]


def failures(phone: Phone) -> list[str]:
    return [event.sentence for event in phone.events if isinstance(event, MediaSecurityFailed)]


def handshakes(phone: Phone) -> int:
    return sum(classify_untrusted(transmit.data) is DatagramKind.DTLS for transmit in phone.sent)


@pytest.mark.parametrize("profile", ENCRYPTED)
@pytest.mark.parametrize("mux", [True, False])
def test_call(profile: Profile, mux: bool) -> None:
    """Both hear each other, RTCP works, nothing left in the clear, and both are told once."""
    call = Call(profile, mux=mux)
    call.negotiate()
    call.talk(12.0)
    for phone in (call.alice, call.bob):
        assert phone.loudness > LOUD_RMS
        (event,) = secured(phone)
        assert event.keying == ("dtls" if profile.dtls else "sdes")
        figures = phone.session.statistics(call.now)
        assert (figures.forged, figures.replayed, figures.discarded, figures.lost) == (0, 0, 0, 0)
        assert figures.rtt_ms is not None
        media = [t.data for t in phone.sent if classify_untrusted(t.data) is not DatagramKind.DTLS]
        plain = {bytes(160), b"\xd5" * 160, b"\xff" * 160}
        assert all(
            data[12:172] not in plain and phone.local.cname.encode() not in data for data in media if phone.local.cname
        )
    assert call.alice.session.next_timeout() is not None
    call.alice.session.close(call.now)
    call.bob.session.close(call.now)
    call.carry()


@pytest.mark.parametrize("mux", [True, False])
def test_call_with_ice(mux: bool) -> None:
    """Connectivity first, then the handshake, then sound; holds go on over the path that was found."""
    call = Call(mux=mux, ice=True)
    first, second = call.negotiate()
    assert first.remote_ice is not None
    assert (first.ice_controlling, second.ice_controlling) == (True, False)
    call.talk(12.0)
    call.negotiate(call.bob, Direction.SENDONLY)
    call.talk(0.5)
    call.negotiate(call.bob)
    call.talk(1.0)
    for phone in (call.alice, call.bob):
        assert phone.loudness > LOUD_RMS
        assert not failures(phone)
        figures = phone.session.statistics(call.now)
        assert (figures.forged, figures.lost) == (0, 0)
        assert figures.rtt_ms is not None
        assert any(classify_untrusted(t.data) is DatagramKind.STUN for t in phone.sent)


def test_ice_restart() -> None:
    """Other credentials in a re-INVITE: the old path carries the sound until the new one is found."""
    call = Call(ice=True)
    call.negotiate()
    call.talk(0.5)
    ids = IdSource(random.Random(5))
    call.alice.local = replace(call.alice.local, ice=IceCredentials(ids.token(40), ids.token(128)))
    stun = [sum(classify_untrusted(t.data) is DatagramKind.STUN for t in p.sent) for p in (call.alice, call.bob)]
    call.negotiate()
    call.talk(0.5)
    again = [sum(classify_untrusted(t.data) is DatagramKind.STUN for t in p.sent) for p in (call.alice, call.bob)]
    assert again > stun
    for phone in (call.alice, call.bob):
        assert phone.loudness > LOUD_RMS
        assert phone.session.statistics(call.now).lost == 0


def test_peer_without_ice() -> None:
    """An answer without it: media goes where the SDP says, at once."""
    call = Call(ice=True)
    call.bob.local = replace(call.bob.local, ice=None)
    parameters, _ = call.negotiate()
    assert parameters.remote_ice is None
    call.talk(0.3)
    assert call.alice.loudness > LOUD_RMS


def test_answerer_is_active_and_fast() -> None:
    """RFC 5763 §5: the handshake runs while the answer travels; the offerer kept the early ClientHello."""
    call = Call()
    parameters = call.negotiate()
    assert [p.dtls_role for p in parameters] == [DtlsSetup.PASSIVE, DtlsSetup.ACTIVE]
    assert len(secured(call.alice)) == len(secured(call.bob)) == 1
    assert handshakes(call.bob) == 2
    call.talk(0.2)
    assert call.alice.session.core.statistics(call.now).packets_received >= 9


def test_no_sound_before_the_keys() -> None:
    """While the handshake is lost nothing is sent and nothing believed; then it comes through."""
    call = Call()
    call.tamper = lambda _, transmit: []
    call.negotiate()
    call.talk(0.1)
    assert all(classify_untrusted(t.data) is DatagramKind.DTLS for p in (call.alice, call.bob) for t in p.sent)
    call.alice.session.receive_untrusted(b"\x80\x00" + bytes(170), ("192.0.2.2", 4000), TransmitKind.RTP, call.now)
    assert call.alice.session.statistics(call.now).discarded == 1
    call.tamper = lambda _, transmit: [transmit.data]
    call.talk(1.0)
    assert call.alice.loudness > LOUD_RMS
    assert call.bob.loudness > LOUD_RMS


@pytest.mark.parametrize("profile", ENCRYPTED)
def test_hold_and_refresh_are_not_heard(profile: Profile) -> None:
    """No gap in the sound and nothing lost, whether the keys stay (SDES) or are renewed in the background (DTLS)."""
    call = Call(profile)
    call.negotiate()
    call.talk(1.0)
    for caller in (call.alice, call.bob, call.alice):
        call.negotiate(caller, Direction.SENDONLY)
        call.talk(0.3)
        call.negotiate(caller)
        call.talk(0.3)
    for phone in (call.alice, call.bob):
        assert phone.loudness > LOUD_RMS
        assert not failures(phone)
        assert len(secured(phone)) == (7 if profile.dtls else 1)
        figures = phone.session.statistics(call.now)
        assert (figures.forged, figures.replayed, figures.lost) == (0, 0, 0)


def test_engine_was_restarted() -> None:
    """The same call, a new media session and certificate: the re-INVITE makes a new association, sound goes on."""
    call = Call()
    call.negotiate()
    call.talk(0.5)
    certificate = DtlsCertificate.generate()
    reborn = Phone.make("192.0.2.1", 3, Profile.UDP_TLS_RTP_SAVPF, certificate)
    reborn.negotiation = call.alice.negotiation
    call.alice = reborn
    call.negotiate()
    assert len(secured(call.bob)) == 2
    assert len(secured(reborn)) == 1
    call.talk(0.7)
    assert call.bob.loudness > LOUD_RMS
    assert reborn.loudness > LOUD_RMS


def test_new_sdes_keys_in_a_re_invite() -> None:
    """Re-keying: both change, sound goes on."""
    call = Call(Profile.RTP_SAVP)
    call.negotiate()
    call.talk(0.5)
    call.alice.local = replace(call.alice.local, crypto=generate_keys(IdSource(random.Random(99))))
    call.negotiate()
    call.talk(0.5)
    for phone in (call.alice, call.bob):
        assert phone.loudness > LOUD_RMS
        assert len(secured(phone)) == 2
        assert phone.session.statistics(call.now).forged == 0


def test_wrong_fingerprint() -> None:
    """No media in either direction, one plain sentence, and a later right one repairs it."""
    call = Call()
    call.negotiate(change=with_fingerprint(ALICE_CERTIFICATE))
    call.talk(0.5)
    assert failures(call.alice) == [
        "The far end's encryption certificate is not the one it announced; somebody may be listening."
    ]
    assert not secured(call.alice)
    assert call.alice.session.core.statistics(call.now).packets_received == 0
    assert call.bob.session.core.statistics(call.now).packets_received == 0
    assert all(classify_untrusted(transmit.data) is DatagramKind.DTLS for transmit in call.alice.sent)


def test_wrong_fingerprint_in_a_re_invite_stops_the_sound() -> None:
    """The old keys are not fallen back to."""
    call = Call()
    call.negotiate()
    call.talk(0.5)
    call.negotiate(change=with_fingerprint(ALICE_CERTIFICATE))
    call.talk(HANDSHAKE_DEADLINE_S + 1)
    assert len(failures(call.alice)) == 1
    sent = len(call.alice.sent)
    call.talk(0.2)
    assert len(call.alice.sent) == sent


def test_nobody_there() -> None:
    """The deadline of the handshake ends in a sentence."""
    call = Call()
    call.tamper = lambda _, transmit: []
    call.negotiate()
    call.talk(HANDSHAKE_DEADLINE_S + 0.1)
    assert "never began" in failures(call.alice)[0]
    assert "never began" in failures(call.bob)[0]


@pytest.mark.parametrize("profile", ENCRYPTED)
def test_forged_and_replayed_packets(profile: Profile) -> None:
    """Dropped and counted; the conversation does not suffer."""
    call = Call(profile)
    call.negotiate()

    def tamper(sender: Phone, transmit: Transmit) -> list[bytes]:
        data = transmit.data
        if sender is call.bob or classify_untrusted(data) is DatagramKind.DTLS:
            return [data]
        forged = bytearray(data)
        forged[-1] ^= 0x55
        return [bytes(forged), data, data]

    call.tamper = tamper
    call.talk(1.0)
    figures = call.bob.session.statistics(call.now)
    assert figures.forged >= 50
    assert figures.replayed >= 50
    assert figures.discarded >= 100
    assert (figures.duplicates, figures.lost) == (0, 0)
    assert call.bob.loudness > LOUD_RMS


def test_plain_packets_in_an_encrypted_call() -> None:
    """What the network adds is not heard."""
    call = Call(Profile.RTP_SAVP)
    call.negotiate()
    call.talk(0.2)
    before = call.alice.session.statistics(call.now)
    for sequence in range(20):
        packet = b"\x80\x00" + sequence.to_bytes(2, "big") + bytes(4) + b"evil" + bytes(160)
        call.alice.session.receive_untrusted(packet, ("192.0.2.2", 4000), TransmitKind.RTP, call.now)
    after = call.alice.session.statistics(call.now)
    assert after.forged - before.forged == 20
    assert after.packets_received == before.packets_received


def test_handshake_from_elsewhere() -> None:
    """Datagrams of a third party do not divert a handshake that is under way with the SDP's address."""
    call = Call()
    seen: list[bytes] = []

    def tamper(sender: Phone, transmit: Transmit) -> list[bytes]:
        seen.append(transmit.data)
        return [transmit.data]

    call.tamper = tamper
    call.negotiate()
    for data in seen:
        call.alice.session.receive_untrusted(data, ("203.0.113.9", 666), TransmitKind.RTP, call.now)
    assert all(t.destination[0] != "203.0.113.9" for t in call.alice.session.transmits())
    call.talk(0.5)
    assert call.alice.loudness > LOUD_RMS


def test_peer_behind_a_nat() -> None:
    """DTLS is answered to where it comes from, when that is not what the SDP says."""
    media = SecureMedia(ALICE_CERTIFICATE)
    other = SecureMedia(DtlsCertificate.generate())
    assert other._certificate is not None
    real: Address = ("198.51.100.1", 50_000)
    fingerprints = ALICE_CERTIFICATE.fingerprint, other._certificate.fingerprint
    base = Call().negotiate()[0]
    other.configure(_dtls(base, DtlsSetup.ACTIVE, fingerprints[0]), 0.0)
    media.configure(_dtls(base, DtlsSetup.PASSIVE, fingerprints[1]), 0.0)
    destinations = set()
    for _ in range(4):
        for transmit in other.transmits():
            media.receive_dtls_untrusted(transmit.data, real, TransmitKind.RTP, 0.0)
        for transmit in media.transmits():
            destinations.add(transmit.destination)
            other.receive_dtls_untrusted(transmit.data, ("192.0.2.2", 4000), TransmitKind.RTP, 0.0)
    assert media.ready
    assert other.ready
    assert destinations == {real}


def _dtls(parameters: MediaParameters, role: DtlsSetup, fingerprint: Fingerprint) -> MediaParameters:
    return replace(parameters, dtls_role=role, remote_fingerprints=(fingerprint,))


def test_from_encrypted_to_plain_and_back() -> None:
    """What signalling agrees on is done at once; the old context is gone."""
    call = Call(Profile.RTP_SAVP)
    first, second = call.negotiate()
    call.talk(0.2)
    for phone, parameters in ((call.alice, first), (call.bob, second)):
        plain = replace(parameters, negotiation=2, local_crypto=None, remote_crypto=None, profile=Profile.RTP_AVP)
        phone.session.configure(plain, call.now)
    call.talk(0.3)
    assert call.bob.loudness > LOUD_RMS
    assert call.bob.session.statistics(call.now).forged == 0


def test_without_a_certificate() -> None:
    """DTLS agreed by a caller that forgot the certificate: a sentence, no crash."""
    call = Call()
    parameters, _ = call.negotiate()
    media = SecureMedia()
    media.configure(parameters, 0.0)
    (event,) = media.events()
    assert isinstance(event, MediaSecurityFailed)
    assert not media.ready
    assert not media.rtcp_ready
    for unprotect in (media.unprotect_rtp, media.unprotect_rtcp):
        with pytest.raises(ParseError):
            unprotect(bytes(40))
    assert media.counters.forged == 0
    media.close()
