"""What the user hears beside the far end, as the calls have it.

incoming, alone          the bell, on the ring device; colleagues may have their own
incoming, during a call  call-waiting beep in the ear, and no bell
outgoing, ringing        ringback in the ear, until the far end is heard or answers (RFC 3960 §3.2)
outgoing, refused        busy or error tone for a moment, until anything is done
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from audio.io.tone import Channel
from audio.stream.tones import ToneKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from phone.lines import Lines
    from phone.protocol.events import CallEnded
    from phone.protocol.snapshots import CallSlice, Outcome
    from phone.state import PhoneState

REFUSAL_TONE_S = 4.0

Tones = dict[Channel, ToneKind]


def tones_for(state: PhoneState, *, current: str | None, wants_ringback: Callable[[str], bool]) -> Tones:
    """The tones to play now. ``wants_ringback`` tells whether a call rings at the far end, and nothing else is heard
    from there.
    """
    tones: Tones = {}
    ringing = next((call for call in state.calls if _rings_here(call)), None)
    engaged = any(not _rings_here(call) and not call.held and call.state != "ending" for call in state.calls)
    if ringing is not None and engaged:
        tones[Channel.WAITING] = ToneKind.CALL_WAITING
    elif ringing is not None:
        tones[Channel.BELL] = ToneKind.RING_INTERNAL if ringing.internal else ToneKind.RING
    calling = state.call(current) if current is not None else None
    if (
        calling is not None
        and calling.direction == "out"
        and calling.state in ("ringing", "early")
        and wants_ringback(calling.id)
    ):
        tones[Channel.PROGRESS] = ToneKind.RINGBACK
    return tones


def refusal_tone(outcome: Outcome) -> ToneKind | None:
    """What an outgoing call that came to nothing sounds like."""
    if outcome in ("busy", "rejected"):
        return ToneKind.BUSY
    return ToneKind.ERROR if outcome == "failed" else None


def _rings_here(call: CallSlice) -> bool:
    return call.direction == "in" and call.state == "ringing"


class Player(Protocol):
    """Who makes it heard: :class:`audio.io.ringing.Ringing`."""

    def play(self, channel: Channel, kind: ToneKind | None) -> None:
        """Play a tone until the next one on its channel; ``None`` stops it."""
        ...


class Signals:
    """Keeps the sound engine playing what :func:`tones_for` says, and a refusal's tone for :data:`REFUSAL_TONE_S`."""

    def __init__(self, player: Player, lines: Lines) -> None:
        self._player = player
        self._lines = lines
        self._playing: Tones = {}
        self._refused: ToneKind | None = None
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, state: PhoneState, ended: CallEnded | None = None, *, outgoing: bool = False) -> None:
        """Play what the calls ask for now; ``ended`` is one that just went, ``outgoing`` one of ours."""
        lines = self._lines
        if ended is not None and outgoing and lines.current is None and (tone := refusal_tone(ended.outcome)):
            self._refuse(tone)
        elif lines.current is not None or any(_rings_here(call) for call in state.calls):
            self.hush()
        tones = tones_for(state, current=lines.current, wants_ringback=lines.wants_ringback)
        if self._refused is not None:
            tones.setdefault(Channel.PROGRESS, self._refused)
        self._play(tones)

    def hush(self) -> bool:
        """End a refusal's tone, because the user does something; whether there was one."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._end_refusal()
        return True

    def stop(self) -> None:
        """Silence, for good."""
        self.hush()
        self._play({})

    def _refuse(self, tone: ToneKind) -> None:
        self.hush()
        self._refused = tone
        self._timer = asyncio.get_running_loop().call_later(REFUSAL_TONE_S, self._end_refusal)

    def _end_refusal(self) -> None:
        self._timer = self._refused = None
        self._play({channel: kind for channel, kind in self._playing.items() if channel is not Channel.PROGRESS})

    def _play(self, tones: Tones) -> None:
        before, self._playing = self._playing, tones
        for channel in Channel:
            if tones.get(channel) is not before.get(channel):
                self._player.play(channel, tones.get(channel))
