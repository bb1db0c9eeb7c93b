"""What a console loads before its first frame: counted in modules, since milliseconds depend on the machine."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from bench.console_bytes import SHOWN, Engine
from bench.terminal import Terminal
from tests.architecture.source import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

# The console as a user starts it, which tells what there is when the first frame is out.
_PROGRAM = """
import json, sys
import tui.app
from tui.late import still_waiting
def tell():
    found = {"modules": sorted(sys.modules), "waiting": list(still_waiting())}
    open(sys.argv[-1], "w").write(json.dumps(found))
tui.app._settle = tell
where = sys.argv.pop()
sys.argv.append(where)
from phone.cli import main
sys.exit(main(sys.argv[1:-1]))
"""

NOT_YET = (
    "sipcore", "audio", "numpy", "cryptography", "ssl", "tomlkit", "pygments", "markdown_it", "keyring",
    "phone.config", "phone.settings", "phone.secrets", "phone.spawn", "importlib.metadata",
    "tui.screens.settings", "tui.screens.wizard", "tui.screens.log", "tui.screens.health", "tui.widgets.form",
)  # fmt: skip
MOST_MODULES = 470


def test_the_first_frame_needs_no_more_than_it_shows(tmp_path: Path) -> None:
    async def scenario() -> dict[str, list[str]]:
        engine = Engine(tmp_path / "engine.sock")
        await engine.server.start()
        config, out = tmp_path / "config.toml", tmp_path / "loaded.json"
        config.write_text('[console]\nlanguage = "en"\n')
        command = [sys.executable, "-c", _PROGRAM, "--socket", str(engine.path), "--config", str(config), str(out)]
        home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
        terminal = Terminal(command, size=(80, 24), directory=tmp_path, environment=home)
        await terminal.shows(SHOWN)
        while not out.exists() or not out.read_text():  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.02)
        terminal.close()
        await engine.server.close()
        found: dict[str, list[str]] = json.loads(out.read_text())
        return found

    found = asyncio.run(scenario())
    modules = set(found["modules"])
    early = {name for name in modules if any(name == late or name.startswith(late + ".") for late in NOT_YET)}
    assert not early
    assert {"phone.protocol.commands", "phone.protocol.events"} <= set(found["waiting"])
    assert len(modules) <= MOST_MODULES, f"{len(modules)} modules before the first frame"
