"""The import contracts of pyproject.toml hold, and each can fail: a planted violation is caught."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import PROJECT, ROOMS, imports, modules, within

# contract id → (module to plant, what it imports): at least one per contract, deferred and chained imports among them.
PLANTS = [
    ("layers", "audio/planted.py", "import phone.state"),
    ("layers", "sipcore/planted.py", "import audio.codec"),
    ("layers", "phone/planted.py", "def later():\n    import tui"),
    ("sipcore-layers", "sipcore/message/planted.py", "import sipcore.stack"),
    ("sipcore-layers", "sipcore/sdp/planted.py", "import sipcore.message.uri"),
    ("sipcore-layers", "sipcore/dialog/planted.py", "import sipcore.resilience"),
    ("sipcore-layers", "sipcore/errors.py", "import sipcore.events"),
    ("sipcore-layers", "sipcore/unlisted.py", ""),
    ("acyclic", "sipcore/message/uri.py", "import sipcore.message.parse\n"),
    ("sans-io", "sipcore/message/planted.py", "import time"),
    ("sans-io", "sipcore/dialog/planted.py", "def later():\n    from asyncio import sleep"),
    ("sans-io", "audio/stream/planted.py", "import threading"),
    ("sans-io", "sipcore/pbx/planted.py", "import socket"),
    ("audio-cores", "audio/core/planted.py", "def later():\n    import audio.io.thread"),
    ("audio-sees", "audio/rtp/planted.py", "import sipcore.message.uri"),
    ("audio-sees", "audio/io/planted.py", "import sipcore.stack"),
    ("client-side", "phone/state.py", "import numpy\n"),
    ("client-side", "phone/client.py", "import phone.config\n"),
    ("tui-sees", "tui/planted.py", "import phone.server"),
    ("tui-sees", "tui/planted.py", "import sipcore.errors"),
    ("sounddevice", "audio/io/planted.py", "import sounddevice"),
    ("extras", "audio/io/planted.py", "import livekit"),
    ("extras", "audio/core/planted.py", "import G722"),
    ("websockets", "sipcore/pbx/planted.py", "import websockets"),
    ("websockets", "phone/planted.py", "def later():\n    import websockets.sync.client"),
    ("textual", "phone/planted.py", "from textual.app import App"),
]

PURE = (
    "asyncio", "concurrent", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal", "socket",
    "ssl", "subprocess", "threading", "time", "uuid",
)  # fmt: skip
SHELLS = ("sipcore.aio", "sipcore.pbx.server", "sipcore.ids", "audio.io", "audio.secure.dtls", "audio.engine")
CLIENT_SIDE = ("phone.protocol", "phone.state", "phone.client", "phone.paths")


def lint(directory: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree, for one contract or all."""
    program = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"
    chosen = ["--contract", contract] if contract else []
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo", *chosen],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source files and the contracts, somewhere they may be spoilt."""
    directory = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(PROJECT / room, directory / room, ignore=lambda folder, names: _not_python(Path(folder), names))
    shutil.copy(PROJECT / "pyproject.toml", directory)
    return directory


def _not_python(folder: Path, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or not ((folder / name).is_dir() or name.endswith(".py"))]


@pytest.mark.timeout(60)
def test_the_contracts_hold(copied_tree: Path) -> None:
    done = lint(copied_tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("contract", "file", "code"), PLANTS, ids=[f"{c}-{f}-{n}" for n, (c, f, _) in enumerate(PLANTS)]
)
def test_a_planted_violation_is_caught(copied_tree: Path, contract: str, file: str, code: str) -> None:
    path = copied_tree / file
    original = path.read_text() if path.exists() else None
    path.write_text((original or "") + "\n" + code)
    try:
        done = lint(copied_tree, contract)
    finally:
        if original is None:
            path.unlink()
        else:
            path.write_text(original)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
    assert path.stem in done.stdout


def test_the_cores_are_pure() -> None:
    """Wider than the contract: nothing that waits, forks, or asks the machine for anything."""
    wrong = [
        f"{path.relative_to(PROJECT)}:{line}: {name}"
        for room in ("sipcore", "audio")
        for module, path in modules(room).items()
        if not within(module, SHELLS)
        for name, line in imports(path)
        if within(name, PURE)
    ]
    assert wrong == []


@pytest.mark.parametrize("module", CLIENT_SIDE)
def test_the_client_side_needs_only_the_standard_library(module: str) -> None:
    paths = [path for name, path in modules("phone").items() if within(name, (module,))]
    assert paths
    wrong = [
        f"{path.relative_to(PROJECT)}:{line}: {name}"
        for path in paths
        for name, line in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not within(name, CLIENT_SIDE)
    ]
    assert wrong == []
