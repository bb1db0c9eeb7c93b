"""Files that are the user's alone."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from phone.private_file import replace_private

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_others_could_read_is_replaced_by_a_private_one(tmp_path: Path) -> None:
    """The mode is the new file's, and no temporary is left beside it."""
    file = tmp_path / "new" / "secrets.toml"
    file.parent.mkdir()
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    replace_private(file, "pässword\n")
    assert file.read_text(encoding="utf-8") == "pässword\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["secrets.toml"]


def test_missing_directories_are_private_too(tmp_path: Path) -> None:
    """The first write on a fresh machine."""
    replace_private(tmp_path / "offhook" / "config.toml", "x")
    assert stat.S_IMODE((tmp_path / "offhook").stat().st_mode) == 0o700
