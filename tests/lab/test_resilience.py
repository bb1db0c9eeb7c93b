"""The scenarios of docs/resilience.md against Asterisk: what is told, in which order, and that the phone rings again.

Order and counts are asserted, times only by generous bounds: `make bench-resilience` measures them. What is bound more
closely, or changes this machine's addresses, is not marked `parallel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from phone.client import Connection
from tests.lab.asterisk import Asterisk
from tests.lab.relay import Relay
from tests.lab.sip_proxy import Refusal, SipProxy, retry_after, stale_nonce
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lab.engine import Engine
    from tests.lab.net import Namespace

pytestmark = pytest.mark.lab

ACCOUNT = "1007"
_PROXY_PORT = 8090


@pytest.fixture
def proxy(asterisk: Asterisk) -> Iterator[SipProxy]:
    """A SIP-aware proxy in front of the run's Asterisk."""
    with SipProxy(asterisk.ws_uri, asterisk.address, _PROXY_PORT) as running:
        yield running


@pytest.fixture
def proxied(asterisk: Asterisk, proxy: SipProxy, make_engine: Callable[..., Engine]) -> Engine:
    """An engine registered through the proxy, its retries quickened."""
    return registered(make_engine(proxy.uri, ACCOUNT, resilience={"register_delay": 0.3, "register_timeout": 1.5}))


def through(relay: Relay, pbx: Asterisk) -> str:
    """The PBX's WebSocket, through the relay."""
    return pbx.ws_uri.replace(pbx.address, relay.address)


def registered(engine: Engine) -> Engine:
    engine.start()
    engine.wait_registered()
    return engine


def rings(engine: Engine, pbx: Asterisk) -> None:
    """A call from the PBX makes the phone ring: it is reachable."""
    since = engine.mark()
    pbx.call(ACCOUNT, "600")
    engine.wait_event("incomingCall", since=since)
    pbx.cli("channel request hangup all")
    pbx.wait_no_channels()


def told(engine: Engine, since: int) -> list[str]:
    """The names of the events since a mark."""
    return [event["event"] for event in engine.events[since:]]


def assert_in_order(found: Sequence[str], expected: Sequence[str]) -> None:
    """Each expected text appears in what was found, in this order, with anything in between."""
    rest = iter(found)
    for text in expected:
        assert any(text in line for line in rest), f"{text!r} is missing or too early in:\n" + "\n".join(found)


def log_lines(engine: Engine, since: int) -> list[str]:
    return engine.logs().splitlines()[since:]


@pytest.mark.parallel
def test_s1_reset_and_refused(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> None:
    """S1: loss seen, keep-alive stopped, "Reconnecting", registered, "Reconnected", keep-alive running again."""
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT))
    since, line = engine.mark(), len(log_lines(engine, 0))
    relay.refuse()
    relay.reset()
    engine.wait_event("reconnectionAttempting", since=since, attempt=2)
    relay.accept()
    success = engine.wait_event("reconnectionSuccess", since=since)
    assert success["elapsed_s"] < 10
    engine.wait_event("keepAliveStarted", since=since)
    rings(engine, asterisk)
    story = ["reconnectionAttempting", "reconnectionAttempting", "transportConnected", "registered", "keepAliveStarted"]
    assert_in_order(told(engine, since), ["keepAliveStopped", "transportDisconnected", *story])
    names = told(engine, since)
    assert (names.count("reconnectionSuccess"), names.count("reconnectionFailed")) == (1, 0)
    assert_in_order(
        log_lines(engine, line),
        [
            "transport disconnected",
            "Keep-alive mechanism stopped",
            "Reconnection attempt 1/10",
            "Reconnection attempt 2/10",
            "transport connected",
            "Registration attempt 1/3",
            "Registration successful",
            "Starting keep-alive mechanism (interval: 90s)",
            "Reconnected after",
        ],
    )


def test_s1_link_down_and_up(namespace: Namespace, make_engine: Callable[..., Engine]) -> None:
    """R5: offline and online are told at once, and online reconnects at once, without burning an attempt meanwhile."""
    link = namespace.add_link()
    with Asterisk(address=link.ours) as pbx:
        engine = registered(make_engine(pbx.ws_uri, ACCOUNT, command_prefix=namespace.command()))
        since, line = engine.mark(), len(log_lines(engine, 0))
        namespace.down(link)
        engine.wait_event("networkOffline", since=since)
        engine.wait_event("transportDisconnected", since=since)
        namespace.up(link)
        engine.wait_event("reconnectionSuccess", since=since)
        rings(engine, pbx)
        assert_in_order(
            told(engine, since), ["networkOffline", "networkOnline", "reconnectionAttempting", "registered"]
        )
        assert len(engine.find("reconnectionAttempting", since=since)) <= 2
        assert_in_order(
            log_lines(engine, line),
            [
                "Network connection lost",
                "transport disconnected",
                "Network connection restored",
                "Auto-reconnecting after network restoration",
                "Registration successful",
            ],
        )


