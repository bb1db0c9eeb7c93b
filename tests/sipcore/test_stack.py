"""The stack as a whole, on virtual time against the simulated PBX: the scenarios of resilience.md."""

from __future__ import annotations

import itertools
import random
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore import events as ev
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, ServerAddress, StackConfig
from sipcore.errors import LocalProtocolError
from sipcore.ids import IdSource
from sipcore.message.message import Request
from sipcore.message.parse import parse_message
from sipcore.stack import Stack
from tests.sim.pbx import SimPbx
from tests.sim.phone import MEDIA, SimPhone
from tests.sim.world import World

T = TypeVar("T")
STATE = ev.RegistrationState


class Lab:
    """A phone and a PBX. ``register`` brings them together."""

    def __init__(self, seed: int = 1, **settings: float) -> None:
        self.world = World(seed)
        self.pbx = SimPbx(self.world, {"1001": "right"})
        self.seen: list[object] = []
        self.phone = SimPhone(
            self.world,
            self.pbx,
            settings=Resilience(**settings),  # type: ignore[arg-type]
            watch=self.seen.append,
        )

    def register(self) -> None:
        self.phone.run(self.phone.stack.start)
        self.wait(1.0)
        assert self.phone.stack.registration_state is STATE.REGISTERED

    def wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + seconds)

    def reset(self) -> None:
        for connection in self.phone.wire.connections:
            connection.reset()

    def names(self) -> list[str]:
        return [type(thing).__name__ for thing in self.seen]

    def of(self, kind: type[T]) -> list[T]:
        return [thing for thing in self.seen if isinstance(thing, kind)]

    def is_(self, state: ev.RegistrationState) -> bool:
        return self.phone.stack.registration_state is state


def test_register_and_shut_down() -> None:
    lab = Lab()
    lab.register()
    assert lab.pbx.reachable("1001")
    lab.phone.run(lab.phone.stack.shutdown)
    lab.wait(60.0)
    assert lab.phone.stack.finished
    assert lab.phone.stack.next_timeout() is None
    assert not lab.pbx.bindings


def test_s1_short_interruption() -> None:
    """Loss seen, keep-alive stopped, reconnecting, registered, reconnected, keep-alive running, in this order."""
    lab = Lab()
    lab.register()
    lab.seen.clear()
    lab.pbx.stop(silently=False)
    lab.world.after(3.0, lab.pbx.start)
    lab.wait(10.0)
    story = [
        type(thing).__name__
        for thing in lab.seen
        if isinstance(
            thing,
            ev.KeepAliveStopped
            | ev.Unregistered
            | ev.ReconnectionAttempting
            | ev.Registered
            | ev.KeepAliveStarted
            | ev.ReconnectionSuccess,
        )
    ]
    attempts = [name for name in story if name == "ReconnectionAttempting"]
    assert story == [
        "KeepAliveStopped",
        "Unregistered",
        *attempts,
        "Registered",
        "KeepAliveStarted",
        "ReconnectionSuccess",
    ]
    assert lab.of(ev.ReconnectionSuccess)[0].elapsed_s < 6.0
    assert lab.pbx.reachable("1001")


@pytest.mark.parametrize("outage_s", [120.0, 600.0])
def test_s2_long_outage(outage_s: float) -> None:
    """(a) recovers by itself; (b) the same after ten attempts and one ReconnectionFailed."""
    lab = Lab()
    lab.register()
    lab.seen.clear()
    lab.pbx.stop(silently=False)
    lab.world.after(outage_s, lab.pbx.start)
    lab.wait(outage_s)
    failed = lab.of(ev.ReconnectionFailed)
    assert [event.attempts for event in failed] == ([10] if outage_s > 300 else [])
    assert lab.is_(STATE.FAILED if failed else STATE.REGISTERING)
    lab.wait(10.0)
    assert lab.is_(STATE.REGISTERED)
    assert len(lab.of(ev.ReconnectionFailed)) == len(failed)
    assert len(lab.of(ev.OpenFlow)) <= 12 + outage_s / 48.0


def test_s2_retry_now_works() -> None:
    lab = Lab(background_retry=0, max_reconnection_attempts=2, probe_interval=0)
    lab.register()
    lab.pbx.stop(silently=False)
    lab.wait(60.0)
    assert lab.phone.stack.next_timeout() is None
    lab.pbx.start()
    lab.phone.run(lab.phone.stack.retry_now)
    lab.wait(1.0)
    assert lab.is_(STATE.REGISTERED)


