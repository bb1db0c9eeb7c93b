"""The numbers of promises R1, R2, R4 and of resilience.md 3.2, 3.5, 3.8, 3.13."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.config import Resilience
from sipcore.ids import IdSource
from sipcore.resilience import policy
from sipcore.resilience.policy import Verdict

SETTINGS = Resilience()


def ids(seed: int = 1) -> IdSource:
    return IdSource(random.Random(seed))


def test_registration_waits_are_2_4_8_without_jitter() -> None:
    assert [policy.registration_wait_s(attempt, 2.0) for attempt in (1, 2, 3)] == [2.0, 4.0, 8.0]


def test_registration_timeout_doubles_up_to_32() -> None:
    waits = [policy.registration_timeout_s(count, SETTINGS, reliable=True) for count in range(6)]
    assert waits == [6.0, 12.0, 24.0, 32.0, 32.0, 32.0]


def test_unreliable_transports_get_the_whole_of_timer_f() -> None:
    assert policy.registration_timeout_s(0, SETTINGS, reliable=False) == 32.0


@given(st.integers(1, 1000), st.integers())
def test_reconnection_gap_is_half_to_all_of_the_series(failures: int, seed: int) -> None:
    full = min(2.0 * 2 ** (failures - 1), 30.0)
    assert full / 2 <= policy.reconnection_gap_s(failures, SETTINGS, ids(seed)) <= full


@given(st.integers(1, 50), st.integers())
def test_a_call_makes_the_gap_urgent(failures: int, seed: int) -> None:
    assert policy.reconnection_gap_s(failures, SETTINGS, ids(seed), urgent=True) <= 4.0


@given(st.integers())
def test_background_retry_has_jitter(seed: int) -> None:
    wait = policy.background_wait_s(SETTINGS, ids(seed))
    assert wait is not None
    assert 48.0 <= wait <= 72.0


def test_zero_turns_the_slow_retries_and_probes_off() -> None:
    off = Resilience(background_retry=0, auth_retry=0, probe_interval=0)
    assert policy.background_wait_s(off, ids()) is None
    assert policy.credentials_wait_s(0, off, ids()) is None
    assert policy.probe_wait_s(0.0, off, ids()) is None


@given(st.integers(0, 100), st.integers())
def test_refused_credentials_wait_doubles_and_is_never_sooner_than_set(rounds: int, seed: int) -> None:
    wait = policy.credentials_wait_s(rounds, SETTINGS, ids(seed))
    expected = min(600.0 * 2**rounds, 1800.0)
    assert wait is not None
    assert expected <= wait <= expected * 1.1


@given(st.floats(1.0, 7200.0), st.integers())
def test_refresh_lies_between_50_and_85_percent_with_30_s_to_spare(expires: float, seed: int) -> None:
    wait = policy.refresh_wait_s(expires, ids(seed))
    assert wait <= max(1.0, expires * 0.85)
    assert wait >= min(expires * 0.5, expires)
    if expires >= 60.0:
        assert expires - wait >= 30.0 - 1e-6


@given(st.integers())
def test_fleet_spread_is_uniform_from_zero(seed: int) -> None:
    assert 0.0 <= policy.fleet_wait_s(Resilience(fleet_spread=12.0), ids(seed)) <= 12.0


def test_a_call_does_not_wait_for_the_fleet() -> None:
    assert policy.fleet_wait_s(SETTINGS, ids(), urgent=True) == 0.0


def test_probes_start_at_the_interval_and_slow_down() -> None:
    first = policy.probe_wait_s(0.0, SETTINGS, ids())
    later = policy.probe_wait_s(3600.0, SETTINGS, ids())
    assert first is not None
    assert later is not None
    assert 0.5 <= first <= 0.625
    assert 1.75 <= later <= 2.1875


def test_probes_that_lie_are_distrusted_longer_and_longer() -> None:
    assert [policy.distrust_s(lies) for lies in range(8)] == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.CREDENTIALS),
        (403, Verdict.CREDENTIALS),
        (407, Verdict.CREDENTIALS),
        (302, Verdict.REDIRECT),
        (404, Verdict.PERMANENT),
        (408, Verdict.TEMPORARY),
        (423, Verdict.TOO_BRIEF),
        (439, Verdict.NO_OUTBOUND),
        (480, Verdict.TEMPORARY),
        (484, Verdict.PERMANENT),
        (500, Verdict.TEMPORARY),
        (503, Verdict.TEMPORARY),
        (599, Verdict.TEMPORARY),
        (600, Verdict.PERMANENT),
        (603, Verdict.PERMANENT),
    ],
)
def test_classification(status: int, verdict: Verdict) -> None:
    assert policy.classify(status) is verdict


@pytest.mark.parametrize("status", [404, 413, 480, 486, 500, 503, 600, 603])
def test_retry_after_makes_it_temporary(status: int) -> None:
    """RFC 3261 §20.33 names the responses whose Retry-After means something."""
    assert policy.classify(status, retry_after=True) is Verdict.TEMPORARY


@given(st.integers(300, 699), st.booleans())
def test_every_status_has_a_verdict(status: int, retry_after: bool) -> None:
    assert isinstance(policy.classify(status, retry_after=retry_after), Verdict)


def test_the_waits_of_a_flow_beside_another_are_those_of_rfc_5626() -> None:
    """§4.5: half to all of 90 s, doubled with each failure, up to half an hour."""
    for failures, bound in ((0, 90.0), (1, 180.0), (3, 720.0), (5, 1800.0), (99, 1800.0)):
        waits = [policy.outbound_wait_s(failures, ids(seed)) for seed in range(50)]
        assert bound / 2 <= min(waits) <= max(waits) <= bound
        assert max(waits) - min(waits) > bound / 4
