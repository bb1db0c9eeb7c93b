"""Two flows through a Kamailio that confirms RFC 5626 (docs/resilience.md "Two flows"): one dies, nobody notices.

phone ═╦═ ws ═ relay A ═╦═ Kamailio ══ Asterisk        phone ══ RTP ══ Asterisk
       ╚═ ws ═ relay B ═╝
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import asterisk_config, kamailio, kamailio_config, root, wire
from tests.lab.asterisk import Asterisk, loopback_address
from tests.lab.call_scene import TONE_HZ, pause, tone_wav
from tests.lab.evidence import require
from tests.lab.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.lab.relay import Relay
from tests.lab.rtp_view import SipLog, heard_by
from tests.lab.signals import read_wav, tone_share
from tests.lab.waiting import wait_until
from tests.lab.wire import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.parallel]

GAP_MS = 1000
"""Of a stream that never stopped: far above how late two shared cores are."""

_NEWS = (
    "keepAliveStopped",
    "reconnectionAttempting",
    "reconnectionFailed",
    "reconnectionSuccess",
    "registrationChanged",
    "registrationFailed",
    "signallingChanged",
    "transportConnecting",
    "transportDisconnected",
    "unregistered",
)
"""What a user would notice."""


@dataclass(frozen=True)
class Edge:
    """Kamailio and Asterisk behind it, and two ways there."""

    kamailio: Kamailio
    pbx: Asterisk
    first: Relay
    second: Relay

    def server(self, relay: Relay, scheme: str = "ws") -> str:
        if scheme == "tcp":
            return f"tcp:{relay.address}:{asterisk_config.SIP_PORT}"
        return f"ws://{relay.address}:{asterisk_config.WS_PORT}/ws"

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        self.kamailio.save_evidence(directory)
        self.pbx.save_evidence(directory)

    def ring(self) -> None:
        """A call from Asterisk to the phone; who answers it hears himself."""
        target = f"PJSIP/{kamailio_config.TRUNK}/sip:1001@{self.kamailio.address}:{asterisk_config.SIP_PORT}"
        self.pbx.cli(f"channel originate {target} extension 600@default")


@pytest.fixture(scope="module")
def behind() -> Iterator[tuple[Asterisk, str]]:
    """The Asterisk of this module's tests, and the address of the Kamailio in front of it."""
    require(root.why_unavailable() or kamailio.why_unavailable() or wire.why_unavailable())
    address, pbx_address = loopback_address(), loopback_address()
    with Asterisk(address=pbx_address, extra=kamailio_config.trunk(address, pbx_address)) as pbx:
        yield pbx, address


@pytest.fixture
def make_edge(behind: tuple[Asterisk, str]) -> Iterator[Callable[..., Edge]]:
    """Makes an edge; takes what `Kamailio` takes."""
    pbx, address = behind
    made: list[Edge] = []

    def make(**settings: Any) -> Edge:
        relays = [Relay(address, rewrite=False), Relay(address, loopback_address(), rewrite=False)]
        edge = Edge(Kamailio(address, pbx.address, **settings), pbx, *relays)
        made.append(edge)
        edge.kamailio.start()
        for relay in relays:
            relay.start()
        return edge

    yield make
    for edge in made:
        pbx.cli("channel request hangup all")
        edge.first.close()
        edge.second.close()
        edge.kamailio.close()


@pytest.fixture
def edge(make_edge: Callable[..., Edge]) -> Edge:
    return make_edge()


@pytest.fixture
def make_phone(make_engine: Callable[..., Engine], tmp_path: Path) -> Callable[..., Engine]:
    """A running phone that says a tone, registered over both ways."""

    def make(edge: Edge, scheme: str = "ws", **resilience: object) -> Engine:
        engine = make_engine(
            [edge.server(edge.first, scheme), edge.server(edge.second, scheme)],
            "1001",
            password=PASSWORD,
            account={"domain": DOMAIN, "media": "rtp"},
            audio={"input": f"wav:{tone_wav(tmp_path)}", "output": f"wav:{tmp_path / 'earpiece.wav'}"},
            resilience=resilience,
        )
        engine.start()
        engine.wait_registered()
        return engine

    return make


@pytest.fixture
def phone(edge: Edge, make_phone: Callable[..., Engine]) -> Engine:
    engine = make_phone(edge)
    edge.kamailio.wait_reg_ids(1, 2)
    return engine


def noticed(engine: Engine, since: int) -> list[str]:
    """The events since then that tell of a loss or the way back."""
    return [event["event"] for event in engine.events[since:] if event["event"] in _NEWS]


