"""What is really loaded, seen from inside a process: the static contracts cannot see what an import drags in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PROJECT, modules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Runs argv as a user would, then tells which modules there are, whatever the exit status.
_RUN = """
import atexit, json, os, runpy, sys
where = os.dup(1)
atexit.register(lambda: os.write(where, ("\\0" + json.dumps(sorted(sys.modules))).encode()))
runpy.run_module("phone.cli", run_name="__main__", alter_sys=True)
"""
_IMPORT = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print("\\0" + json.dumps(sorted(sys.modules)))
"""

HEAVY = ("textual", "rich", "numpy", "sounddevice", "websockets", "sipcore", "audio", "tui", "cryptography", "dns")


def loaded(program: str, arguments: Sequence[str], home: Path) -> set[str]:
    """The top-level names in sys.modules after running a program with arguments."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "OFFHOOK_"))}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=home,
        env={**environment, "HOME": str(home), "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "\0" in done.stdout, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.rsplit("\0", 1)[1])}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["ctl", "--help"],
        ["ctl", "status", "--socket", "absent.sock"],
        ["ctl", "calls", "--json", "--socket", "absent.sock"],
    ],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    """`ctl` has 100 ms of its own time: any one of these would take half of it."""
    assert loaded(_RUN, arguments, tmp_path).isdisjoint(HEAVY)


def test_sound_goes_on_before_the_phone_is_loaded(tmp_path: Path) -> None:
    """What a restarted engine loads before the first packet of a call it was left: no loop, no signalling, no TLS."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, "phone.cli.entry", "phone.cli.run", "phone.ahead"],
        env={"PYTHONPATH": str(PROJECT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    found = set(json.loads(done.stdout.rsplit("\0", 1)[1]))
    late = ("asyncio", "ssl", "subprocess", "phone.engine", "phone.phone", "phone.server", "sipcore.stack")
    assert found.isdisjoint(late)
    assert found.isdisjoint({*HEAVY} - {"numpy", "sipcore", "audio"})


def test_the_engine_loads_no_screen(tmp_path: Path) -> None:
    """Every module of the engine: a screen costs 20 MB, and importing sounddevice starts PortAudio, which may hang."""
    names = [name for room in ("sipcore", "audio", "phone") for name in modules(room)]
    assert loaded(_IMPORT, names, tmp_path).isdisjoint({"textual", "rich", "tui", "sounddevice"})


def test_the_console_loads_no_engine(tmp_path: Path) -> None:
    """It must be able to die, and to repaint, without a call noticing; and it stays small."""
    names = list(modules("tui"))
    assert loaded(_IMPORT, names, tmp_path).isdisjoint({"sipcore", "audio", "numpy", "sounddevice", "websockets"})
