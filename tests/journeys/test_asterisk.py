"""A day at the phone: the console in a terminal, a real Asterisk at the other end, and consoles that die in a call."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.journeys.terminal import Terminal
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.wire import Capture

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux"),
]


def console(engine: Engine, columns: int = 80, rows: int = 24) -> Terminal:
    """``offhook`` with this engine's settings; starts the engine where none runs."""
    arguments = ("--config", str(engine.config_file), "--socket", str(engine.socket))
    return Terminal(*arguments, columns=columns, rows=rows, environment=engine.environment)


@contextlib.contextmanager
def ended_by_ctl(engine: Engine) -> Iterator[None]:
    """End the engine a console started."""
    try:
        yield
    finally:
        engine.ctl("shutdown", check=False)


@pytest.mark.parallel
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_day_at_the_phone(asterisk: Asterisk, engine: Engine, size: tuple[int, int]) -> None:
    with console(engine, *size) as terminal:
        terminal.wait_for("REGISTERED 1001@")
        terminal.press("600", "Enter")
        terminal.wait_for("TALK", "MOS 4.")
        terminal.press("5")
        terminal.wait_for("DTMF sent: 5")
        terminal.press("F4")
        terminal.wait_for("HELD")
        terminal.press("F4")
        terminal.wait_for("TALK")
        asterisk.call("1001", "606")
        terminal.wait_for("RING", "Hold and answer")
        terminal.press("F2")
        terminal.wait_for("> 2 TALK", "1 HELD")
        terminal.press("x")
        terminal.wait_for("> 1 TALK", "2 HELD")
        terminal.press("F3")
        terminal.wait_for("HELD")
        wait_until(lambda: len(asterisk.channels()) == 1, what="one channel is left")
        time.sleep(0.7)  # the guard against a double press is 600 ms of the user's time
        terminal.press("F3")
        terminal.wait_for("No call.")
        wait_until(lambda: not asterisk.channels(), what="no channel is left")
        terminal.press("F10")
        terminal.wait_dead()
    assert engine.status()["registration"] == "registered"  # quitting detaches: the phone still rings


@pytest.mark.parametrize("end", ["kill", "terminal"])
def test_a_call_outlives_its_console(
    asterisk: Asterisk, make_engine: Callable[..., Engine], capture: Capture, end: str
) -> None:
    """SIGKILL or a closed terminal: sound goes on, and the next console shows the call with its right duration."""
    engine = make_engine(asterisk.ws_uri)
    with ended_by_ctl(engine):
        with console(engine) as terminal:
            terminal.wait_for("REGISTERED 1001@")
            terminal.press("600", "Enter")
            terminal.wait_for("TALK", "MOS 4.")
            before = engine.calls()[0]
            died_at = time.time()
            if end == "kill":
                terminal.kill_program()
            else:
                terminal.close_terminal()
            wait_until(lambda: time.time() > died_at + 2.0, what="two seconds without a console")
        with console(engine) as terminal:
            screen = terminal.wait_for("TALK", "600")
            after = engine.calls()[0]
            assert after["id"] == before["id"]
            assert after["duration_s"] >= before["duration_s"] + 2.0
            shown = re.search(r"TALK\s+600\s+(\d+):(\d\d)", screen)
            assert shown is not None
            assert abs(int(shown[1]) * 60 + int(shown[2]) - after["duration_s"]) <= 2
            terminal.press("F3")
            terminal.wait_for("No call.")
    capture.stop()
    _no_hole(capture, asterisk, died_at)


def _no_hole(capture: Capture, asterisk: Asterisk, died_at: float) -> None:
    """Around the end of the console no gap between two of our packets is over 60 ms, nor any packet missing."""
    rows = capture.fields(f"rtp && ip.dst == {asterisk.address}", ("frame.time_epoch", "rtp.seq", "ip.src"))
    sent = [(float(at), int(sequence)) for at, sequence, source in rows if source != asterisk.address]
    sent = sent or [(float(at), int(sequence)) for at, sequence, _ in rows]
    around = [(at, sequence) for at, sequence in sent if died_at - 1.0 < at < died_at + 2.0]
    assert len(around) > 100
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(around)]
    quiet = max(later - earlier for (earlier, _), (later, _) in itertools.pairwise(sent) if later < died_at)
    print(f"largest gap {1000 * max(gaps):.1f} ms after the console's end, {1000 * quiet:.1f} ms before it")
    assert max(gaps) <= max(0.060, 1.5 * quiet)
    steps = {(later - earlier) % 65536 for (_, earlier), (_, later) in itertools.pairwise(around)}
    assert steps == {1}


@pytest.mark.parallel
def test_an_engine_that_vanishes_is_started_again_once(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """The console says it, starts a new engine by itself, and is registered again without being restarted."""
    engine = make_engine(asterisk.ws_uri)
    with ended_by_ctl(engine), console(engine) as terminal:
        terminal.wait_for("REGISTERED 1001@")
        first = engine.status()["pid"]
        import os
        import signal

        os.kill(first, signal.SIGKILL)
        wait_until(lambda: _pid(engine) not in (0, first), what="another engine answers", timeout_s=20)
        terminal.wait_for("REGISTERED 1001@")
        terminal.wait_gone("ENGINE GONE")


def _pid(engine: Engine) -> int:
    done = engine.ctl("status", "--json", check=False)
    import json

    return int(json.loads(done.stdout)["pid"]) if done.returncode == 0 else 0
