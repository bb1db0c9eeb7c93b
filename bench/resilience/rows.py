"""The rows of the table that a phone passes or fails in seconds: cuts, refusals, restarts, silence.

Each takes a trial and returns what one run of it found. Times count from the fault's end: the moment from which a
phone without any delay of its own could be reached again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.resilience.peer import Offhook
from bench.resilience.stage import Stage
from bench.resilience.world import ACCOUNT, ACCOUNTS, World, in_background, pause_s
from tests.lab.sip_proxy import Refusal, retry_after, stale_nonce

if TYPE_CHECKING:
    from bench.resilience.peer import Phone
    from bench.resilience.stage import Outcome, Trial


def reset_refused_3_s(trial: Trial) -> Outcome:
    """S1: reset, and refused for three seconds."""
    with Stage(trial) as stage:
        began = time.time()
        refuse_for(stage, 3.0)
        outcome = stage.until_rings(time.time())
        outcome.facts["attempts"] = len(stage.phone.all("reconnectionAttempting", began))
        check_story(stage, began)
        return outcome


def link_down_3_s(trial: Trial) -> Outcome:
    """S1: the cable is out for three seconds, the address stays."""
    with Stage(trial) as stage:
        world = trial.world
        began = time.time()
        stage.afterwards(lambda: world.namespace.up(world.link))
        network(stage, online=False)
        pause_s(3.0)
        network(stage, online=True)
        outcome = stage.until_rings(time.time())
        check_story(stage, began)
        stage.promise("offline and online said", both(stage.phone, "networkOffline", "networkOnline", began))
        return outcome


def silent_hole_3_s(trial: Trial) -> Outcome:
    """S1: a hole that TCP survives shows nothing."""
    with Stage(trial) as stage:
        world = trial.world
        began = time.time()
        stage.afterwards(world.fill_hole)
        world.hole()
        pause_s(3.0)
        world.fill_hole()
        outcome = stage.until_rings(time.time())
        stage.promise("nothing shown", not stage.phone.all("transportDisconnected", began))
        return outcome


def refused_120_s(trial: Trial) -> Outcome:
    """S2a: refused for two minutes; how often it knocked meanwhile."""
    with Stage(trial) as stage:
        world = trial.world
        began, connects = time.time(), world.connects()
        refuse_for(stage, 20.0 if trial.quick else 120.0)
        ended = time.time()
        connects = world.connects() - connects
        stage.outcome.facts["attempts"] = connects
        if isinstance(stage.phone, Offhook):
            stage.outcome.facts["attempts"] = len(stage.phone.all("reconnectionAttempting", began))
            stage.outcome.facts["with probes"] = connects
        return stage.until_rings(ended)


def password_wrong(trial: Trial) -> Outcome:
    """S3: wrong for 100 s; three attempts meanwhile, and no more. Offhook is then given the new one.

    Nobody gives the others anything: for them the old password is right again. They go on asking, or have given up.
    """
    with Stage(trial) as stage:
        world, began = trial.world, time.time()
        stage.afterwards(lambda: world.pbx.set_password(ACCOUNT, ACCOUNTS[ACCOUNT].password))
        world.pbx.set_password(ACCOUNT, "another-word")
        world.relay.reset()
        pause_s(30.0 if trial.quick else 100.0)
        if not isinstance(stage.phone, Offhook):
            world.pbx.set_password(ACCOUNT, ACCOUNTS[ACCOUNT].password)
            return stage.until_rings(time.time())
        attempts = len(stage.phone.all("registrationAttempt", began))
        stage.outcome.facts["attempts"] = attempts
        failed = stage.phone.all("reconnectionFailed", began)
        stage.promise("3 attempts, then quiet", attempts == 3)
        stage.promise("reconnectionFailed{attempts: 3} once", [event["attempts"] for event in failed] == [3])
        given = time.time()
        stage.phone.set_password("another-word")
        return stage.until_rings(given)


def link_down_new_address(trial: Trial) -> Outcome:
    """The cable is out for five seconds and comes back with another address (S4 without the call)."""
    with Stage(trial) as stage:
        world = trial.world
        network(stage, online=False)
        pause_s(5.0)
        stage.afterwards(world.restore_address)
        world.readdress()
        stage.phone.network_changed(online=True)
        return stage.until_rings(time.time())


def pbx_killed(trial: Trial) -> Outcome:
    """S6: kill -9, back after ten seconds without its registrations; the phone speaks to it without a relay.

    baresip cannot ask for the PBX's path, so it stays behind the relay, which accepts and breaks connections meanwhile.
    """
    if trial.peer == "baresip":
        return pbx_killed_behind_proxy(trial)
    with World(relayed=False) as direct:
        return pbx_killed_behind_proxy(trial.within(direct))


def pbx_killed_behind_proxy(trial: Trial) -> Outcome:
    """The same behind something that goes on to accept connections, and breaks them while the PBX is away."""
    with Stage(trial) as stage:
        world, began = trial.world, time.time()
        world.kill_pbx()
        pause_s(10.0)
        # The phone may well ring before the boot is known to be over, so the bell is at it meanwhile. Asterisk itself
        # starts here: it would end with the thread that started it.
        ringing = in_background(stage.ring, time.time())
        world.pbx.start()
        ringing.join(trial.cap_s + 5)
        outcome, ready = stage.outcome, world.ready_at()
        rang, registered = stage.phone.rang_at(began), stage.phone.registered_at(began)
        outcome.seconds = None if rang is None else max(0.0, rang - ready)
        if registered is not None:
            outcome.facts["registered"] = registered - ready
        stage.settle()
        return outcome


def half_open(trial: Trial) -> Outcome:
    """Every packet vanishes for 30 s, and the old flow stays dead: how soon it is noticed, and healed."""
    with Stage(trial) as stage:
        world = trial.world
        began = time.time()
        stage.afterwards(world.fill_hole)
        world.relay.half_open()
        world.hole()
        pause_s(30.0)
        world.fill_hole()
        outcome = stage.until_rings(time.time())
        noticed = stage.phone.first("transportDisconnected", began)
        outcome.facts["noticed after"] = "never" if noticed is None else round(noticed - began, 1)
        stage.promise("noticed within 25 s", noticed is not None and noticed - began <= 25.5)
        return outcome


def half_open_without_hole(trial: Trial) -> Outcome:
    """The old flow dies without a word and the network is fine: noticing is all there is to it."""
    with Stage(trial) as stage:
        world = trial.world
        began = time.time()
        world.relay.half_open()
        pause_s(1.0)
        while stage.phone.first("transportDisconnected", began) is None and time.time() < began + 60:
            pause_s(0.05)
        noticed = stage.phone.first("transportDisconnected", began)
        outcome = stage.until_rings(noticed or time.time())
        outcome.facts["noticed after"] = "never" if noticed is None else round(noticed - began, 1)
        stage.promise("noticed within 25 s", noticed is not None and noticed - began <= 25.5)
        return outcome


def refused_503_twice(trial: Trial) -> Outcome:
    """503 with Retry-After: 5, twice; the wait is obeyed to the second."""
    with Stage(trial, proxied=True) as stage:
        outcome = scripted(stage, retry_after(5), retry_after(5))
        gaps = refusal_gaps(stage)
        outcome.facts["gaps"] = ", ".join(f"{gap:.2f}" for gap in gaps)
        stage.promise("Retry-After obeyed to the second", all(5.0 <= gap < 6.0 for gap in gaps[:2]) and len(gaps) > 1)
        return outcome


def refused_500_twice(trial: Trial) -> Outcome:
    """500 twice: R1's series of 2 and 4 s."""
    with Stage(trial, proxied=True) as stage:
        refusal = Refusal(500, "Server Internal Error")
        return scripted(stage, refusal, refusal)


