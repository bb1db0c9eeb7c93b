"""How healthy the connection was (R8 of docs/resilience.md): figures, their targets, and what happened to it when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

IncidentKind = Literal["lost", "reconnected", "failed", "refused", "offline", "online"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One line of the connection's timeline."""

    at: float
    kind: IncidentKind
    reason: str = ""
    """Why it was lost, refused or given up: the PBX's words or ours."""

    seconds: float = 0.0
    """How long the phone was away, where it is back."""

    count: int = 0
    """Attempts; of a refusal its status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """The figures over ``days`` days on which anything was counted; rates are None where nothing was."""

    days: int = 0
    disconnections: int = 0
    disconnections_per_day: float | None = None
    reconnections: int = 0
    reconnection_failures: int = 0
    reconnection_success_rate: float | None = None
    mean_reconnection_s: float | None = None
    keep_alives: int = 0
    keep_alive_failure_rate: float | None = None
    mean_keep_alive_rtt_ms: float | None = None
    incidents: tuple[Incident, ...] = ()
    """Newest first."""


ABOVE: dict[str, float] = {"reconnection_success_rate": 0.95}
"""Figures that should stay above a target."""

BELOW: dict[str, float] = {"mean_reconnection_s": 10.0, "keep_alive_failure_rate": 0.001}
"""Figures that should stay below one."""


def meets(name: str, value: float | None) -> bool | None:
    """Whether a figure meets its target; None where it has none, or nothing was counted."""
    if value is None or (name not in ABOVE and name not in BELOW):
        return None
    return value > ABOVE[name] if name in ABOVE else value < BELOW[name]
