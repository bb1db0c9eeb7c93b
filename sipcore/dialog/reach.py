"""Whether the peer of a call can be reached, and what becomes of the call while it cannot (docs/resilience.md "Calls").

    REACHED ──flow lost──▶ LOST ──a message of the dialog on the new flow──▶ REACHED
                             └── lost and nothing heard, both for media_timeout ──▶ the call is given up

Lost signalling alone ends nothing: a call that is heard goes on for as long as it is. What the peer has to be told
meanwhile waits here or in :mod:`sipcore.dialog.modify_out`.
"""

from typing import TYPE_CHECKING, Protocol

from sipcore.dialog.core import Core, Timer
from sipcore.dialog.session import Input
from sipcore.errors import Phrase
from sipcore.events import CallId, EndedBy, Event, SignallingChanged

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_RETRY = 4.0
_LONGEST_RETRY = 30.0


class ReachedCall(Protocol):
    """What is needed of :class:`sipcore.dialog.call.Call`."""

    core: Core
    id: CallId
    held: bool
    """Whether the peer holds us."""

    @property
    def up(self) -> bool:
        """Whether it was answered and goes on."""
        ...

    @property
    def over(self) -> bool:
        """Whether nothing but the end is left to do."""
        ...

    def report(self, event: Event) -> None:
        """Tell the owner of the stack."""
        ...

    def start(self, timer: Timer, at: float) -> None:
        """Let a timer come."""
        ...

    def stop(self, *timers: Timer) -> None:
        """Cancel timers."""
        ...

    def blame(self, by: EndedBy, status: int = 0, reason: str = "") -> None:
        """Say what the last event will say."""
        ...

    def feed(self, event: Input, now: float) -> None:
        """Feed the table."""
        ...


class Reach:
    """One call's. ``restored`` is called when the peer is reached again."""

    def __init__(self, call: ReachedCall) -> None:
        self._call = call
        self.restored: Callable[[float], None] = lambda _: None
        self._lost_since: float | None = None
        self._silent_since: float | None = None
        self._failures = 0

    @property
    def lost(self) -> bool:
        """Whether the peer does not know where we are, as far as we know."""
        return self._lost_since is not None

    # --- signalling ----------------------------------------------------------------------------------------

    def flow_lost(self, now: float) -> None:
        """The connection is gone."""
        if self._call.up and self._lost_since is None:
            self._lost_since = now
            self._failures = 0
            self._call.report(SignallingChanged(self._call.id, up=False))
            self._arm()

    def proven(self, now: float) -> None:
        """A message of the dialog came by the present flow."""
        if self._lost_since is None or self._call.core.flow is None:
            return
        self._lost_since = None
        self._arm()
        if not self._call.over:
            self._call.report(SignallingChanged(self._call.id, up=True))
            self.restored(now)

    def retry_after(self) -> float:
        """How long to wait until the peer is asked again, in seconds: longer each time."""
        self._failures += 1
        return min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** (self._failures - 1))

    # --- media ---------------------------------------------------------------------------------------------

    def silent(self, since: float | None) -> None:
        """Nothing has been heard of the peer since then although it may speak; None: it is heard."""
        self._silent_since = since
        self._arm()

    def hold_changed(self) -> None:
        """The peer holds us, or does not any more: whoever holds may be silent, not every PBX plays music then."""
        self._arm()

    def _arm(self) -> None:
        call = self._call
        timeout = call.core.settings.media_timeout
        if self._lost_since is None or self._silent_since is None or not timeout or not call.up or call.held:
            call.stop(Timer.SILENCE)
        else:
            call.start(Timer.SILENCE, max(self._lost_since, self._silent_since) + timeout)

    def on_timer(self, now: float) -> None:
        """Timer SILENCE went off: neither sound nor signalling came back in time."""
        call = self._call
        reason = Phrase(
            "Nothing was heard for {seconds:g} s, and the PBX could not be reached.",
            seconds=call.core.settings.media_timeout,
        )
        call.blame(EndedBy.ERROR, 408, reason)
        call.feed(Input.EXPIRED, now)
