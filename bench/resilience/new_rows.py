"""More faults: servers in a list, certificates, nonces, lifetimes, another network, a password that comes back."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from bench.resilience.rows import scripted
from bench.resilience.stage import Stage
from bench.resilience.world import ACCOUNT, ACCOUNTS, NONCES, World, pause_s
from tests.lab import asterisk_config as config
from tests.lab.asterisk import Asterisk
from tests.lab.sip_proxy import too_brief
from tests.lab.tls import Authority
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from bench.resilience.stage import Outcome, Trial

_AUTH_RETRY_S = 20.0
_UNTRUSTED_S = 15.0
_NONCES_S = 40.0


def auth_retry(trial: Trial) -> Outcome:
    """S3 without help: three attempts, nothing until `auth_retry` has passed, then one that finds the PBX healed."""
    with Stage(trial, resilience={"auth_retry": _AUTH_RETRY_S}) as stage:
        phone, pbx, began = stage.offhook, trial.world.pbx, time.time()
        stage.afterwards(lambda: pbx.set_password(ACCOUNT, ACCOUNTS[ACCOUNT].password))
        pbx.set_password(ACCOUNT, "another-word")
        trial.world.relay.reset()
        wait_until(lambda: phone.all("reconnectionFailed", began), what="three attempts are over", timeout_s=40)
        third = float(phone.all("registrationAttempt", began)[-1]["at"])
        stage.promise("three attempts", len(phone.all("registrationAttempt", began)) == 3)
        pbx.set_password(ACCOUNT, ACCOUNTS[ACCOUNT].password)
        healed = time.time()
        # It is quiet: no attempt is told, only the connection it needs.
        wait_until(lambda: phone.all("transportConnecting", healed), what="the slow attempt", timeout_s=60)
        slow = phone.first("transportConnecting", healed) or healed
        stage.outcome.facts["asked again after"] = round(slow - third, 1)
        stage.promise("nothing before auth_retry", slow - third >= _AUTH_RETRY_S)
        return stage.until_rings(slow)


def wifi_to_cellular(trial: Trial) -> Outcome:
    """S4, signalling: the radio is off, and 1.5 s later another link is there, with another address."""
    world = trial.world
    wifi, cellular = world.link, world.cellular()
    with Stage(trial) as stage:
        began = time.time()

        def back() -> None:
            world.namespace.radio_off(cellular)
            world.namespace.radio_on(wifi)

        stage.afterwards(back)
        world.namespace.radio_off(wifi)
        stage.phone.network_changed(online=False)
        pause_s(1.5)
        world.namespace.radio_on(cellular)
        ended = time.time()
        stage.phone.network_changed(online=True)
        outcome = stage.until_rings(ended)
        for name in ("networkOffline", "networkOnline", "reconnectionSuccess"):
            stage.promise(f"{name} told once", len(stage.phone.all(name, began)) == 1)
        return outcome


def failover(trial: Trial) -> Outcome:
    """A list of two servers, each a PBX; the first is killed and stays dead."""
    with World(relayed=False) as world:
        second = world.namespace.add_link(default_route=False)
        with Asterisk(address=second.ours, accounts=ACCOUNTS) as other:
            servers = f"{world.uri},ws://{second.ours}:{config.WS_PORT}/ws"
            with Stage(trial.within(world), uri=servers) as stage:
                world.pbx.kill()
                stage.pbx = other
                return stage.until_rings(time.time())


def interval_too_brief(trial: Trial) -> Outcome:
    """RFC 3261 §10.2.8: 423 is answered by asking for Min-Expires or more, at once."""
    with Stage(trial, proxied=True) as stage:
        proxy = trial.world.proxy
        before = len(proxy.registers)
        outcome = scripted(stage, too_brief(1200))
        refused = next(at for at, seen in enumerate(proxy.registers) if at >= before and seen.answered == 423)
        later = proxy.registers[refused + 1 :]
        outcome.facts["asked for"] = later[0].expires_s if later else 0
        stage.promise("asks for 1200 s", bool(later) and later[0].expires_s >= 1200)
        if later:
            outcome.facts["asked again after"] = round(later[0].at - proxy.registers[refused].at, 2)
        return outcome


def nonce_changes(trial: Trial) -> Outcome:
    """The PBX forgets nonces after 3 s and grants 12 s: every refresh is challenged anew, none may cost a thing."""
    with Stage(trial, account=NONCES) as stage:
        phone, began, gone_s = stage.offhook, time.time(), 0.0
        while time.time() < began + _NONCES_S:
            before = time.time()
            held = trial.world.pbx.contacts(NONCES)
            pause_s(0.5)
            gone_s += 0.0 if held and not phone.away() else time.time() - before
        refreshes = len(phone.all("registered", began))
        failed = phone.all("registrationFailed", began) + phone.all("transportDisconnected", began)
        outcome = stage.until_rings(time.time())
        outcome.facts["refreshes"] = refreshes
        stage.promise("nothing failed", not failed)
        stage.promise("rings afterwards", outcome.seconds is not None)
        outcome.seconds = gone_s
        return outcome


def certificate_trusted(trial: Trial) -> Outcome:
    """The PBX gets a new certificate of the same authority while the phone is connected."""
    world = trial.world
    with Stage(trial, uri=world.wss_uri, account_table={"tls_ca": str(_authority_file(world))}) as stage:
        before = world.served_certificate()
        world.change_certificate(world.pbx.authority)
        stage.promise("it did change", world.served_certificate() != before)
        world.relay.reset()
        return stage.until_rings(time.time())


def certificate_untrusted(trial: Trial) -> Outcome:
    """It changes to one of an authority nobody trusts: refused, told, and healed when the right one is back."""
    world = trial.world
    with Stage(trial, uri=world.wss_uri, account_table={"tls_ca": str(_authority_file(world))}) as stage:
        stage.afterwards(lambda: world.change_certificate(world.pbx.authority))
        began = time.time()
        world.change_certificate(Authority.create("Somebody else's CA"))
        world.relay.reset()
        pause_s(_UNTRUSTED_S)
        stage.promise("never registers there", stage.phone.registered_at(began) is None)
        lost = [str(event) for event in stage.phone.events if event["at"] >= began]
        stage.promise("the certificate is named", any("ertificate" in event for event in lost))
        stage.outcome.facts["attempts meanwhile"] = len(stage.phone.all("reconnectionAttempting", began))
        world.change_certificate(world.pbx.authority)
        return stage.until_rings(time.time())


def _authority_file(world: World) -> Path:
    """What the phone trusts, kept where a new certificate does not overwrite it."""
    path = world.pbx.directory / "trusted.pem"
    if not path.exists():
        shutil.copy(world.pbx.ca_file, path)
    return path


def preset_by_name(trial: Trial) -> Outcome:
    """A preset's numbers are the ones that are used."""
    with Stage(trial, resilience={"preset": "mobile"}) as stage:
        began = time.time()
        world = trial.world
        stage.afterwards(world.relay.accept)
        world.relay.refuse()
        world.relay.reset()
        pause_s(3.0)
        world.relay.accept()
        outcome = stage.until_rings(time.time())
        log = stage.offhook.engine.logs()
        stage.promise("Reconnection attempt 1/15", "Reconnection attempt 1/15" in log)
        stage.promise("keep-alive every 60 s", "Starting keep-alive mechanism (interval: 60s)" in log)
        stage.promise("attempts told", bool(stage.phone.all("reconnectionAttempting", began)))
        return outcome
