"""From nothing to a registered phone: the wizard against a real settings file and a real control socket."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.widgets import Input

from phone.cli.first_run import FirstRun
from phone.config import Options
from phone.protocol import commands as cmd
from phone.protocol.snapshots import CallMedia, RegistrationSlice, TransportSlice
from phone.settings import Settings
from phone.state import PhoneState
from tests.tui.engine import Engine, registered, shown, talking, until
from tui.bridge import Bridge
from tui.console import ConsoleApp
from tui.screens.wizard_pages import PAGES, echo_rows, registration_rows, terminal_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.pilot import Pilot

    from tui.dialogs.quit import Leave
    from tui.widgets.rows import Row


def text(rows: list[Row]) -> str:
    return "\n".join("".join(piece for piece, _ in row) for row in rows)


@contextlib.asynccontextmanager
async def first_run(tmp_path: Path, state: PhoneState) -> AsyncIterator[tuple[ConsoleApp, Pilot[Leave], Engine, Path]]:
    """A console that has no engine until the wizard asks for one."""
    engine = Engine(tmp_path / "engine.sock", state)
    file = tmp_path / "config.toml"
    settings = Settings(Options(config=file), {"HOME": str(tmp_path)})
    app = ConsoleApp(Bridge(engine.path, spawn=engine.server.start), setup=FirstRun(settings))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "Welcome" in shown(app))
        yield app, pilot, engine, file
    await engine.server.close()


async def fill_account(app: ConsoleApp, pilot: Pilot[Leave]) -> None:
    await pilot.press("ctrl+n")
    await until(pilot, lambda: bool(app.screen.query("#password")))
    for name, value in (
        ("account--server", "ws://pbx:8088/ws"),
        ("account--username", "1001"),
        ("password", "hunter2"),
    ):
        app.screen.query_one(f"#{name}", Input).value = value
    await pilot.press("ctrl+n")


def test_it_writes_the_file_starts_the_engine_and_ends_at_the_phone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with first_run(tmp_path, registered()) as (app, pilot, engine, file):
            await fill_account(app, pilot)
            await until(pilot, lambda: "Registered as 1001@pbx" in shown(app))
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert 'username = "1001"' in file.read_text()
            assert "hunter2" not in file.read_text()
            assert "hunter2" in (tmp_path / ".config" / "offhook" / "secrets.toml").read_text()
            await pilot.press("ctrl+n")
            await until(pilot, lambda: bool(app.screen.query("#audio--input")))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "Echo call" in shown(app))
            engine.answers["dial"] = {"call": "a"}
            await pilot.press("ctrl+n")
            await until(pilot, lambda: cmd.Dial("600") in engine.commands)
            engine.change(registered(calls=(talking("a"),)))
            await until(pilot, lambda: "MOS 4.3" in shown(app))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: cmd.Hangup("a") in engine.commands and "The phone is ready" in shown(app))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: len(app.screen_stack) == 1)

    asyncio.run(scenario())


def test_an_account_that_is_refused_is_corrected_in_place(tmp_path: Path) -> None:
    refused = PhoneState(
        registration=RegistrationSlice(
            state="failed", account="1001@pbx", status=401, reason="Unauthorized", credentials_refused=True
        ),
        transport=TransportSlice(state="connected", server="ws://pbx"),
    )

    async def scenario() -> None:
        async with first_run(tmp_path, refused) as (app, pilot, engine, _file):
            await fill_account(app, pilot)
            await until(pilot, lambda: "refuses the user name or the password" in shown(app))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "Not registered yet" in shown(app))
            await pilot.press("ctrl+e")
            await until(pilot, lambda: bool(app.screen.query("#password")))
            app.screen.query_one("#password", Input).value = "better"
            await pilot.press("ctrl+n")
            await until(pilot, lambda: cmd.ChangeSettings((), "better", True) in engine.commands)
            engine.change(registered())
            await until(pilot, lambda: "Registered as" in shown(app))

    asyncio.run(scenario())


def test_nothing_is_written_before_the_account_fits(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with first_run(tmp_path, registered()) as (app, pilot, _engine, file):
            await pilot.press("ctrl+n")
            await until(pilot, lambda: bool(app.screen.query("#password")))
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "Server: This is needed." in shown(app))
            app.screen.query_one("#account--server", Input).value = "pbx"
            app.screen.query_one("#account--username", Input).value = "1001"
            await pilot.press("ctrl+n")
            await until(pilot, lambda: "The password is needed" in shown(app))
            assert not file.exists()

    asyncio.run(scenario())


def test_a_page_for_each_step_has_a_text() -> None:
    assert PAGES[0] == "terminal"
    assert "80 by 24" in text(terminal_rows(60, 15, "dark"))
    assert "100 columns" in text(terminal_rows(100, 40, "dark"))


def test_registration_in_plain_words() -> None:
    assert "starting" in text(registration_rows(PhoneState(), attached=False))
    lost = PhoneState(transport=TransportSlice(reason="connection refused"))
    assert "Check the server's address" in text(registration_rows(lost, attached=True))
    connected = replace(lost, transport=TransportSlice(state="connected", server="ws://pbx"))
    assert "Registering…" in text(registration_rows(connected, attached=True))
    forbidden = replace(connected, registration=RegistrationSlice(state="failed", status=403, reason="Forbidden"))
    assert "403 Forbidden" in text(registration_rows(forbidden, attached=True))
    connecting = replace(connected, transport=TransportSlice(state="connecting", server="ws://pbx"))
    assert "Connecting to ws://pbx" in text(registration_rows(connecting, attached=True))


def test_the_echo_call_in_plain_words() -> None:
    assert "Ctrl+N calls 600" in text(echo_rows(None, number="600", tried=False))
    assert "over" in text(echo_rows(None, number="600", tried=True))
    calling = talking("a", answered_at=None, state="calling")
    assert "Calling 1004" in text(echo_rows(calling, number="600", tried=True))
    assert "Measuring" in text(echo_rows(talking("a", media=None), number="600", tried=True))
    poor = talking("a", media=CallMedia(mos=2.9, loss=0.1, jitter_ms=40))
    assert "MOS 2.9, bad" in text(echo_rows(poor, number="600", tried=True))
