"""More of docs/resilience.md against Asterisk: server lists, certificates, nonces, lifetimes, presets, another network.

As in test_resilience: order and counts are asserted, times only by generous bounds.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.lab import asterisk_config as config
from tests.lab.asterisk import Asterisk
from tests.lab.evidence import require
from tests.lab.relay import Relay
from tests.lab.sip_proxy import SipProxy, too_brief
from tests.lab.tls import Authority
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.engine import Engine
    from tests.lab.net import Namespace

pytestmark = pytest.mark.lab

ACCOUNT = "1007"
_LONG = "1004"
_PROXY_PORT = 8090


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


def through(relay: Relay, pbx: Asterisk) -> str:
    """The PBX's WebSocket, through the relay."""
    return pbx.ws_uri.replace(pbx.address, relay.address)


@pytest.mark.parallel
def test_failover_to_the_second_server_of_the_list(
    own_asterisk: Asterisk, asterisk: Asterisk, make_engine: Callable[..., Engine]
) -> None:
    """3.7: a dead server costs one attempt; the next one of the list is tried at once."""
    engine = registered(make_engine([own_asterisk.ws_uri, asterisk.ws_uri], ACCOUNT))
    assert len(own_asterisk.contacts(ACCOUNT)) == 1
    assert asterisk.contacts(ACCOUNT) == []
    since = engine.mark()
    own_asterisk.kill()
    success = engine.wait_event("reconnectionSuccess", since=since)
    assert success["attempts"] <= 2
    rings(engine, asterisk)
    assert len(asterisk.contacts(ACCOUNT)) == 1


@pytest.mark.parallel
def test_a_certificate_nobody_trusts_is_refused_until_the_right_one_is_back(
    own_asterisk: Asterisk, make_engine: Callable[..., Engine], tmp_path: Path
) -> None:
    """The PBX comes back with another authority's certificate, then with a new one of the trusted authority."""
    trusted = shutil.copy(own_asterisk.ca_file, tmp_path / "trusted.pem")
    account = {"tls_ca": str(trusted)}
    settings = {"reconnection_timeout": 2.0}
    engine = registered(make_engine(own_asterisk.wss_uri, ACCOUNT, account=account, resilience=settings))
    since = engine.mark()
    own_asterisk.kill()
    own_asterisk.issue_certificate(Authority.create("Somebody else's CA"))
    own_asterisk.start()
    wait_until(
        lambda: any("ertificate" in str(event) for event in engine.events[since:]), what="the certificate is named"
    )
    assert own_asterisk.contacts(ACCOUNT) == []
    assert not engine.find("registered", since=since)
    own_asterisk.kill()
    own_asterisk.issue_certificate(own_asterisk.authority)
    own_asterisk.start()
    engine.wait_event("reconnectionSuccess", since=since)
    rings(engine, own_asterisk)


def test_423_asks_for_the_minimum_at_once(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """RFC 3261 §10.2.8: the same attempt goes on with Min-Expires."""
    with SipProxy(asterisk.ws_uri, asterisk.address, _PROXY_PORT) as proxy:
        engine = registered(make_engine(proxy.uri, ACCOUNT))
        since, seen = engine.mark(), len(proxy.registers)
        proxy.script(too_brief(1200))
        proxy.reset()
        engine.wait_event("reconnectionSuccess", since=since)
        refused, raised, *_ = proxy.registers[seen:]
        assert (refused.answered, raised.expires_s) == (423, 1200)
        assert raised.at - refused.at < 1.0
        assert [event["attempt"] for event in engine.find("registrationAttempt", since=since)] == [1]
        assert not engine.find("registrationFailed", since=since)
        rings(engine, asterisk)


@pytest.mark.parallel
def test_nonces_and_lifetimes_that_the_pbx_chooses(make_engine: Callable[..., Engine]) -> None:
    """RFC 7616 §3.3: Asterisk forgets nonces after a second and grants ten; nobody sees anything of it.

    RFC 3261 §10.2.4: what is granted counts. Asterisk raises a lifetime below its minimum without a 423.
    """
    aor = "max_contacts=1\nremove_existing=yes\n"
    accounts = {
        **config.ACCOUNTS,
        ACCOUNT: config.Account(password="secret-1007", aor=aor + "maximum_expiration=10", auth="nonce_lifetime=1"),
        _LONG: config.Account(password="secret-1004", aor=aor + "minimum_expiration=900"),
    }
    with Asterisk(accounts=accounts) as pbx:
        raised = registered(make_engine(pbx.ws_uri, _LONG, resilience={"register_expires": 300}))
        assert raised.wait_event("registered")["expires_s"] >= 890
        engine = registered(make_engine(pbx.ws_uri, ACCOUNT))
        since = engine.mark()
        wait_until(lambda: len(engine.find("registered", since=since)) >= 2, what="two refreshes", timeout_s=25)
        assert all(event["refresh"] for event in engine.find("registered", since=since))
        assert not engine.find("registrationFailed", since=since)
        assert not engine.find("transportDisconnected", since=since)
        rings(engine, pbx)


@pytest.mark.parallel
@pytest.mark.parametrize(
    ("preset", "attempts", "interval"), [("stable", 10, 90), ("unstable", 20, 60), ("mobile", 15, 60)]
)
def test_presets_by_name(
    asterisk: Asterisk,
    relay: Relay,
    make_engine: Callable[..., Engine],
    preset: str,
    attempts: int,
    interval: int,
) -> None:
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT, resilience={"preset": preset}))
    since = engine.mark()
    relay.reset()
    assert engine.wait_event("reconnectionAttempting", since=since)["max"] == attempts
    engine.wait_event("reconnectionSuccess", since=since)
    assert engine.wait_event("keepAliveStarted", since=since)["interval_s"] == interval


