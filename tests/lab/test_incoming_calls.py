"""Calls from Asterisk: announced, answered, heard both ways, rejected, missed, remembered."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.lab.engine import OFFHOOK
from tests.lab.test_outgoing_calls import heard_in
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.parallel]


def test_answered_heard_both_ways_and_remembered(
    asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path, tmp_path: Path
) -> None:
    """The PBX rings us and connects us to its echo: what comes back went both ways. The far end hangs up."""
    earpiece = tmp_path / "earpiece.wav"
    engine = make_engine(asterisk.ws_uri, audio={"input": f"wav:{speech}", "output": f"wav:{earpiece}"})
    engine.start()
    engine.wait_registered()
    asterisk.call("1001", "600")
    incoming = engine.wait_event("incomingCall")
    call = engine.wait_call("ringing")
    assert (call["id"], call["direction"]) == (incoming["call"], "in")
    assert call["duration_s"] == 0
    engine.ctl("answer")
    engine.wait_seconds(6.5)
    asterisk.cli("channel request hangup all")
    engine.wait_event("callEnded", call=call["id"], by="remote")
    engine.wait_no_calls()
    match = heard_in(speech, earpiece)
    print(f"echo of an incoming call: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms")
    assert match.coefficient >= 0.9
    (entry,) = engine.history()
    assert (entry["direction"], entry["outcome"]) == ("in", "answered")
    assert entry["duration_s"] >= 6


def test_ctl_events_announces_a_call(asterisk: Asterisk, engine: Engine) -> None:
    """`ctl events` is what a script follows: one line, flushed, per event."""
    command = [*OFFHOOK, "ctl", "events", "--socket", str(engine.socket)]
    with (engine.directory / "followed").open("wb") as output:
        follower = subprocess.Popen(command, stdout=output, env=engine.environment, cwd=engine.directory)
    try:
        followed = engine.directory / "followed"

        # The follower has to be attached before the call; a status event of our own making shows that it is.
        def attached() -> bool:
            engine.ctl("register")
            return followed.stat().st_size > 0

        wait_until(attached, what="ctl events prints")
        asterisk.call("1001", "600")
        wait_until(lambda: '"incomingCall"' in followed.read_text(), what="ctl events announces the call")
    finally:
        follower.send_signal(signal.SIGINT)
        assert follower.wait(5) == 0
    engine.ctl("hangup")
    engine.wait_no_calls()


def test_rejected(asterisk: Asterisk, engine: Engine) -> None:
    """`hangup` on a ringing call rejects it with 486."""
    mark = asterisk.manager.mark()
    asterisk.call("1001", "600")
    engine.wait_call("ringing")
    engine.ctl("hangup")
    hung_up = asterisk.manager.wait("Hangup", since=mark, Channel="PJSIP/1001")
    assert hung_up["Cause"] == "17"  # user busy, which is what 486 becomes
    engine.wait_no_calls()
    (entry,) = engine.history()
    assert (entry["direction"], entry["outcome"]) == ("in", "rejected")


def test_missed(asterisk: Asterisk, engine: Engine) -> None:
    """The caller gives up before anybody answers."""
    asterisk.call("1001", "600")
    engine.wait_call("ringing")
    asterisk.cli("channel request hangup all")
    engine.wait_no_calls()
    (entry,) = engine.history()
    assert (entry["direction"], entry["outcome"]) == ("in", "missed")


def test_two_phones_talk(asterisk: Asterisk, make_engine: Callable[..., Engine], speech: Path, tmp_path: Path) -> None:
    """1004 calls 1001 through the PBX; what one says the other hears."""
    earpiece = tmp_path / "earpiece.wav"
    callee = make_engine(asterisk.ws_uri, audio={"output": f"wav:{earpiece}"})
    caller = make_engine(asterisk.ws_uri, "1004", audio={"input": f"wav:{speech}"})
    for engine in (callee, caller):
        engine.start()
        engine.wait_registered()
    caller.dial("1001")
    incoming = callee.wait_event("incomingCall")
    assert "1004" in incoming["peer"]
    callee.ctl("answer")
    caller.wait_seconds(6.5)
    caller.ctl("hangup")
    callee.wait_no_calls()
    match = heard_in(speech, earpiece)
    print(f"phone to phone: {match.coefficient:.4f}, {match.delay_s * 1000:.0f} ms")
    assert match.coefficient >= 0.9
    asterisk.wait_no_channels()
