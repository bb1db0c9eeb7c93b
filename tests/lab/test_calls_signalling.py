"""A call outlives its signalling (docs/resilience.md "Calls"): what the far end hears is measured from a capture.

phone ══ signalling, relayed and broken ══ PBX          phone ══ RTP ══ PBX
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab import wire
from tests.lab.call_scene import DTLS, KINDS, PLAIN, Kind, Scene, pause, restart_websocket
from tests.lab.evidence import require
from tests.lab.rtp_view import without_challenged
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine
    from tests.lab.relay import Relay

pytestmark = [pytest.mark.lab, pytest.mark.parallel]

GAP_MS = 1000
"""Of a stream that never stopped: far below the shortest outage, far above how late two shared cores are."""


@pytest.fixture
def make_scene(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> Callable[..., Scene]:
    """Makes scenes whose signalling goes through the relay."""
    require(wire.why_unavailable())

    def make(kind: Kind, **resilience: float) -> Scene:
        return Scene(asterisk, kind, host=relay.address, resilience=resilience, make_engine=make_engine)

    return make


def lose(relay: Relay, scene: Scene) -> None:
    """Break the connection, and let no other be made."""
    scene.fault()
    relay.refuse()
    relay.reset()
    scene.engine.wait_event("signallingChanged", since=scene.since, up=False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_reset_for_three_seconds(relay: Relay, make_scene: Callable[..., Scene], kind: Kind) -> None:
    """No packet is lost, and one re-INVITE with the SDP as it was tells the PBX where we are: its BYE finds us."""
    with make_scene(kind) as scene:
        scene.dial()
        lose(relay, scene)
        assert "signalling lost, audio up" in scene.engine.ctl("status").stdout
        pause(3)
        relay.accept()
        scene.wait_recovered()
        assert "signalling lost" not in scene.engine.ctl("status").stdout
        pause(2)
        assert scene.is_up()
        scene.end(by_pbx=True)
        assert len(scene.engine.find("signallingChanged", since=scene.since)) == 2
        heard = scene.heard()
        print(f"{kind.name}: gap {heard.longest_gap_ms:.0f} ms, {heard.lost} of {len(heard.packets)} lost")
        assert heard.lost == 0
        assert heard.longest_gap_ms < GAP_MS
        assert scene.sounds_both_ways()
        if kind is PLAIN:
            assert scene.sip is not None
            invites = without_challenged(scene.sip.requests("INVITE"))
            first, refresh = invites
            assert refresh.body == first.body
            assert refresh.at > scene.fault_at
            assert int(refresh.header("CSeq").split()[0]) > int(first.header("CSeq").split()[0])


@pytest.mark.parametrize("kind", [DTLS], ids=lambda kind: kind.name)
def test_a_hold_during_the_outage_is_told_afterwards(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene], kind: Kind
) -> None:
    """Here it holds at once; one re-INVITE says it together with the new Contact."""
    with make_scene(kind) as scene:
        scene.dial()
        mark = asterisk.manager.mark()
        lose(relay, scene)
        scene.engine.ctl("hold")
        scene.engine.ctl("resume")
        scene.engine.ctl("hold")
        assert scene.engine.calls()[0]["held"]
        relay.accept()
        scene.wait_recovered()
        asterisk.manager.wait("Hold", since=mark, Channel=f"PJSIP/{kind.username}")
        assert scene.engine.calls()[0]["held"]
        scene.engine.ctl("resume")
        asterisk.manager.wait("Unhold", since=mark, Channel=f"PJSIP/{kind.username}")
        pause(2)
        scene.end(by_pbx=False)
        assert scene.sounds_both_ways()


def test_digits_go_with_the_sound_and_a_hang_up_nobody_could_tell_of_is_found_out(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene]
) -> None:
    """602 reads the digits, says them and hangs up, all during the outage. The re-INVITE gets 481."""
    asterisk.cli("database del lab digits")
    with make_scene(PLAIN) as scene:
        scene.dial("602")
        lose(relay, scene)
        scene.engine.ctl("dtmf", "1478")
        wait_until(asterisk.digits_read, what="602 has read", timeout_s=20)
        assert asterisk.digits_read() == "1478"
        asterisk.wait_no_channels(20)
        assert scene.engine.calls()[0]["state"] == "active"
        relay.accept()
        ended = scene.engine.wait_event("callEnded", since=scene.since)
        assert (ended["by"], ended["status"]) == ("error", 481)
        assert ended["reason"] == "the call was over at the PBX when it could be reached again"


def test_a_hang_up_during_the_outage_reaches_the_pbx_afterwards(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene]
) -> None:
    """For the user the call is over at once."""
    with make_scene(PLAIN) as scene:
        scene.dial()
        lose(relay, scene)
        scene.engine.ctl("hangup")
        scene.engine.wait_no_calls()
        assert len(asterisk.channels()) == 1
        relay.accept()
        asterisk.wait_no_channels()


def test_the_far_end_holds_and_hangs_up_after_the_recovery(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene], make_engine: Callable[..., Engine]
) -> None:
    """Its re-INVITEs and its BYE find the new Contact. Two phones, one of them behind the relay."""
    other = make_engine(asterisk.ws_uri, "1004")
    other.start()
    other.wait_registered()
    with make_scene(PLAIN) as scene:
        since = other.mark()
        scene.call = scene.engine.dial("1004")
        other.wait_event("incomingCall", since=since)
        other.ctl("answer")
        scene.engine.wait_seconds(1)
        lose(relay, scene)
        relay.accept()
        scene.wait_recovered()
        asterisk.cli("pjsip set logger off")
        other.ctl("hold")
        other.ctl("resume")
        other.ctl("hangup")
        scene.engine.wait_event("callEnded", since=scene.since, by="remote")
        asterisk.wait_no_channels()


@pytest.mark.parametrize("kind", [DTLS], ids=lambda kind: kind.name)
def test_half_open(relay: Relay, make_scene: Callable[..., Scene], kind: Kind) -> None:
    """The old connection swallows everything; found dead by its pings, replaced, and the call goes on."""
    with make_scene(kind, ping_interval=1.0, ping_timeout=1.0) as scene:
        scene.dial()
        scene.fault()
        relay.half_open()
        scene.wait_recovered()
        pause(1)
        assert scene.is_up()
        scene.end(by_pbx=True)
        heard = scene.heard()
        assert (heard.lost, heard.longest_gap_ms < GAP_MS) == (0, True)
        assert scene.sounds_both_ways()


@pytest.mark.parametrize("kind", [PLAIN], ids=lambda kind: kind.name)
def test_the_pbx_restarts_its_websocket(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene], kind: Kind
) -> None:
    """Its web server ends with all connections and is back two seconds later; calls and sound are other modules'."""
    with make_scene(kind) as scene:
        scene.dial()
        scene.fault()
        restart_websocket(asterisk, relay.reset, 2)
        scene.wait_recovered()
        pause(1)
        assert scene.is_up()
        scene.end(by_pbx=True)
        heard = scene.heard()
        assert (heard.lost, heard.longest_gap_ms < GAP_MS) == (0, True)


def test_a_call_with_neither_sound_nor_signalling_is_given_up(
    asterisk: Asterisk, relay: Relay, make_scene: Callable[..., Scene]
) -> None:
    """3.1 with small numbers: the PBX freezes and is cut off. What is owed to it is said when it is back."""
    with make_scene(PLAIN, media_timeout=3.0) as scene:
        scene.dial()
        lose(relay, scene)
        relay.faults.loss = 1.0
        ended = scene.engine.wait_event("callEnded", 15, since=scene.since)
        assert (ended["by"], ended["status"]) == ("error", 408)
        assert ended["reason"] == "Nothing was heard for 3 s, and the PBX could not be reached."
        assert 3.0 <= ended["at"] - scene.fault_at < 10
        assert len(asterisk.channels()) == 1
        relay.faults.loss = 0.0
        relay.accept()
        asterisk.wait_no_channels()
