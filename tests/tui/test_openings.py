"""A screen that fails shows an error card and is tried again after 1, 2 and 4 s; the phone goes on (product.md §1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from phone.protocol import commands as cmd
from phone.protocol.codec import to_json
from tests.tui.engine import console, registered, ringing, shown
from tests.tui.scenes import HEALTH
from tui import openings
from tui.crash import FaultLog
from tui.dialogs.error_card import ErrorCard
from tui.openings import WAITS_S
from tui.screens.health import HealthScreen
from tui.screens.log import LogScreen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def until(predicate: Callable[[], bool]) -> None:
    """Like that of the other tests, without a pilot: it would wait for widgets that are gone."""
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110 - the screen has no event to wait for
            await asyncio.sleep(0.01)


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("secret-looking local state")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "WAITS_S", (0.05, 0.1, 0.2))


def test_the_waits_are_those_of_the_promise() -> None:
    assert WAITS_S == (1.0, 2.0, 4.0)


@pytest.mark.parametrize("where", ["__init__", "compose", "on_mount", "look"])
def test_a_screen_that_fails_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, where: str
) -> None:
    """Wherever it fails; once the cause is gone it is there."""

    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            faults = FaultLog(tmp_path / "console.log")
            app._faults = faults
            engine.answers[cmd.Stats.method] = {"health": to_json(HEALTH), "calls": {}}
            with monkeypatch.context() as patched:
                patched.setattr(HealthScreen, where, fail)
                await pilot.press("ctrl+y")
                await until(lambda: "This screen has failed" in shown(app))
                assert "secret-looking" not in shown(app)
                patched.undo()
            await until(lambda: "over 12 days" in shown(app))
            await pilot.press("escape")
            await until(lambda: "Dial >" in shown(app))
            assert "ZeroDivisionError" in faults.file.read_text()
            assert not app.failed
            assert len(app.screen_stack) == 1

    asyncio.run(scenario())


def test_what_fails_for_ever_is_left_after_the_third_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    tries: list[int] = []

    def fail_again(*_: object) -> None:
        tries.append(1)
        raise ZeroDivisionError

    async def scenario() -> None:
        monkeypatch.setattr(LogScreen, "compose", fail_again)
        async with console(tmp_path, registered()) as (app, pilot, engine):
            await pilot.press("ctrl+l")
            await until(lambda: "failed four times" in shown(app))
            assert len(tries) == 4
            engine.change(registered(calls=(ringing(),)))
            await until(lambda: bool(app.state.calls))
            await pilot.press("f2")
            await until(lambda: cmd.Answer("b") in engine.commands)
            await pilot.press("escape")
            await until(lambda: "RING" in shown(app))
            assert not app.failed

    asyncio.run(scenario())


def test_escape_ends_the_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(LogScreen, "on_mount", fail)
        async with console(tmp_path, registered()) as (app, pilot, _):
            await pilot.press("ctrl+l")
            await until(lambda: isinstance(app.screen, ErrorCard))
            assert "opened again in 1 s" in shown(app)
            await pilot.press("escape")
            await until(lambda: "Dial >" in shown(app))
            assert len(app.screen_stack) == 1

    asyncio.run(scenario())