def lose(edge: Edge, relay: Relay, *, left: int) -> None:
    """One way is cut, and stays so."""
    relay.refuse()
    relay.reset()
    edge.kamailio.wait_reg_ids(left)


def formed_anew(edge: Edge, before: set[str], *, flows: int = 1, timeout_s: float = 10.0) -> None:
    """Return once the registrar, too, knows the new flow: what it sends by a dead one until then is lost."""
    wait_until(
        lambda: len(edge.kamailio.connections() - before) >= flows, what=f"{flows} formed anew", timeout_s=timeout_s
    )
    edge.kamailio.wait_reg_ids(1, 2)


@pytest.mark.parametrize("by_pbx", [True, False], ids=["BYE from the far end", "BYE from us"])
def test_a_flow_dies_in_a_call(edge: Edge, phone: Engine, tmp_path: Path, by_pbx: bool) -> None:
    """No packet is lost, nobody is told of anything, the goodbye arrives, and the flow is there again."""
    with Capture(edge.pbx.address, tmp_path / "call.pcapng") as capture:
        call = phone.dial("600")
        phone.wait_seconds(1)
        since, at, before = phone.mark(), time.time(), edge.kamailio.connections()
        edge.first.reset()
        formed_anew(edge, before)
        pause(2)
        status = phone.status()
        assert (status["registration"], status["transport"]) == ("registered", "connected")
        assert [kept["id"] for kept in status["calls"]] == [call]
        if by_pbx:
            edge.pbx.cli("channel request hangup all")
        else:
            phone.ctl("hangup")
        phone.wait_event("callEnded", since=since, by="remote" if by_pbx else "local")
        edge.pbx.wait_no_channels()
        phone.wait_no_calls()
        assert noticed(phone, since) == []
    heard = heard_by(edge.pbx.address, capture).since(at - 0.1)
    print(f"gap {heard.longest_gap_ms:.0f} ms, {heard.lost} of {len(heard.packets)} lost")
    assert heard.lost == 0
    assert heard.longest_gap_ms < GAP_MS
    samples, rate = read_wav(tmp_path / "earpiece.wav")
    assert tone_share(samples[-rate:], rate, TONE_HZ) > 0.9


def test_calls_begin_and_end_on_the_flow_that_is_left(edge: Edge, phone: Engine) -> None:
    """While the other stays away: a call of ours, one of theirs, and a hold in between."""
    since = phone.mark()
    lose(edge, edge.first, left=2)
    phone.dial("600")
    phone.wait_seconds(0.5)
    phone.ctl("hold")
    phone.ctl("resume")
    phone.ctl("hangup")
    phone.wait_no_calls()
    edge.pbx.wait_no_channels()
    edge.ring()
    phone.wait_event("incomingCall", since=since)
    phone.ctl("answer")
    phone.wait_seconds(1)
    edge.pbx.cli("channel request hangup all")
    phone.wait_no_calls()
    assert len(phone.find("incomingCall", since=since)) == 1
    assert noticed(phone, since) == []
    assert phone.status()["registration"] == "registered"
    edge.first.accept()
    phone.ctl("register")
    edge.kamailio.wait_reg_ids(1, 2)


def test_a_call_moves_back_and_forth(edge: Edge, phone: Engine) -> None:
    """Whichever flow dies next, as long as the other one is there."""
    call = phone.dial("600")
    phone.wait_seconds(1)
    since = phone.mark()
    for relay in (edge.first, edge.second) * 2:
        before = edge.kamailio.connections()
        relay.reset()
        formed_anew(edge, before)
        pause(0.5)
    assert [kept["id"] for kept in phone.calls()] == [call]
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")
    assert noticed(phone, since) == []


def test_a_ringing_phone_rings_on(edge: Edge, phone: Engine) -> None:
    """The flow its INVITE came by dies before it is answered."""
    since = phone.mark()
    edge.ring()
    phone.wait_event("incomingCall", since=since)
    lose(edge, edge.first, left=2)
    phone.ctl("answer")
    phone.wait_seconds(1)
    assert len(edge.pbx.channels()) == 1
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")
    assert len(phone.find("incomingCall", since=since)) == 1


def test_a_flow_that_swallows_everything_is_left(edge: Edge, make_phone: Callable[..., Engine]) -> None:
    """Found dead by its pings; the other one serves from then on."""
    phone = make_phone(edge, ping_interval=1.0, ping_timeout=1.0)
    edge.kamailio.wait_reg_ids(1, 2)
    phone.dial("600")
    phone.wait_seconds(1)
    since, before = phone.mark(), edge.kamailio.connections()
    edge.first.half_open()
    formed_anew(edge, before)
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")
    assert noticed(phone, since) == []


