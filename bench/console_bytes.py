"""What the console costs: first paint, key to first byte, memory, bytes to a terminal and CPU.

    python -m bench.console_bytes [--seconds 12] [--size 80x24] [--json]

    one console at a time      first paint (five starts), key to first byte, PSS before and in a call
    four of them together      bytes, writes and CPU, idle and in a call: SSH and local profile, with meters and without

The console is started as a user starts it (``offhook`` in a terminal); the engine is a control socket of this process
that shows one state and, in a call, new figures every second. Times are those of this machine as busy as it is: the
CPU a start takes is printed beside its time. Nothing answers the terminal's queries, as over a plain SSH session.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.terminal import NeverShown, Terminal
from phone.protocol import commands as cmd
from phone.protocol.snapshots import CallMedia, CallSlice, RegistrationSlice, TransportSlice
from phone.server import ControlServer
from phone.state import PhoneState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STARTS = 5
KEYS = 20
SHOWN = b"REGISTERED"
_ROOT = Path(__file__).resolve().parents[1]


class Engine:
    """A control socket with one state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = PhoneState(
            registration=RegistrationSlice(state="registered", account="1001@pbx.example.com"),
            transport=TransportSlice(state="connected", server="wss://pbx.example.com:8089/ws", rtt_ms=12.0),
        )
        self.server = ControlServer(path, engine="e", version="bench", state=lambda: self.state, execute=self._answer)

    async def _answer(self, command: cmd.Command) -> Any:
        level = 20 + 15 * (time.monotonic() % 1)
        return {"levels": {"input_dbfs": -level, "output_dbfs": level - 60}} if isinstance(command, cmd.Meters) else {}

    def call(self, second: int) -> None:
        """A call that goes on, with the figures of this second."""
        now = time.time()
        media = CallMedia(mos=4.3 - 0.1 * (second % 2), loss=0.001 * (second % 3), jitter_ms=6.0 + second % 2)
        started = self.state.calls[0].started_at if self.state.calls else now - 60
        call = CallSlice(
            id="a", direction="out", state="active", peer="1004", started_at=started, answered_at=started, codec="PCMU",
            media=media,
        )  # fmt: skip
        self.state = replace(self.state, calls=(call,))
        self.server.state_changed()

    @contextlib.asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """A call for the length of the block, settled at its beginning."""

        async def talk() -> None:
            second = 0
            while True:
                self.call(second)
                second += 1
                await asyncio.sleep(1.0)

        talker = asyncio.create_task(talk())
        await asyncio.sleep(2.0)
        try:
            yield
        finally:
            talker.cancel()
            self.state = replace(self.state, calls=())
            self.server.state_changed()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One way to run the console."""

    name: str
    ssh: bool
    meters: bool


PROFILES = (
    Profile(name="ssh", ssh=True, meters=False),
    Profile(name="ssh with meters", ssh=True, meters=True),
    Profile(name="local", ssh=False, meters=False),
    Profile(name="local with meters", ssh=False, meters=True),
)

TARGETS = {
    "first paint s": 0.5,
    "key to first byte ms": 30.0,
    "PSS MB": 45.0,
    "PSS MB in a call": 45.0,
    "idle bytes/s": 0.0,
    "in a call bytes/s (ssh)": 60.0,
    "in a call bytes/s (ssh with meters)": 400.0,
    "in a call CPU % (ssh)": 1.0,
}
"""At most."""


def console(engine: Engine, profile: Profile, size: tuple[int, int]) -> Terminal:
    """A console attached to ``engine``, with settings and files of its own."""
    home = engine.path.parent
    config = home / f"{profile.name.replace(' ', '-')}.toml"
    config.write_text(f'[console]\nlanguage = "en"\nmeters = "{"yes" if profile.meters else "no"}"\n')
    command = [sys.executable, "-m", "phone.cli", "--socket", str(engine.path), "--config", str(config)]
    environment = {"HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    option = "--ssh" if profile.ssh else "--no-ssh"
    return Terminal([*command, option], size=size, directory=_ROOT, environment=environment)


async def alone(engine: Engine, profile: Profile, size: tuple[int, int]) -> dict[str, float]:
    """What must be measured with nothing beside it."""
    paints: list[float] = []
    cpu: list[float] = []
    for start in range(STARTS + 1):
        terminal = console(engine, profile, size)
        seconds = await terminal.shows(SHOWN)
        if start:  # the first one may have had to compile
            paints.append(seconds)
            cpu.append(terminal.cpu_s())
        if start < STARTS:
            terminal.close()
    await asyncio.sleep(1.0)
    figures = {
        "first paint s": statistics.median(paints),
        "first paint s, worst": max(paints),
        "first paint CPU s": statistics.median(cpu),
        "first paint kB": len(terminal.data) / 1024,
        "PSS MB": terminal.pss_mb(),
    }
    await terminal.press(b"5")
    presses = []
    for _ in range(KEYS):
        await asyncio.sleep(0.1)
        presses.append(await terminal.press(b"6"))
    figures["key to first byte ms"] = 1000 * statistics.median(presses)
    figures["key to first byte ms, worst"] = 1000 * max(presses)
    terminal.type(b"\x1b")
    async with engine.talking():
        await asyncio.sleep(1.0)
        figures["PSS MB in a call"] = terminal.pss_mb()
    terminal.close()
    return figures


async def together(engine: Engine, size: tuple[int, int], seconds: float) -> dict[str, dict[str, float]]:
    """What a count or a clock of the process's own tells, whatever runs beside it."""
    terminals = {profile.name: console(engine, profile, size) for profile in PROFILES}
    for terminal in terminals.values():
        await terminal.shows(SHOWN)
    await asyncio.sleep(1.5)
    figures: dict[str, dict[str, float]] = {name: {} for name in terminals}

    async def watch(what: str) -> None:
        found = await asyncio.gather(*(terminal.over(seconds) for terminal in terminals.values()))
        for name, values in zip(terminals, found, strict=True):
            figures[name].update({f"{what} {figure}": value for figure, value in values.items()})

    await watch("idle")
    async with engine.talking():
        await watch("in a call")
    for terminal in terminals.values():
        terminal.close()
    return figures


