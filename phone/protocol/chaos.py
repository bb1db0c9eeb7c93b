"""The faults of the demo's chaos key, and who brings them about: the console names one, the demo's PBX suffers it."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

FaultName = Literal["drop", "restart", "busy", "mute", "password"]
FAULTS: tuple[FaultName, ...] = get_args(FaultName)

RESTART_S = 10.0
"""How long the PBX refuses connections when it restarts."""

RETRY_AFTER_S = 5
"""What a busy PBX asks for, twice."""

MUTE_S = 30.0
"""How long it says nothing at all: longer than the phone needs to notice."""

PASSWORD_S = 25.0
"""How long it refuses the password: longer than the phone's three attempts."""


class Chaos(Protocol):
    """Brings faults about in a demo."""

    def inject(self, fault: FaultName) -> None:
        """Let it happen now; nothing when the demo is ending."""
        ...
