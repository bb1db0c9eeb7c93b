"""One call of the simulated phone, as its user knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcore import events as ev


@dataclass(slots=True)
class Line:
    """One call of the phone, as its user knows it."""

    call: ev.CallId
    sip: str
    """Its Call-ID."""

    outgoing: bool
    address: str
    """Where our sound is."""

    active: bool = False
    holding: bool = False
    """What the user wants."""

    held: bool = False
    ending: bool = False
    """The user hung up."""

    resumed: bool = False
    """Another process goes on with it."""

    heard_at: float = 0.0
    silent: bool = False
