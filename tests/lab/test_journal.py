"""The engine dies with a call up, and another goes on with it (docs/resilience.md "When the engine dies").

    engine ── kill -9 ──▶ ╳ ── journal ──▶ engine          PBX: one channel, all the time

What the far end hears is measured from a capture; the gap counts from the moment the new engine was started.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.lab import wire
from tests.lab.call_scene import DTLS, KINDS, PLAIN, SDES, Kind, Scene, pause
from tests.lab.engine import OFFHOOK
from tests.lab.evidence import require
from tests.lab.rtp_view import without_challenged
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.parallel]


@pytest.fixture
def make_scene(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> Callable[[Kind], Scene]:
    """Makes scenes."""
    require(wire.why_unavailable())

    def make(kind: Kind) -> Scene:
        return Scene(asterisk, kind, make_engine=make_engine)

    return make


def restart(scene: Scene) -> None:
    """The engine is dead; another is started, and the measure of the gap begins."""
    scene.fault()
    scene.engine.start()
    scene.earpiece = scene.earpiece.with_name("earpiece.wav-2")


def crash(scene: Scene) -> None:
    """SIGKILL, and a new engine with the same settings."""
    scene.engine.kill()
    restart(scene)


def wait_recovered(scene: Scene) -> None:
    """Return once the new engine has reached the far end."""
    scene.engine.wait_event("registered", 20, since=scene.since)
    scene.engine.wait_event("signallingChanged", 20, since=scene.since, up=True)


@pytest.mark.parametrize("by_pbx", [True, False], ids=["bye from the pbx", "bye from us"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_call_outlives_its_engine(make_scene: Callable[[Kind], Scene], kind: Kind, by_pbx: bool) -> None:
    """Up at the PBX and here, with its id, peer and age; heard both ways; a BYE of either side reaches the other."""
    with make_scene(kind) as scene:
        scene.dial()
        before = scene.engine.calls()[0]
        crash(scene)
        after = scene.engine.calls()[0]
        for member in ("id", "direction", "peer", "state", "started_at", "answered_at"):
            assert after[member] == before[member], member
        assert after["duration_s"] >= before["duration_s"]
        wait_recovered(scene)
        pause(3)
        assert scene.is_up()
        last = scene.engine.calls()[0]
        assert (last["security"], last["signalling_lost"]) == (kind.security, False)
        scene.end(by_pbx=by_pbx)
        heard = scene.heard()
        gap_ms = (heard.since(scene.fault_at).first_at - scene.fault_at) * 1000
        print(f"{kind.name}: {gap_ms:.0f} ms from the restart to the first packet at the far end")
        assert scene.sounds_both_ways()
        assert len({packet.ssrc for packet in heard.since(scene.fault_at).packets}) == 1  # a new one
        assert len({packet.source for packet in heard.packets}) == 1
        entry = scene.engine.history()[0]
        assert (entry["outcome"], entry["answered_at"]) == ("answered", before["answered_at"])
        assert entry["duration_s"] >= last["duration_s"] - 0.1  # which is rounded
        if kind is PLAIN:
            check_signalling(scene)


def check_signalling(scene: Scene) -> None:
    """One re-INVITE in the old dialog, after the sound; the registration goes on in its own numbers."""
    assert scene.sip is not None
    first, again = without_challenged(scene.sip.requests("INVITE"))
    assert scene.heard().since(scene.fault_at).first_at < again.at
    assert again.header("Call-ID") == first.header("Call-ID")
    assert int(again.header("CSeq").split()[0]) > int(first.header("CSeq").split()[0])
    origins = [next(line for line in message.body.splitlines() if line.startswith("o=")) for message in (first, again)]
    (name, session, version, *rest), (name_2, session_2, version_2, *rest_2) = (line.split() for line in origins)
    assert (name, session, rest) == (name_2, session_2, rest_2)
    assert int(version_2) == int(version) + 1
    ports = [next(line for line in message.body.splitlines() if line.startswith("m=")) for message in (first, again)]
    assert ports[0] == ports[1]
    registers = scene.sip.requests("REGISTER")
    assert len({message.header("Call-ID") for message in registers}) == 1
    numbers = [int(message.header("CSeq").split()[0]) for message in registers]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("kind", [PLAIN, DTLS], ids=lambda kind: kind.name)
def test_hold_and_mute_outlive_the_engine(asterisk: Asterisk, make_scene: Callable[[Kind], Scene], kind: Kind) -> None:
    """A held call does not begin to talk by itself, and comes back when asked."""
    with make_scene(kind) as scene:
        scene.dial()
        scene.engine.ctl("mute")
        mark = asterisk.manager.mark()
        scene.engine.ctl("hold")
        asterisk.manager.wait("Hold", since=mark, Channel=f"PJSIP/{kind.username}")
        crash(scene)
        wait_recovered(scene)
        call = scene.engine.calls()[0]
        assert (call["held"], call["muted"]) == (True, True)
        mark = asterisk.manager.mark()
        scene.engine.ctl("resume")
        asterisk.manager.wait("Unhold", since=mark, Channel=f"PJSIP/{kind.username}")
        scene.engine.ctl("unmute")
        pause(2)
        scene.end(by_pbx=False)
        assert scene.sounds_both_ways()


@pytest.mark.parametrize("kind", [PLAIN, DTLS], ids=lambda kind: kind.name)
def test_an_incoming_call_outlives_its_engine(
    asterisk: Asterisk, make_scene: Callable[[Kind], Scene], kind: Kind
) -> None:
    """The dialog's roles are those of before, whoever sends the re-INVITE."""
    with make_scene(kind) as scene:
        asterisk.call(kind.username, "600")
        ringing = scene.engine.wait_call("ringing")
        scene.engine.ctl("answer")
        scene.engine.wait_seconds(1)
        crash(scene)
        wait_recovered(scene)
        pause(2)
        (call,) = scene.engine.calls()
        assert (call["id"], call["direction"], call["peer"]) == (ringing["id"], "in", ringing["peer"])
        scene.end(by_pbx=True)
        assert scene.sounds_both_ways()


