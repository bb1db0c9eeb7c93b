"""The transport supervisor (promises R2 and R5; resilience.md 3.7, 3.8, 3.13)."""

from __future__ import annotations

import random
import statistics
from typing import TypeVar

import pytest

from sipcore.config import Resilience, ServerAddress
from sipcore.events import (
    CloseFlow,
    OpenFlow,
    ProbeServer,
    ReconnectionAttempting,
    TransportChanged,
    TransportState,
)
from sipcore.ids import IdSource
from sipcore.resilience.episode import Episode
from sipcore.resilience.flow import FlowDown, FlowOutput, FlowSupervisor, FlowUp, GaveUp
from sipcore.resilience.flow_table import State

T = TypeVar("T")
A = ServerAddress.parse("wss://a.example:8089/ws")
B = ServerAddress.parse("wss://b.example:8089/ws")


class Bench:
    """A supervisor with a clock and a memory of all it said."""

    def __init__(self, *servers: ServerAddress, **settings: float) -> None:
        values = {"fleet_spread": 0.0, "probe_interval": 0.0} | settings
        self.settings = Resilience(**values)  # type: ignore[arg-type]
        self.episode = Episode()
        self.flow = FlowSupervisor(servers or (A,), self.settings, IdSource(random.Random(7)), self.episode)
        self.now = 100.0
        self.said: list[FlowOutput] = []

    def drain(self) -> list[FlowOutput]:
        outputs = self.flow.drain()
        for output in outputs:
            if isinstance(output, GaveUp):
                self.episode.failure(output.attempts, output.reason)
        self.said += outputs
        return outputs

    def of(self, kind: type[T]) -> list[T]:
        self.drain()
        return [output for output in self.said if isinstance(output, kind)]

    def sleep(self) -> float:
        """Go to the next deadline; the seconds slept."""
        deadline = self.flow.next_timeout()
        assert deadline is not None
        slept, self.now = deadline - self.now, max(deadline, self.now)
        self.flow.handle_timeout(self.now)
        return slept

    def fail(self, reason: str = "refused") -> None:
        self.flow.failed(self.flow.flow, reason, self.now)
        self.drain()

    def open(self) -> None:
        assert self.flow.opened(self.flow.flow, self.now)

    def up(self) -> None:
        self.flow.start(self.now)
        self.open()
        self.flow.proven()


def test_the_first_attempt_is_made_at_once_and_without_a_word() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    assert bench.of(OpenFlow) == [OpenFlow(1, A, 20.0)]
    assert not bench.of(ReconnectionAttempting)


def test_gaps_follow_the_series_and_end_after_ten_attempts() -> None:
    bench = Bench(background_retry=0)
    bench.flow.start(bench.now)
    gaps = []
    while True:
        bench.fail()
        if bench.flow.state is State.GAVE_UP:
            break
        gaps.append(bench.sleep())
    full = [min(2.0 * 2**n, 30.0) for n in range(9)]
    assert len(bench.of(OpenFlow)) == 10
    assert all(whole / 2 <= gap <= whole for gap, whole in zip(gaps, full, strict=True))
    assert bench.of(GaveUp) == [GaveUp(10, "refused")]
    assert bench.flow.next_timeout() is None


def test_background_attempts_are_quiet() -> None:
    bench = Bench(max_reconnection_attempts=1)
    bench.flow.start(bench.now)
    for _ in range(5):
        bench.fail()
        assert 48.0 <= bench.sleep() <= 72.0
    assert len(bench.of(GaveUp)) == 1
    assert not bench.of(ReconnectionAttempting)
    assert bench.flow.quiet


def test_a_loss_after_registration_reconnects_at_once() -> None:
    bench = Bench()
    bench.up()
    bench.flow.closed(1, "reset", bench.now)
    assert bench.sleep() == 0.0
    assert bench.of(FlowDown) == [FlowDown(1, "reset", True)]
    assert bench.of(ReconnectionAttempting) == [ReconnectionAttempting(1, 10)]


def test_a_loss_the_server_caused_waits_within_the_fleet_spread() -> None:
    waits: list[float] = []
    for _ in range(20):
        bench = Bench(fleet_spread=12.0)
        bench.flow._ids = IdSource(random.Random(len(waits)))
        bench.up()
        bench.flow.closed(1, "reset", bench.now)
        waits.append(bench.sleep())
    assert 0.0 <= min(waits) < 3.0
    assert 9.0 < max(waits) <= 12.0


def test_a_flow_that_never_registered_counts_as_a_failed_attempt() -> None:
    """A server that accepts and then drops is not hammered."""
    bench = Bench(background_retry=0)
    bench.flow.start(bench.now)
    for _ in range(10):
        bench.open()
        bench.flow.closed(bench.flow.flow, "reset", bench.now)
        if bench.flow.state is State.GAVE_UP:
            break
        assert bench.sleep() >= 1.0
    assert bench.of(GaveUp) == [GaveUp(10, "reset")]


