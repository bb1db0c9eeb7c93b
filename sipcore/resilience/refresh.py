"""When a binding is refreshed: at a random point of its life, and where that fits on a nonce that has just come.

    bound ──50 %────────────────── random point ──────────85 %──▶ expired
              keep-alive brings a nonce ──▶ refreshed on it: one exchange instead of two, no digest in vain

A PBX that challenges the keep-alive's OPTIONS gives out a nonce with each (RFC 7616 §3.3); they live for half a minute
or so. Sans-I/O and without a clock of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sipcore.resilience import policy

if TYPE_CHECKING:
    from sipcore.auth.authenticator import Authenticator
    from sipcore.ids import IdSource
    from sipcore.message.message import Response

_GRACE_S = 11.0
"""After a keep-alive is due: the time its answer has, and a little more."""

_SPREAD_S = 10.0
"""Phones that registered together are asked together; they shall not refresh together."""

_LEAST_TRUST_S = 30.0
"""No PBX known calls a younger nonce stale."""


class RefreshPlan:
    """Of one binding; :meth:`made` anew each time it was accepted."""

    __slots__ = ("_from", "_ids", "_next_nonce_at", "_until")

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._from = self._until = 0.0
        self._next_nonce_at: float | None = None

    def made(self, expires_s: float, now: float) -> float:
        """The registrar granted ``expires_s``; when to refresh, at the latest wish."""
        lowest, highest = policy.refresh_window_s(expires_s)
        self._from, self._until = now + lowest, now + highest
        self._next_nonce_at = None
        return now + policy.refresh_wait_s(expires_s, self._ids)

    def nonce(self, due_at: float, next_s: float, now: float) -> float:
        """A nonce has come, the next follows in ``next_s``; when to refresh now that it is there."""
        self._next_nonce_at = now + next_s
        if now < self._from or due_at > self._next_nonce_at:
            return due_at
        return min(due_at, now + self._ids.uniform(0.0, _SPREAD_S))

    def put_off(self, now: float) -> float | None:
        """The refresh is due: until when it can wait for the next nonce, once; None: not at all."""
        expected, self._next_nonce_at = self._next_nonce_at, None
        if expected is None or expected <= now or expected + _GRACE_S > self._until:
            return None
        return expected + _GRACE_S


class NonceKeeper:
    """Knows how old the nonce for REGISTER is, and how old this PBX lets one become."""

    __slots__ = ("_authenticator", "_sent_age_s", "_since", "_trust_s")

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._since: float | None = None
        self._sent_age_s: float | None = None
        self._trust_s = math.inf

    def worth_sending(self, now: float) -> bool:
        """Whether a REGISTER that begins now should carry credentials unasked; it is taken to do so."""
        age_s = math.inf if self._since is None else now - self._since
        worth = age_s <= self._trust_s
        self._sent_age_s = age_s if worth and self._since is not None else None
        return worth

    def judged(self, response: Response, now: float) -> None:
        """A final response to the REGISTER in flight: what it says about the nonce."""
        age_s, self._sent_age_s = self._sent_age_s, None
        if response.status in (401, 407):
            self._since = now
            if age_s is not None:
                self._trust_s = min(self._trust_s, max(_LEAST_TRUST_S, age_s / 2))
        elif response.is_success and age_s is not None:
            self._trust_s = max(self._trust_s, 2 * age_s)

    def offered(self, response: Response, now: float) -> bool:
        """A final response to something that carried no credentials: True if it brought a nonce."""
        if response.status not in (401, 407) or not self._authenticator.take_over(response):
            return False
        self._since = now
        return True
