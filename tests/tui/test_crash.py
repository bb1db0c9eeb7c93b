"""A fault of the console costs a part of the screen, or the console; never a call, and no traceback is ever shown."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING

import pytest

from tests.tui.engine import Engine, registered, shown, talking, until
from tui.bridge import Bridge
from tui.console import ConsoleApp
from tui.crash import FaultLog
from tui.widgets.calls import CallsPane
from tui.widgets.quality import QualityLine

if TYPE_CHECKING:
    from pathlib import Path


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("secret-looking local state")


def test_a_slot_that_cannot_be_drawn_says_so_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        engine = Engine(tmp_path / "engine.sock", registered(calls=(talking("a"),)))
        await engine.server.start()
        faults = FaultLog(tmp_path / "state" / "console.log")
        app = ConsoleApp(Bridge(engine.path), faults=faults)
        with monkeypatch.context() as patched:
            patched.setattr(CallsPane, "update_from", fail)
            async with app.run_test(size=(100, 30)) as pilot:
                await until(pilot, lambda: "This part cannot be drawn" in shown(app))
                assert "REGISTERED" in shown(app)
                assert "MOS 4.3" in shown(app)
                patched.undo()
                engine.change(registered(calls=(talking("a", peer="1005"),)))
                await until(pilot, lambda: "1005" in shown(app))
        await engine.server.close()
        assert "ZeroDivisionError" in faults.file.read_text()
        assert faults.file.read_text().count("Traceback") == 1
        assert stat.S_IMODE(faults.file.stat().st_mode) == 0o600
        assert not app.failed

    asyncio.run(scenario())


def test_a_fault_nobody_caught_ends_with_a_sentence_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        engine = Engine(tmp_path / "engine.sock", registered())
        await engine.server.start()
        faults = FaultLog(tmp_path / "console.log")
        app = ConsoleApp(Bridge(engine.path), faults=faults)
        monkeypatch.setattr(QualityLine, "render_line", fail)
        with pytest.raises(ZeroDivisionError):  # the pilot hands on what the console keeps to itself
            async with app.run_test(size=(100, 30)) as pilot:
                await until(pilot, lambda: app.failed)
        await engine.server.close()
        assert app.failed
        assert "ZeroDivisionError" in faults.file.read_text()
        assert faults.sentence().startswith("The console stopped because of a fault of its own; calls and the")

    asyncio.run(scenario())
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    faults = FaultLog(tmp_path / "console.log")
    faults.file.write_bytes(b"x" * 2_000_000)
    faults.write(ValueError("new"))
    assert faults.file.stat().st_size < 1000


def test_a_directory_that_cannot_be_written_is_no_second_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    FaultLog(tmp_path / "file" / "console.log").write(ValueError("new"))
