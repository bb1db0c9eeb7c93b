"""Timeline and log: what is new is added, what is hostile is only text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from phone.protocol import events as ev
from phone.protocol.commands import TailLog
from tests.tui.engine import console, registered, shown, until
from tests.tui.scenes import freeze_clock
from tests.tui.test_toasts import EVENTS
from tui.screens.log import added, log_lines
from tui.timeline import KEPT, Timeline, words

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ([], ["a"], ["a"]),
        (["a"], ["a", "b"], ["b"]),
        (["a", "b", "c"], ["b", "c", "d"], ["d"]),
        (["a", "a"], ["a", "a", "a"], ["a"]),
        (["a"], ["x", "y"], ["x", "y"]),
        (["a"], ["a"], []),
    ],
)
def test_only_new_lines_are_added(before: list[str], now: list[str], new: list[str]) -> None:
    assert added(before, now) == new


def test_lines_are_safe_and_keep_their_indentation() -> None:
    assert log_lines({"lines": ["\x1b[31mred", "    at line 3", 5]}) == ["[31mred", "    at line 3", "5"]
    assert log_lines(None) == []


def test_every_toast_is_a_line() -> None:
    timeline = Timeline()
    for event in EVENTS:
        timeline.note(event)
    assert len(list(timeline)) == len([event for event in EVENTS if words(event)])
    assert any("Reconnection Failed" in line for line in timeline)


def test_the_timeline_forgets_what_is_old() -> None:
    freeze_clock()
    timeline = Timeline()
    for second in range(KEPT + 10):
        timeline.add(second, f"line {second}")
    lines = list(timeline)
    assert (len(lines), lines[0]) == (KEPT, "00:00:10  line 10")


def test_what_happens_all_the_time_is_no_line() -> None:
    assert words(ev.KeepAlive(at=1, result="answered", rtt_ms=12.0)) == ""
    assert words(ev.Registered(at=1, account="a", expires_s=600, refresh=True)) == ""
    assert words(ev.KeepAlive(at=1, result="missed")) != ""


def test_ctrl_l_shows_both_and_asks_only_while_it_is_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            engine.answers["tail_log"] = {"lines": ["one line of the log"]}
            engine.server.publish(ev.TransportDisconnected(at=1.0, server="ws://pbx", reason="pulled"))
            await until(pilot, lambda: bool(list(app.timeline)))
            await pilot.press("ctrl+l")
            await until(pilot, lambda: "one line of the log" in shown(app) and "Connection lost: pulled" in shown(app))
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
            asked = len([item for item in engine.polls if isinstance(item, TailLog)])
            await pilot.pause(0.1)
            assert len([item for item in engine.polls if isinstance(item, TailLog)]) == asked

    asyncio.run(scenario())
