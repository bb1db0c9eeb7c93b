"""The health screen: the numbers of ``offhook ctl stats``, their targets, and why each disconnection happened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from phone.protocol import commands as cmd
from phone.protocol.codec import to_json
from phone.protocol.health import HealthReport, Incident, meets
from phone.protocol.phrases import Phrase
from tests.tui.engine import console, registered, shown, until
from tests.tui.scenes import freeze_clock
from tui.i18n import set_language
from tui.screens import health
from tui.screens.health import figure_rows, incident_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOST = Incident(at=1_790_000_000.0, kind="lost", reason=Phrase("{where} broke the connection.", where="pbx:8089"))
REPORT = HealthReport(
    days=12,
    disconnections=18,
    disconnections_per_day=1.5,
    reconnections=17,
    reconnection_failures=1,
    reconnection_success_rate=17 / 18,
    mean_reconnection_s=2.34,
    keep_alives=11_520,
    keep_alive_failure_rate=0.0004,
    mean_keep_alive_rtt_ms=12.3,
    incidents=(
        Incident(at=1_790_000_003.0, kind="reconnected", seconds=2.9, count=1),
        LOST,
        Incident(at=1_789_999_000.0, kind="refused", reason="Forbidden", count=403),
    ),
)


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    freeze_clock()
    yield
    set_language("en")


def words(report: HealthReport) -> list[str]:
    return [" ".join("".join(text for text, _ in row).split()) for row in figure_rows(report)]


def test_every_figure_has_its_value_and_target() -> None:
    assert words(REPORT) == [
        "Disconnections per day 1.5 as few as can be",
        "✗ Reconnections that worked (17 of 18) 94.4 % over 95 %",
        "✓ Mean time to reconnect 2.3 s under 10 s",
        "✓ Keep-alives without an answer 0.04 % under 0.1 %",
        "Mean round trip 12.3 ms",
    ]


def test_what_was_not_counted_is_no_failure() -> None:
    rows = words(HealthReport())
    assert all("–" in row for row in rows)
    assert not any(mark in row for row in rows for mark in "✓✗")


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("reconnection_success_rate", 0.96, True),
        ("reconnection_success_rate", 0.95, False),
        ("mean_reconnection_s", 9.9, True),
        ("mean_reconnection_s", 10.0, False),
        ("keep_alive_failure_rate", 0.001, False),
        ("keep_alive_failure_rate", None, None),
        ("disconnections", 3, None),
    ],
)
def test_targets(name: str, value: float | None, verdict: bool | None) -> None:
    assert meets(name, value) is verdict


def test_a_reason_is_said_in_the_language_of_the_console() -> None:
    set_language("es")
    assert incident_line(LOST) == "2026-09-21 14:13:20  Conexión perdida: pbx:8089 rompió la conexión."


@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
def test_the_screen_shows_both_at_once_and_escape_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """With the first answer: there is no second look here."""
    monkeypatch.setattr(health, "POLL_S", 3600.0)

    async def scenario() -> None:
        async with console(tmp_path, registered(), size=size) as (app, pilot, engine):
            engine.answers[cmd.Stats.method] = {"health": to_json(REPORT), "calls": {}}
            await pilot.press("ctrl+y")
            await until(pilot, lambda: "over 12 days" in shown(app))
            screen = shown(app)
            for text in ("REGISTERED", "94.4 %", "over 95 %", "Registered again after 2.9 s", "broke the"):
                assert text in screen
            await pilot.press("ctrl+r")
            await until(pilot, lambda: cmd.Register() in engine.commands)
            await pilot.press("escape")
            await until(pilot, lambda: "Dial >" in shown(app))

    asyncio.run(scenario())


def test_an_engine_that_cannot_say_is_told(tmp_path: Path) -> None:
    from phone.protocol.commands import CommandRefused

    async def scenario() -> None:
        async with console(tmp_path, registered()) as (app, pilot, engine):
            sentence = Phrase("The health figures cannot be read; the log says why.")
            engine.refusals[cmd.Stats.method] = CommandRefused("store", sentence)
            await pilot.press("i")
            await until(pilot, lambda: "cannot be read" in shown(app))

    asyncio.run(scenario())
