"""The registration supervisor (promise R1; resilience.md 3.2, 3.5; scenario S3)."""

from __future__ import annotations

import random
from typing import TypeVar

import pytest

from sipcore.config import Resilience
from sipcore.events import (
    Registered,
    RegistrationAttempt,
    RegistrationChanged,
    RegistrationRefused,
    RegistrationState,
    RetryScheduled,
    Unregistered,
)
from sipcore.ids import IdSource
from sipcore.resilience.policy import Verdict
from sipcore.resilience.registrar import Refused
from sipcore.resilience.registration import RegistrationSupervisor
from sipcore.resilience.registration_outputs import (
    ParkFlow,
    ReformFlow,
    RegistrationGaveUp,
    RegistrationOutput,
    SendRegister,
    WantFlow,
)
from sipcore.resilience.registration_table import State

T = TypeVar("T")


def refusal(status: int, verdict: Verdict = Verdict.TEMPORARY, *, retry_after_s: float | None = None) -> Refused:
    return Refused(status, "No", verdict, retry_after_s, verdict is Verdict.CREDENTIALS)


class Bench:
    """A supervisor with a clock; the flow is up unless said otherwise."""

    def __init__(self, *, up: bool = True, **settings: float) -> None:
        self.registration = RegistrationSupervisor(Resilience(**settings), IdSource(random.Random(3)))  # type: ignore[arg-type]
        self.now = 100.0
        self.said: list[RegistrationOutput] = []
        if up:
            self.up()

    def up(self, *, quiet: bool = False) -> None:
        self.registration.flow_up(self.now, reliable=True, quiet=quiet)

    def down(self) -> None:
        self.registration.flow_down("reset", self.now)

    def of(self, kind: type[T]) -> list[T]:
        self.said += self.registration.drain()
        return [output for output in self.said if isinstance(output, kind)]

    def start(self) -> None:
        self.registration.start(self.now)

    def refuse(self, status: int, verdict: Verdict = Verdict.TEMPORARY, *, retry_after_s: float | None = None) -> None:
        self.registration.refused(refusal(status, verdict, retry_after_s=retry_after_s), self.now)

    def sleep(self) -> float:
        deadline = self.registration.due_at
        assert deadline is not None
        slept, self.now = deadline - self.now, deadline
        self.registration.handle_timeout(self.now)
        return slept

    @property
    def sent(self) -> int:
        return len(self.of(SendRegister))

    @property
    def shown(self) -> RegistrationState:
        return self.registration.shown


def test_attempts_follow_after_2_and_4_seconds_and_failure_after_8_more() -> None:
    """R1 to the letter."""
    bench = Bench()
    bench.start()
    waits = []
    for _ in range(3):
        bench.refuse(500)
        waits.append(bench.sleep())
    assert waits == [2.0, 4.0, 8.0]
    assert bench.of(RegistrationAttempt) == [RegistrationAttempt(number, 3) for number in (1, 2, 3)]
    assert bench.of(RegistrationGaveUp) == [RegistrationGaveUp(3, "500 No")]
    assert bench.shown is RegistrationState.FAILED
    assert bench.sent == 3


def test_attempts_and_delay_can_be_given_by_hand() -> None:
    bench = Bench()
    bench.registration.start(bench.now, attempts=2, delay_s=0.5)
    bench.refuse(500)
    assert bench.sleep() == 0.5
    bench.refuse(500)
    assert bench.sleep() == 1.0
    assert bench.of(RegistrationGaveUp) == [RegistrationGaveUp(2, "500 No")]


def test_background_attempts_follow_quietly() -> None:
    bench = Bench()
    bench.start()
    for _ in range(3):
        bench.refuse(500)
        bench.sleep()
    for _ in range(4):
        assert 48.0 <= bench.sleep() <= 72.0
        bench.refuse(500)
    assert bench.sent == 7
    assert len(bench.of(RegistrationAttempt)) == 3
    assert len(bench.of(RegistrationRefused)) == 3
    assert len(bench.of(RegistrationGaveUp)) == 1
    bench.sleep()
    bench.registration.accepted(600, bench.now)
    assert bench.shown is RegistrationState.REGISTERED


