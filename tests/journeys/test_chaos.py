"""The demo's chaos key: a newcomer breaks the connection in five ways and watches the phone heal."""

from __future__ import annotations

import contextlib
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.journeys.terminal import Terminal
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.journey,
    pytest.mark.parallel,
    pytest.mark.timeout(150),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux"),
]

SILENT = {"PULSE_SERVER": "unix:/nonexistent"}


@pytest.fixture(scope="module")
def demo() -> Iterator[Terminal]:
    """One demo for all faults: each must leave it as it was."""
    with Terminal("--demo", environment=SILENT) as terminal:
        terminal.wait_for("REGISTERED 1001@demo.invalid")
        yield terminal


def choose(demo: Terminal, digit: str) -> None:
    demo.press("C-k")
    demo.wait_for("Cut the connection", "Refuse the password")
    demo.press(digit)
    demo.wait_gone("Refuse the password")


def rings_again(demo: Terminal) -> None:
    """Whether the phone is there for the PBX: it is called back."""
    demo.wait_for("REGISTERED 1001@demo.invalid", timeout_s=60.0)
    demo.press("610", "Enter")
    demo.wait_for("RING pbx", timeout_s=15.0)
    demo.press("F3")
    demo.wait_for("No call.")


def test_a_cut_connection_is_back_at_once(demo: Terminal) -> None:
    choose(demo, "1")
    demo.wait_for("Reconnected", "Registered again after", timeout_s=5.0)
    rings_again(demo)


def test_a_restart_counts_down_and_heals(demo: Terminal) -> None:
    """S6 in small: the toast, the banner with its countdown and Ctrl+R, then Reconnected."""
    choose(demo, "2")
    demo.wait_for("Reconnecting...", "Retry now", timeout_s=5.0)
    counted = re.compile(r"Reconnecting, attempt \d+ of 10 in \d+ s")
    wait_until(lambda: counted.search(demo.screen()), what="the countdown", timeout_s=10.0)
    demo.wait_for("Reconnected", timeout_s=30.0)
    rings_again(demo)


def test_a_busy_pbx_is_obeyed(demo: Terminal) -> None:
    """3.2: "500/503/480/600 with Retry-After: wait as told"; twice 5 s."""
    choose(demo, "3")
    demo.wait_for("The PBX says 503", timeout_s=5.0)
    assert "Reconnected" not in demo.screen()
    demo.wait_for("Reconnected", timeout_s=30.0)
    again = re.search(r"Registered again after (\d+\.\d) s", demo.screen())
    assert again is not None
    assert 10.0 <= float(again[1]) < 15.0
    rings_again(demo)


def test_silence_is_noticed(demo: Terminal) -> None:
    """3.4: "any inbound byte counts as life, none for 10 s after a ping means dead"; then it heals by itself."""
    choose(demo, "4")
    demo.wait_for("Reconnecting...", timeout_s=30.0)
    demo.wait_for("Reconnected", timeout_s=60.0)
    rings_again(demo)


def test_a_refused_password_is_not_hammered_and_ctrl_r_heals(demo: Terminal) -> None:
    """S3: three attempts, then nothing; the banner says what to do."""
    choose(demo, "5")
    demo.wait_for("Registration refused", "401 Unauthorized", timeout_s=10.0)
    demo.wait_for("Reconnection Failed", "After 3 attempts", timeout_s=30.0)
    demo.wait_for("The PBX refuses the password", "Change the password")
    wait_until(lambda: "Reconnection Failed" not in demo.screen(), what="the toast is gone", timeout_s=15.0)

    for _ in range(10):  # the password is right again a while later
        demo.press("C-r")
        with contextlib.suppress(AssertionError):
            demo.wait_for("● REGISTERED", timeout_s=3.0)
            break
    rings_again(demo)


def test_what_happened_is_on_the_health_screen(demo: Terminal) -> None:
    """The same numbers as ``offhook ctl stats``: every fault above is a line with its reason."""
    demo.press("C-y")
    screen = demo.wait_for("Health of the connection", "Reconnections that worked", "Registered again after")
    assert "Registration refused" in screen
    demo.press("Escape")
    demo.wait_for("Dial >")