def refused_403_once(trial: Trial) -> Outcome:
    """403 once: a password is not asked for anew because of one refusal."""
    with Stage(trial, proxied=True) as stage:
        return scripted(stage, Refusal(403, "Forbidden"))


def two_stale_401(trial: Trial) -> Outcome:
    """Two challenges in a row that call the nonce stale."""
    with Stage(trial, proxied=True) as stage:
        return scripted(stage, stale_nonce(), stale_nonce())


def answer_lost(trial: Trial) -> Outcome:
    """One REGISTER is not answered; in the worse case for the phone, in which the PBX did not get it either."""
    with Stage(trial, proxied=True) as stage:
        world = trial.world
        world.proxy.swallow()
        return scripted(stage)


def accepted_lost(trial: Trial) -> Outcome:
    """The PBX registers the phone and its 200 is lost: until the phone knows, and rings after that."""
    with Stage(trial, proxied=True) as stage:
        world = trial.world
        world.proxy.lose_accepted()
        began = time.time()
        world.proxy.reset()
        while stage.phone.registered_at(began) is None and time.time() < began + trial.cap_s:
            pause_s(0.05)
        registered = stage.phone.registered_at(began) or began + trial.cap_s
        outcome = stage.until_rings(registered)
        outcome.seconds = None if outcome.seconds is None else outcome.seconds + registered - began
        return outcome


