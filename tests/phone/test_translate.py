"""From the stack's events to those of clients."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.core.events import DtmfReceived, MediaSilent
from audio.io import events as sound
from audio.io.settings import Role
from phone.protocol import events as ev
from phone.translate import MAX_TEXT, Translator, clean_untrusted, outcome_of
from sipcore import events as sip
from sipcore.config import ServerAddress
from sipcore.media import PCMU, TELEPHONE_EVENT, Direction, DtlsSetup, MediaParameters, Profile

SERVER = ServerAddress.parse("wss://pbx:8089/ws?token=secret")
PARAMETERS = MediaParameters(
    negotiation=1,
    remote_address="192.0.2.1",
    remote_rtp_port=4000,
    remote_rtcp_port=4001,
    direction=Direction.SENDRECV,
    send_codec=PCMU,
    receive_codecs=(PCMU, TELEPHONE_EVENT),
    profile=Profile.UDP_TLS_RTP_SAVPF,
    dtls_role=DtlsSetup.ACTIVE,
)


@pytest.fixture
def translator() -> Translator:
    return Translator(account="1001@pbx", call_name={"sip-1": "abcd"}.get)


def test_a_lost_connection_is_told_even_when_the_next_attempt_begins_at_once(translator: Translator) -> None:
    def names(state: sip.TransportState, reason: str = "") -> list[str]:
        return [event.event for event in translator.from_stack(sip.TransportChanged(state, SERVER, reason), 1.0)]

    assert names(sip.TransportState.CONNECTING) == ["transportConnecting"]
    assert names(sip.TransportState.CONNECTED) == ["transportConnected"]
    assert names(sip.TransportState.CONNECTING, "reset") == ["transportDisconnected", "transportConnecting"]
    assert names(sip.TransportState.DISCONNECTED, "refused") == ["transportDisconnected"]


def test_an_address_is_shown_without_its_query(translator: Translator) -> None:
    (event,) = translator.from_stack(sip.TransportChanged(sip.TransportState.CONNECTED, SERVER), 1.0)
    assert event == ev.TransportConnected(at=1.0, server="wss://pbx:8089/ws")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (sip.Registered(600), ev.Registered(at=1.0, account="1001@pbx", expires_s=600)),
        (
            sip.RegistrationRefused(2, 3, 403, "Forbidden", True),
            ev.RegistrationFailed(at=1.0, attempt=2, max=3, status=403, reason="Forbidden", credentials_refused=True),
        ),
        (
            sip.RetryScheduled("transport", 2, 10, 1.23456),
            ev.RetryScheduled(at=1.0, what="transport", attempt=2, max=10, wait_s=1.235),
        ),
        (sip.KeepAlive(sip.KeepAliveResult.ANSWERED, 12.34), ev.KeepAlive(at=1.0, result="answered", rtt_ms=12.3)),
        (sip.ReconnectionFailed(10, "gone"), ev.ReconnectionFailed(at=1.0, attempts=10, reason="gone")),
        (
            sip.CallStateChanged("sip-1", sip.CallState.RINGING, 180, "Ringing"),
            ev.CallStateChanged(at=1.0, call="abcd", state="ringing", status=180, reason="Ringing"),
        ),
        (
            sip.MediaNegotiated("sip-1", PARAMETERS),
            ev.MediaNegotiated(at=1.0, call="abcd", codec="PCMU", direction="sendrecv", security="dtls"),
        ),
        (sip.MessageWaiting(True, "x", 2, None), ev.MessageWaiting(at=1.0, waiting=True, new=2)),
    ],
)
def test_one_to_one(translator: Translator, event: sip.Event, expected: ev.Event) -> None:
    assert translator.from_stack(event, 1.0) == [expected]


def test_a_call_that_was_turned_away_is_not_told(translator: Translator) -> None:
    assert translator.from_stack(sip.CallStateChanged("sip-9", sip.CallState.ENDING), 1.0) == []


def test_sound(translator: Translator) -> None:
    lost = sound.AudioDeviceLost(Role.MICROPHONE, "Jabra", "The headset is gone.")
    assert translator.from_sound(lost, 1.0) == [ev.AudioProblem(at=1.0, problem="input", detail="The headset is gone.")]
    digit = sound.CallMediaEvent("abcd", DtmfReceived("5", 100))
    assert translator.from_sound(digit, 1.0) == [ev.DtmfReceived(at=1.0, call="abcd", digit="5", duration_ms=100)]
    silent = sound.CallMediaEvent("abcd", MediaSilent(3.04))
    assert translator.from_sound(silent, 1.0) == [ev.MediaSilent(at=1.0, call="abcd", silent_s=3.0)]


@given(st.text(max_size=600))
def test_strings_of_strangers_are_printable_and_short(text: str) -> None:
    clean = clean_untrusted(text)
    assert len(clean) <= MAX_TEXT
    assert clean.isprintable()
    clean.encode()


def test_an_escape_sequence_is_not_passed_on() -> None:
    assert clean_untrusted("\x1b]0;owned\x07 Ann\r\n") == "]0;owned  Ann"


LOCAL, REMOTE, ERROR = sip.EndedBy.LOCAL, sip.EndedBy.REMOTE, sip.EndedBy.ERROR


@pytest.mark.parametrize(
    ("incoming", "ended", "outcome"),
    [
        (True, {"by": LOCAL, "answered": True}, "answered"),
        (False, {"by": REMOTE, "answered": True}, "answered"),
        (True, {"by": REMOTE, "status": 487}, "missed"),
        (True, {"by": ERROR}, "missed"),
        (True, {"by": LOCAL, "status": 486}, "rejected"),
        (True, {"by": REMOTE, "answered_elsewhere": True}, "elsewhere"),
        (False, {"by": LOCAL, "status": 487}, "cancelled"),
        (False, {"by": REMOTE, "status": 486}, "busy"),
        (False, {"by": REMOTE, "status": 600}, "busy"),
        (False, {"by": REMOTE, "status": 603}, "rejected"),
        (False, {"by": REMOTE, "status": 404}, "failed"),
        (False, {"by": ERROR, "status": 408}, "failed"),
    ],
)
def test_how_a_call_went(incoming: bool, ended: dict[str, object], outcome: str) -> None:
    assert outcome_of(sip.CallEnded(call="x", **ended), incoming=incoming) == outcome  # type: ignore[arg-type]