@pytest.mark.parallel
def test_s1_a_hole_that_tcp_survives_shows_nothing(
    asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]
) -> None:
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT, resilience={"keep_alive_interval": 1.0}))
    engine.wait_event("keepAlive", result="answered")
    since = engine.mark()
    relay.pause()
    engine.wait_event("keepAlive", since=since, result="sent")
    relay.resume()
    engine.wait_event("keepAlive", since=since, result="answered")
    rings(engine, asterisk)
    assert "transportDisconnected" not in told(engine, since)
    assert "unregistered" not in told(engine, since)


@pytest.mark.parallel
def test_keep_alive_is_told_and_logged(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """R4, R6."""
    engine = registered(make_engine(asterisk.ws_uri, ACCOUNT, resilience={"keep_alive_interval": 0.5}))
    engine.wait_event("keepAlive", result="answered")
    assert_in_order(
        log_lines(engine, 0),
        [
            "Registration attempt 1/3",
            "Registration successful",
            "Starting keep-alive mechanism (interval: 0.5s)",
            "Sending keep-alive OPTIONS request",
            "Keep-alive OPTIONS request sent",
            "Keep-alive answered",
        ],
    )


@pytest.mark.parallel
def test_s3_a_changed_password(
    own_asterisk: Asterisk, make_engine: Callable[..., Engine], capfd: pytest.CaptureFixture[str]
) -> None:
    """S3: three attempts and no more; new credentials over the control socket heal it without a restart."""
    with Relay(own_asterisk.address) as relay:
        engine = registered(make_engine(through(relay, own_asterisk), ACCOUNT, resilience={"register_delay": 0.3}))
        pid, since, line = engine.pid, engine.mark(), len(log_lines(engine, 0))
        own_asterisk.set_password(ACCOUNT, "chang3d-passw0rd")
        relay.reset()
        failed = engine.wait_event("reconnectionFailed", since=since)
        assert failed["attempts"] == 3
        assert [event["attempt"] for event in engine.find("registrationFailed", since=since)] == [1, 2, 3]
        assert engine.status()["registration"] == "failed"
        with Connection(engine.socket) as connection:
            connection.call("set_password", password="chang3d-passw0rd")
        engine.wait_event("registered", since=since)
        rings(engine, own_asterisk)
        assert engine.pid == pid
        # What came before the new password: three attempts, not one more.
        attempts = engine.find("registrationAttempt", since=since)
        assert [event["attempt"] for event in attempts] == [1, 2, 3, 1]
        assert len(engine.find("reconnectionFailed", since=since)) == 1
        assert_in_order(
            log_lines(engine, line),
            [
                "Registration attempt 1/3",
                "Waiting 300ms before retry attempt 2",
                "Registration attempt 2/3",
                "Waiting 600ms before retry attempt 3",
                "Registration attempt 3/3",
                "failed after 3 attempts",
                "Registration attempt 1/3",
                "Registration successful",
            ],
        )
        assert "chang3d-passw0rd" not in engine.logs() + engine.stderr() + capfd.readouterr().out


@pytest.mark.parallel
def test_s6_pbx_restart_without_its_registrations(own_asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    engine = registered(make_engine(own_asterisk.ws_uri, ACCOUNT))
    since = engine.mark()
    own_asterisk.kill()
    engine.wait_event("reconnectionAttempting", since=since, attempt=2)
    for database in (own_asterisk.directory / "lib").glob("astdb*"):
        database.unlink()
    own_asterisk.start()
    engine.wait_event("reconnectionSuccess", since=since, timeout_s=15)
    rings(engine, own_asterisk)
    assert len(engine.find("reconnectionAttempting", since=since)) <= 10
    assert_in_order(
        told(engine, since), ["transportDisconnected", "reconnectionAttempting", "registered", "keepAliveStarted"]
    )
    assert own_asterisk.contacts(ACCOUNT) == [own_asterisk.wait_registered(ACCOUNT)]


@pytest.mark.parallel
def test_half_open_is_noticed_and_healed(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> None:
    """The old flow swallows everything and never ends; only a ping without an answer shows it."""
    settings = {"ping_interval": 1.0, "ping_timeout": 1.0}
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT, resilience=settings))
    since, line = engine.mark(), len(log_lines(engine, 0))
    relay.half_open()
    lost = engine.wait_event("transportDisconnected", since=since)
    assert "no sign of life" in lost["reason"]
    engine.wait_event("reconnectionSuccess", since=since)
    rings(engine, asterisk)
    assert_in_order(
        log_lines(engine, line), ["no sign of life", "Reconnection attempt 1/10", "Registration successful"]
    )


def test_retry_after_is_obeyed(asterisk: Asterisk, proxy: SipProxy, proxied: Engine) -> None:
    """503 with Retry-After, twice: neither sooner nor much later than told; R1's own series is not used."""
    since, seen = proxied.mark(), len(proxy.registers)
    proxy.script(retry_after(2), retry_after(1))
    proxy.reset()
    proxied.wait_event("reconnectionSuccess", since=since)
    first, second, third, *_ = (one.at for one in proxy.registers[seen:])
    assert 2.0 <= second - first < 3.0
    assert 1.0 <= third - second < 2.0
    rings(proxied, asterisk)
    assert [event["status"] for event in proxied.find("registrationFailed", since=since)] == [503, 503]
    assert not proxied.find("reconnectionFailed", since=since)


@pytest.mark.parallel
def test_403_once_is_survived(asterisk: Asterisk, proxy: SipProxy, proxied: Engine) -> None:
    """One refusal among three attempts proves nothing about the password."""
    since = proxied.mark()
    proxy.script(Refusal(403, "Forbidden"))
    proxy.reset()
    proxied.wait_event("reconnectionSuccess", since=since)
    rings(proxied, asterisk)
    assert [event["attempt"] for event in proxied.find("registrationAttempt", since=since)] == [1, 2]
    assert not proxied.find("reconnectionFailed", since=since)


@pytest.mark.parallel
def test_500_twice_is_survived(asterisk: Asterisk, proxy: SipProxy, proxied: Engine) -> None:
    """R1: 500 uses the series of waits, and the third attempt succeeds."""
    since, line = proxied.mark(), len(log_lines(proxied, 0))
    proxy.script(Refusal(500, "Server Internal Error"), Refusal(500, "Server Internal Error"))
    proxy.reset()
    proxied.wait_event("reconnectionSuccess", since=since)
    rings(proxied, asterisk)
    assert [event["attempt"] for event in proxied.find("registrationAttempt", since=since)] == [1, 2, 3]
    assert_in_order(
        log_lines(proxied, line),
        ["Waiting 300ms before retry attempt 2", "Waiting 600ms before retry attempt 3", "Registration successful"],
    )


@pytest.mark.parallel
def test_two_stale_nonces_cost_no_attempt(asterisk: Asterisk, proxy: SipProxy, proxied: Engine) -> None:
    """RFC 7616 §3.3: stale means that the password was right; the same attempt goes on."""
    since = proxied.mark()
    proxy.script(stale_nonce(), stale_nonce())
    proxy.reset()
    proxied.wait_event("reconnectionSuccess", since=since)
    rings(proxied, asterisk)
    assert len(proxied.find("registrationAttempt", since=since)) == 1
    assert not proxied.find("registrationFailed", since=since)


@pytest.mark.parallel
def test_a_lost_answer_forms_the_flow_anew(asterisk: Asterisk, proxy: SipProxy, proxied: Engine) -> None:
    """R1: an attempt is over only at its final response or time-out; the time-out closes the flow with it."""
    since = proxied.mark()
    proxy.lose_accepted()
    proxy.reset()
    proxied.wait_event("reconnectionSuccess", since=since)
    rings(proxied, asterisk)
    assert proxy.answers_lost == 1
    assert [event["status"] for event in proxied.find("registrationFailed", since=since)] == [408]
    assert_in_order(
        told(proxied, since),
        ["registrationAttempt", "registrationFailed", "transportDisconnected", "registrationAttempt", "registered"],
    )


@pytest.mark.parallel
def test_a_call_outlives_its_signalling(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> None:
    """3.1: sound goes on while the signalling is away; the new Contact is told, so the PBX's BYE finds us."""
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT))
    call = engine.dial("600")
    engine.wait_seconds(1)
    since = engine.mark()
    relay.refuse()
    relay.reset()
    engine.wait_event("reconnectionAttempting", since=since, attempt=2)
    before = relay.datagrams
    wait_until(lambda: relay.datagrams > before + 50, what="sound flows without signalling")
    relay.accept()
    engine.wait_event("reconnectionSuccess", since=since)
    engine.wait_event("signallingChanged", since=since, up=True)
    engine.wait_event("mediaNegotiated", since=since)
    assert [one["id"] for one in engine.calls()] == [call]
    asterisk.cli("channel request hangup all")
    engine.wait_event("callEnded", since=since, by="remote")
    asterisk.wait_no_channels()
