"""The rows that take minutes or a whole fleet: NATs, ten idle minutes, exhausted attempts, calls without signalling."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING

from bench.peers.registry import PEERS
from bench.resilience.peer import Caller
from bench.resilience.rows import refuse_for
from bench.resilience.stage import Outcome, Stage
from bench.resilience.world import ACCOUNTS, FLEET, pause_s
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.resilience.stage import Trial

_FLEET_SIZE = 15
_FLEET_REFUSED_S = 6.0
_SAMPLE_S = 0.1


def nat_forgets(idle_s: float) -> Callable[[Trial], Outcome]:
    """S5: a NAT that forgets flows after ``idle_s`` without a byte; deaf seconds of 300."""

    def row(trial: Trial) -> Outcome:
        with Stage(trial) as stage:
            faults = trial.world.relay.faults
            stage.afterwards(lambda: setattr(faults, "forget_idle_s", 0.0))
            faults.forget_idle_s = idle_s
            deaf, longest = listen(stage, 90.0 if trial.quick else 300.0)
            faults.forget_idle_s = 0.0
            outcome = stage.until_rings(time.time())
            outcome.facts["rings after it in"] = "never" if outcome.seconds is None else round(outcome.seconds, 2)
            outcome.facts["longest"] = round(longest, 1)
            stage.promise("rings afterwards", outcome.seconds is not None)
            stage.promise("never deaf for more than 35 s", longest <= 35.0)
            outcome.seconds = deaf
            return outcome

    return row


def listen(stage: Stage, seconds: float) -> tuple[float, float]:
    """How long, all in all and at a stretch, no packet could have reached the phone. Calling it would keep it alive."""
    relay, began = stage.world.relay, time.time()
    deaf = longest = stretch = 0.0
    before = began
    while (now := time.time()) < began + seconds:
        if stage.phone.away() or not relay.live_connections():
            deaf += now - before
            stretch += now - before
            longest = max(longest, stretch)
        else:
            stretch = 0.0
        before = now
        time.sleep(_SAMPLE_S)
    return deaf, longest


def idle(trial: Trial) -> Outcome:
    """R7: ten minutes without anything happening: bytes and CPU."""
    with Stage(trial) as stage:
        pause_s(2.0)
        world, seconds = trial.world, 60.0 if trial.quick else 600.0
        tcp, wire, cpu, began = world.relay.tcp_bytes, world.wire_bytes(), stage.phone.cpu_s(), time.time()
        pause_s(seconds)
        outcome = stage.outcome
        outcome.facts["bytes"] = world.relay.tcp_bytes - tcp
        outcome.facts["on the wire"] = world.wire_bytes() - wire
        cpu_percent = 100 * (stage.phone.cpu_s() - cpu) / (time.time() - began)
        outcome.facts["CPU %"] = round(cpu_percent, 2)
        stage.promise("CPU below 0.5 %", cpu_percent < 0.5)
        stage.promise("no disconnection", not stage.phone.all("transportDisconnected", began))
        payload = float(outcome.facts["bytes"])
        stage.until_rings(time.time())
        stage.promise("rings afterwards", outcome.seconds is not None)
        outcome.seconds = payload
        return outcome


def longer_than_all_attempts(trial: Trial) -> Outcome:
    """S2b: refused until every attempt is used up, then healed by hand while the background retry goes on."""
    return _used_up(trial, attempts=10, delay_s=2.0, cap_s=30.0)


def longer_than_few_attempts(trial: Trial) -> Outcome:
    """The same with small numbers: every one of them is a setting."""
    return _used_up(trial, attempts=4, delay_s=0.5, cap_s=1.0)


def _used_up(trial: Trial, *, attempts: int, delay_s: float, cap_s: float) -> Outcome:
    numbers: dict[str, object] = {
        "max_reconnection_attempts": attempts,
        "reconnection_delay": delay_s,
        "reconnection_timeout": cap_s,
    }
    with Stage(trial, resilience=numbers) as stage:
        phone, relay, began = stage.offhook, trial.world.relay, time.time()
        stage.afterwards(relay.accept)
        relay.refuse()
        relay.reset()
        wait_until(lambda: phone.all("reconnectionFailed", began), what="attempts are used up", timeout_s=400)
        (failed,) = phone.all("reconnectionFailed", began)
        stage.outcome.facts["failed after"] = round(failed["at"] - began, 1)
        stage.promise(f"reconnectionFailed{{attempts: {attempts}}}", failed["attempts"] == attempts)
        times = [float(event["at"]) for event in phone.all("reconnectionAttempting", began)]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        promised = [min(delay_s * 2**number, cap_s) for number in range(len(gaps))]
        stage.promise(f"{attempts} attempts", len(times) == attempts)
        kept = all(full / 2 <= gap <= full + 0.5 for gap, full in zip(gaps, promised, strict=True))
        stage.outcome.facts["gaps"] = " ".join(f"{gap:.1f}" for gap in gaps)
        stage.promise("gaps as R2 says", kept)
        quiet = time.time()
        pause_s(20.0)
        stage.promise("quiet afterwards", not phone.all("reconnectionAttempting", quiet))
        relay.accept()
        by_hand = time.time()
        phone.register()
        return stage.until_rings(by_hand)


def background_retry(trial: Trial) -> Outcome:
    """S2b's other half: nobody does anything, and it comes back. A short series stands for the long one."""
    with Stage(trial, resilience={"max_reconnection_attempts": 2}) as stage:
        began = time.time()
        refuse_for(stage, 15.0)
        outcome = stage.until_rings(time.time())
        stage.promise("reconnectionFailed{attempts: 2}", len(stage.phone.all("reconnectionFailed", began)) == 1)
        return outcome


