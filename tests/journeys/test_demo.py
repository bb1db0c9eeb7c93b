"""The first minute: ``offhook --demo`` in a terminal, called and rung, at two sizes."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audio.codec import g722
from tests.journeys.terminal import Terminal
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.journey,
    pytest.mark.parallel,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux"),
]

# No sound server is needed: without devices the demo speaks with a synthetic microphone.
SILENT = {"PULSE_SERVER": "unix:/nonexistent"}


@pytest.fixture
def empty() -> Iterator[Path]:
    """A directory for temporary ones: in the test's own, sockets have too long a name when tests run in parallel."""
    with tempfile.TemporaryDirectory(prefix="offhook-demo-") as directory:
        yield Path(directory)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_the_first_minute(size: tuple[int, int]) -> None:
    """A newcomer calls the echo, holds, sends digits, is called back and answers with F2."""
    with Terminal("--demo", columns=size[0], rows=size[1], environment=SILENT) as terminal:
        terminal.wait_for("REGISTERED 1001@demo.invalid")
        terminal.press("600", "Enter")
        terminal.wait_for("TALK", "MOS 4.", "G722" if g722.installed() else "PCMU")
        terminal.press("1", "#")
        terminal.wait_for("DTMF sent: 1 #")
        terminal.press("F4")
        terminal.wait_for("HELD")
        terminal.press("F4")
        terminal.wait_for("TALK")
        terminal.press("F3")
        terminal.wait_for("No call.", "out  600")
        terminal.press("603", "Enter")
        terminal.wait_for("busy 603")
        terminal.press("610", "Enter")
        terminal.wait_for("RING pbx", "F2 Answer")
        terminal.press("F2")
        screen = terminal.wait_for("TALK")
        assert "RING pbx" not in screen
        terminal.press("F3")
        terminal.wait_for("No call.")
        terminal.press("F10")
        terminal.wait_dead()


def test_two_calls_are_swapped() -> None:
    """The second call puts the first on hold; x takes it back."""
    with Terminal("--demo", environment=SILENT) as terminal:
        terminal.wait_for("REGISTERED 1001@demo.invalid")
        terminal.press("600", "Enter")
        terminal.wait_for("TALK")
        terminal.press("F4")
        terminal.wait_for("HELD")
        terminal.press("601", "Enter")
        terminal.wait_for("TALK", "HELD")
        terminal.press("x")
        swapped = re.compile(r"> 1 TALK\s+600.*\n.*2 HELD\s+601")
        wait_until(lambda: swapped.search(terminal.screen()), what="the calls are swapped")


def test_the_demo_leaves_nothing_behind(empty: Path) -> None:
    """Quitting ends engine and PBX with the demo; the temporary directory goes as well."""
    with Terminal("--demo", environment={**SILENT, "TMPDIR": str(empty)}) as terminal:
        terminal.wait_for("REGISTERED")
        terminal.press("F10")
        terminal.wait_dead()
    assert list(empty.iterdir()) == []


def test_a_closed_terminal_ends_the_demo(empty: Path) -> None:
    """The window is closed: console, engine and PBX go, and so do their files."""
    with Terminal("--demo", environment={**SILENT, "TMPDIR": str(empty)}) as terminal:
        terminal.wait_for("REGISTERED")
        terminal.close_terminal()
        wait_until(lambda: not list(empty.iterdir()), what="nothing is left behind", timeout_s=20)
