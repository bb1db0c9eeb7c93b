"""A console whose terminal goes away ends by itself, whatever else hangs."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# The main thread blocks for good, as Textual's does on the full queue of its dead writer.
BLOCKED = """
import threading
from tui.terminal import end_with_the_terminal
end_with_the_terminal(lambda: print("last words", file=open({said!r}, "w"), flush=True))
print("ready", flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("controlling", [True, False])
def test_a_closed_terminal_ends_a_blocked_console(tmp_path: Path, controlling: bool) -> None:
    """With SIGHUP, as from a login shell, and without one, where only the file descriptor tells."""
    said = tmp_path / "said"
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED.format(said=str(said))],
        stdin=far,
        stdout=far,
        stderr=far,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        start_new_session=controlling,
    )
    os.close(far)
    try:
        said_first = b""
        while not said_first.endswith(b"\n"):  # the whole line: one cut short would end the writer with an error
            said_first += os.read(near, 100)
        assert said_first.strip() == b"ready"
        os.close(near)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert said.read_text() == "last words\n"
