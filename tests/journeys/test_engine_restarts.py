"""The engine goes away under an attached console, in a call: killed, or started anew by ``offhook ctl restart``."""

from __future__ import annotations

import os
import re
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.journeys.test_asterisk import console, ended_by_ctl
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine

pytestmark = [
    pytest.mark.journey,
    pytest.mark.parallel,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux"),
]


@pytest.mark.parametrize("how", ["kill -9", "ctl restart"])
def test_the_console_shows_the_same_call_in_the_next_engine(
    asterisk: Asterisk, make_engine: Callable[..., Engine], how: str
) -> None:
    """It attaches to the next engine by itself; the call goes on counting, and can be hung up."""
    engine = make_engine(asterisk.ws_uri)
    with ended_by_ctl(engine), console(engine) as terminal:
        terminal.wait_for("REGISTERED 1001@")
        terminal.press("600", "Enter")
        terminal.wait_for("TALK", "MOS 4.")
        first, before = engine.status()["pid"], engine.calls()[0]
        if how == "kill -9":
            os.kill(first, signal.SIGKILL)
        else:
            engine.ctl("restart", timeout_s=30)
        wait_until(lambda: answers(engine) and engine.status()["pid"] != first, what="another engine", timeout_s=20)
        wait_until(lambda: not engine.calls()[0]["signalling_lost"], what="the far end is told", timeout_s=20)
        screen = terminal.wait_for("REGISTERED 1001@", "TALK", "600", "MOS 4.")
        after = engine.calls()[0]
        assert (after["id"], after["answered_at"]) == (before["id"], before["answered_at"])
        shown = re.search(r"TALK\s+600\s+(\d+):(\d\d)", screen)
        assert shown is not None
        assert abs(int(shown[1]) * 60 + int(shown[2]) - after["duration_s"]) <= 3
        assert len(asterisk.channels()) == 1
        terminal.press("F3")
        terminal.wait_for("No call.")
        wait_until(lambda: not asterisk.channels(), what="no channel is left")


def answers(engine: Engine) -> bool:
    """Whether there is an engine at this moment."""
    return engine.ctl("status", "--json", check=False).returncode == 0
