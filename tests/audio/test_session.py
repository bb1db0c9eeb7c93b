"""A call's media between its core, its keys and its paths."""

from __future__ import annotations

import pytest

from audio.core import DtmfReceived, DtmfSent
from sipcore.media import Profile
from tests.audio.secure.calling import Call


@pytest.mark.parametrize(
    ("profile", "ice"),
    [
        (Profile.RTP_AVP, False),
        (Profile.RTP_SAVP, False),
        (Profile.UDP_TLS_RTP_SAVPF, False),
        (Profile.UDP_TLS_RTP_SAVPF, True),
    ],
)
def test_a_call_is_settled_once_the_far_end_is_heard(profile: Profile, ice: bool) -> None:
    """Until then a datagram may be part of a handshake, and each has to be answered at once."""
    call = Call(profile, ice=ice)
    sessions = call.alice.session, call.bob.session
    assert not any(session.settled for session in sessions)
    call.negotiate()
    assert not all(session.settled for session in sessions)
    call.talk(2.0)
    assert all(session.settled for session in sessions)


def test_a_call_whose_handshake_is_lost_is_not_settled() -> None:
    call = Call(Profile.UDP_TLS_RTP_SAVPF)
    call.tamper = lambda _, transmit: [] if 19 < transmit.data[0] < 64 else [transmit.data]
    call.negotiate()
    call.talk(1.0)
    assert not call.alice.session.settled
    assert not call.bob.session.settled


def test_digits_wait_for_the_keys() -> None:
    """Sent as the call is answered: none is lost, and none begins in its middle."""
    call = Call(Profile.UDP_TLS_RTP_SAVPF)
    call.tamper = lambda _, transmit: [] if 19 < transmit.data[0] < 64 else [transmit.data]
    call.negotiate()
    assert call.alice.session.core.send_dtmf("12#", call.now)
    call.talk(0.3)
    call.tamper = lambda _, transmit: [transmit.data]
    call.talk(3.0)
    heard = [event.digit for event in call.bob.events if isinstance(event, DtmfReceived)]
    sent = [event.digit for event in call.alice.events if isinstance(event, DtmfSent)]
    assert heard == sent == ["1", "2", "#"]
    lengths = [event.duration_ms for event in call.bob.events if isinstance(event, DtmfReceived)]
    assert lengths == [100, 100, 100]
