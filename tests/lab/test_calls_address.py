"""S4: the phone's address changes in a call. Its own network namespace loses the link and gets another one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab import wire
from tests.lab.asterisk import Asterisk
from tests.lab.call_scene import DTLS, KINDS, PLAIN, Kind, Scene, pause
from tests.lab.evidence import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.engine import Engine
    from tests.lab.net import Namespace

pytestmark = pytest.mark.lab


@pytest.fixture
def distant_pbx(namespace: Namespace) -> Iterator[Asterisk]:
    """A PBX on an address that no link holds."""
    require(wire.why_unavailable())
    with Asterisk(address=namespace.add_host()) as pbx:
        yield pbx


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_another_address_after_a_time_without_a_link(
    namespace: Namespace, make_engine: Callable[..., Engine], kind: Kind, distant_pbx: Asterisk
) -> None:
    """The media socket moves with the first news of the address; one re-INVITE tells it, and sound is back."""
    wifi = namespace.add_link()
    with Scene(distant_pbx, kind, device="any", command_prefix=namespace.command(), make_engine=make_engine) as scene:
        scene.dial()
        scene.fault()
        namespace.leave(wifi)
        scene.engine.wait_event("networkOffline", since=scene.since)
        pause(2)
        up_at = time.time()
        cellular = namespace.add_link()
        scene.wait_recovered()
        pause(3)
        assert scene.is_up()
        scene.end(by_pbx=True)
        heard = scene.heard().between(distant_pbx.address, cellular.theirs)
        said = scene.said().between(distant_pbx.address, cellular.theirs)
        print(f"{kind.name}: first heard {(heard.first_at - up_at) * 1000:.0f} ms after link up, ", end="")
        print(f"first said {(said.first_at - up_at) * 1000:.0f} ms, then {heard.longest_gap_ms:.0f} ms at most")
        assert heard.first_at - up_at < 2
        assert said.first_at - up_at < 2
        assert heard.longest_gap_ms < 1000
        assert scene.sounds_both_ways()
        if kind is PLAIN:
            assert scene.sip is not None
            (invite,) = scene.sip.requests("INVITE", since=scene.fault_at, in_dialog=True)
            assert f"c=IN IP4 {cellular.theirs}" in invite.body


def test_another_route_while_the_old_link_is_still_up(
    namespace: Namespace, make_engine: Callable[..., Engine], distant_pbx: Asterisk
) -> None:
    """A cable is plugged in beside the Wi-Fi: nothing broke, and sound and signalling move all the same."""
    namespace.add_link()
    with Scene(distant_pbx, DTLS, device="any", command_prefix=namespace.command(), make_engine=make_engine) as scene:
        scene.dial()
        scene.fault()
        cable = namespace.add_link()
        scene.wait_recovered()
        pause(2)
        assert scene.is_up()
        scene.end(by_pbx=False)
        heard = scene.heard()
        moved = heard.between(distant_pbx.address, cable.theirs)
        print(f"moved after {(moved.first_at - scene.fault_at) * 1000:.0f} ms, ", end="")
        print(f"longest gap {heard.longest_gap_ms:.0f} ms, {heard.lost} lost")
        assert heard.longest_gap_ms < 1000
        assert moved.first_at - scene.fault_at < 1
        assert scene.sounds_both_ways()