def test_s3_password_changed() -> None:
    """Three attempts, failure, disconnected; new credentials reconnect without a restart."""
    lab = Lab()
    lab.register()
    lab.pbx.passwords["1001"] = "new"
    lab.reset()
    lab.wait(590.0)
    assert [event.attempts for event in lab.of(ev.ReconnectionFailed)] == [3]
    assert [event.credentials_refused for event in lab.of(ev.RegistrationRefused)] == [True] * 3
    # One more than attempts: the nonce of the last registration is tried first.
    assert len(lab.pbx.rejected) == 4
    assert lab.is_(STATE.FAILED)
    assert lab.phone.stack.transport_state is ev.TransportState.DISCONNECTED
    lab.phone.run(lambda now: lab.phone.stack.set_credentials(Credentials("1001", "new"), now))
    lab.wait(1.0)
    assert lab.is_(STATE.REGISTERED)
    assert isinstance(lab.seen[-2], ev.ReconnectionSuccess) or lab.of(ev.ReconnectionSuccess)


def test_s3_without_new_credentials_one_slow_attempt_follows_and_heals() -> None:
    lab = Lab()
    lab.register()
    lab.pbx.passwords["1001"] = "new"
    lab.reset()
    lab.wait(300.0)
    lab.pbx.passwords["1001"] = "right"
    lab.wait(400.0)
    assert lab.is_(STATE.REGISTERED)
    assert len(lab.pbx.rejected) == 4


def test_s4_address_changes_in_a_call() -> None:
    """Offline, online with another address: the call goes on and the PBX knows where we are."""
    lab = Lab()
    lab.register()
    lab.phone.dial()
    lab.wait(3.0)
    talking = set(lab.phone.calls)
    assert talking
    lab.phone.network(False)
    lab.wait(2.0)
    lab.phone.network(True, "192.0.2.99")
    lab.wait(1.0)
    assert lab.phone.calls == talking
    assert [name for name in lab.names() if name.startswith("Network")] == ["NetworkOffline", "NetworkOnline"]
    assert len(lab.pbx.refreshed) == 1
    lab.phone.run(lambda now: lab.phone.stack.hang_up(next(iter(talking)), now))
    lab.wait(1.0)
    assert lab.pbx.byes


def test_s5_a_nasty_nat_is_noticed_and_the_ping_adapts() -> None:
    """It forgets flows after 12 s, our ping comes every 15 s: two losses at most, then quiet."""
    lab = Lab()
    lab.phone.wire.kernel_gives_up = False
    lab.phone.wire.nat_idle_s = 12.0
    lab.register()
    lab.wait(600.0)
    losses = len(lab.of(ev.Unregistered))
    assert 1 <= losses <= 2
    assert lab.pbx.reachable("1001")


def test_s6_pbx_restart() -> None:
    lab = Lab()
    lab.register()
    lab.pbx.stop(silently=True)
    lab.world.after(30.0, lab.pbx.start)
    lab.wait(45.0)
    assert lab.is_(STATE.REGISTERED)
    assert lab.pbx.reachable("1001")


def test_half_open_is_noticed_in_25_s_and_healed_at_once() -> None:
    lab = Lab()
    lab.phone.wire.kernel_gives_up = False
    lab.register()
    lab.wait(20.0)
    began = lab.world.now
    for connection in lab.phone.wire.connections:
        connection.cut = True
    lab.seen.clear()
    lab.wait(27.0)
    assert lab.of(ev.ReconnectionSuccess)
    assert lab.pbx.reachable("1001")
    assert lab.world.now - began < 28.0


def test_a_hole_that_tcp_survives_shows_nothing() -> None:
    lab = Lab()
    lab.register()
    lab.wait(14.0)
    lab.seen.clear()
    lab.phone.wire.hole_until = lab.world.now + 6.0
    lab.wait(30.0)
    assert not lab.of(ev.TransportChanged)


def test_503_with_retry_after_is_obeyed_to_the_second() -> None:
    lab = Lab()
    lab.register()
    lab.pbx.script.answers = [(503, {"Retry-After": "5"})] * 2
    lab.pbx.registers.clear()
    lab.reset()
    lab.wait(15.0)
    times = [at for at, _, status in lab.pbx.registers if status != 401]
    assert [round(later - earlier, 1) for earlier, later in itertools.pairwise(times)] == [
        pytest.approx(5.0, abs=0.2),
        pytest.approx(5.0, abs=0.3),
    ]
    assert lab.is_(STATE.REGISTERED)


@pytest.mark.parametrize(
    ("answers", "stale", "lose", "within_s"),
    [
        ([(403, {})], 0, 0, 3.0),
        ([(500, {})] * 2, 0, 0, 7.0),
        ([], 2, 0, 1.0),
        ([], 0, 1, 8.5),
        ([(423, {"Min-Expires": "900"})], 0, 0, 1.0),
    ],
)
def test_registrar_troubles(answers: list[tuple[int, dict[str, str]]], stale: int, lose: int, within_s: float) -> None:
    lab = Lab()
    lab.register()
    lab.pbx.script.answers, lab.pbx.script.stale, lab.pbx.script.lose = answers, stale, lose
    lab.reset()
    lab.wait(within_s)
    assert lab.is_(STATE.REGISTERED)
    assert lab.pbx.reachable("1001")