def test_background_retry_zero_is_the_end() -> None:
    bench = Bench(background_retry=0)
    bench.start()
    for _ in range(3):
        bench.refuse(500)
        bench.sleep()
    assert bench.registration.next_timeout() is None


def test_refused_credentials_get_three_attempts_then_one_in_ten_minutes() -> None:
    """S3, and resilience.md 3.2: repeating a wrong password gets a site banned."""
    bench = Bench()
    bench.start()
    for _ in range(3):
        bench.refuse(401, Verdict.CREDENTIALS)
        bench.sleep()
    assert [refused.credentials_refused for refused in bench.of(RegistrationRefused)] == [True] * 3
    assert bench.of(ParkFlow)
    waits = []
    for _ in range(4):
        waits.append(bench.sleep())
        bench.refuse(401, Verdict.CREDENTIALS)
    assert [round(wait / 600.0, 0) for wait in waits[:2]] == [1.0, 2.0]
    assert all(wait >= 600.0 for wait in waits)
    assert waits[3] <= 1980.0
    assert bench.sent == 7


def test_a_new_flow_does_not_make_wrong_credentials_right() -> None:
    bench = Bench()
    bench.start()
    for _ in range(3):
        bench.refuse(403, Verdict.CREDENTIALS)
        bench.sleep()
    bench.down()
    bench.up()
    assert bench.sent == 3


def test_one_refusal_among_other_failures_proves_nothing() -> None:
    bench = Bench()
    bench.start()
    for status, verdict in ((500, Verdict.TEMPORARY), (500, Verdict.TEMPORARY), (403, Verdict.CREDENTIALS)):
        bench.refuse(status, verdict)
        bench.sleep()
    assert not bench.registration.parked
    assert bench.sleep() <= 72.0


def test_start_with_new_credentials_begins_a_new_series() -> None:
    bench = Bench()
    bench.start()
    for _ in range(3):
        bench.refuse(401, Verdict.CREDENTIALS)
        bench.sleep()
    bench.start()
    assert bench.sent == 4
    assert bench.of(RegistrationAttempt)[-1] == RegistrationAttempt(1, 3)


def test_a_permanent_refusal_stops() -> None:
    """404, 484: "stop, say what the PBX said"."""
    bench = Bench()
    bench.start()
    bench.refuse(404, Verdict.PERMANENT)
    assert bench.of(RegistrationGaveUp) == [RegistrationGaveUp(1, "404 No")]
    assert bench.registration.next_timeout() is None
    assert bench.shown is RegistrationState.FAILED


@pytest.mark.parametrize("retry_after_s", [0.5, 5.0, 100.0])
def test_retry_after_is_obeyed_to_the_second(retry_after_s: float) -> None:
    bench = Bench()
    bench.start()
    bench.refuse(503, retry_after_s=retry_after_s)
    assert bench.sleep() == retry_after_s
    assert bench.of(RetryScheduled)[-1].wait_s == retry_after_s


def test_retry_after_outlasts_the_background_retry_and_a_new_flow() -> None:
    bench = Bench()
    bench.start()
    for _ in range(3):
        bench.refuse(503, retry_after_s=1000.0)
        bench.sleep()
    bench.down()
    bench.up()
    assert bench.sent == 3
    assert bench.sleep() >= 900.0


def test_a_time_out_gives_the_flow_up_and_doubles() -> None:
    """The flow is formed anew at once and used at once: the silence was longer than R1's wait."""
    bench = Bench()
    bench.start()
    assert bench.of(SendRegister)[-1].timeout_s == 6.0
    bench.now += 6.0
    bench.registration.timed_out(6.0, bench.now)
    assert bench.of(ReformFlow)[-1].reason == "no answer to REGISTER in 6 s"
    assert bench.of(RegistrationRefused)[-1].status == 408
    bench.down()
    bench.up()
    assert bench.sent == 1
    assert bench.sleep() == 0.0
    assert bench.of(RegistrationAttempt)[-1] == RegistrationAttempt(2, 3)
    assert bench.of(SendRegister)[-1].timeout_s == 12.0


