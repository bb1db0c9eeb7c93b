"""The rows of the calls pane, and which call the keys act on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.scenes import HELD, IDLE, IN_CALL, NOW, RINGING
from tui.widgets.calls import Note, call_row, call_rows, clock_rows, current_call, note_row, state_word

if TYPE_CHECKING:
    from phone.protocol.snapshots import CallSlice

TALKING = IN_CALL.calls[0]
CALLING = replace(TALKING, id="e", state="calling", answered_at=None)
ENDING = replace(TALKING, id="f", state="ending")


def joined(rows: list[list[tuple[str, str]]]) -> list[str]:
    return ["".join(text for text, _ in row).rstrip() for row in rows]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ((TALKING, HELD), TALKING),
        ((HELD, TALKING), TALKING),
        ((HELD, CALLING), CALLING),
        ((TALKING, CALLING), TALKING),
        ((HELD, RINGING), HELD),
        ((RINGING,), RINGING),
        ((HELD, replace(HELD, id="g")), replace(HELD, id="g")),
        ((ENDING,), None),
        ((), None),
    ],
)
def test_the_call_that_keys_act_on(calls: tuple[CallSlice, ...], expected: CallSlice | None) -> None:
    assert current_call(replace(IDLE, calls=calls)) == expected


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (TALKING, "TALK"),
        (HELD, "HELD"),
        (replace(TALKING, held_by_peer=True), "ON HOLD"),
        (replace(TALKING, muted=True), "MUTED"),
        (CALLING, "CALL"),
        (RINGING, "RING"),
        (replace(CALLING, state="ringing"), "RING"),
        (replace(CALLING, state="early"), "EARLY"),
        (ENDING, "END"),
    ],
)
def test_the_word_of_a_state(call: CallSlice, word: str) -> None:
    assert state_word(call)[0] == word


def test_the_rows_of_two_calls() -> None:
    assert joined(call_rows(IN_CALL, width=46)) == [
        "> 1 TALK     Alice Example    +442079460018",
        "  2 HELD     Bob Support      1007",
    ]
    assert joined(clock_rows(IN_CALL, now=NOW)) == ["    4:12", "    3:10"]
    assert joined([note_row(IN_CALL, note=Note())]) == ["Digits are sent as tones to the far end"]


def test_a_call_that_is_not_answered_has_no_clock() -> None:
    assert joined(clock_rows(replace(IDLE, calls=(CALLING, HELD)), now=NOW)) == ["", "    3:10"]


def test_sent_digits_are_echoed_and_long_ones_lose_their_beginning() -> None:
    assert joined([note_row(IN_CALL, note=Note(dtmf="1" * 30 + "#"))]) == ["DTMF sent: " + "1 " * 19 + "#"]


def test_silence_is_said() -> None:
    silent = replace(IDLE, calls=(replace(TALKING, media_silent=True),))
    assert joined([note_row(silent, note=Note())]) == ["Nothing is heard from the far end"]


def test_note_says_that_a_call_goes_on_without_its_signalling() -> None:
    """Unless it is not heard either, which is worse."""
    call = replace(IN_CALL.calls[0], signalling_lost=True)
    lost = replace(IN_CALL, calls=(call,))
    assert joined([note_row(lost, note=Note())]) == ["Signalling lost, audio up"]
    dead = replace(IN_CALL, calls=(replace(call, media_silent=True),))
    assert joined([note_row(dead, note=Note())]) == ["Nothing is heard from the far end"]


def test_a_silent_microphone_is_said() -> None:
    silent = replace(IDLE, calls=(replace(TALKING, microphone_silent=True),))
    assert joined([note_row(silent, note=Note())]) == ["Nothing is heard from your microphone"]


def test_what_a_key_did_goes_before_everything_else() -> None:
    silent = replace(IDLE, calls=(replace(TALKING, media_silent=True),))
    for state in (silent, IDLE):
        assert joined([note_row(state, note=Note(dtmf="1", text="Volume 80 %"))]) == ["Volume 80 %"]


def test_a_recorded_call_has_its_sign_at_its_end() -> None:
    row = call_row(replace(TALKING, recording="/a.wav", security="sdes"), 1, current=True, width=46)
    assert "".join(text for text, _ in row).endswith("● REC ▣ ")


def test_no_call_says_what_to_do() -> None:
    assert joined(call_rows(IDLE, width=60)) == ["No call. Type a number to dial."]
    assert note_row(IDLE, note=Note(dtmf="1")) == []


def test_an_encrypted_call_has_its_sign() -> None:
    row = call_row(replace(TALKING, security="sdes"), 1, current=True, width=60)
    assert ("▣ ", "ok") in row


@given(st.text(max_size=60), st.text(max_size=60), st.integers(min_value=20, max_value=160))
def test_a_row_has_exactly_its_width_whatever_the_name(name: str, peer: str, width: int) -> None:
    row = call_row(replace(TALKING, display_name=name, peer=peer, recording=peer), 1, current=True, width=width)
    assert cell_len("".join(text for text, _ in row)) == width
