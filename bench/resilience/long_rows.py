"""The rows that take minutes or a whole fleet: NATs, ten idle minutes, exhausted attempts, calls without signalling."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from bench.resilience.peer import Offhook
from bench.resilience.rows import refuse_for
from bench.resilience.stage import Outcome, Stage
from bench.resilience.world import ACCOUNTS, FLEET, World, pause_s
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_FLEET_SIZE = 15
_SAMPLE_S = 0.1


def nat_forgets(idle_s: float) -> Callable[[World, bool], Outcome]:
    """S5: a NAT that forgets flows after ``idle_s`` without a byte; deaf seconds of 300."""

    def row(world: World, quick: bool) -> Outcome:
        with Stage(world, quick=quick) as stage:
            stage.afterwards(lambda: setattr(world.relay.faults, "forget_idle_s", 0.0))
            world.relay.faults.forget_idle_s = idle_s
            deaf, longest = listen(stage, 90.0 if quick else 300.0)
            outcome = stage.until_rings(time.time())
            outcome.facts["rings after it in"] = "never" if outcome.seconds is None else round(outcome.seconds, 2)
            outcome.seconds = None if outcome.seconds is None else deaf
            outcome.facts["longest"] = round(longest, 1)
            outcome.check("never deaf for more than 35 s", longest <= 35.0)
            return outcome

    return row


def listen(stage: Stage, seconds: float) -> tuple[float, float]:
    """How long, all in all and at a stretch, no packet could have reached the phone. Calling it would keep it alive."""
    relay, began = stage.world.relay, time.time()
    deaf = longest = stretch = 0.0
    before = began
    while (now := time.time()) < began + seconds:
        registered = stage.phone.engine.find("registered")
        lost = stage.phone.engine.find("transportDisconnected")
        away = bool(lost) and (not registered or lost[-1]["at"] > registered[-1]["at"])
        if away or not relay.live_connections():
            deaf += now - before
            stretch += now - before
            longest = max(longest, stretch)
        else:
            stretch = 0.0
        before = now
        time.sleep(_SAMPLE_S)
    return deaf, longest


def idle(world: World, quick: bool) -> Outcome:
    """R7: ten minutes without anything happening: bytes and CPU."""
    with Stage(world, quick=quick) as stage:
        pause_s(2.0)
        seconds = 60.0 if quick else 600.0
        tcp, wire, cpu, began = world.relay.tcp_bytes, world.wire_bytes(), stage.phone.cpu_s(), time.time()
        pause_s(seconds)
        outcome = stage.outcome
        outcome.facts["bytes"] = world.relay.tcp_bytes - tcp
        outcome.facts["on the wire"] = world.wire_bytes() - wire
        cpu_percent = 100 * (stage.phone.cpu_s() - cpu) / (time.time() - began)
        outcome.facts["CPU %"] = round(cpu_percent, 2)
        outcome.check("CPU below 0.5 %", cpu_percent < 0.5)
        outcome.check("no disconnection", not stage.phone.all("transportDisconnected", began))
        payload = float(outcome.facts["bytes"])
        stage.until_rings(time.time())
        outcome.seconds = None if outcome.seconds is None else payload
        return outcome


def longer_than_all_attempts(world: World, quick: bool) -> Outcome:
    """S2b: refused until every attempt is used up, then healed by hand while the background retry goes on."""
    with Stage(world, quick=quick) as stage:
        phone, relay, began = stage.phone, world.relay, time.time()
        stage.afterwards(relay.accept)
        relay.refuse()
        relay.reset()
        wait_until(lambda: phone.all("reconnectionFailed", began), what="attempts are used up", timeout_s=400)
        (failed,) = phone.all("reconnectionFailed", began)
        outcome = stage.outcome
        outcome.facts["failed after"] = round(failed["at"] - began, 1)
        outcome.check("reconnectionFailed{attempts: 10}", failed["attempts"] == 10)
        times = [float(event["at"]) for event in phone.all("reconnectionAttempting", began)]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        promised = [min(2.0 * 2**number, 30.0) for number in range(len(gaps))]
        outcome.check("10 attempts", len(times) == 10)
        kept = all(full / 2 <= gap <= full + 0.5 for gap, full in zip(gaps, promised, strict=True))
        outcome.check("gaps as R2 says: " + " ".join(f"{gap:.1f}" for gap in gaps), kept)
        quiet = time.time()
        pause_s(20.0)
        outcome.check("quiet afterwards", not phone.all("reconnectionAttempting", quiet))
        relay.accept()
        by_hand = time.time()
        phone.register()
        return stage.until_rings(by_hand)


def background_retry(world: World, quick: bool) -> Outcome:
    """S2b's other half: nobody does anything, and it comes back. A short series stands for the long one."""
    with Stage(world, quick=quick, resilience={"max_reconnection_attempts": 2}) as stage:
        began = time.time()
        refuse_for(stage, 15.0)
        outcome = stage.until_rings(time.time())
        outcome.check("reconnectionFailed{attempts: 2}", len(stage.phone.all("reconnectionFailed", began)) == 1)
        return outcome