def test_silence_counts_as_waiting_and_refusals_wait_in_full() -> None:
    """R1's distance is between attempts: a time-out shorter than the wait is completed, the last wait is never cut."""
    bench = Bench(register_timeout=1.5)
    bench.start()
    bench.registration.timed_out(1.5, bench.now)
    assert bench.sleep() == 0.5
    bench.refuse(500)
    assert bench.sleep() == 4.0
    bench.registration.timed_out(1.5, bench.now)
    assert bench.sleep() == 8.0
    assert bench.of(RegistrationGaveUp)[-1].attempts == 3


def test_an_answer_of_any_kind_ends_the_doubling() -> None:
    bench = Bench()
    bench.start()
    bench.registration.timed_out(6.0, bench.now)
    bench.sleep()
    bench.refuse(500)
    bench.sleep()
    assert bench.of(SendRegister)[-1].timeout_s == 6.0


def test_the_retry_waits_for_a_flow() -> None:
    bench = Bench()
    bench.start()
    bench.registration.timed_out(6.0, bench.now)
    bench.down()
    bench.sleep()
    assert bench.sent == 1
    assert bench.of(WantFlow)
    bench.up()
    assert bench.of(RegistrationAttempt)[-1] == RegistrationAttempt(2, 3)


def test_an_attempt_that_broke_with_its_flow_is_not_counted() -> None:
    bench = Bench()
    bench.start()
    for _ in range(5):
        bench.down()
        bench.up()
    assert {attempt.attempt for attempt in bench.of(RegistrationAttempt)} == {1}


def test_refresh_at_50_to_85_percent_in_a_new_series() -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    assert 300.0 <= bench.sleep() <= 510.0
    bench.registration.accepted(600, bench.now)
    assert [event.refresh for event in bench.of(Registered)] == [False, True]
    assert [change.state for change in bench.of(RegistrationChanged)] == [
        RegistrationState.REGISTERING,
        RegistrationState.REGISTERED,
    ]


def test_a_failed_refresh_leaves_the_binding_in_use_until_it_expires() -> None:
    """resilience.md 3.5; nothing is announced before there is something to announce."""
    bench = Bench()
    bench.start()
    bench.registration.accepted(100, bench.now)
    ends_at = bench.now + 100.0
    bench.sleep()
    while bench.now < ends_at:
        bench.refuse(500)
        assert bench.shown is RegistrationState.REGISTERED
        assert not bench.of(RegistrationGaveUp)
        deadline = bench.registration.next_timeout()
        assert deadline is not None
        bench.now = deadline
        bench.registration.handle_timeout(bench.now)
    assert bench.of(Unregistered) == [Unregistered("the registration expired")]
    assert bench.shown is RegistrationState.FAILED
    assert len(bench.of(RegistrationGaveUp)) == 1


def test_a_lost_flow_takes_the_binding_along() -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    bench.down()
    assert bench.of(Unregistered) == [Unregistered("reset")]
    assert bench.shown is RegistrationState.REGISTERING
    assert bench.registration.next_timeout() is None
    bench.up()
    assert bench.sent == 2


def test_after_r2_gave_up_a_new_flow_registers_quietly() -> None:
    bench = Bench(up=False)
    bench.start()
    bench.registration.transport_gave_up("refused", bench.now)
    assert bench.shown is RegistrationState.FAILED
    bench.up(quiet=True)
    assert bench.sent == 1
    assert not bench.of(RegistrationAttempt)
    for _ in range(2):
        bench.refuse(503)
        bench.sleep()
    bench.refuse(503)
    assert bench.registration.state is State.SLOW_WAIT
    assert not bench.of(RegistrationGaveUp)


def test_unregister_removes_the_binding() -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    bench.registration.stop(bench.now)
    assert bench.of(SendRegister)[-1].removal
    bench.registration.accepted(0, bench.now)
    assert bench.registration.state is State.IDLE
    assert bench.of(Unregistered) == [Unregistered("")]


@pytest.mark.parametrize("outcome", ["refused", "timed out", "flow down"])
def test_unregister_ends_whatever_the_answer(outcome: str) -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    bench.registration.stop(bench.now)
    match outcome:
        case "refused":
            bench.refuse(500)
        case "timed out":
            bench.registration.timed_out(6.0, bench.now)
        case _:
            bench.down()
    assert bench.registration.state is State.IDLE
    assert bench.shown is RegistrationState.UNREGISTERED
    assert not bench.registration.in_flight