def test_two_calls_outlive_their_engine(asterisk: Asterisk, make_scene: Callable[[Kind], Scene]) -> None:
    """Both, and the one that was on hold still is."""
    with make_scene(PLAIN) as scene:
        first = scene.dial()
        second = scene.engine.dial("600")
        scene.engine.wait_event("holdChanged", call=first, local=True)
        scene.engine.wait_event("callStateChanged", call=second, state="active")
        crash(scene)
        for call in (first, second):
            scene.engine.wait_event("signallingChanged", 20, since=scene.since, call=call, up=True)
        held = {call["id"]: call["held"] for call in scene.engine.calls()}
        assert held == {first: True, second: False}
        assert len(asterisk.channels()) == 2
        scene.engine.ctl("hangup", second)
        scene.engine.ctl("resume", "--call", first)
        assert [call["held"] for call in scene.engine.calls()] == [False]
        scene.end(by_pbx=True)


def test_a_hold_under_way_when_the_engine_dies_is_done(asterisk: Asterisk, make_scene: Callable[[Kind], Scene]) -> None:
    """The PBX stood still and never saw it; what the user wanted was written down before it was sent."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        mark = asterisk.manager.mark()
        asterisk.freeze()
        asking = subprocess.Popen(
            [*OFFHOOK, "ctl", "hold", "--socket", str(scene.engine.socket)],
            env=scene.engine.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (journal,) = scene.engine.directory.rglob("journal.db")
        wait_until(lambda: '"holding": true' in recorded(journal), what="the wish is written down")
        scene.engine.kill()
        asking.wait(10)
        asterisk.thaw()
        restart(scene)
        wait_recovered(scene)
        asterisk.manager.wait("Hold", since=mark, Channel=f"PJSIP/{PLAIN.username}")
        assert scene.engine.calls()[0]["held"]
        scene.end(by_pbx=False)


def recorded(journal: Path) -> str:
    """The journal's record, as another process sees it."""
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        (record,) = connection.execute("SELECT record FROM journal").fetchone()
        return str(record)


def test_a_call_outlives_two_crashes(make_scene: Callable[[Kind], Scene]) -> None:
    """The second strikes before the first is healed: the numbers of the dialog still go up."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        crash(scene)
        scene.engine.kill()
        restart(scene)
        scene.earpiece = scene.earpiece.with_name("earpiece.wav-3")
        wait_recovered(scene)
        pause(2)
        assert scene.is_up()
        scene.end(by_pbx=True)
        assert scene.sounds_both_ways()


def test_a_call_the_pbx_ended_meanwhile_ends(asterisk: Asterisk, make_scene: Callable[[Kind], Scene]) -> None:
    """481 to the re-INVITE."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        scene.engine.kill()
        asterisk.cli("channel request hangup all")
        asterisk.wait_no_channels()
        restart(scene)
        scene.engine.wait_no_calls(20)
        assert scene.engine.history()[0]["outcome"] == "answered"


def test_a_call_being_set_up_rings_nowhere_for_an_engine_that_is_dead(
    asterisk: Asterisk, make_scene: Callable[[Kind], Scene], make_engine: Callable[..., Engine]
) -> None:
    """Nobody can take its answer any more: the next engine ends the early dialog, and the history has it."""
    called = make_engine(asterisk.ws_uri, "1004")
    called.start()
    called.wait_registered()
    with make_scene(PLAIN) as scene:
        began = called.mark()
        scene.engine.dial("1004")
        called.wait_event("incomingCall", since=began)
        scene.engine.wait_call("ringing")
        crash(scene)
        called.wait_event("callEnded", since=began, outcome="missed")
        scene.engine.wait_registered()
        assert scene.engine.calls() == []
        assert (scene.engine.history()[0]["direction"], scene.engine.history()[0]["peer"]) == ("out", "1004")
        asterisk.wait_no_channels()