async def measure(size: tuple[int, int], seconds: float) -> dict[str, Any]:
    """Everything: ``alone`` for a local terminal, and each profile by name."""
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(Path(directory) / "engine.sock")
        await engine.server.start()
        results: dict[str, Any] = {"alone": await alone(engine, PROFILES[3], size)}
        results["profiles"] = await together(engine, size, seconds)
        await engine.server.close()
    return results


def report(results: dict[str, Any]) -> list[str]:
    """The lines to print."""
    lines = []
    for figure, value in results["alone"].items():
        lines.append(f"{figure:32}{value:12.2f}" + _verdict(figure, value))
    lines += ["", f"{'':32}" + "".join(f"{name:>20}" for name in results["profiles"])]
    for figure in next(iter(results["profiles"].values())):
        row = [(found[figure], _verdict(f"{figure} ({name})", found[figure]) or _verdict(figure, found[figure]))
               for name, found in results["profiles"].items()]  # fmt: skip
        lines.append(f"{figure:32}" + "".join(f"{value:20.2f}" for value, _ in row))
        lines += [f"{'':32}{name}{verdict}" for (_, verdict), name in zip(row, results["profiles"], strict=True)
                  if verdict.endswith("MISSED")]  # fmt: skip
    return lines


def _verdict(figure: str, value: float) -> str:
    if (target := TARGETS.get(figure)) is None:
        return ""
    return f"   at most {target:g}: " + ("ok" if value <= target else "MISSED")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    width, _, height = arguments.size.partition("x")
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        results = asyncio.run(measure((int(width), int(height)), arguments.seconds))
    except NeverShown as error:
        raise SystemExit(f"the console: {error}") from None
    results["load before"] = load
    if arguments.json:
        print(json.dumps(results))
        return 0
    print("\n".join(report(results)))
    print(f"\n{time.monotonic() - began:.0f} s; {load:.1f} processes wanted to run in the minute before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
