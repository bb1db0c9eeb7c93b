"""The rows of the calls pane, and which call the keys act on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from phone.protocol.snapshots import CallSlice
from tests.tui.scenes import HELD, IDLE, IN_CALL, NOW, RINGING
from tui.widgets.calls import call_row, calls_rows, current_call, state_word

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
    rows = joined(calls_rows(IN_CALL, dtmf="", now=NOW, width=46))
    assert rows[0] == "> 1 TALK     Alice Exam… +4420794600…     4:12"
    assert rows[1] == "  2 HELD     Bob Support 1007             3:10"
    assert rows[3] == "Digits are sent as tones to the far end"


def test_sent_digits_are_echoed_and_long_ones_lose_their_beginning() -> None:
    rows = joined(calls_rows(IN_CALL, dtmf="1" * 30 + "#", now=NOW, width=60))
    assert rows[-1] == "DTMF sent: " + "1 " * 19 + "#"


def test_silence_is_said() -> None:
    silent = replace(IDLE, calls=(replace(TALKING, media_silent=True),))
    assert joined(calls_rows(silent, dtmf="", now=NOW, width=60))[-1] == "Nothing is heard from the far end"


def test_no_call_says_what_to_do() -> None:
    assert joined(calls_rows(IDLE, dtmf="", now=NOW, width=60)) == ["No call. Type a number to dial."]


def test_an_encrypted_call_has_its_sign() -> None:
    row = call_row(replace(TALKING, security="sdes"), 1, current=True, now=NOW, width=60)
    assert ("▣ ", "ok") in row


@given(st.text(max_size=60), st.text(max_size=60), st.integers(min_value=40, max_value=160))
def test_a_row_has_exactly_its_width_whatever_the_name(name: str, peer: str, width: int) -> None:
    row = call_row(replace(TALKING, display_name=name, peer=peer), 1, current=True, now=NOW, width=width)
    assert cell_len("".join(text for text, _ in row)) == width