def call_up(world: World, quick: bool) -> Outcome:
    """A call is up, the signalling is reset for 3 s: sound goes on, our BYE arrives, the PBX's BYE reaches us."""
    with Stage(world, quick=quick) as stage:
        phone, outcome, relay = stage.phone, stage.outcome, world.relay
        survived = [call_through_reset(stage)]
        phone.engine.ctl("hangup")
        asked = time.time()
        outcome.check("our BYE arrives", gone(lambda: not world.pbx.channels()))
        outcome.seconds = time.time() - asked
        survived.append(call_through_reset(stage))
        world.pbx.cli("channel request hangup all")
        reached = gone(lambda: bool(phone.engine.find("callEnded", by="remote")))
        outcome.check("new Contact told: the PBX's BYE arrives", reached)
        outcome.facts["audio"] = "survives" if all(survived) else "dies"
        outcome.facts["our BYE"] = "arrives" if not outcome.broken else "; ".join(outcome.broken)
        outcome.facts["new Contact"] = "told" if reached else "not told"
        outcome.check("audio survives", all(survived))
        relay.accept()
        stage.settle()
        return outcome


def call_through_reset(stage: Stage) -> bool:
    """Call the echo, cut the signalling for 3 s and wait for its recovery; whether sound flowed all the time."""
    phone, relay = stage.phone, stage.world.relay
    phone.engine.dial("600")
    phone.engine.wait_seconds(1.0)
    cut = time.time()
    before = relay.datagrams
    refuse_for(stage, 3.0)
    during = relay.datagrams - before
    wait_until(lambda: phone.registered_at(cut), what="registered again", timeout_s=60)
    pause_s(1.5)  # the re-INVITE that tells the new Contact
    before = relay.datagrams
    pause_s(1.0)
    after = relay.datagrams - before
    # 50 packets a second each way through the relay, both ways through it counted.
    return during > 200 and after > 70 and len(phone.engine.calls()) == 1


def gone(predicate: Callable[[], bool]) -> bool:
    """Whether something becomes true within five seconds."""
    try:
        wait_until(predicate, what="it happens", timeout_s=5)
    except AssertionError:
        return False
    return True


def fleet(world: World, quick: bool) -> Outcome:
    """15 clients cut at once and refused: the spread of their second attempts, and of their return."""
    size = 5 if quick else _FLEET_SIZE
    outcome = Outcome()
    password = ACCOUNTS[FLEET].password
    phones = [Offhook(world.uri, FLEET, password, command_prefix=world.namespace.command()) for _ in range(size)]
    try:
        for phone in phones:
            phone.launch()
        wait_until(lambda: all(phone.first("registered", 0) for phone in phones), what="all register", timeout_s=120)
        pause_s(2.0)
        began = time.time()
        world.relay.refuse()
        world.relay.reset()
        pause_s(6.0)
        world.relay.accept()
        ended = time.time()
        seconds = [float(phone.all("reconnectionAttempting", began)[1]["at"]) - began for phone in phones]
        outcome.seconds = max(seconds) - min(seconds)
        wait_until(lambda: all(p.registered_at(ended) for p in phones), what="all are back", timeout_s=60)
        back = sorted((phone.registered_at(ended) or 0.0) - ended for phone in phones)
        outcome.facts["all back after"] = round(back[-1], 2)
        outcome.check(f"{size} contacts", len(world.pbx.contacts(FLEET)) == size)
    finally:
        world.relay.accept()
        for phone in phones:
            phone.close()
    return outcome
