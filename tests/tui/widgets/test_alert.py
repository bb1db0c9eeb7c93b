"""The alert slot: two rows whatever happens, the most urgent thing first, and what to press."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phone.protocol.snapshots import AudioSlice, Reconnect, RegistrationSlice, TransportSlice
from phone.state import PhoneState
from tests.tui.scenes import IDLE, NOW, RECONNECTING, REFUSED, RINGING
from tui.widgets.alert import alert_rows, ringing
from tui.widgets.calls import current_call


def shown(state: PhoneState, *, attached: bool = True, quiet: bool = False) -> tuple[str, str]:
    rows = alert_rows(state, now=NOW, attached=attached, quiet=quiet)
    first, second = ("".join(text for text, _ in row) for row in rows)
    return first, second


def test_it_is_blank_while_all_is_well() -> None:
    assert shown(IDLE) == ("", "")


@pytest.mark.parametrize(
    "state",
    [
        IDLE,
        RECONNECTING,
        REFUSED,
        replace(IDLE, calls=(RINGING,)),
        PhoneState(),
        replace(IDLE, audio=AudioSlice(problem="input", detail="gone")),
    ],
)
def test_it_always_has_two_rows(state: PhoneState) -> None:
    for attached in (True, False):
        assert len(alert_rows(state, now=NOW, attached=attached, quiet=False)) == 2


def test_a_ringing_call_stands_above_everything_but_a_lost_engine() -> None:
    state = replace(RECONNECTING, calls=(RINGING,))
    assert shown(state)[0] == "▌RING 1012  Carol  0:06"
    assert "F2 Answer   F3 Reject" in shown(state)[1]
    assert "engine has stopped" in shown(state, attached=False)[0]


def test_answering_in_a_call_says_that_it_holds() -> None:
    talking = replace(RINGING, id="a", direction="out", state="active", answered_at=NOW)
    assert "Hold and answer" in shown(replace(IDLE, calls=(talking, RINGING)))[1]


def test_the_countdown() -> None:
    assert shown(RECONNECTING) == (" Reconnecting, attempt 3 of 10 in 7 s  -", "   Ctrl+R Retry now")
    running = Reconnect(what="transport", attempt=3, max=10, next_at=NOW - 1)
    state = replace(RECONNECTING, registration=replace(RECONNECTING.registration, reconnect=running))
    assert shown(state)[0].startswith(" Reconnecting, attempt 3 of 10  -")


def test_a_refused_password_points_to_the_settings() -> None:
    assert shown(REFUSED)[0].startswith(" The PBX refuses the password")
    assert "Ctrl+S Change the password" in shown(REFUSED)[1]


def test_no_network_is_said_before_the_attempts() -> None:
    offline = replace(RECONNECTING, transport=TransportSlice(network="offline"))
    assert "Network offline" in shown(offline)[0]


def test_what_is_normal_while_starting_is_not_told() -> None:
    assert shown(PhoneState(), quiet=True) == ("", "")
    assert "Not registered" in shown(PhoneState())[0]


def test_a_failure_has_its_reason() -> None:
    failed = replace(IDLE, registration=RegistrationSlice(state="failed", reason="403 Forbidden"))
    assert shown(failed)[0] == " Not registered: 403 Forbidden"


def test_sound_that_fails_is_said_while_registered() -> None:
    silent = replace(IDLE, audio=AudioSlice(problem="input", detail="No microphone was found."))
    assert shown(silent)[0] == " No sound: No microphone was found."


def test_the_oldest_ringing_call_is_answered_first() -> None:
    later = replace(RINGING, id="d", started_at=NOW)
    state = replace(IDLE, calls=(RINGING, later))
    assert ringing(state) is RINGING
    assert current_call(replace(IDLE, calls=())) is None
