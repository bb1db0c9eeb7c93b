"""The story of a loss is told once (promise R3)."""

from __future__ import annotations

from sipcore.events import ReconnectionFailed, ReconnectionSuccess
from sipcore.resilience.episode import Episode


def test_a_registration_that_went_well_is_no_story() -> None:
    episode = Episode()
    episode.begin(0.0, told=False)
    assert episode.success(1.0) is None


def test_a_loss_ends_with_success() -> None:
    episode = Episode()
    episode.begin(0.0, told=False)
    for now in (1.0, 3.0):
        episode.begin(now, told=True)
        episode.attempt()
    assert episode.success(5.0) == ReconnectionSuccess(5.0, 2)
    assert episode.success(6.0) is None


def test_failure_is_said_once_whoever_fails() -> None:
    episode = Episode()
    episode.begin(0.0, told=True)
    assert episode.failure(10, "refused") == ReconnectionFailed(10, "refused")
    assert episode.failure(3, "503") is None
    assert episode.failed
    assert episode.success(100.0) == ReconnectionSuccess(100.0, 1)
    assert not episode.failed


def test_the_users_retry_makes_failing_news_again() -> None:
    episode = Episode()
    episode.begin(0.0, told=True)
    episode.failure(10, "refused")
    episode.renew()
    assert episode.failure(10, "refused") is not None


def test_abandoned_stories_have_no_end() -> None:
    episode = Episode()
    episode.begin(0.0, told=True)
    episode.abandon()
    assert episode.success(1.0) is None
