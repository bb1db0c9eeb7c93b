"""Which tones play when."""

from __future__ import annotations

import pytest

from audio.io.settings import Role
from audio.stream.tones import ToneKind
from phone.protocol.snapshots import CallSlice, CallStateName, Direction
from phone.signals import Tones, refusal_tone, tones_for
from phone.state import PhoneState


def call(name: str, direction: Direction, state: CallStateName, *, held: bool = False) -> CallSlice:
    return CallSlice(id=name, direction=direction, state=state, peer="x", started_at=0.0, held=held)


def tones(*calls: CallSlice, current: str | None = None, early: bool = False) -> Tones:
    return tones_for(PhoneState(calls=calls), current=current, early_media=lambda _: early)


BELL = {Role.RINGER: ToneKind.RING}
RINGBACK = {Role.SPEAKER: ToneKind.RINGBACK}


def test_silence_by_itself() -> None:
    assert tones() == {}
    assert tones(call("a", "out", "calling"), current="a") == {}
    assert tones(call("a", "out", "active"), current="a") == {}


def test_the_bell_rings_on_the_ring_device() -> None:
    assert tones(call("a", "in", "ringing")) == BELL
    assert tones(call("a", "in", "ringing"), call("b", "out", "active", held=True)) == BELL


def test_while_talking_a_beep_is_enough() -> None:
    waiting = {Role.SPEAKER: ToneKind.CALL_WAITING}
    assert tones(call("a", "in", "ringing"), call("b", "out", "active"), current="b") == waiting


def test_ringback_until_the_far_end_is_heard() -> None:
    assert tones(call("a", "out", "ringing"), current="a") == RINGBACK
    assert tones(call("a", "out", "ringing"), current="a", early=True) == {}
    assert tones(call("a", "out", "early"), current="a") == {}
    assert tones(call("a", "out", "ringing"), current="b") == {}


@pytest.mark.parametrize(
    ("outcome", "tone"),
    [("busy", ToneKind.BUSY), ("rejected", ToneKind.BUSY), ("failed", ToneKind.ERROR), ("cancelled", None)],
)
def test_a_call_that_came_to_nothing(outcome: str, tone: ToneKind | None) -> None:
    assert refusal_tone(outcome) is tone  # type: ignore[arg-type]