def test_stop_while_a_register_is_in_flight_removes_what_it_made() -> None:
    bench = Bench()
    bench.start()
    bench.registration.stop(bench.now)
    assert bench.sent == 1
    bench.registration.accepted(600, bench.now)
    assert bench.of(SendRegister)[-1].removal


def test_register_while_unregistering_waits_for_the_answer() -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    bench.registration.stop(bench.now)
    bench.start()
    assert bench.sent == 2
    bench.registration.accepted(0, bench.now)
    assert bench.sent == 3
    assert not bench.of(SendRegister)[-1].removal


def test_fail_over_goes_to_the_other_server_with_the_next_attempt() -> None:
    bench = Bench()
    bench.start()
    bench.registration.refused(refusal(503, retry_after_s=30.0), bench.now, elsewhere=True)
    assert bench.of(ReformFlow) == [ReformFlow("503 No", 30.0)]
    bench.down()
    bench.up()
    assert bench.of(RegistrationAttempt)[-1] == RegistrationAttempt(2, 3)


def test_sleep_moves_retries_but_not_the_refresh() -> None:
    bench = Bench()
    bench.start()
    bench.refuse(500)
    before = bench.registration.due_at
    bench.registration.resumed(50.0)
    assert before is not None
    assert bench.registration.due_at == before + 50.0
    bench.sleep()
    bench.registration.accepted(600, bench.now)
    before = bench.registration.due_at
    bench.registration.resumed(50.0)
    assert bench.registration.due_at == before


def test_a_sleep_longer_than_the_binding_registers_anew() -> None:
    bench = Bench()
    bench.start()
    bench.registration.accepted(600, bench.now)
    bench.now += 5000.0
    bench.registration.resumed(5000.0)
    bench.registration.handle_timeout(bench.now)
    assert bench.sent == 2
    assert bench.of(Unregistered) == [Unregistered("the registration expired")]


def test_log_lines_as_promised(caplog: pytest.LogCaptureFixture) -> None:
    """R6."""
    caplog.set_level("INFO", "sipcore")
    bench = Bench()
    bench.start()
    bench.refuse(500)
    bench.sleep()
    bench.registration.accepted(600, bench.now)
    lines = [record.getMessage() for record in caplog.records]
    for line in (
        "Registration attempt 1/3",
        "Waiting 2000ms before retry attempt 2",
        "Registration attempt 2/3",
        "Registration successful",
    ):
        assert line in lines


def test_refused_credentials_are_counted_over_two_series() -> None:
    """Two refusals, a lost flow, a third one: that was the last attempt, whatever the new series has left."""
    bench = Bench()
    bench.start()
    bench.registration.timed_out(6.0, bench.now)
    bench.up()
    bench.sleep()
    for _ in range(2):
        bench.refuse(401, Verdict.CREDENTIALS)
        if bench.registration.state is State.RETRY_WAIT:
            bench.sleep()
    states = [bench.registration.state]
    bench.down()
    bench.up()
    states.append(bench.registration.state)
    bench.refuse(401, Verdict.CREDENTIALS)
    states.append(bench.registration.state)
    assert states == [State.LAST_WAIT, State.SENDING, State.LAST_WAIT]
    bench.sleep()
    assert bench.of(RegistrationGaveUp) == [RegistrationGaveUp(3, "401 No")]
    assert bench.sleep() >= 600.0


def test_retry_after_outlives_the_attempts_of_the_transport() -> None:
    """A flow that comes back sooner is not registered on before the PBX allowed it, and then quietly."""
    bench = Bench()
    bench.start()
    bench.refuse(503, retry_after_s=20.0)
    told = len(bench.of(RegistrationAttempt))
    bench.down()
    bench.registration.transport_gave_up("refused", bench.now)
    bench.now += 5.0
    bench.up(quiet=True)
    assert bench.sent == 1
    assert bench.sleep() == 15.0
    assert bench.sent == 2
    assert len(bench.of(RegistrationAttempt)) == told
