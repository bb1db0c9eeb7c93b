"""Takes the pictures of this folder: the real console, attached to a real engine that is registered at the demo's PBX.

    demo PBX ◀── ws, RTP ── engine ◀── control socket ── console ── keys as a user presses them ──▶ *.svg

``python -m docs.screens.make [NAME…]`` takes all of them, or those whose journey is named.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phone.cli.first_run import FirstRun
from phone.client import Connection
from phone.config import Options
from phone.demo.run import Demo, demo_environment
from phone.settings import Settings
from phone.spawn import spawn_engine
from tui.bridge import Bridge
from tui.console import ConsoleApp, Profile
from tui.i18n import set_language

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from textual.pilot import Pilot

    from tui.dialogs.quit import Leave

HERE = Path(__file__).parent
NARROW, WIDE = (80, 24), (120, 40)
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Sitting:
    """Somebody at a console."""

    app: ConsoleApp
    pilot: Pilot[Leave]
    size: tuple[int, int]

    def shown(self) -> str:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def see(self, *texts: str) -> None:
        """Wait until all of them are on the screen."""
        deadline = time.monotonic() + TIMEOUT_S
        while not all(text in self.shown() for text in texts):
            if time.monotonic() > deadline:
                raise SystemExit(f"never seen: {texts} on\n{self.shown()}")
            await self.pilot.pause(0.05)

    async def over(self, number: str) -> None:
        """Wait until no call with ``number`` is up any more."""
        deadline = time.monotonic() + TIMEOUT_S
        while any(call.peer == number for call in self.app.state.calls) and time.monotonic() < deadline:
            await self.pilot.pause(0.05)

    async def press(self, *keys: str) -> None:
        """Type."""
        await self.pilot.press(*keys)

    async def dial(self, number: str) -> None:
        """Call a number and wait until somebody is heard."""
        await self.press(*number, "enter")
        await self.see("TALK", "MOS 4.")

    async def hang_up(self) -> None:
        """End every call."""
        while self.app.state.calls:
            await self.press("f3")
            await self.pilot.pause(0.7)  # a second press sooner is a double press

    def picture(self, name: str) -> None:
        """Keep what is shown."""
        file = HERE / f"{name}-{self.size[0]}x{self.size[1]}.svg"
        file.write_text(self.app.export_screenshot(title="Offhook") + "\n", encoding="utf-8")
        sys.stdout.write(f"{file.name}\n")


@contextlib.contextmanager
def engine() -> Iterator[tuple[Demo, Path]]:
    """A demo with its engine; yields the demo and the control socket."""
    with demo_environment(synthetic=True) as demo:
        socket, log = demo.config.with_name("engine.sock"), demo.config.with_name("engine.log")
        spawn_engine(socket, log, ["--config", str(demo.config), "--socket", str(socket), "--log", str(log)])
        try:
            yield demo, socket
        finally:
            with Connection(socket) as connection:
                connection.call("shutdown")


@contextlib.asynccontextmanager
async def sitting(
    demo: Demo, socket: Path, size: tuple[int, int], *, theme: str = "dark", language: str = "en"
) -> AsyncIterator[Sitting]:
    """A console of ``size`` on the engine."""
    set_language(language)
    app = ConsoleApp(Bridge(socket), Profile(theme=theme, default_theme=theme), chaos=demo.chaos)
    async with app.run_test(size=size, notifications=True) as pilot:
        seat = Sitting(app, pilot, size)
        await seat.see("● ", "1001@demo.invalid")
        yield seat
    set_language("en")


# --- journeys ---------------------------------------------------------------------------------------------------------


async def calls(demo: Demo, socket: Path) -> None:
    """One on hold, one talked on, one ringing."""
    for size in (NARROW, WIDE):
        async with sitting(demo, socket, size) as seat:
            seat.picture("idle")
            await seat.dial("601")
            await seat.press("f4")
            await seat.see("HELD")
            await seat.press(*"610", "enter")
            await seat.see("TALK")
            await seat.over("610")
            await seat.dial("600")
            await seat.press("1", "#")
            seat.picture("call")
            await seat.see("RING", "Hold and answer")
            seat.picture("ringing")
            await seat.hang_up()


async def themes(demo: Demo, socket: Path) -> None:
    """A call in other colours and another language."""
    for name, theme, language in (("call-light", "light", "en"), ("call-ansi-es", "ansi", "es")):
        async with sitting(demo, socket, NARROW, theme=theme, language=language) as seat:
            await seat.press(*"600", "enter")
            await seat.see("MOS 4.")
            seat.picture(name)
            await seat.hang_up()


async def screens(demo: Demo, socket: Path) -> None:
    """What is beside the main screen."""
    for size in (NARROW, WIDE):
        async with sitting(demo, socket, size) as seat:
            for name, key, text in (
                ("settings", "ctrl+s", "Ctrl+S Save"),
                ("log", "ctrl+l", "INFO"),
                ("help", "f1", "Help"),
                ("chaos", "ctrl+k", "Refuse the password"),
            ):
                await seat.press(key)
                await seat.see(text)
                seat.picture(name)
                await seat.press("escape")
                await seat.see("Dial >")


async def outages(demo: Demo, socket: Path) -> None:
    """The chaos key: the PBX restarts, then refuses the password; what the health screen says of it."""
    async with sitting(demo, socket, NARROW) as seat:
        await seat.press("ctrl+k")
        await seat.see("Restart the PBX")
        await seat.press("2")
        await seat.see("Reconnecting...", "of 10 in")
        seat.picture("reconnecting")
        await seat.see("Reconnected")
        seat.picture("reconnected")
        await seat.press("ctrl+k")
        await seat.see("Refuse the password")
        await seat.press("5")
        await seat.see("Reconnection Failed", "The PBX refuses the password")
        seat.picture("refused")
        while "● REGISTERED" not in seat.shown():
            await seat.press("ctrl+r")
            await seat.pilot.pause(2.0)
        await seat.press("ctrl+y")
        await seat.see("Mean time to reconnect", "Registered again after")
        seat.picture("health")
    async with sitting(demo, socket, WIDE) as seat:
        await seat.press("ctrl+y")
        await seat.see("Mean time to reconnect", "Registered again after")
        seat.picture("health")


async def wizard(_: Demo, __: Path) -> None:
    """The first start."""
    for size in (NARROW, WIDE):
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(Options(), {"HOME": home})
            app = ConsoleApp(Bridge(Path(home) / "none.sock"), setup=FirstRun(settings))
            async with app.run_test(size=size, notifications=True) as pilot:
                seat = Sitting(app, pilot, size)
                await seat.see("Ctrl+N")
                await pilot.pause(1.0)
                seat.picture("wizard")
                await seat.press("ctrl+n")
                await seat.see("Password")
                seat.picture("wizard-account")


JOURNEYS: tuple[Callable[[Demo, Path], Awaitable[None]], ...] = (wizard, calls, themes, screens, outages)


def main(names: list[str]) -> None:
    """All journeys, or those named."""
    with engine() as (demo, socket):
        for journey in JOURNEYS:
            if not names or journey.__name__ in names:
                asyncio.run(journey(demo, socket))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1:])
