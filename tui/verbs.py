"""What the keys do: each verb looks at the state, sends a command, and says plainly when it cannot.

A command names the call the screen showed when the key was pressed, so that a call which began or ended in between
is never answered or ended by mistake.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from phone.client import EngineGone, Refused
from phone.protocol import commands as cmd
from tui.i18n import _
from tui.widgets.alert import ringing
from tui.widgets.calls import current_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState

RING_GUARD_S = 0.4
"""Letters are ignored this long after a ring appears: somebody was typing."""

HANG_UP_GUARD_S = 0.6
"""A second press this soon is a double press, not the end of the next call."""

VOLUME_STEP = 10
"""Per cent a key press changes the volume by."""

DTMF_KEYS = "0123456789*#"


class Console(Protocol):
    """What the verbs need of the application."""

    @property
    def state(self) -> PhoneState:
        """The newest state."""
        ...

    async def send(self, command: cmd.Command) -> object:
        """Carry out a command; raises Refused, or EngineGone."""
        ...

    def tell(self, title: str, message: str) -> None:
        """A short notice that something was not done."""
        ...

    def echo(self, digit: str) -> None:
        """Show a digit that was sent."""
        ...

    def note(self, text: str) -> None:
        """Show what a key did, for a moment."""
        ...


class Verbs:
    """Carries out actions for a :class:`Console`."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._ring_seen: tuple[str, float] = ("", 0.0)
        self._hung_up_at = float("-inf")

    # --- guards --------------------------------------------------------------------------------------------

    def notice_ring(self) -> bool:
        """Remember when a ringing call appeared; True the first time, so that the bell sounds once."""
        call = ringing(self._console.state)
        if call is None or call.id == self._ring_seen[0]:
            return False
        self._ring_seen = (call.id, self._clock())
        return True

    def letters_blocked(self) -> bool:
        """Whether a ring has appeared so lately that a letter was meant for something else."""
        call = ringing(self._console.state)
        return call is not None and call.id == self._ring_seen[0] and self._clock() - self._ring_seen[1] < RING_GUARD_S

    # --- verbs ---------------------------------------------------------------------------------------------

    async def dial(self, target: str) -> bool:
        """Call ``target``; True when the INVITE is on its way."""
        return await self._do(cmd.Dial(target))

    async def answer(self) -> None:
        """Answer the ringing call."""
        if (call := ringing(self._console.state)) is None:
            self._console.tell(_("Answer"), _("No call is ringing."))
            return
        await self._do(cmd.Answer(call.id))

    async def hang_up(self) -> None:
        """End the current call; with none, reject the ringing one."""
        now = self._clock()
        if now - self._hung_up_at < HANG_UP_GUARD_S:
            return
        state = self._console.state
        call = self._target_of_hang_up(state)
        if call is None:
            self._console.tell(_("Hang up"), _("There is no call."))
            return
        self._hung_up_at = now
        await self._do(cmd.Hangup(call.id))

    def _target_of_hang_up(self, state: PhoneState) -> CallSlice | None:
        waiting, current = ringing(state), current_call(state)
        if waiting is not None and (current is None or current.held or current is waiting):
            return waiting
        return waiting if current is None else current

    async def hold(self) -> None:
        """Hold the current call, or take it back."""
        if call := self._active():
            await self._do(cmd.Resume(call.id) if call.held else cmd.Hold(call.id))

    async def mute(self) -> None:
        """Mute or unmute the current call."""
        if call := self._active():
            await self._do(cmd.Unmute(call.id) if call.muted else cmd.Mute(call.id))

    async def record(self) -> None:
        """Record the current call, or end its recording."""
        if call := self._active():
            await self._do(cmd.Record("stop" if call.recording else "start", call.id))

    async def volume(self, change: int) -> None:
        """Turn what is heard now up or down: the bell while it rings; beside a call that is talked on nothing does."""
        bell = ringing(self._console.state) is not None and not self._engaged()
        try:
            reply = await self._console.send(cmd.Volume(change=change, ring=bell))
        except (Refused, EngineGone) as error:
            self._console.tell(_("Not done"), str(error))
            return
        level = reply.get("ring_volume" if bell else "volume") if isinstance(reply, dict) else None
        if isinstance(level, int):
            words = _("Ring volume {percent} %") if bell else _("Volume {percent} %")
            self._console.note(f"{words.format(percent=level)}  {volume_bar(level)}")

    def _engaged(self) -> bool:
        """Whether a call has the ear, so that the next one beeps there."""
        return any(
            not call.held and call.state != "ending" and not (call.direction == "in" and call.state == "ringing")
            for call in self._console.state.calls
        )

    async def swap(self) -> None:
        """Take back the call that is on hold; the engine holds the other one."""
        held = [call for call in self._console.state.calls if call.state == "active" and call.held]
        if not held:
            self._console.tell(_("Swap"), _("No other call is on hold."))
            return
        await self._do(cmd.Resume(held[0].id))

    async def transfer(self, target: str) -> None:
        """Send the current call's far end to ``target``."""
        if call := self._active():
            await self._do(cmd.Transfer(target, call.id))

    async def retry(self) -> None:
        """Connect and register at once."""
        await self._do(cmd.Register())

    async def digit(self, key: str) -> bool:
        """Send a digit in the current call; False where none is up and the digit should be dialled instead."""
        call = current_call(self._console.state)
        if call is None or call.state != "active" or call.held:
            return False
        if await self._do(cmd.Dtmf(key, call.id)):
            self._console.echo(key)
        return True

    def _active(self) -> CallSlice | None:
        call = current_call(self._console.state)
        if call is None or call.state != "active":
            self._console.tell(_("Not now"), _("There is no answered call."))
            return None
        return call

    async def _do(self, command: cmd.Command) -> bool:
        return await attempt(self._console, self._console.send(command))


def volume_bar(percent: int) -> str:
    """A cell for each ten per cent; what lies beyond 100 is drawn differently."""
    filled = min(max(round(percent / 10), 0), 15)
    return ("█" * min(filled, 10)).ljust(10, "·") + "▓" * max(filled - 10, 0)


async def attempt(console: Console, work: Awaitable[object]) -> bool:
    """Await a command; a refusal is told in its own words. True when it was carried out."""
    try:
        await work
    except Refused as refusal:
        console.tell(_("Not done"), str(refusal))
    except EngineGone:
        console.tell(_("Not done"), _("The phone engine does not answer."))
    else:
        return True
    return False