def mute_20_s(trial: Trial) -> Outcome:
    """TCP is accepted and nothing answers for 20 s; what was accepted meanwhile stays mute."""
    with Stage(trial) as stage:
        world = trial.world
        stage.afterwards(world.relay.speak)
        world.relay.mute()
        world.relay.reset()
        pause_s(20.0)
        world.relay.speak()
        return stage.until_rings(time.time())


# --- parts -----------------------------------------------------------------------------------------------------


def refuse_for(stage: Stage, seconds: float) -> None:
    """Reset what is there and refuse what comes."""
    relay = stage.world.relay
    stage.afterwards(relay.accept)
    relay.refuse()
    relay.reset()
    pause_s(seconds)
    relay.accept()


def scripted(stage: Stage, *refusals: Refusal) -> Outcome:
    """Break the connection; the registrations that follow meet the script. Counts from the break."""
    proxy = stage.world.proxy
    stage.afterwards(proxy.clear)
    proxy.script(*refusals)
    began = time.time()
    proxy.reset()
    outcome = stage.until_rings(began)
    outcome.facts["REGISTERs"] = len([seen for seen in proxy.registers if seen.at >= began])
    return outcome


def refusal_gaps(stage: Stage) -> list[float]:
    """Seconds from each REGISTER that was refused by script to the next one."""
    seen = stage.world.proxy.registers[-8:]
    last = max(index for index, one in enumerate(seen) if one.answered)
    first = last
    while first and seen[first - 1].answered:
        first -= 1
    return [seen[index + 1].at - seen[index].at for index in range(first, min(last + 1, len(seen) - 1))]


def both(phone: Phone, one: str, other: str, since: float) -> bool:
    """Whether both events happened, in this order."""
    first, second = phone.first(one, since), phone.first(other, since)
    return first is not None and second is not None and first <= second


def check_story(stage: Stage, since: float) -> None:
    """S1: loss seen, keep-alive stopped, "Reconnecting", registered, "Reconnected", keep-alive running again."""
    story = ["transportDisconnected", "keepAliveStopped", "reconnectionAttempting", "registered", "keepAliveStarted"]
    told = [event["event"] for event in list(stage.phone.events) if event["at"] >= since]
    for name in story:
        stage.promise(f"{name} told", name in told)
    stage.promise("one success", told.count("reconnectionSuccess") == 1)
    if "keepAliveStarted" in told and "keepAliveStopped" in told:
        back = told[::-1]
        stage.promise("keep-alive runs again", back.index("keepAliveStarted") < back.index("keepAliveStopped"))


def network(stage: Stage, *, online: bool) -> None:
    """The cable out or in again, and what a browser tells its pages of it."""
    world = stage.world
    (world.namespace.up if online else world.namespace.down)(world.link)
    stage.phone.network_changed(online=online)