def test_a_damaged_journal_costs_the_call_and_nothing_else(make_scene: Callable[[Kind], Scene]) -> None:
    """One line in the log; the phone works."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        scene.engine.kill()
        (journal,) = scene.engine.directory.rglob("journal.db")
        with sqlite3.connect(journal) as connection:
            connection.execute("UPDATE journal SET record = substr(record, 1, length(record) / 2)")
        connection.close()
        restart(scene)
        scene.engine.wait_registered()
        assert scene.engine.calls() == []
        assert scene.engine.logs().count("the journal is damaged") == 1


def test_a_call_of_another_boot_is_ended_at_the_pbx(asterisk: Asterisk, make_scene: Callable[[Kind], Scene]) -> None:
    """Nobody waits in it any more; the PBX would for long. The history has it."""
    with make_scene(SDES) as scene:
        scene.dial()
        scene.engine.kill()
        (journal,) = scene.engine.directory.rglob("journal.db")
        with sqlite3.connect(journal) as connection:
            connection.execute("UPDATE journal SET boot = 'another'")
        connection.close()
        restart(scene)
        scene.engine.wait_registered()
        assert scene.engine.calls() == []
        asterisk.wait_no_channels()
        entry = scene.engine.history()[0]
        assert (entry["outcome"], entry["reason"]) == ("answered", "The engine ended")
        assert 0 <= entry["duration_s"] < 60


def test_a_bye_nobody_heard_is_said_by_the_next_engine(asterisk: Asterisk, make_scene: Callable[[Kind], Scene]) -> None:
    """Hung up while the PBX stood still, then the engine died."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        asterisk.freeze()
        scene.engine.ctl("hangup")
        scene.engine.kill()
        asterisk.thaw()
        restart(scene)
        scene.engine.wait_registered()
        asterisk.wait_no_channels()


def test_no_key_is_in_the_journal(make_scene: Callable[[Kind], Scene]) -> None:
    """Of a call whose keys travelled in SDP, and of the registration."""
    with make_scene(SDES) as scene:
        scene.dial()
        (journal,) = scene.engine.directory.rglob("journal.db")
        text = b"".join(path.read_bytes() for path in sorted(journal.parent.glob("journal.db*")))
        assert b"RTP/SAVP" in text
        for secret in (
            b"inline:",
            b"nonce",
            b"response=",
            b"ice-pwd",
            scene.engine.environment["OFFHOOK_PASSWORD"].encode(),
        ):
            assert secret not in text
        assert journal.stat().st_mode & 0o077 == 0
        scene.end(by_pbx=False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_ctl_restart_hands_a_call_over(make_scene: Callable[[Kind], Scene], kind: Kind) -> None:
    """Twice, and the process that was started first is still the one to wait for."""
    with make_scene(kind) as scene:
        scene.dial()
        before = scene.engine.calls()[0]
        pids = [scene.engine.status()["pid"]]
        for number in (2, 3):
            scene.fault()
            scene.engine.ctl("restart", timeout_s=30)
            pids.append(scene.engine.status()["pid"])
            wait_recovered(scene)
            scene.earpiece = scene.earpiece.with_name(f"earpiece.wav-{number}")
            pause(2)
        assert len(set(pids)) == 3
        assert scene.engine.pid == pids[0]
        assert scene.engine.returncode is None
        after = scene.engine.calls()[0]
        assert (after["id"], after["answered_at"]) == (before["id"], before["answered_at"])
        assert scene.is_up()
        scene.end(by_pbx=True)
        print(f"{kind.name}: longest gap at the far end {scene.heard().longest_gap_ms:.0f} ms")
        assert scene.sounds_both_ways()
        assert not scene.engine.find("unregistered")
        assert scene.engine.stop() == 0


def test_ctl_restart_waits_for_no_call_that_rings(make_scene: Callable[[Kind], Scene]) -> None:
    """It would be lost: the command is refused, and nothing has changed."""
    with make_scene(PLAIN) as scene:
        scene.call = scene.engine.dial("604")
        scene.engine.wait_call("ringing")
        before = scene.engine.status()["engine"]
        done = scene.engine.ctl("restart", check=False)
        assert done.returncode == 1
        assert done.stderr == "A call is not answered yet; restart the engine after that.\n"
        assert scene.engine.status()["engine"] == before
        assert scene.is_up()
        scene.end(by_pbx=False)


def test_ctl_restart_without_a_call(make_scene: Callable[[Kind], Scene]) -> None:
    """The registration is refreshed, not made anew: one contact at the PBX."""
    with make_scene(PLAIN) as scene:
        scene.fault()
        scene.engine.ctl("restart", timeout_s=30)
        scene.engine.wait_event("registered", 20, since=scene.since)
        wait_until(lambda: len(scene.pbx.contacts(PLAIN.username)) == 1, what="one contact")
        scene.dial()
        scene.end(by_pbx=True)
