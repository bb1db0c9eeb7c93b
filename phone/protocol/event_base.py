"""What every event has: the class of :mod:`phone.protocol.events` all others are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBase:
    """``at`` is its Unix time."""

    at: float
