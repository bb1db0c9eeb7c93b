"""What is said to whoever watches the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phone.narration import Narrator
from phone.protocol import events as ev
from sipcore.config import Account, Resilience, ServerAddress

if TYPE_CHECKING:
    from phone.protocol.snapshots import Outcome

ACCOUNT = Account(servers=(ServerAddress.parse("ws://pbx/ws"),), username="1001", domain="pbx", auth_username="1001")


class Listener:
    def __init__(self, resilience: Resilience | None = None) -> None:
        self.said: list[str] = []
        self.narrator = Narrator(ACCOUNT, resilience or Resilience(), self.said.append)

    def hear(self, *events: ev.Event) -> list[str]:
        for event in events:
            self.narrator.note(event)
        said, self.said[:] = list(self.said), []
        return said


REGISTERED = ev.Registered(at=1, account="1001@pbx", expires_s=600)
LOST = ev.TransportDisconnected(at=1, server="ws:pbx", reason="Connection refused by pbx:80: nothing listens there")


def refused(status: int, *, credentials: bool = False) -> ev.Event:
    return ev.RegistrationFailed(at=1, attempt=1, max=3, status=status, reason="Words", credentials_refused=credentials)


def test_a_registration_is_told_once() -> None:
    listener = Listener()
    assert listener.hear(REGISTERED, REGISTERED) == ["Registered as 1001@pbx for 600 s."]


def test_a_wrong_password_names_the_next_step() -> None:
    (sentence,) = Listener().hear(refused(401, credentials=True), refused(401, credentials=True))
    assert "refused the password of 1001@pbx (401 Words)" in sentence
    assert "offhook config set-password" in sentence


@pytest.mark.parametrize(
    ("status", "words"), [(404, "check username and domain"), (408, "in time"), (503, "503 Words")]
)
def test_other_refusals(status: int, words: str) -> None:
    (sentence,) = Listener().hear(refused(status))
    assert words in sentence


def test_the_same_trouble_is_told_once_until_it_is_over() -> None:
    listener = Listener()
    assert listener.hear(LOST, LOST) == ["Connection refused by pbx:80: nothing listens there."]
    assert listener.hear(REGISTERED, LOST)[1] == "Connection refused by pbx:80: nothing listens there."


def test_a_connection_closed_on_purpose_is_no_trouble() -> None:
    said = Listener().hear(
        REGISTERED,
        ev.Unregistered(at=2),
        ev.RegistrationChanged(at=2, state="unregistered"),
        ev.TransportDisconnected(at=2, server="x", reason="unregistered"),
    )
    assert said[1:] == ["No longer registered as 1001@pbx."]


def test_giving_up_says_what_goes_on() -> None:
    failed = ev.ReconnectionFailed(at=1, attempts=10, reason="No answer.")
    (sentence,) = Listener().hear(failed)
    assert sentence.startswith("Not registered after 10 attempts: No answer; it is tried again every 60 s")
    assert sentence.endswith("offhook ctl register.")
    (sentence,) = Listener(Resilience(background_retry=0)).hear(failed)
    assert "nothing more is tried" in sentence


def test_calls() -> None:
    listener = Listener()
    assert listener.hear(ev.IncomingCall(at=1, call="abcd", peer="2002", display_name="Ann")) == [
        "Ann (2002) is calling; answer with offhook ctl answer abcd."
    ]

    def over(outcome: Outcome, status: int = 0) -> list[str]:
        ended = ev.CallEnded(
            at=1,
            call="abcd",
            by="remote",
            outcome=outcome,
            peer="2002",
            status=status,
            reason="Busy Here",
            duration_s=7.4,
        )
        return listener.hear(ended)

    assert over("answered") == ["The call with 2002 is over after 7 s."]
    assert over("missed") == ["Missed call from 2002."]
    assert over("busy", 486) == ["The call to 2002 came to nothing: 486 Busy Here."]
    assert over("cancelled") == []


def test_a_wrong_password_is_tried_seldom_and_its_connection_closed_in_silence() -> None:
    """resilience.md 3.2: repeating a wrong password gets a site banned."""
    listener = Listener()
    said = listener.hear(
        refused(401, credentials=True),
        ev.ReconnectionFailed(at=1, attempts=3, reason="401 Words"),
        ev.TransportDisconnected(at=1, server="x", reason="registration refused"),
    )
    assert len(said) == 2
    assert "tried again every 600 s" in said[1]


def test_refused_media_names_the_setting() -> None:
    """488 to every offer: an endpoint that takes only SDES refuses what `media = auto` offers over wss."""
    ended = ev.CallEnded(
        at=1, call="abcd", by="remote", outcome="failed", peer="600", status=488, reason="Not Acceptable Here"
    )
    (sentence,) = Listener().hear(ended)
    assert "its media was refused (488 Not Acceptable Here)" in sentence
    assert sentence.endswith("than media = auto: rtp, sdes, webrtc.")
