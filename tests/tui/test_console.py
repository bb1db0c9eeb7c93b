"""The console against a real control socket: what it shows, what the keys send, and what they must not do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.snapshots import Reconnect, RegistrationSlice
from tests.tui.engine import console, over, registered, ringing, talking, text_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from phone.protocol.snapshots import CallSlice


def test_digits_start_dialling_and_enter_dials(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (_app, pilot, engine):
            await pilot.press("6", "0", "0", "enter")
            await until(pilot, lambda: engine.commands == [cmd.Dial("600")])

    asyncio.run(scenario())


def test_digits_are_tones_in_a_call_and_are_echoed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(talking("a"),))) as (app, pilot, engine):
            await pilot.press("1", "#")
            await until(pilot, lambda: engine.commands == [cmd.Dtmf("1", "a"), cmd.Dtmf("#", "a")])
            await until(pilot, lambda: "DTMF sent: 1 #" in text_of(app, "#calls"))

    asyncio.run(scenario())


def test_f2_answers_the_ringing_call_by_its_id(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(ringing("b"),))) as (app, pilot, engine):
            assert "RING 1007" in text_of(app, "#alert")
            await pilot.press("f2")
            await until(pilot, lambda: engine.commands == [cmd.Answer("b")])

    asyncio.run(scenario())


def test_a_letter_right_after_the_ring_answers_nothing(tmp_path: Path) -> None:
    """Somebody types a name, a call comes in: the next letter must not answer it."""

    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            engine.change(registered(calls=(ringing("b"),)))
            await until(pilot, lambda: "RING" in text_of(app, "#alert"))
            await pilot.press("a")
            await pilot.press("f2")
            await until(pilot, lambda: bool(engine.commands))
            assert engine.commands == [cmd.Answer("b")]  # one answer, that of F2
            app.verbs._clock = lambda: 1e12
            await pilot.press("a")
            await until(pilot, lambda: len(engine.commands) == 2)

    asyncio.run(scenario())


def test_hanging_up_twice_in_a_row_ends_one_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        state = registered(calls=(talking("a"), talking("b", held=True)))
        async with console(tmp_path, state) as (_app, pilot, engine):
            await pilot.press("f3")
            engine.change(registered(calls=(talking("b"),)))
            await pilot.press("f3", "f5")
            await until(pilot, lambda: any(isinstance(item, cmd.Mute) for item in engine.commands))
            assert [item for item in engine.commands if isinstance(item, cmd.Hangup)] == [cmd.Hangup("a")]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "call", "command"),
    [
        ("f4", talking("a"), cmd.Hold("a")),
        ("h", talking("a", held=True), cmd.Resume("a")),
        ("f5", talking("a"), cmd.Mute("a")),
        ("m", talking("a", muted=True), cmd.Unmute("a")),
        ("x", talking("a", held=True), cmd.Resume("a")),
        ("f3", talking("a"), cmd.Hangup("a")),
        ("ctrl+o", talking("a"), cmd.Record("start", "a")),
        ("ctrl+o", talking("a", recording="/a.wav"), cmd.Record("stop", "a")),
        ("ctrl+up", talking("a"), cmd.Volume(change=10)),
        ("ctrl+down", ringing("a"), cmd.Volume(change=-10, ring=True)),
    ],
)
def test_keys_of_a_call(tmp_path: Path, key: str, call: object, command: cmd.Command) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(call,))) as (_app, pilot, engine):
            await pilot.press(key)
            await until(pilot, lambda: engine.commands == [command])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("beside", "bell"),
    [
        (talking("a"), False),
        (talking("a", held=True), True),
        (talking("a", state="early", answered_at=None), False),
        (talking("a", state="ending"), True),
    ],
    ids=["talking", "on hold", "calling", "ending"],
)
def test_the_volume_is_that_of_what_a_second_call_sounds_with(tmp_path: Path, beside: CallSlice, bell: bool) -> None:
    """A call one talks on makes it a beep in the ear; beside a call on hold the bell rings."""

    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(beside, ringing("b")))) as (_app, pilot, engine):
            await pilot.press("ctrl+up")
            await until(pilot, lambda: engine.commands == [cmd.Volume(change=10, ring=bell)])

    asyncio.run(scenario())


def test_a_volume_is_shown_for_a_moment_below_the_calls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            engine.answers["volume"] = {"volume": 80, "ring_volume": 100}
            before = text_of(app, "#call-note")
            await pilot.press("ctrl+down")
            await until(pilot, lambda: "Volume 80 %  ████████··" in text_of(app, "#call-note"))
            await until(pilot, lambda: text_of(app, "#call-note") == before)

    asyncio.run(scenario())


def test_function_keys_work_while_typing_and_letters_type(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(talking("a", held=True),))) as (app, pilot, engine):
            await pilot.press("slash", "h", "a", "f4")
            await until(pilot, lambda: engine.commands == [cmd.Resume("a")])
            assert app.screen.query_one("#dial").value == "ha"  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_redial_calls_the_number_dialled_last(tmp_path: Path) -> None:
    async def scenario() -> None:
        recent = (over(3, direction="in", outcome="missed", peer="1007"), over(2, peer="600"))
        async with console(tmp_path, registered(recent=recent)) as (_app, pilot, engine):
            await pilot.press("f9")
            await until(pilot, lambda: engine.commands == [cmd.Dial("600")])

    asyncio.run(scenario())


def test_enter_on_a_missed_call_calls_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        recent = (over(3, direction="in", outcome="missed", peer="1007"), over(2, peer="600"))
        async with console(tmp_path, registered(recent=recent)) as (app, pilot, engine):
            app.screen.query_one("#recent").focus()
            await pilot.press("enter")
            await until(pilot, lambda: engine.commands == [cmd.Dial("1007")])

    asyncio.run(scenario())


def test_the_banner_counts_down_and_ctrl_r_retries(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            waiting = Reconnect(what="transport", attempt=3, max=10, next_at=10**11)
            lost = RegistrationSlice(state="registering", account="1001@pbx", reconnect=waiting, reason="refused")
            engine.change(replace(engine.state, registration=lost))
            await until(pilot, lambda: "attempt 3 of 10" in text_of(app, "#alert"))
            assert "Ctrl+R Retry now" in text_of(app, "#alert")
            await pilot.press("ctrl+r")
            await until(pilot, lambda: engine.commands == [cmd.Register()])

    asyncio.run(scenario())


def test_a_vanished_engine_is_said_and_a_new_one_attached_without_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            await engine.die()
            await until(pilot, lambda: "ENGINE GONE" in text_of(app, "#status"))
            await engine.come_back()
            await until(pilot, lambda: "REGISTERED" in text_of(app, "#status"))

    asyncio.run(scenario())


def test_quitting_in_a_call_asks_and_detaching_sends_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(talking("a"),))) as (app, pilot, engine):
            await pilot.press("f10")
            await until(pilot, lambda: len(app.screen_stack) == 2)
            await pilot.press("enter")
            await until(pilot, lambda: app.return_value is not None)
            assert engine.commands == []

    asyncio.run(scenario())


def test_a_hostile_caller_name_is_only_text(tmp_path: Path) -> None:
    """Markup, escape sequences and bidirectional overrides change nothing but the caller's own name."""

    async def scenario() -> None:
        name = "[red]x[/] \x1b]0;pwn\x07 \u202e"
        state = registered(calls=(ringing("b", display_name=name),))
        async with console(tmp_path, state) as (app, pilot, engine):
            shown = text_of(app, "#alert")
            assert "[red]x[/]" in shown
            for screen in (shown, text_of(app, "#calls")):
                assert not {"\x1b", "\x07", "\u202e"} & set(screen)
            app.on_engine_event(ev.CallEnded(at=0, call="b", by="remote", outcome="missed", peer=name))
            await pilot.pause()
            svg = app.export_screenshot()
            assert not {"\x1b", "\x07", "\u202e"} & set(svg)
            engine.change(registered())
            await until(pilot, lambda: not app.state.calls)

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15)])
def test_every_slot_is_visible(tmp_path: Path, size: tuple[int, int]) -> None:
    async def scenario() -> None:
        state = registered(calls=(talking("a"), ringing("b")))
        async with console(tmp_path, state, size=size) as (app, _pilot, _engine):
            for slot in ("#status", "#alert", "#calls", "#quality", "#dialline", "#hints"):
                region = app.screen.query_one(slot).region
                assert region.width > 0
                assert region.height > 0
                assert region.bottom <= size[1]

    asyncio.run(scenario())
