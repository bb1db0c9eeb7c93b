"""What the verbs of one call share: identity, state, dialog, media, and who is to blame for the end.

verb modules ── feed(input) ──▶ table (session.py) ── effects ──▶ usage.py
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sipcore.dialog.core import Core, Timer
from sipcore.dialog.dialog import Dialog
from sipcore.dialog.reach import Reach
from sipcore.dialog.session import Effect, Input, SessionMachine, State
from sipcore.dialog.session_timer import SessionTimer
from sipcore.dialog.snapshot import CallSnapshot
from sipcore.events import CallId, CallState, CallStateChanged, EndedBy, Event, HoldChanged, MediaNegotiated
from sipcore.media import Direction, LocalMedia, MediaParameters
from sipcore.sdp.offer_answer import OfferAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What the last event of a call will say."""

    by: EndedBy
    status: int = 0
    reason: str = ""
    answered_elsewhere: bool = False


class Call:
    """One call; ``perform`` carries out an effect of the table."""

    def __init__(self, core: Core, call_id: CallId, state: State, perform: Callable[[Effect, float], None]) -> None:
        self.core = core
        self.id = call_id
        self.machine = SessionMachine(state)
        self.outgoing = state is State.CALLING
        self.dialog: Dialog | None = None
        """The confirmed dialog, or for an incoming call the early one."""

        self.negotiation = OfferAnswer(core.ids, codecs=core.settings.codecs, allow_sdes=core.secure_signalling)
        self.media: LocalMedia | None = None
        """Our side of the stream, from ``dial`` or ``answer`` on."""

        self.timer = SessionTimer(core.timers, call_id, core.settings)
        self.reach = Reach(self)
        self.holding = False
        """Our own hold, confirmed by the peer or by our answer."""

        self.held = False
        """The peer's hold."""

        self.answered = False
        self.slept = False
        """Whether the machine slept since the session timer was set."""

        self.status, self.reason = 0, ""
        """Of the response that :data:`CallStateChanged` is about to report."""

        self.ending: Ending | None = None
        self._perform = perform
        self._shown: CallState | None = None
        self._rounds = 0
        self._parameters: MediaParameters | None = None

    def adopt_untrusted(self, kept: CallSnapshot, media: LocalMedia) -> None:
        """Become the answered call another process had, whose sound is to go through ``media``; raises ParseError.

        What was agreed is reported where that says all there is to know; an encrypted stream needs another round.
        """
        self.outgoing = kept.outgoing
        self.dialog = Dialog.restored_untrusted(kept.dialog)
        self.negotiation = OfferAnswer.restored_untrusted(self.core.ids, kept.negotiation, media)
        self.media = media
        self.answered = True
        self._shown = CallState.ACTIVE
        self.timer.restore(kept.session_interval, we_refresh=kept.we_refresh, expires_at=kept.expires_at)
        parameters = self.negotiation.parameters
        if parameters is not None and kept.negotiation.keying == "none":
            self.negotiated(parameters, holding=kept.holding)
        elif parameters is not None:
            self.holding, self.held = kept.holding, parameters.on_hold_by_peer

    def snapshot(self) -> CallSnapshot | None:
        """What is to be kept of it; None before an answer, and once it ends."""
        negotiation = self.negotiation.snapshot()
        if not self.up or self.dialog is None or negotiation is None:
            return None
        return CallSnapshot(
            id=self.id,
            outgoing=self.outgoing,
            dialog=self.dialog.snapshot(),
            negotiation=negotiation,
            holding=self.holding,
            session_interval=self.timer.interval,
            we_refresh=self.timer.we_refresh,
            expires_at=self.timer.expires_at,
        )

    @property
    def state(self) -> State:
        """Where the call is."""
        return self.machine.state

    @property
    def over(self) -> bool:
        """Whether nothing but the end is left to do."""
        return self.machine.state in (State.ENDING, State.ENDED)

    @property
    def up(self) -> bool:
        """Whether the call was answered and goes on."""
        return self.machine.state in (State.ACCEPTED, State.CONFIRMED)

    @property
    def wanted(self) -> Direction:
        """What we would do with the stream: hold is sendonly (RFC 3264 §8.4)."""
        return Direction.SENDONLY if self.holding else Direction.SENDRECV

    def feed(self, event: Input, now: float) -> None:
        """Feed the table and carry out what it says."""
        self.machine.handle(event)
        effects, self.machine.effects = self.machine.effects, []
        for effect in effects:
            self._perform(effect, now)

    def blame(self, by: EndedBy, status: int = 0, reason: str = "", *, answered_elsewhere: bool = False) -> None:
        """Say what the last event will say; the first to blame is the one that counts."""
        if self.ending is None:
            self.ending = Ending(by=by, status=status, reason=reason, answered_elsewhere=answered_elsewhere)

    def report(self, event: Event) -> None:
        """Tell the owner of the stack."""
        self.core.events.append(event)

    def show(self, state: CallState) -> None:
        """Report a state the user has not been shown yet."""
        if state is not self._shown:
            self._shown = state
            self.report(CallStateChanged(self.id, state, self.status, self.reason))

    def start(self, timer: Timer, at: float) -> None:
        """Let ``timer`` come at ``at``."""
        self.core.timers.set((self.id, timer), at)

    def stop(self, *timers: Timer) -> None:
        """Cancel these timers."""
        for timer in timers:
            self.core.timers.cancel((self.id, timer))

    def negotiated(self, parameters: MediaParameters, *, holding: bool | None = None) -> None:
        """A round of offer and answer is complete; one that was reported already (early media) is not new.

        ``holding``: what our side of it said, where it changed.
        """
        if holding is None:
            holding = self.holding
        if parameters != self._parameters:
            self._parameters = parameters
            # Forks number their rounds each on its own; the audio side compares the numbers of a call.
            self._rounds += 1
            self.report(MediaNegotiated(self.id, replace(parameters, negotiation=self._rounds)))
            if not parameters.direction.receives:
                self.reach.silent(None)  # nothing is to be heard
        if (holding, parameters.on_hold_by_peer) != (self.holding, self.held):
            self.holding, self.held = holding, parameters.on_hold_by_peer
            self.reach.hold_changed()
            self.report(HoldChanged(self.id, self.holding, self.held))
