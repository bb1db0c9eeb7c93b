"""Which tones play when, and when they end."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from audio.io.tone import Channel
from audio.stream.tones import ToneKind
from phone.lines import Lines
from phone.protocol.events import CallEnded
from phone.protocol.snapshots import CallSlice, CallStateName, Direction, Outcome
from phone.signals import REFUSAL_TONE_S, Signals, Tones, refusal_tone, tones_for
from phone.state import PhoneState
from sipcore.ids import IdSource

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def call(
    name: str, direction: Direction, state: CallStateName, *, held: bool = False, internal: bool = False
) -> CallSlice:
    return CallSlice(id=name, direction=direction, state=state, peer="x", started_at=0.0, held=held, internal=internal)


def tones(*calls: CallSlice, current: str | None = None, ringback: bool = True) -> Tones:
    return tones_for(PhoneState(calls=calls), current=current, wants_ringback=lambda _: ringback)


BELL = {Channel.BELL: ToneKind.RING}
BEEP = {Channel.WAITING: ToneKind.CALL_WAITING}
RINGBACK = {Channel.PROGRESS: ToneKind.RINGBACK}


def test_silence_by_itself() -> None:
    assert tones() == {}
    assert tones(call("a", "out", "calling"), current="a") == {}
    assert tones(call("a", "out", "active"), current="a") == {}


def test_the_bell_rings_on_the_ring_device() -> None:
    assert tones(call("a", "in", "ringing")) == BELL
    assert tones(call("a", "in", "ringing"), call("b", "out", "active", held=True)) == BELL
    assert tones(call("a", "in", "ringing"), call("b", "in", "ringing", internal=True)) == BELL


def test_colleagues_ring_their_own_bell() -> None:
    assert tones(call("a", "in", "ringing", internal=True)) == {Channel.BELL: ToneKind.RING_INTERNAL}


@pytest.mark.parametrize("state", ["active", "early"])
def test_while_talking_a_beep_is_enough(state: CallStateName) -> None:
    assert tones(call("a", "in", "ringing"), call("b", "out", state), current="b", ringback=False) == BEEP


def test_a_call_that_arrives_while_we_call_somebody_beeps_beside_the_ringback() -> None:
    ours = call("b", "out", "ringing")
    assert tones(call("a", "in", "ringing"), ours, current="b") == BEEP | RINGBACK


def test_ringback_until_the_far_end_is_heard() -> None:
    assert tones(call("a", "out", "ringing"), current="a") == RINGBACK
    assert tones(call("a", "out", "early"), current="a") == RINGBACK
    assert tones(call("a", "out", "ringing"), current="a", ringback=False) == {}
    assert tones(call("a", "out", "ringing"), current="b") == {}


@pytest.mark.parametrize(
    ("outcome", "tone"),
    [("busy", ToneKind.BUSY), ("rejected", ToneKind.BUSY), ("failed", ToneKind.ERROR), ("cancelled", None)],
)
def test_a_call_that_came_to_nothing(outcome: Outcome, tone: ToneKind | None) -> None:
    assert refusal_tone(outcome) is tone


class Skipping(asyncio.SelectorEventLoop):
    """Its clock can be put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


class Desk:
    """Signals, with what they had played."""

    def __init__(self) -> None:
        self.playing: Tones = {}
        self.lines = Lines(IdSource(random.Random(1)))
        self.signals = Signals(self, self.lines)

    def play(self, channel: Channel, kind: ToneKind | None) -> None:
        if kind is None:
            del self.playing[channel]
        else:
            self.playing[channel] = kind

    def end(self, outcome: Outcome, *calls: CallSlice, outgoing: bool = True) -> None:
        ended = CallEnded(at=0.0, call="gone", by="remote", outcome=outcome)
        self.signals.follow(PhoneState(calls=calls), ended, outgoing=outgoing)

    def see(self, *calls: CallSlice) -> None:
        self.signals.follow(PhoneState(calls=calls))


def later(scenario: Callable[[Desk, Skipping], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=Skipping) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Skipping)
        runner.run(scenario(Desk(), loop))


BUSY = {Channel.PROGRESS: ToneKind.BUSY}


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_refusal_is_heard_for_a_moment() -> None:
    async def scenario(desk: Desk, loop: Skipping) -> None:
        desk.end("busy")
        loop.ahead_s += REFUSAL_TONE_S - 0.5
        await settle()
        desk.see()
        assert desk.playing == BUSY
        loop.ahead_s += 0.6
        await settle()
        assert desk.playing == {}

    later(scenario)


def test_anything_the_user_does_ends_it() -> None:
    async def scenario(desk: Desk, _: Skipping) -> None:
        assert not desk.signals.hush()
        desk.end("failed")
        assert desk.playing == {Channel.PROGRESS: ToneKind.ERROR}
        assert desk.signals.hush()
        assert desk.playing == {}
        desk.see()
        assert desk.playing == {}

    later(scenario)


def test_another_call_ends_it() -> None:
    async def scenario(desk: Desk, _: Skipping) -> None:
        desk.end("busy")
        desk.see(call("a", "in", "ringing"))
        assert desk.playing == BELL
        desk.end("busy")
        desk.lines.current = "b"
        desk.see(call("b", "out", "calling"))
        assert desk.playing == {}

    later(scenario)


def test_it_is_heard_with_a_call_on_hold_and_not_over_one_that_is_up() -> None:
    async def scenario(desk: Desk, _: Skipping) -> None:
        desk.end("busy", call("a", "in", "active", held=True))
        assert desk.playing == BUSY
        desk.see(call("a", "in", "active", held=True))
        assert desk.playing == BUSY
        desk.lines.current = "a"
        desk.see(call("a", "in", "active"))
        assert desk.playing == {}
        desk.end("busy", call("a", "in", "active"))
        assert desk.playing == {}

    later(scenario)


def test_who_is_turned_away_by_us_sounds_like_nothing() -> None:
    """Rejecting a caller is no refusal of ours to hear."""

    async def scenario(desk: Desk, _: Skipping) -> None:
        desk.end("rejected", outgoing=False)
        assert desk.playing == {}

    later(scenario)


def test_only_what_differs_is_played_anew() -> None:
    async def scenario(desk: Desk, _: Skipping) -> None:
        desk.see(call("a", "in", "ringing"))
        del desk.playing[Channel.BELL]
        desk.see(call("a", "in", "ringing"))
        assert desk.playing == {}

    later(scenario)


def test_ringback_is_wanted_from_the_180_until_sound_comes() -> None:
    """RFC 3960 §3.2: whatever was negotiated, it is the far end's sound that takes the place of the tone."""
    lines = Lines(IdSource(random.Random(1)))
    name = lines.new("sip-1").id
    assert not lines.wants_ringback(name)
    lines.rang("sip-1")
    lines.rang("gone")
    assert lines.wants_ringback(name)
    lines.heard(name)
    assert not lines.wants_ringback(name)
    assert not lines.wants_ringback("gone")