def call_up(trial: Trial) -> Outcome:
    """A call is up, the signalling is reset for 3 s: sound goes on, our BYE arrives, the PBX's BYE reaches us."""
    with Stage(trial) as stage:
        phone, outcome, world = stage.phone, stage.outcome, trial.world
        assert isinstance(phone, Caller)
        survived = [call_through_reset(stage, phone)]
        phone.hang_up()
        asked = time.time()
        said = gone(lambda: not world.pbx.channels())
        outcome.seconds = time.time() - asked if said else None
        world.pbx.cli("channel request hangup all")
        survived.append(call_through_reset(stage, phone))
        ended = time.time()
        world.pbx.cli("channel request hangup all")
        told = gone(lambda: phone.ended_by_pbx(ended))
        stage.promise("audio survives", all(survived))
        stage.promise("our BYE arrives", said)
        stage.promise("new Contact told: the PBX's BYE arrives", told)
        words = ("yes" if kept else "no" for kept in (all(survived), said, told))
        outcome.facts["audio / our BYE / new Contact"] = " / ".join(words)
        outcome.load = os.getloadavg()[0]
        stage.settle()
        return outcome


def call_through_reset(stage: Stage, phone: Caller) -> bool:
    """Call the echo, cut the signalling for 3 s and wait for its recovery; whether sound flowed all the time."""
    relay, began = stage.world.relay, time.time()
    phone.dial("600")
    wait_until(lambda: phone.active_at(began), what="the echo answers", timeout_s=15)
    pause_s(1.0)
    cut = time.time()
    before = relay.datagrams
    refuse_for(stage, 3.0)
    during = relay.datagrams - before
    wait_until(lambda: phone.registered_at(cut), what="registered again", timeout_s=stage.trial.cap_s)
    pause_s(1.5)  # the re-INVITE that tells the new Contact
    before = relay.datagrams
    pause_s(1.0)
    after = relay.datagrams - before
    # 50 packets a second each way through the relay, both ways through it counted.
    return during > 200 and after > 70 and not phone.all("callEnded", began)


def gone(predicate: Callable[[], bool]) -> bool:
    """Whether something becomes true within five seconds."""
    try:
        wait_until(predicate, what="it happens", timeout_s=5)
    except AssertionError:
        return False
    return True


def fleet(trial: Trial) -> Outcome:
    """15 clients cut at once and refused: the spread of their second attempts, and of their return."""
    size, world = 5 if trial.quick else _FLEET_SIZE, trial.world
    outcome = Outcome(cap_s=trial.cap_s)
    make, password = PEERS[trial.peer].make, ACCOUNTS[FLEET].password
    phones = [make(world.uri, FLEET, password, command_prefix=world.namespace.command()) for _ in range(size)]
    try:
        for phone in phones:
            phone.launch()
        wait_until(lambda: all(phone.first("registered", 0) for phone in phones), what="all register", timeout_s=120)
        pause_s(2.0)
        began = time.time()
        world.relay.refuse()
        world.relay.reset()
        pause_s(_FLEET_REFUSED_S)
        world.relay.accept()
        ended = time.time()
        tried = [phone.all("reconnectionAttempting", began) for phone in phones]
        second = [float(attempts[1]["at"]) for attempts in tried if len(attempts) > 1]
        outcome.facts["tried twice within 6 s"] = len(second)
        outcome.seconds = max(second) - min(second) if second else None
        with contextlib.suppress(AssertionError):
            wait_until(lambda: all(p.registered_at(ended) for p in phones), what="all are back", timeout_s=trial.cap_s)
        back = [at - ended for phone in phones if (at := phone.registered_at(ended)) is not None]
        outcome.facts["back"] = f"{len(back)} of {size}"
        if back:
            outcome.facts["all back after"] = round(max(back), 2)
        if trial.peer == "offhook":
            outcome.check("all come back", len(back) == size)
            outcome.check(f"{size} contacts", len(world.pbx.contacts(FLEET)) == size)
    finally:
        world.relay.accept()
        for phone in phones:
            phone.close()
    return outcome
