"""The invariants of calls (docs/resilience.md "Calls"), checked while a run goes on and at its end.

CallWatch.answered ── the PBX hears of it
CallWatch.seen     ── a call that is heard is never dropped, one being set up not without a reason
CallWatch.settled  ── phone and PBX hold the same calls, in one state, where the phone is now, told once a flow
CallWatch.over     ── nothing left on either side
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcore import events as ev
from tests.sim.call import Phase
from tests.sim.world import End

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from sipcore.config import Resilience
    from tests.sim.call import Call
    from tests.sim.line import Line
    from tests.sim.pbx import SimPbx
    from tests.sim.phone import SimPhone
    from tests.sim.world import Connection

_SLACK_S = 2.5
"""The simulated phone listens once a second."""

_HEARD_S = 5.0
"""Time for three attempts at a 200: two may get lost."""


class CallWatch:
    """Watches the calls of one phone; ``fail`` raises."""

    def __init__(self, pbx: SimPbx, phone: SimPhone, settings: Resilience, fail: Callable[[str], NoReturn]) -> None:
        self._pbx, self._phone, self._settings, self._fail = pbx, phone, settings, fail
        self.silenced = 0
        """How many calls were given up because nothing was heard and nobody could be asked."""
        self._rang: set[str] = set()
        """Call-IDs of our calls that were said to ring."""

    # --- while it goes on --------------------------------------------------------------------------------------

    def seen(self, thing: object) -> None:
        """Every effect and every event, before the phone forgets what it was about."""
        match thing:
            case ev.CallEnded() if (line := self._phone.lines.get(thing.call)) is not None:
                self._phone.world.note(f"= {thing.call} ended by {thing.by.value} {thing.status} {thing.reason}")
                self._ended(line, thing)
            case ev.CallStateChanged(call=call, state=state):
                self._phone.world.note(f"= {call} {state.value}")
                if state is ev.CallState.RINGING and call in self._phone.lines:
                    self._rang.add(self._phone.lines[call].sip)
            case ev.VerbFailed(call=call, verb=verb, status=status):
                self._phone.world.note(f"= {call} {verb} failed: {status}")
            case _:
                pass

    def _ended(self, line: Line, event: ev.CallEnded) -> None:
        if line.ending:
            return
        call = self._pbx.dialogs.get(line.sip)
        if event.answered:
            if self._phone.hears(line) and not line.silent and not line.holding:  # silent: it could not know yet
                self._fail(f"call {line.call} was dropped although it is heard: {event.reason}")
            if call is not None and call.phase is Phase.UP:
                self._given_up(line, call, event)
        elif line.outgoing and call is not None and call.phase is Phase.RINGING and self._works(call.connection):
            self._fail(f"call {line.call} was given up while it rings: {event.reason}")

    def _given_up(self, line: Line, call: Call, event: ev.CallEnded) -> None:
        """The PBX still has it: only silence excuses that, or an ACK that never came."""
        silent_s = self._phone.world.now - line.heard_at
        if call.unacked or (not line.outgoing and event.status == 408 and not line.active):
            return
        if silent_s < self._settings.media_timeout - _SLACK_S:
            self._fail(f"call {line.call} was dropped after {silent_s:.1f} s of silence: {event.reason}")
        self.silenced += 1

    def answered(self, line: Line) -> None:
        """The user took a call: its 200 must get to a PBX that can be reached and still rings."""
        self._must_hear(line, self._phone.world.now)

    def _must_hear(self, line: Line, reachable_since: float) -> None:
        call, world = self._pbx.dialogs.get(line.sip), self._phone.world
        if self._phone.lines.get(line.call) is not line or call is None or call.phase is not Phase.CALLING:
            return
        if line.resumed:
            return  # the next engine has the call, not the transaction of its INVITE
        if self._phone.trusts_a_dead_flow or not self._is_reachable():
            reachable_since = (
                world.now
            )  # a flow that is dead is left when its pings stay unanswered, of two the one or the other
        if world.now - reachable_since > _HEARD_S:
            self._fail(f"call {line.call} was answered, and the PBX, which rings on, has not heard of it")
        world.after(0.5, lambda: self._must_hear(line, reachable_since))

    def _is_reachable(self) -> bool:
        phone, now = self._phone, self._phone.world.now
        blocked = self._pbx.mute_until > now or phone.wire.hole_until > now or phone.asleep_until > now or phone.dead
        registered = phone.stack.registration_state is ev.RegistrationState.REGISTERED
        return registered and not blocked and self._pbx.reachable(phone.name)

    def _works(self, connection: Connection) -> bool:
        return not connection.cut and connection.is_open[End.PHONE] and connection.is_open[End.PBX]

    # --- the end -----------------------------------------------------------------------------------------------

    def settled(self) -> None:
        """After the last fault, the last wish and the time allowed."""
        lines = {line.sip: line for line in self._phone.lines.values()}
        calls = self._calls_at_pbx()
        for sip, line in lines.items():
            if not line.active:
                self._fail(f"call {line.call} {sip[:6]} is neither up nor over")
            if sip not in calls:
                self._fail(f"the phone holds call {line.call} {sip[:6]}, which the PBX has forgotten")
        for sip, call in calls.items():
            if call.phase is not Phase.UP:
                self._fail(f"call {sip[:6]} is still {call.phase.name} at the PBX")
            if sip not in lines:
                self._fail(f"the PBX holds call {sip[:6]}, which the phone has forgotten")
            self._agrees(lines[sip], call)
        self._told_once()
        if unheard := [sip[:6] for sip in self._pbx.switch.unheard]:
            self._fail(f"the PBX got no ACK and ended {unheard}")

    def _calls_at_pbx(self) -> dict[str, Call]:
        """Without those whose INVITE came so late that its caller can know nothing of its ringing."""
        return {
            call_id: call
            for call_id, call in self._pbx.dialogs.items()
            if call.account == self._phone.name and (call.phase is not Phase.RINGING or call_id in self._rang)
        }

    def _agrees(self, line: Line, call: Call) -> None:
        name = f"{line.call} {line.sip[:6]}"
        if not self._works(self._pbx.switch.route(call)):
            self._fail(f"the PBX has not been told the new Contact of call {name}")
        if call.address != self._phone.wire.address:
            self._fail(f"the PBX sends the sound of call {name} to {call.address}")
        if line.holding != (call.direction in ("sendonly", "inactive")):
            self._fail(f"call {name} is {call.direction} at the PBX, the user wants hold: {line.holding}")
        if not line.holding and not line.held and not self._phone.hears(line):
            self._fail(f"call {name} is not heard")

    def _told_once(self) -> None:
        """One re-INVITE a dialog and flow; the session timer has others."""
        last: dict[tuple[str, int], bytes] = {}
        for sip, connection, sdp in self._pbx.refreshed:
            key = (sip, id(connection))
            if last.get(key) == sdp and not self._pbx.switch.manner.session_expires:
                self._fail(f"call {sip[:6]} was refreshed twice on one flow")
            last[key] = sdp

    def over(self) -> None:
        """Everybody has hung up."""
        if self._phone.lines:
            self._fail(f"a BYE did not arrive at the phone: {list(self._phone.lines)}")
        if left := [call_id[:6] for call_id in self._calls_at_pbx()]:
            self._fail(f"a BYE did not arrive at the PBX: {left}")