def test_options_every_90_s_while_registered() -> None:
    lab = Lab()
    lab.register()
    lab.wait(300.0)
    results = [event.result.value for event in lab.of(ev.KeepAlive)]
    assert results == ["sent", "answered"] * 3
    assert all(event.rtt_ms is None or 20 < event.rtt_ms < 100 for event in lab.of(ev.KeepAlive))


def test_ten_idle_minutes_cost_less_than_7_kilobytes() -> None:
    """R7."""
    lab = Lab()
    lab.register()
    lab.seen.clear()
    lab.phone.stack.trace = type(lab.phone.stack.trace)()
    lab.wait(600.0)
    sip = sum(len(entry.text) for entry in lab.phone.stack.trace)
    pings = len(lab.of(ev.PingFlow))
    assert sip + pings * 12 < 7000


def test_sleep_verifies_the_flow_at_once() -> None:
    lab = Lab()
    lab.phone.wire.kernel_gives_up = False
    lab.register()
    for connection in lab.phone.wire.connections:
        connection.cut = True
    lab.phone.sleep(300.0)
    lab.wait(304.0)
    assert lab.is_(STATE.REGISTERED)
    assert lab.pbx.reachable("1001")


def test_a_hang_up_during_an_outage_is_remembered() -> None:
    lab = Lab()
    lab.register()
    lab.phone.dial()
    lab.wait(3.0)
    call = next(iter(lab.phone.calls))
    for connection in lab.phone.wire.connections:
        connection.cut = True
    lab.phone.run(lambda now: lab.phone.stack.hang_up(call, now))
    lab.wait(60.0)
    assert lab.pbx.byes
    assert not lab.pbx.dialogs


def test_no_call_without_a_registration() -> None:
    lab = Lab()
    with pytest.raises(LocalProtocolError):
        lab.phone.stack.dial("600", MEDIA, lab.world.now)


def test_retry_status_counts_down() -> None:
    lab = Lab(probe_interval=0)
    lab.register()
    assert lab.phone.stack.retry_status(lab.world.now) is None
    lab.pbx.stop(silently=False)
    lab.wait(2.0)
    status = lab.phone.stack.retry_status(lab.world.now)
    assert status is not None
    assert status.what == "transport"
    assert status.next_in_s is not None
    assert 0.0 <= status.next_in_s <= 4.0


def test_log_tells_the_story_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """R6: the promised lines, and never a password, a digest response or a nonce."""
    caplog.set_level("DEBUG", "sipcore")
    lab = Lab()
    lab.register()
    lab.wait(95.0)
    lab.phone.network(False)
    lab.wait(1.0)
    lab.phone.network(True)
    lab.wait(1.0)
    lines = [record.getMessage() for record in caplog.records]
    for promised in (
        "Registration attempt 1/3",
        "Registration successful",
        "Starting keep-alive mechanism (interval: 90s)",
        "Sending keep-alive OPTIONS request",
        "Keep-alive OPTIONS request sent",
        "transport disconnected: network offline",
        "Network connection restored",
        "Auto-reconnecting after network restoration",
    ):
        assert promised in lines
    text = "\n".join(lines)
    assert "nonce" not in text
    assert "response=" not in text


class Scripted:
    """A stack with two servers, answered by hand."""

    def __init__(self) -> None:
        servers = (ServerAddress.parse("wss://a.example:8089/ws"), ServerAddress.parse("wss://b.example:8089/ws"))
        account = Account(servers=servers, username="1001", domain="pbx.example", auth_username="1001")
        config = StackConfig(account=account, resilience=Resilience(fleet_spread=0))
        self.stack = Stack(config, Credentials("1001", "x"), IdSource(random.Random(1)))
        self.now = 1.0
        self.opened: list[str] = []
        self.requests: list[Request] = []
        self.stack.start(self.now)
        self.drain()

    def drain(self) -> None:
        while effects := self.stack.effects():
            for effect in effects:
                match effect:
                    case ev.OpenFlow(flow=flow, server=server):
                        self.opened.append(f"{server.host}:{server.port}")
                        self.flow = flow
                    case ev.Transmit(data=data):
                        message = parse_message(data)
                        assert isinstance(message, Request)
                        self.requests.append(message)
                    case _:
                        pass

    def open(self) -> None:
        self.stack.flow_opened(self.flow, ("192.0.2.9", 4000), self.now)
        self.drain()

    def answer(self, status: int, *headers: tuple[str, str]) -> None:
        response = self.requests[-1].response(status, to_tag="t")
        for name, value in headers:
            response.headers.add(name, value)
        self.stack.receive(bytes(response), self.flow, self.now)
        self.drain()


