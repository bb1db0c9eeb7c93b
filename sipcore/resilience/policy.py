"""When to try again, and whether: pure functions over the numbers of :class:`sipcore.config.Resilience`.

    REGISTER answered ── classify ──▶ TEMPORARY    R1 series 2, 4, 8 s; Retry-After where told; then background
                                      CREDENTIALS  R1 series, then one slow attempt, doubling
                                      TOO_BRIEF    at once, with Min-Expires (RFC 3261 §10.2.8)
                                      REDIRECT     at once, to the Contact given (RFC 3261 §8.1.3.4)
                                      NO_OUTBOUND  at once, without reg-id (RFC 5626 §11.6)
                                      PERMANENT    never by itself

Every wait is in seconds. Randomness comes from the caller's :class:`~sipcore.ids.IdSource`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.config import Resilience
    from sipcore.ids import IdSource

RETRY_AFTER_MAX_S = 3600.0
"""A longer Retry-After is taken for a mistake and cut to this."""

PROBES_PER_MINUTE = 40
"""Budget of reachability probes, whatever the spacing asks for."""

OUTBOUND_MAX_S = 1800.0
"""RFC 5626 §4.5: "max-time"."""

_OUTBOUND_BASE_S = 90.0
_SECOND_FLOW_SPREADS = 10.0
_URGENT_GAP_MAX_S = 4.0
_URGENT_BACKGROUND_S = 10.0
_PROBE_GROWTH_S = 6.0
_PROBE_GROWTH_MAX = 3.5
_HEALTH_BASE_S = 32.0
_HEALTH_MAX_S = 300.0
_REFRESH_MARGIN_S = 30.0
_RETRY_AFTER_STATUSES = frozenset({404, 413, 480, 486, 500, 503, 600, 603})
"""Responses whose Retry-After RFC 3261 §20.33 gives a meaning."""


class Verdict(enum.Enum):
    """What a final response to REGISTER, or its absence, means for the next one."""

    TEMPORARY = enum.auto()
    CREDENTIALS = enum.auto()
    TOO_BRIEF = enum.auto()
    REDIRECT = enum.auto()
    NO_OUTBOUND = enum.auto()
    PERMANENT = enum.auto()


def classify(status: int, *, retry_after: bool = False) -> Verdict:
    """The verdict on a REGISTER refused with ``status`` (300 to 699) that digest could not answer.

    A 401 or 407 comes here only once our response to a fresh challenge was refused, or none could be made.
    """
    if status in (401, 403, 407):
        return Verdict.CREDENTIALS
    if retry_after and status in _RETRY_AFTER_STATUSES:
        return Verdict.TEMPORARY
    match status:
        case 423:
            return Verdict.TOO_BRIEF
        case 439:
            return Verdict.NO_OUTBOUND
        case 408 | 429 | 430 | 480 | 491:
            return Verdict.TEMPORARY
        case _ if 300 <= status < 400:
            return Verdict.REDIRECT
        case _ if 500 <= status < 600:
            return Verdict.TEMPORARY
        case _:
            return Verdict.PERMANENT


def registration_wait_s(attempt: int, delay_s: float) -> float:
    """R1: the wait after failed ``attempt`` (from 1): delay, 2*delay, 4*delay ..., without jitter."""
    return float(delay_s * 2 ** (attempt - 1))


def registration_timeout_s(timeouts: int, settings: Resilience, *, reliable: bool) -> float:
    """How long a REGISTER may stay unanswered after ``timeouts`` time-outs in a row.

    Doubles so that a slow PBX is not hammered. Unreliable transports retransmit, so they get the whole time.
    """
    if not reliable:
        return settings.register_timeout_max
    return float(min(settings.register_timeout * 2 ** min(timeouts, 16), settings.register_timeout_max))


def reconnection_gap_s(failures: int, settings: Resilience, ids: IdSource, *, urgent: bool = False) -> float:
    """R2: the gap after failed attempt number ``failures`` (from 1), drawn from 50 to 100 % of the series."""
    gap = min(settings.reconnection_delay * 2 ** min(failures - 1, 16), settings.reconnection_timeout)
    if urgent:
        gap = min(gap, _URGENT_GAP_MAX_S)
    return float(gap * ids.uniform(0.5, 1.0))


def background_wait_s(settings: Resilience, ids: IdSource, *, urgent: bool = False) -> float | None:
    """The wait before the next quiet attempt, 80 to 120 % of the setting; None where it is turned off."""
    if settings.background_retry <= 0:
        return None
    wait = min(settings.background_retry, _URGENT_BACKGROUND_S) if urgent else settings.background_retry
    return wait * ids.uniform(0.8, 1.2)


def credentials_wait_s(rounds: int, settings: Resilience, ids: IdSource) -> float | None:
    """The wait before slow attempt ``rounds`` (from 0) with refused credentials; never sooner than the setting."""
    if settings.auth_retry <= 0:
        return None
    wait = min(settings.auth_retry * 2 ** min(rounds, 16), max(settings.auth_retry_max, settings.auth_retry))
    return float(wait * ids.uniform(1.0, 1.1))


def refresh_window_s(expires_s: float) -> tuple[float, float]:
    """When a binding may be refreshed: at 50 to 85 % of its life, 30 s before its end where that leaves room."""
    lowest = expires_s * 0.5
    return lowest, max(lowest, min(expires_s * 0.85, expires_s - _REFRESH_MARGIN_S))


def refresh_wait_s(expires_s: float, ids: IdSource) -> float:
    """When to refresh a binding of ``expires_s``: at a random point of its window."""
    return max(1.0, ids.uniform(*refresh_window_s(expires_s)))


def fleet_wait_s(settings: Resilience, ids: IdSource, *, urgent: bool = False) -> float:
    """The wait after a loss the server caused: phones lost together must not return together."""
    return 0.0 if urgent or settings.fleet_spread <= 0 else ids.uniform(0.0, settings.fleet_spread)


def second_flow_wait_s(settings: Resilience, ids: IdSource) -> float:
    """The wait before a second flow after both were lost: a PBX that has come back takes its phones first."""
    return ids.uniform(0.0, max(0.0, settings.fleet_spread) * _SECOND_FLOW_SPREADS)


def outbound_wait_s(failures: int, ids: IdSource) -> float:
    """The wait after ``failures`` failures in a row to form a flow anew while the other one is up (RFC 5626 §4.5).

    "W = min( max-time, (base-time * (2 ^ consecutive-failures)))", drawn "between 50 and 100% of the upper-bound".
    """
    return float(min(OUTBOUND_MAX_S, _OUTBOUND_BASE_S * 2 ** min(failures, 16)) * ids.uniform(0.5, 1.0))


def probe_wait_s(elapsed_s: float, settings: Resilience, ids: IdSource) -> float | None:
    """The distance to the next reachability probe: the setting, growing to three and a half times it; None if off."""
    if settings.probe_interval <= 0:
        return None
    growth = min(_PROBE_GROWTH_MAX, 1.0 + max(0.0, elapsed_s) / _PROBE_GROWTH_S)
    return settings.probe_interval * growth * ids.uniform(1.0, 1.25)


def distrust_s(lies: int) -> float:
    """How long probes are not believed after ``lies`` attempts failed although a probe had succeeded."""
    return 0.0 if lies <= 0 else float(min(2 ** (lies - 1), 30))


def avoid_server_s(failures: int) -> float:
    """Health memory: how long a server that failed ``failures`` times in a row comes last (RFC 3263 §4.3)."""
    return float(min(_HEALTH_BASE_S * 2 ** min(failures - 1, 8), _HEALTH_MAX_S))
