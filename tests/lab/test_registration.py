"""Registering at Asterisk, over ws and wss, and what is said where that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.tls import Authority
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.asterisk import Asterisk
    from tests.lab.engine import Engine

pytestmark = [pytest.mark.lab, pytest.mark.parallel]


def test_registers_over_websocket(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(asterisk.ws_uri)
    engine.start()
    engine.wait_event("registered")
    status = engine.status()
    assert (status["registration"], status["transport"]) == ("registered", "connected")
    assert "sip:1001@" in asterisk.wait_registered("1001")


def test_registers_over_secure_websocket_with_the_given_authority(
    asterisk: Asterisk, make_engine: Callable[..., Engine]
) -> None:
    engine = make_engine(asterisk.wss_uri, "1004", account={"tls_ca": str(asterisk.ca_file)})
    engine.start()
    engine.wait_registered()
    asterisk.wait_registered("1004")


def test_a_clean_end_takes_the_registration_back(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """SIGTERM: un-REGISTER within three seconds, exit status 0."""
    engine = make_engine(asterisk.ws_uri, "1004")
    engine.start()
    asterisk.wait_registered("1004")
    assert engine.stop() == 0
    wait_until(lambda: not asterisk.contacts("1004"), what="no binding is left")


def test_unregister_and_register_by_hand(asterisk: Asterisk, engine: Engine) -> None:
    engine.ctl("unregister")
    wait_until(lambda: engine.status()["registration"] == "unregistered", what="unregistered")
    wait_until(lambda: not asterisk.contacts("1001"), what="no binding is left")
    done = engine.ctl("dial", "600", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert_one_sentence(done.stderr)
    engine.ctl("register")
    engine.wait_registered()


def test_an_unknown_authority_is_refused(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """Verification is never off by default; the sentence says what to set."""
    engine = make_engine(asterisk.wss_uri)
    engine.start()
    reason = wait_refused(engine)
    assert "certificate" in reason.lower()
    assert asterisk.contacts("1001") == []


def test_a_certificate_of_another_authority_is_refused(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(asterisk.wss_uri)
    other = engine.directory / "other-ca.pem"
    other.write_bytes(Authority.create("Somebody else").pem)
    engine.settings["account"]["tls_ca"] = str(other)
    engine.write_settings()
    engine.start()
    assert "certificate" in wait_refused(engine).lower()


def test_a_wrong_password_is_refused_in_plain_words(asterisk: Asterisk, make_engine: Callable[..., Engine]) -> None:
    """Three attempts at most are spent on it, and the password is in no log."""
    engine = make_engine(asterisk.ws_uri, password="wr0ng-passw0rd", resilience={"register_delay": 0.1})
    engine.start()
    engine.wait_event("reconnectionFailed", attempts=3)
    refused = engine.find("registrationFailed")
    assert len(refused) == 3
    assert {event["status"] for event in refused} <= {401, 403}
    wait_until(lambda: engine.status()["registration"] == "failed", what="the status says failed")
    assert "refused the password" in engine.stderr()
    assert "offhook config set-password" in engine.stderr()
    assert "wr0ng-passw0rd" not in engine.logs() + engine.stderr()


@pytest.mark.parametrize(
    ("server", "word"),
    [("ws://{address}:9/ws", "refused"), ("ws://pbx.invalid:8088/ws", "pbx.invalid")],
    ids=["nobody listens", "unknown host"],
)
def test_a_server_that_cannot_be_reached_is_named(
    asterisk: Asterisk, make_engine: Callable[..., Engine], server: str, word: str
) -> None:
    engine = make_engine(server.format(address=asterisk.address))
    engine.start()
    assert word in wait_refused(engine)


def wait_refused(engine: Engine) -> str:
    """The reason in the first transportDisconnected, which must be one plain sentence."""
    reason = str(engine.wait_event("transportDisconnected")["reason"])
    assert_one_sentence(reason)
    assert engine.status()["transport"] != "connected"
    return reason


def assert_one_sentence(text: str) -> None:
    """One line for a person: no traceback, no exception's name."""
    assert len(text.strip().splitlines()) == 1, text
    assert "Traceback" not in text
    assert "Error(" not in text