def test_reform_opens_at_once_and_counts_on() -> None:
    bench = Bench()
    bench.up()
    bench.flow.reform("no answer", bench.now)
    bench.open()
    bench.flow.reform("no answer", bench.now)
    outputs = bench.drain()
    assert [type(output) for output in outputs if isinstance(output, CloseFlow | OpenFlow | FlowUp | FlowDown)] == [
        OpenFlow,
        FlowUp,
        FlowDown,
        CloseFlow,
        OpenFlow,
        FlowUp,
        FlowDown,
        CloseFlow,
        OpenFlow,
    ]
    assert bench.flow.attempt == 2


def test_reform_gives_up_when_the_attempts_are_used_up() -> None:
    bench = Bench(max_reconnection_attempts=2)
    bench.flow.start(bench.now)
    for _ in range(2):
        bench.open()
        bench.flow.reform("no answer", bench.now)
    assert bench.flow.state is State.GAVE_UP
    assert bench.of(GaveUp) == [GaveUp(2, "no answer")]


def test_offline_uses_up_no_attempt_and_online_connects_at_once() -> None:
    bench = Bench()
    bench.up()
    bench.flow.link(False, bench.now)
    assert bench.flow.next_timeout() is None
    assert bench.of(CloseFlow) == [CloseFlow(1, "network offline")]
    bench.now += 1000.0
    bench.flow.link(True, bench.now)
    assert bench.of(OpenFlow)[-1] == OpenFlow(2, A, 20.0)
    assert bench.flow.attempt == 1


def test_starting_offline_waits_for_the_link() -> None:
    bench = Bench()
    bench.flow.link(False, bench.now)
    bench.flow.start(bench.now)
    assert bench.flow.state is State.OFFLINE
    assert not bench.of(OpenFlow)
    bench.flow.link(True, bench.now)
    assert bench.of(OpenFlow)


def test_retry_now_collapses_the_wait_but_leaves_a_young_attempt_alone() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    bench.fail()
    bench.flow.start(bench.now)
    bench.flow.start(bench.now + 1.0)
    assert len(bench.of(OpenFlow)) == 2
    bench.flow.start(bench.now + 3.0)
    assert len(bench.of(OpenFlow)) == 3
    assert bench.of(CloseFlow)[-1].flow == 2


def test_a_new_address_forms_the_flow_anew() -> None:
    bench = Bench()
    bench.up()
    bench.flow.rehome("address changed", bench.now)
    assert bench.flow.state is State.CONNECTING
    assert [output.flow for output in bench.of(CloseFlow)] == [1]


def test_answers_to_old_attempts_are_ignored() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    bench.fail()
    bench.sleep()
    assert not bench.flow.opened(1, bench.now)
    bench.flow.failed(1, "late", bench.now)
    bench.flow.closed(1, "late", bench.now)
    assert bench.flow.state is State.CONNECTING


def test_an_attempt_nobody_answers_is_called_off() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    assert bench.sleep() == 21.0
    assert bench.of(CloseFlow) == [CloseFlow(1, "connection timeout")]
    assert bench.flow.state is State.WAITING


def test_each_reason_is_told_once() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    for reason in ("refused", "refused", "unknown host"):
        bench.fail(reason)
        bench.sleep()
    told = [change.reason for change in bench.of(TransportChanged) if change.state is TransportState.DISCONNECTED]
    assert told == ["refused", "unknown host"]


def test_fail_over_is_immediate_and_the_failed_server_comes_last() -> None:
    bench = Bench(A, B)
    bench.flow.start(bench.now)
    bench.fail()
    assert [effect.server for effect in bench.of(OpenFlow)] == [A, B]
    bench.fail()
    assert bench.flow.state is State.WAITING


def test_a_server_that_registered_us_is_forgiven() -> None:
    bench = Bench(A, B)
    bench.flow.start(bench.now)
    bench.fail()
    bench.open()
    bench.flow.proven()
    bench.flow.closed(bench.flow.flow, "reset", bench.now)
    bench.sleep()
    assert bench.of(OpenFlow)[-1].server == B
    bench.flow.failed(bench.flow.flow, "refused", bench.now + 100.0)
    assert bench.of(OpenFlow)[-1].server == A


@pytest.mark.parametrize("attempts", [1, 10])
def test_a_probe_that_succeeds_brings_the_next_attempt_forward(attempts: int) -> None:
    """Also once the attempts are used up: recovery within seconds after an outage of any length."""
    bench = Bench(probe_interval=1.0, max_reconnection_attempts=attempts)
    bench.flow.start(bench.now)
    bench.fail()
    opened = len(bench.of(OpenFlow))
    while not bench.of(ProbeServer):
        bench.sleep()
        if len(bench.of(OpenFlow)) > opened:
            bench.fail()
            opened = len(bench.of(OpenFlow))
    bench.flow.probe_result(A, True, bench.now)
    assert bench.sleep() == 0.0
    assert len(bench.of(OpenFlow)) == opened + 1


