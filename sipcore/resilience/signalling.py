"""What the lifeline tells the calls, and status displays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore.events import FlowId
    from sipcore.message.uri import Uri


@dataclass(frozen=True, slots=True)
class SignallingReady:
    """Registered on a flow for the first time: dialogs can be told where we are now."""

    flow: FlowId
    contact: Uri
    secure: bool
    """Whether the flow is encrypted."""


@dataclass(frozen=True, slots=True)
class SignallingDown:
    """The flow is gone."""

    flow: FlowId
    reason: str


@dataclass(frozen=True, slots=True)
class SignallingMoved:
    """The flow ``lost`` is gone, and another that is registered serves from now on."""

    lost: FlowId
    flow: FlowId
    contact: Uri
    secure: bool


@dataclass(frozen=True, slots=True)
class StandbyReady:
    """Registered on a flow besides the one that serves: calls may come by it, and then stay with it."""

    flow: FlowId
    contact: Uri
    secure: bool


@dataclass(frozen=True, slots=True)
class StandbyDown:
    """A flow is gone that served nobody."""

    flow: FlowId


@dataclass(frozen=True, slots=True)
class RetryStatus:
    """Attempt ``attempt`` of ``maximum`` is running, or was the last; ``next_in_s`` is None while none is planned."""

    what: str
    attempt: int
    maximum: int
    next_in_s: float | None