def test_s2b_longer_than_all_attempts(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> None:
    """Attempts spaced by R2, reconnectionFailed once, quiet; Retry now works."""
    settings = {"max_reconnection_attempts": 3, "reconnection_delay": 0.4, "reconnection_timeout": 0.6}
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT, resilience=settings))
    since = engine.mark()
    relay.refuse()
    relay.reset()
    failed = engine.wait_event("reconnectionFailed", since=since)
    assert failed["attempts"] == 3
    attempts = engine.find("reconnectionAttempting", since=since)
    assert [event["attempt"] for event in attempts] == [1, 2, 3]
    first, second, third = (event["at"] for event in attempts)
    assert 0.2 <= second - first < 1.0
    assert 0.3 <= third - second < 1.2
    assert engine.status()["registration"] == "failed"
    relay.accept()
    engine.ctl("register")
    engine.wait_event("reconnectionSuccess", since=since)
    rings(engine, asterisk)
    assert len(engine.find("reconnectionFailed", since=since)) == 1


@pytest.mark.parallel
def test_s2b_nobody_helps(asterisk: Asterisk, relay: Relay, make_engine: Callable[..., Engine]) -> None:
    """3.2: after the promised attempts a quiet retry goes on, and tells nothing until it succeeds."""
    settings = {"max_reconnection_attempts": 2, "reconnection_delay": 0.2, "background_retry": 1.0}
    engine = registered(make_engine(through(relay, asterisk), ACCOUNT, resilience=settings))
    since = engine.mark()
    relay.refuse()
    relay.reset()
    engine.wait_event("reconnectionFailed", since=since)
    quiet = engine.mark()
    relay.accept()
    engine.wait_event("reconnectionSuccess", since=quiet)
    rings(engine, asterisk)
    assert not engine.find("reconnectionFailed", since=quiet)
    assert len(engine.find("reconnectionAttempting", since=since)) == 2


@pytest.mark.parallel
def test_s3_a_password_that_is_right_again(own_asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """3.2: three attempts, nothing before `auth_retry`, then one quiet attempt that finds the PBX healed."""
    settings = {"register_delay": 0.2, "auth_retry": 3.0}
    with Relay(own_asterisk.address) as relay:
        engine = registered(make_engine(through(relay, own_asterisk), ACCOUNT, resilience=settings))
        since = engine.mark()
        own_asterisk.set_password(ACCOUNT, "another-word")
        relay.reset()
        engine.wait_event("reconnectionFailed", since=since)
        third = engine.find("registrationAttempt", since=since)[-1]
        own_asterisk.set_password(ACCOUNT, config.ACCOUNTS[ACCOUNT].password)
        back = engine.wait_event("registered", since=since)
        assert back["at"] - third["at"] >= 3.0
        assert third["attempt"] == 3
        rings(engine, own_asterisk)


def test_s4_another_network(namespace: Namespace, make_engine: Callable[..., Engine]) -> None:
    """Offline told, online told, reconnected from the new address, and no attempt burnt in between."""
    from tests.lab import net

    require(net.why_unavailable())
    wifi, cellular = namespace.add_link(), namespace.add_link(default_route=False)
    namespace.radio_off(cellular)
    with Asterisk(address=wifi.ours) as pbx:
        engine = registered(make_engine(pbx.ws_uri, ACCOUNT, command_prefix=namespace.command()))
        since = engine.mark()
        namespace.radio_off(wifi)
        engine.wait_event("networkOffline", since=since)
        namespace.radio_on(cellular)
        engine.wait_event("networkOnline", since=since)
        success = engine.wait_event("reconnectionSuccess", since=since)
        assert success["attempts"] <= 2
        rings(engine, pbx)
        assert cellular.theirs in wait_until(lambda: pbx.contacts(ACCOUNT), what="one contact")[0]
        assert len(pbx.contacts(ACCOUNT)) == 1
