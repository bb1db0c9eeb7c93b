"""The settings screen: what it shows, refuses while somebody types, sends, and applies to itself at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from phone.protocol import commands as cmd
from phone.protocol.settings import SettingsChanged, SettingValue
from tests.tui.engine import Engine, console, registered, shown, until
from tui.i18n import set_language
from tui.screens.settings import device_names, saved_sentence
from tui.widgets.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from textual.pilot import Pilot

    from tui.console import ConsoleApp
    from tui.dialogs.quit import Leave


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


async def opened(app: ConsoleApp, pilot: Pilot[Leave]) -> None:
    await pilot.press("ctrl+s")
    await until(pilot, lambda: bool(app.screen.query("#account--server")) and app.focused is not None)


def changes(engine: Engine) -> list[cmd.ChangeSettings]:
    return [command for command in engine.commands if isinstance(command, cmd.ChangeSettings)]


def test_every_section_is_on_the_form(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(), size=(100, 70)) as (app, pilot, _engine):
            await opened(app, pilot)
            screen = shown(app)
            for heading in ("Account", "Sound", "Connection", "Log", "Screen"):
                assert heading in screen
            assert "ws://pbx:8088/ws" in screen
            assert "Keep-alive: interval" in screen

    asyncio.run(scenario())


def test_a_value_that_does_not_fit_is_refused_while_it_is_typed_and_not_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(), size=(100, 70)) as (app, pilot, engine):
            await opened(app, pilot)
            app.screen.query_one("#resilience--register_attempts", Input).focus()
            await pilot.press("backspace", "0")
            await until(pilot, lambda: "It must be 1 or more." in shown(app))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "Register: attempts: It must be 1 or more." in shown(app))
            assert changes(engine) == []

    asyncio.run(scenario())


def test_saving_writes_the_file_and_keeps_its_comments(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            await opened(app, pilot)
            app.screen.query_one("#account--display_name", Input).focus()
            await pilot.press(*"Desk", "ctrl+s")
            await until(pilot, lambda: "Saved." in shown(app))
            assert changes(engine)[0].values == (SettingValue(key="account.display_name", text="Desk"),)
            assert engine.config.read_text().startswith("# the lab\n")
            assert 'display_name = "Desk"' in engine.config.read_text()

    asyncio.run(scenario())


def test_a_password_goes_to_the_engine_and_never_to_the_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            await opened(app, pilot)
            app.screen.query_one("#password", Input).focus()
            await pilot.press(*"hunter2")
            assert "hunter2" not in shown(app)
            app.screen.query_one("#keep-password", Choice).focus()
            await pilot.press("right", "ctrl+s")
            await until(pilot, lambda: bool(changes(engine)))
            assert changes(engine) == [cmd.ChangeSettings((), "hunter2", False)]
            assert "hunter2" not in engine.config.read_text()
            assert "hunter2" not in repr(changes(engine))

    asyncio.run(scenario())


def test_theme_and_language_change_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, _engine):
            await opened(app, pilot)
            app.screen.query_one("#console--theme", Choice).use("light")
            app.screen.query_one("#console--language", Choice).use("es")
            await pilot.press("ctrl+s")
            await until(pilot, lambda: app.theme == "textual-light")
            await until(pilot, lambda: "Guardado" in shown(app))
            await pilot.press("escape")
            await until(pilot, lambda: "REGISTRADO" in shown(app))

    asyncio.run(scenario())


def test_escape_warns_once_of_what_is_not_saved(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            await opened(app, pilot)
            await pilot.press("x", "escape")
            await until(pilot, lambda: "Not saved yet" in shown(app))
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
            assert changes(engine) == []

    asyncio.run(scenario())


def test_the_engine_s_refusal_is_shown_in_its_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered(), size=(100, 40)) as (app, pilot, engine):
            await opened(app, pilot)
            engine.config.write_text("[nonsense]\n")
            await pilot.press("x", "ctrl+s")
            await until(pilot, lambda: "unknown section" in shown(app))

    asyncio.run(scenario())


def test_devices_can_be_turned_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, _engine):
            await opened(app, pilot)
            chosen = app.screen.query_one("#audio--input", Choice)
            chosen.focus()
            await until(pilot, lambda: "USB Headset" in chosen._choices)
            await pilot.press("right")
            assert chosen.value == "USB Headset"
            await pilot.press("left", "left")
            assert chosen.value == "none"

    asyncio.run(scenario())


def test_a_call_can_be_answered_from_the_settings(tmp_path: Path) -> None:
    from tests.tui.engine import ringing

    async def scenario() -> None:
        async with console(tmp_path, registered(calls=(ringing("b"),))) as (app, pilot, engine):
            await opened(app, pilot)
            await pilot.press("f2")
            await until(pilot, lambda: cmd.Answer("b") in engine.commands)

    asyncio.run(scenario())


def test_what_became_of_a_change_is_one_sentence_each() -> None:
    assert saved_sentence(SettingsChanged(applied=("a",))) == "Saved."
    assert "when the calls are over" in saved_sentence(SettingsChanged(after_calls=("a",)))
    assert "started again" in saved_sentence(SettingsChanged(restart=("a",)))
    assert "kept in the keyring" in saved_sentence(SettingsChanged(password_kept="the keyring"))


def test_what_repeats_a_speaker_is_no_microphone() -> None:
    devices = [
        {"name": "Mic", "role": "input"},
        {"name": "Monitor", "role": "input", "monitor": True},
        {"name": "Out\x1b[1m", "role": "output"},
        {"name": "?", "role": "other"},
    ]
    assert device_names({"devices": devices}) == {"input": ["Mic"], "output": ["Out[1m"]}
    assert device_names(None) == {"input": [], "output": []}
