"""Modules that wait: nothing of them runs before it is used."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from tui.late import load_waiting, still_waiting, wait_with

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_module_runs_when_it_is_used_and_the_rest_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "late_package"
    package.mkdir()
    (package / "__init__.py").write_text("RUN = []\n")
    for name in ("one", "two"):
        (package / f"{name}.py").write_text(
            f"import late_package\nlate_package.RUN.append('{name}')\nVALUE = '{name}'\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    wait_with("late_package.one", "late_package.two")
    found = importlib.import_module("late_package")
    one = found.one  # as `from late_package import one` finds it
    assert found.RUN == []
    assert set(still_waiting()) == {"late_package.one", "late_package.two"}
    assert one.VALUE == "one"
    assert found.RUN == ["one"]
    load_waiting()
    assert found.RUN == ["one", "two"]
    assert not list(still_waiting())
    for name in ("late_package", "late_package.one", "late_package.two"):
        del sys.modules[name]


def test_what_is_loaded_already_does_not_wait() -> None:
    wait_with("tui.late")
    assert "tui.late" not in still_waiting()
