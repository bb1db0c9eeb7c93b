"""The version, read cheaply, is the one the packaging tools know."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import TYPE_CHECKING

from phone.version import version

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_is_that_of_the_installed_package() -> None:
    assert version() == importlib.metadata.version("offhook")


def test_the_first_installation_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "none",
        "first/offhook-7.0rc1.dist-info",
        "first/offhook_extra-8.dist-info",
        "last/offhook-9.dist-info",
    ):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in ("absent", "none", "first", "last")])
    assert version() == "7.0rc1"


def test_that_of_a_source_tree_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert version() == "0+source"


def test_it_is_found_without_the_parsers_of_mail_and_archives() -> None:
    """Two megabytes of an engine."""
    program = (
        "import sys, phone.version; phone.version.version(); print('email' in sys.modules, 'zipfile' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
