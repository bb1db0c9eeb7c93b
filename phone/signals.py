"""Which tones the phone plays in which state: a pure function of the calls.

incoming, alone          bell on the ring device
incoming, while talking  call-waiting beep in the ear
outgoing, ringing        ringback in the ear, unless the far end sends sound of its own
outgoing, refused        busy or error tone for a moment
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.io.settings import Role
from audio.stream.tones import ToneKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from phone.protocol.snapshots import Outcome
    from phone.state import PhoneState

REFUSAL_TONE_S = 3.0

Tones = dict[Role, ToneKind]


def tones_for(state: PhoneState, *, current: str | None, early_media: Callable[[str], bool]) -> Tones:
    """The tones to play now; ``early_media`` tells whether a call's far end is heard already."""
    tones: Tones = {}
    ringing = any(call.direction == "in" and call.state == "ringing" for call in state.calls)
    talking = any(call.state in ("active", "early") and not call.held for call in state.calls)
    if ringing:
        if talking:
            tones[Role.SPEAKER] = ToneKind.CALL_WAITING
        else:
            tones[Role.RINGER] = ToneKind.RING
    calling = state.call(current) if current is not None else None
    if (
        calling is not None
        and calling.direction == "out"
        and calling.state == "ringing"
        and not early_media(calling.id)
    ):
        tones[Role.SPEAKER] = ToneKind.RINGBACK
    return tones


def refusal_tone(outcome: Outcome) -> ToneKind | None:
    """What an outgoing call that came to nothing sounds like."""
    if outcome in ("busy", "rejected"):
        return ToneKind.BUSY
    return ToneKind.ERROR if outcome == "failed" else None
