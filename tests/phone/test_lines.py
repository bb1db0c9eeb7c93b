"""Which call a verb means."""

from __future__ import annotations

import random

import pytest

from phone.lines import Lines
from phone.protocol.commands import CommandRefused
from phone.protocol.snapshots import CallSlice, CallStateName, Direction
from phone.state import PhoneState
from sipcore.ids import IdSource


class Desk:
    """Lines with the state that goes with them."""

    def __init__(self) -> None:
        self.lines = Lines(IdSource(random.Random(1)))
        self.state = PhoneState()

    def add(self, direction: Direction, state: CallStateName, *, held: bool = False, current: bool = False) -> str:
        line = self.lines.new(f"sip-{len(self.lines)}")
        call = CallSlice(id=line.id, direction=direction, state=state, peer="x", started_at=0.0, held=held)
        self.state = PhoneState(calls=(*self.state.calls, call))
        if current:
            self.lines.current = line.id
        return line.id

    def choose(self, verb: str, name: str | None = None) -> str:
        return self.lines.choose(self.state, verb, name)[0].id  # type: ignore[arg-type]

    def refusal(self, verb: str, name: str | None = None) -> CommandRefused:
        with pytest.raises(CommandRefused) as caught:
            self.choose(verb, name)
        return caught.value


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_ids_are_short_and_free(desk: Desk) -> None:
    names = [desk.lines.new().id for _ in range(100)]
    assert len(set(names)) == 100
    assert {len(name) for name in names} == {4}


def test_none_is_told(desk: Desk) -> None:
    assert desk.refusal("answer").sentence == "No call is ringing."
    assert desk.refusal("resume").sentence == "There is no call on hold."
    assert desk.refusal("hangup", "zzzz").reason == "no_such_call"


def test_the_only_one_is_meant(desk: Desk) -> None:
    name = desk.add("out", "active")
    for verb in ("hangup", "hold", "mute", "dtmf", "transfer", "record"):
        assert desk.choose(verb) == name
    assert desk.refusal("answer").reason == "no_such_call"
    assert desk.refusal("answer", name).sentence == f"Call {name} is answered already."


def test_with_one_held_the_other_is_current(desk: Desk) -> None:
    held, current = desk.add("out", "active", held=True), desk.add("in", "active", current=True)
    assert desk.choose("hold") == current
    assert desk.choose("hangup") == current
    assert desk.choose("resume") == held


def test_a_ringing_call_makes_hanging_up_ambiguous_but_nothing_else(desk: Desk) -> None:
    current, ringing = desk.add("out", "active", current=True), desk.add("in", "ringing")
    assert desk.refusal("hangup").reason == "ambiguous"
    assert desk.choose("hangup", ringing) == ringing
    assert desk.choose("answer") == ringing
    assert desk.choose("hold") == current
    assert desk.choose("dtmf") == current


def test_two_ringing_calls_have_to_be_named(desk: Desk) -> None:
    first, second = desk.add("in", "ringing"), desk.add("in", "ringing")
    refusal = desk.refusal("answer")
    assert refusal.reason == "ambiguous"
    assert first in refusal.sentence
    assert second in refusal.sentence
    assert desk.choose("answer", second) == second


def test_two_held_calls_have_to_be_named(desk: Desk) -> None:
    desk.add("in", "active", held=True)
    desk.add("in", "active", held=True)
    assert desk.refusal("resume").reason == "ambiguous"


def test_states_that_do_not_fit(desk: Desk) -> None:
    name = desk.add("out", "ringing")
    assert desk.refusal("hold", name).reason == "call_state"
    assert desk.choose("hangup") == name
    held = desk.add("out", "active", held=True)
    assert desk.refusal("hold", held).sentence.endswith("on hold already.")


def test_the_end_of_the_current_call_leaves_none_current(desk: Desk) -> None:
    name = desk.add("out", "active", current=True)
    line = desk.lines.get(name)
    assert line is not None
    desk.lines.forget(line)
    assert desk.lines.current is None
    assert desk.lines.by_sip("sip-0") is None
