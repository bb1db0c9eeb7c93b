"""The phone's calls beyond what the state shows: which call of the stack is which of ours, and which one a verb means.

Our ids are four characters, to be typed: the stack's Call-IDs are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState
    from sipcore.events import CallId
    from sipcore.ids import IdSource
    from sipcore.media import Profile

MAX_CALLS = 4
"""Lines; a further call gets 486."""

_ID_BITS = 20

Verb = Literal["answer", "hangup", "hold", "resume", "mute", "unmute", "dtmf", "transfer", "record", "meters"]


@dataclass(slots=True)
class Line:
    """One call, as long as it lasts."""

    id: str
    sip: CallId | None
    """None until the INVITE of an outgoing call has left."""

    rang: bool = False
    """The far end said that it rings."""

    heard: bool = False
    """Sound of the far end has come."""

    answering: bool = False

    untried: tuple[Profile, ...] = ()
    """What to offer where the far end refuses the media of the offers before."""

    given_up: str = ""
    """Why the phone itself ends the call: a sentence."""


class Lines:
    """All calls of the phone."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._lines: dict[str, Line] = {}
        self.current: str | None = None
        """The call that has the microphone."""

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines.values()))

    def new(self, sip: CallId | None = None) -> Line:
        """A line with an id that is free."""
        while (name := self._ids.token(_ID_BITS)) in self._lines:
            pass
        line = self._lines[name] = Line(name, sip)
        return line

    def restore(self, name: str, sip: CallId) -> Line:
        """The line of a call that began in another engine."""
        line = self._lines[name] = Line(name, sip)
        return line

    def get(self, name: str) -> Line | None:
        """The line with this id of ours."""
        return self._lines.get(name)

    def by_sip(self, sip: CallId) -> Line | None:
        """The line of a call of the stack."""
        return next((line for line in self._lines.values() if line.sip == sip), None)

    def rang(self, call: CallId) -> None:
        """Note that the far end rings; what it says after that does not take it back."""
        if (line := self.by_sip(call)) is not None:
            line.rang = True

    def heard(self, name: str) -> None:
        """Note that the far end's sound has come."""
        if (line := self._lines.get(name)) is not None:
            line.heard = True

    def wants_ringback(self, name: str) -> bool:
        """Whether a call that is not answered is to sound as if it rang (RFC 3960 §3.2).

        A 180 asks for it; the far end's own sound, however late it comes and whatever was negotiated, ends it.
        """
        line = self._lines.get(name)
        return line is not None and line.rang and not line.heard

    def forget(self, line: Line) -> None:
        """The call is over."""
        self._lines.pop(line.id, None)
        if self.current == line.id:
            self.current = None

    def choose(self, state: PhoneState, verb: Verb, name: str | None) -> tuple[Line, CallSlice]:
        """The call a verb is for: the one named, else the only one it can mean. Raises CommandRefused."""
        if name is not None:
            call, line = state.call(name), self._lines.get(name)
            if call is None or line is None:
                raise CommandRefused(
                    "no_such_call", Phrase("There is no call {call!r:.40}; see offhook ctl calls.", call=name)
                )
            if not _applies(verb, call):
                raise CommandRefused("call_state", _unfit(verb, call))
            return line, call
        fitting = [call for call in state.calls if call.id in self._lines and _applies(verb, call)]
        if len(fitting) > 1 and verb != "answer":
            fitting = self._preferred(verb, fitting)
        if len(fitting) > 1:
            names = ", ".join(f"{call.id} ({call.peer})" for call in fitting)
            raise CommandRefused("ambiguous", Phrase("Several calls fit, name one of them: {calls}.", calls=names))
        if not fitting:
            raise CommandRefused("no_such_call", _NONE[verb])
        return self._lines[fitting[0].id], fitting[0]

    def _preferred(self, verb: Verb, calls: list[CallSlice]) -> list[CallSlice]:
        """Among several, the current one; to hang up only where no other waits for a decision."""
        if verb == "hangup" and any(call.state == "ringing" and call.direction == "in" for call in calls):
            return calls
        if verb == "resume":
            return calls
        current = [call for call in calls if call.id == self.current]
        return current or [call for call in calls if not call.held] or calls


def _applies(verb: Verb, call: CallSlice) -> bool:
    match verb:
        case "answer":
            return call.state == "ringing" and call.direction == "in"
        case "hangup":
            return call.state != "ending"
        case "hold":
            return call.state == "active" and not call.held
        case "resume":
            return call.state == "active" and call.held
        case "transfer" | "record":
            return call.state == "active"
        case "mute" | "unmute" | "dtmf" | "meters":
            return call.state in ("active", "early")
        case _:
            assert_never(verb)


_NO_CALL = Phrase("There is no call.")
_NONE: dict[Verb, str] = {
    "answer": Phrase("No call is ringing."),
    "hangup": _NO_CALL,
    "hold": Phrase("There is no call to hold."),
    "resume": Phrase("There is no call on hold."),
    "mute": _NO_CALL,
    "unmute": _NO_CALL,
    "dtmf": _NO_CALL,
    "transfer": Phrase("There is no call to transfer."),
    "record": Phrase("There is no call to record."),
    "meters": _NO_CALL,
}


_STATES: dict[str, str] = {
    "calling": Phrase("calling"),
    "ringing": Phrase("ringing"),
    "early": Phrase("not answered yet"),
    "active": Phrase("answered"),
    "ending": Phrase("ending"),
}


def _unfit(verb: Verb, call: CallSlice) -> str:
    if verb == "hold" and call.held:
        return Phrase("Call {call} is on hold already.", call=call.id)
    if verb == "resume" and call.state == "active":
        return Phrase("Call {call} is not on hold.", call=call.id)
    if verb == "answer" and call.state == "active":
        return Phrase("Call {call} is answered already.", call=call.id)
    return Phrase("Call {call} cannot do that now: it is {state}.", call=call.id, state=_STATES[call.state])
