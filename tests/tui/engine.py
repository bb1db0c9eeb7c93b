"""A real control server without a phone behind it: tests set the state and see the commands that arrive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from phone.config import Configuration, Options
from phone.protocol import commands as cmd
from phone.protocol.codec import to_json
from phone.protocol.snapshots import CallMedia, CallSlice, HistoryEntry, RegistrationSlice, TransportSlice
from phone.server import ControlServer
from phone.settings import LiveSettings, Settings
from phone.state import PhoneState
from tui.bridge import Bridge
from tui.console import ConsoleApp, Profile
from tui.widgets.calls import CallsPane
from tui.widgets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from phone.protocol.commands import Command, CommandRefused
    from tui.dialogs.quit import Leave


def registered(**parts: Any) -> PhoneState:
    """A registered phone with whatever else is given."""
    return PhoneState(
        registration=RegistrationSlice(state="registered", account="1001@pbx", expires_at=time.time() + 300),
        transport=TransportSlice(state="connected", server="ws://pbx", rtt_ms=12.0),
        **parts,
    )


def talking(call: str = "a", **parts: Any) -> CallSlice:
    """An answered call."""
    now = time.time()
    values: dict[str, Any] = {
        "direction": "out",
        "state": "active",
        "peer": "1004",
        "started_at": now - 65,
        "answered_at": now - 62,
        "codec": "PCMU",
        "media": CallMedia(mos=4.3, loss=0.001, jitter_ms=3.2),
    }
    return CallSlice(id=call, **(values | parts))


def ringing(call: str = "b", **parts: Any) -> CallSlice:
    """An incoming call that waits."""
    values: dict[str, Any] = {"direction": "in", "state": "ringing", "peer": "1007", "started_at": time.time()}
    return CallSlice(id=call, **(values | parts))


def over(entry: int, **parts: Any) -> HistoryEntry:
    """A call of the past."""
    values: dict[str, Any] = {"direction": "out", "outcome": "answered", "peer": "600", "started_at": time.time() - 60}
    return HistoryEntry(id=entry, **(values | parts))


CONFIG = """# the lab
[account]
server = "ws://pbx:8088/ws"
username = "1001"
"""

DEVICES = {
    "devices": [
        {"name": "USB Headset", "role": "input", "default": False, "system": "portaudio", "monitor": False},
        {"name": "USB Headset", "role": "output", "default": True, "system": "portaudio", "monitor": False},
        {"name": "Monitor of USB Headset", "role": "input", "default": False, "system": "pulse", "monitor": True},
    ],
    "problem": None,
}


class Engine:
    """State out, commands in; the settings are real ones, in a file of the test's directory."""

    def __init__(self, path: Path, state: PhoneState) -> None:
        self.state = state
        self.commands: list[Command] = []
        self.polls: list[Command] = []
        self.answers: dict[str, Any] = {}
        """What to answer to a method, where ``{}`` is not enough."""

        self.refusals: dict[str, CommandRefused] = {}
        """What to refuse a method with."""

        self.busy = False
        self.path = path
        self.config = path.with_name("config.toml")
        self._settings: LiveSettings | None = None
        self.server = self._make("engine-1")

    def _make(self, engine: str) -> ControlServer:
        return ControlServer(self.path, engine=engine, version="test", state=lambda: self.state, execute=self._execute)

    @property
    def settings(self) -> LiveSettings:
        """The settings of :data:`CONFIG`, or of what was written to the file since."""
        if self._settings is None:
            if not self.config.exists():
                self.config.write_text(CONFIG)
            found = Settings(Options(config=self.config), {"HOME": str(self.path.parent)})
            self._settings = LiveSettings(found, self, found.load())
        return self._settings

    async def _execute(self, command: Command) -> Any:
        if command.method in self.refusals:
            raise self.refusals[command.method]
        match command:
            case cmd.Meters() | cmd.TailLog() | cmd.TestSound("poll"):
                self.polls.append(command)
            case cmd.Settings():
                return to_json(await self.settings.describe())
            case cmd.Devices():
                return DEVICES
            case cmd.ChangeSettings(values, password, keep):
                self.commands.append(command)
                return to_json(await self.settings.change(values, password=password, keep_password=keep))
            case _:
                self.commands.append(command)
        return self.answers.get(command.method, {})

    async def use_devices(self, configuration: Configuration) -> None:
        """The settings reach the sound."""

    async def use_tones(self, configuration: Configuration) -> None:
        """The settings reach the tones."""

    def use_levels(self, configuration: Configuration) -> None:
        """The settings reach the volume."""

    def use_verbose(self, on: bool) -> None:
        """The settings reach the log."""

    async def use_password(self, password: str) -> None:
        """The settings reach the registration."""

    async def use_configuration(self, configuration: Configuration) -> None:
        """The settings reach the account."""

    def change(self, state: PhoneState) -> None:
        """Tell attached consoles of a new state."""
        self.state = state
        self.server.state_changed()

    async def die(self) -> None:
        """Vanish, as a killed engine does."""
        await self.server.close()

    async def come_back(self) -> None:
        """A new engine at the same place."""
        self.server = self._make("engine-2")
        await self.server.start()


async def until(pilot: Pilot[Leave], predicate: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Let the console work until ``predicate`` holds."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, "the console did not get there"
        await pilot.pause(0.01)


@contextlib.asynccontextmanager
async def console(
    path: Path, state: PhoneState, *, size: tuple[int, int] = (80, 24), profile: Profile | None = None
) -> AsyncIterator[tuple[ConsoleApp, Pilot[Leave], Engine]]:
    """A console attached to an engine that shows ``state``."""
    engine = Engine(path / "engine.sock", state)
    await engine.server.start()
    app = ConsoleApp(Bridge(engine.path), profile)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.state == state)
        await pilot.pause()
        yield app, pilot, engine
    await engine.server.close()
    await asyncio.sleep(0)


def text_of(app: ConsoleApp, selector: str) -> str:
    """The rows of a widget of the main screen, as a user reads them."""
    widget = app.screen_stack[0].query_one(selector)
    assert isinstance(widget, Rows | CallsPane)
    return "\n".join(widget.plain())


def shown(app: ConsoleApp) -> str:
    """Everything on the screen, as a user reads it."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)