def test_both_flows_die(edge: Edge, phone: Engine) -> None:
    """Then it is a loss like any other, told as such, and both are there again."""
    phone.dial("600")
    phone.wait_seconds(1)
    since, before = phone.mark(), edge.kamailio.connections()
    for relay in (edge.first, edge.second):
        relay.refuse()
    for relay in (edge.first, edge.second):
        relay.reset()
    phone.wait_event("signallingChanged", since=since, up=False)
    phone.wait_event("reconnectionAttempting", since=since)
    for relay in (edge.first, edge.second):
        relay.accept()
    phone.wait_event("reconnectionSuccess", since=since)
    phone.wait_event("signallingChanged", since=since, up=True)
    formed_anew(edge, before, flows=2)
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")


def test_both_bindings_are_removed(edge: Edge, phone: Engine) -> None:
    """At the end the registrar holds nothing, and not because the connections are gone."""
    assert phone.stop() == 0
    edge.kamailio.wait_reg_ids(timeout_s=3.0)


def test_a_killed_engine_takes_both_bindings_up_again(edge: Edge, phone: Engine) -> None:
    """The call goes on, and there are two contacts, not four."""
    phone.dial("600")
    phone.wait_seconds(1)
    since, before = phone.mark(), edge.kamailio.connections()
    phone.kill()
    phone.start()
    formed_anew(edge, before, flows=2)
    phone.wait_event("signallingChanged", since=since, up=True)
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")


def test_two_flows_to_one_server(edge: Edge, make_engine: Callable[..., Engine]) -> None:
    """What the registrar confirms counts, not how many servers there are."""
    account = {"domain": DOMAIN, "media": "rtp"}
    phone = make_engine(edge.server(edge.first), "1001", password=PASSWORD, account=account)
    phone.start()
    edge.kamailio.wait_reg_ids(1, 2)
    assert edge.first.live_connections() == 2


@pytest.mark.parametrize("why", ["registrar", "setting"])
def test_without_outbound_there_is_one_flow(
    make_edge: Callable[..., Edge], make_phone: Callable[..., Engine], why: str
) -> None:
    """Where the registrar does not confirm it, or the user does not want it."""
    edge = make_edge(outbound=why != "registrar")
    phone = make_phone(edge, **({"outbound": False} if why == "setting" else {}))
    phone.dial("600")
    phone.wait_seconds(2)
    assert len(edge.kamailio.reg_ids()) == 1
    assert (edge.first.live_connections(), edge.second.tcp_connections) == (1, 0)


def test_without_a_gruu_the_far_end_is_told_of_the_other_flow(
    make_edge: Callable[..., Edge], make_phone: Callable[..., Engine]
) -> None:
    """By one re-INVITE on it, although the Route still names the dead one's token; our goodbye goes the same way."""
    edge = make_edge(gruu=False)
    phone = make_phone(edge)
    edge.kamailio.wait_reg_ids(1, 2)
    log = SipLog(edge.pbx, "ob")
    phone.dial("600")
    phone.wait_seconds(1)
    since = phone.mark()
    lose(edge, edge.first, left=2)
    pause(1)
    phone.ctl("hangup")
    phone.wait_event("callEnded", since=since, by="local")
    edge.pbx.wait_no_channels()
    assert noticed(phone, since) == []
    first, refresh = log.requests("INVITE")
    assert ";ob" in first.header("Contact")
    assert ";ob" in refresh.header("Contact")
    assert first.header("Contact") != refresh.header("Contact")
    assert first.body == refresh.body


def test_over_tcp_the_registrars_flow_timer_finds_a_dead_flow(
    make_edge: Callable[..., Edge], make_phone: Callable[..., Engine]
) -> None:
    """RFC 5626 §4.4.1: pings at its pace, and no pong within `ping_timeout` means dead."""
    edge = make_edge(flow_timer_s=4)
    phone = make_phone(edge, "tcp", ping_interval=60.0, ping_timeout=3.0)
    edge.kamailio.wait_reg_ids(1, 2)
    phone.dial("600")
    phone.wait_seconds(1)
    since, before = phone.mark(), edge.kamailio.connections()
    edge.first.half_open()
    formed_anew(edge, before, timeout_s=12)
    edge.pbx.cli("channel request hangup all")
    phone.wait_event("callEnded", since=since, by="remote")
    assert noticed(phone, since) == []