def test_probes_keep_within_their_budget() -> None:
    bench = Bench(probe_interval=0.1, max_reconnection_attempts=1)
    bench.flow.start(bench.now)
    bench.fail()
    times = []
    while bench.now < 160.0:
        bench.sleep()
        for probe in bench.drain():
            if isinstance(probe, ProbeServer):
                times.append(bench.now)
                bench.flow.probe_result(A, False, bench.now)
            elif isinstance(probe, OpenFlow):
                bench.fail()
    assert len([time for time in times if time < 160.0]) <= 40


def test_a_probe_that_lied_is_followed_by_deeper_ones() -> None:
    """A proxy accepts connections for a PBX that is down, and then breaks them."""
    bench = Bench(probe_interval=1.0)
    bench.flow.start(bench.now)
    bench.fail()
    while not bench.of(ProbeServer):
        bench.sleep()
    assert not bench.of(ProbeServer)[-1].deep
    bench.flow.probe_result(A, True, bench.now)
    bench.sleep()
    bench.fail()
    while len(bench.of(ProbeServer)) < 2:
        bench.sleep()
    assert bench.of(ProbeServer)[-1].deep
    bench.flow.probe_result(A, True, bench.now)
    assert bench.flow.due_at == bench.now


def test_a_deep_probe_that_lied_is_not_believed_again_at_once() -> None:
    bench = Bench(probe_interval=1.0)
    bench.flow.start(bench.now)
    bench.fail()
    while not bench.of(ProbeServer):
        bench.sleep()
    for _ in range(5):
        bench.flow.probe_result(A, True, bench.now)
        if bench.flow.due_at == bench.now:
            bench.sleep()
            bench.fail()
    assert len(bench.of(OpenFlow)) <= 4


def test_udp_is_not_probed() -> None:
    bench = Bench(ServerAddress.parse("udp:a.example:5060"), probe_interval=1.0)
    bench.flow.start(bench.now)
    bench.fail()
    for _ in range(4):
        if bench.flow.state is State.CONNECTING:
            bench.fail()
        bench.sleep()
    assert not bench.of(ProbeServer)


def test_sleep_puts_the_wait_off() -> None:
    bench = Bench()
    bench.flow.start(bench.now)
    bench.fail()
    before = bench.flow.next_timeout()
    bench.flow.resumed(500.0)
    after = bench.flow.next_timeout()
    assert before is not None
    assert after == before + 500.0


def test_stop_closes_and_forgets() -> None:
    bench = Bench()
    bench.up()
    bench.flow.stop("unregistered", bench.now)
    assert bench.flow.state is State.IDLE
    assert bench.flow.next_timeout() is None
    assert bench.of(CloseFlow) == [CloseFlow(1, "unregistered")]


def test_a_short_outage_is_over_within_a_second() -> None:
    """resilience.md 3.13 with the settings as they come: refused for 3 s, the median of a hundred phones."""
    waits = []
    for seed in range(100):
        supervisor = FlowSupervisor((A,), Resilience(), IdSource(random.Random(seed)), Episode())
        waits.append(_seconds_from_return_to_attempt(supervisor, outage_s=3.0))
    assert statistics.median(waits) < 0.8
    assert max(waits) < 2.0


def _seconds_from_return_to_attempt(supervisor: FlowSupervisor, *, outage_s: float) -> float:
    """A registered flow breaks at 0, everything is refused until ``outage_s``; when the next attempt starts."""
    supervisor.start(0.0)
    supervisor.opened(supervisor.flow, 0.0)
    supervisor.proven()
    supervisor.drain()
    supervisor.closed(supervisor.flow, "reset", 0.0)
    now = 0.0
    while True:
        for output in supervisor.drain():
            if isinstance(output, OpenFlow) and now >= outage_s:
                return now - outage_s
            if isinstance(output, OpenFlow):
                supervisor.failed(output.flow, "refused", now)
            elif isinstance(output, ProbeServer):
                supervisor.probe_result(output.server, now >= outage_s, now)
        deadline = supervisor.next_timeout()
        assert deadline is not None
        now = deadline
        supervisor.handle_timeout(now)


def test_a_working_flow_stays_and_the_next_one_goes_to_the_first_server_again() -> None:
    """resilience.md 3.7: the first server's return costs nobody a connection."""
    bench = Bench(A, B)
    bench.flow.start(bench.now)
    bench.fail()
    bench.open()
    bench.flow.proven()
    assert bench.of(OpenFlow)[-1].server == B
    bench.now += 3600.0
    bench.flow.handle_timeout(bench.now)
    assert bench.flow.is_open
    bench.flow.closed(bench.flow.flow, "reset", bench.now)
    bench.sleep()
    assert bench.of(OpenFlow)[-1].server == A