def test_a_server_that_cannot_be_reached_is_passed_over_at_once() -> None:
    script = Scripted()
    script.stack.flow_failed(script.flow, "refused", script.now)
    script.drain()
    script.open()
    script.answer(200)
    assert script.opened == ["a.example:8089", "b.example:8089"]
    assert script.stack.registration_state is STATE.REGISTERED


def test_a_server_that_says_503_is_left_for_the_other() -> None:
    """RFC 3261 §21.5.4: not to be used again before Retry-After is over."""
    script = Scripted()
    script.open()
    script.answer(503, ("Retry-After", "100"))
    assert script.opened == ["a.example:8089", "b.example:8089"]
    script.open()
    assert script.requests[-1].method == "REGISTER"
    script.answer(200)
    assert script.stack.registration_state is STATE.REGISTERED
    script.stack.flow_closed(script.flow, "reset", script.now)
    script.stack.handle_timeout(script.now)
    script.drain()
    assert script.opened[-1] == "b.example:8089"


def test_a_redirection_is_followed_to_the_host_it_names() -> None:
    """RFC 3261 §8.1.3.4; the scheme stays, so that nobody is led to an unencrypted place."""
    script = Scripted()
    script.open()
    script.answer(302, ("Contact", "<sip:c.example:9000>"))
    assert script.opened[-1] == "c.example:9000"
    script.open()
    script.answer(200)
    assert script.stack.registration_state is STATE.REGISTERED


def test_a_redirection_within_the_account_stays_on_the_flow() -> None:
    script = Scripted()
    script.open()
    script.answer(301, ("Contact", "<sip:b.example>"))
    assert len(script.opened) == 1
    assert str(script.requests[-1].uri) == "sip:b.example"


def stack_on_a_stream() -> tuple[Stack, float]:
    account = Account(
        servers=(ServerAddress.parse("tcp:192.0.2.1:5060"),), username="1001", domain="pbx", auth_username="1001"
    )
    stack = Stack(StackConfig(account=account), Credentials("1001", "x"), IdSource(random.Random(1)))
    stack.start(1.0)
    stack.flow_opened(1, ("192.0.2.9", 4000), 1.1)
    stack.effects()
    return stack, 1.2


def test_a_crlf_ping_is_answered_on_a_stream_and_in_a_message() -> None:
    """RFC 5626 §4.4.1."""
    stack, now = stack_on_a_stream()
    stack.receive(b"\r\n\r\n", 1, now)
    assert [effect.data for effect in stack.effects() if isinstance(effect, ev.Transmit)] == [b"\r\n"]
    lab = Lab()
    lab.register()
    lab.phone.stack.receive(b"\r\n\r\n", 1, lab.world.now)
    assert [effect.data for effect in lab.phone.stack.effects() if isinstance(effect, ev.Transmit)] == [b"\r\n"]


def test_a_stream_in_pieces_is_put_together() -> None:
    stack, now = stack_on_a_stream()
    options = (
        b"OPTIONS sip:1001@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
        b"From: <sip:pbx>;tag=a\r\nTo: <sip:1001@pbx>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    for piece in (options[:30], options[30:]):
        stack.receive(piece, 1, now)
    answers = [effect.data for effect in stack.effects() if isinstance(effect, ev.Transmit)]
    assert len(answers) == 1
    assert answers[0].startswith(b"SIP/2.0 200")


def test_a_malformed_request_gets_a_400_and_a_malformed_response_nothing() -> None:
    lab = Lab()
    lab.register()
    stack, now = lab.phone.stack, lab.world.now
    stack.receive(b"OPTIONS sip:1001@x SIP/2.0\r\nVia: SIP/2.0/WS a;branch=z9hG4bKy\r\nCSeq: x\r\n\r\n", 1, now)
    sent = [effect.data for effect in stack.effects() if isinstance(effect, ev.Transmit)]
    assert len(sent) == 1
    assert sent[0].startswith(b"SIP/2.0 400")
    stack.receive(b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", 1, now)
    assert not stack.effects()


@given(st.binary(max_size=300))
def test_no_bytes_from_the_network_raise(data: bytes) -> None:
    stack, now = stack_on_a_stream()
    stack.receive(data, 1, now)
    lab = Lab()
    lab.phone.run(lab.phone.stack.start)
    lab.wait(0.1)
    lab.phone.stack.receive(data, 1, lab.world.now)


def test_bytes_of_a_flow_that_is_gone_are_ignored() -> None:
    stack, now = stack_on_a_stream()
    stack.flow_closed(1, "reset", now)
    stack.effects()
    stack.receive(b"\r\n\r\n", 1, now)
    assert not stack.effects()
