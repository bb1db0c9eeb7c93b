"""One story from a loss to its end, told once: attempting, then success or failure (promise R3).

    loss or first attempt ──▶ OPEN ──registered──▶ ReconnectionSuccess
                               └──used up──▶ ReconnectionFailed ──registered later──▶ ReconnectionSuccess

Both supervisors can use up their attempts in the same story; the user hears of it once.
"""

from __future__ import annotations

import logging

from sipcore.events import ReconnectionFailed, ReconnectionSuccess

_log = logging.getLogger(__name__)


class Episode:
    """Between two times of being registered. The first registration is an episode only once it went wrong."""

    __slots__ = ("_attempts", "_failed", "_since", "_told")

    def __init__(self) -> None:
        self._since: float | None = None
        self._attempts = 0
        self._told = False
        self._failed = False

    @property
    def failed(self) -> bool:
        """Whether ReconnectionFailed has been said."""
        return self._failed

    def begin(self, now: float, *, told: bool) -> None:
        """Something is to be reached again. ``told``: the user knows that it was lost."""
        if self._since is None:
            self._since = now
        self._told = self._told or told

    def attempt(self) -> None:
        """One more attempt to connect."""
        self._attempts += 1

    def renew(self) -> None:
        """Attempts start afresh by the user's wish: failing again is news again."""
        self._failed = False

    def success(self, now: float) -> ReconnectionSuccess | None:
        """Registered. The event, if there is a story to end."""
        since, told, attempts = self._since, self._told or self._failed, self._attempts
        self._since, self._attempts, self._told, self._failed = None, 0, False, False
        if since is None or not told:
            return None
        _log.info("Reconnected after %.1f s", now - since)
        return ReconnectionSuccess(now - since, max(1, attempts))

    def failure(self, attempts: int, reason: str) -> ReconnectionFailed | None:
        """All attempts are used up. The event, if it has not been said."""
        if self._failed:
            return None
        self._failed = True
        _log.info("Reconnection failed after %d attempts: %s", attempts, reason)
        return ReconnectionFailed(attempts, reason)

    def abandon(self) -> None:
        """Not wanted any more."""
        self._since, self._attempts, self._told, self._failed = None, 0, False, False
