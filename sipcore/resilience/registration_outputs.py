"""What the registration supervisor asks of its owner, and tells (promise R1)."""

from __future__ import annotations

from dataclasses import dataclass

from sipcore.events import (
    Registered,
    RegistrationAttempt,
    RegistrationChanged,
    RegistrationRefused,
    RetryScheduled,
    Unregistered,
)


@dataclass(frozen=True, slots=True)
class SendRegister:
    """Send a REGISTER, or with ``removal`` an un-REGISTER; without a final response in ``timeout_s`` it timed out."""

    timeout_s: float
    removal: bool = False


@dataclass(frozen=True, slots=True)
class WantFlow:
    """A flow is needed now."""


@dataclass(frozen=True, slots=True)
class ReformFlow:
    """The flow gave no answer, or its server sent us away: close it, which ends the transaction, and form it anew."""

    reason: str
    avoid_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ParkFlow:
    """Nothing is to be sent for a long time: the flow may be closed."""

    reason: str


@dataclass(frozen=True, slots=True)
class RegistrationGaveUp:
    """R1's attempts are used up, or the registrar refused for good."""

    attempts: int
    reason: str


RegistrationOutput = (
    SendRegister
    | WantFlow
    | ReformFlow
    | ParkFlow
    | RegistrationGaveUp
    | RegistrationAttempt
    | RegistrationRefused
    | RegistrationChanged
    | Registered
    | Unregistered
    | RetryScheduled
)
