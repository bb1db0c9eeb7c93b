"""A BYE and what becomes of it (RFC 3261 §15): it is sent until the peer has heard it, on a later flow if need be."""

from collections.abc import Callable

from sipcore.dialog.core import Core, Failure, Outcome, Timer
from sipcore.dialog.dialog import Dialog
from sipcore.events import CallId
from sipcore.message.message import Response


class Farewell:
    """Ends one confirmed dialog.

    ``finished`` is called once, when the BYE was answered, gave up, or has to wait for the next flow: for the user
    the call is over then. :attr:`over` says when nothing is left to be sent.
    """

    def __init__(
        self, core: Core, key: CallId, dialog: Dialog, finished: Callable[[float], None] = lambda _: None
    ) -> None:
        self._core = core
        self._key = key
        self._finished: Callable[[float], None] | None = finished
        self.dialog = dialog
        self.over = False
        self._waiting = False

    def start(self, now: float) -> None:
        """Send the BYE."""
        self._core.timers.set((self._key, Timer.BYE), now + self._core.settings.bye_memory)
        self._send(now)

    def keep(self, now: float) -> None:
        """Send the BYE once there is a flow: another process owed it."""
        self._core.timers.set((self._key, Timer.BYE), now + self._core.settings.bye_memory)
        self._waiting = True

    def flow_recovered(self, now: float) -> None:
        """Send the BYE that a lost flow swallowed."""
        if self._waiting and not self.over:
            self._waiting = False
            self._send(now)

    def heard(self, now: float) -> None:
        """The peer knows: it sent a BYE of its own, or waiting any longer is useless."""
        self.over = True
        self._core.timers.cancel((self._key, Timer.BYE))
        self._finish(now)

    def _send(self, now: float) -> None:
        bye = self.dialog.request("BYE")
        self._core.request(bye, self._on_outcome, now, dialog=self.dialog, next_cseq=self.dialog.next_cseq)

    def _on_outcome(self, outcome: Outcome, now: float) -> None:
        match outcome:
            case Failure.TRANSPORT:
                # The peer's user still hears a call that is over here.
                self._waiting = True
                self._finish(now)
            case Failure.TIMEOUT:
                self.heard(now)
            case Response() if outcome.is_final:
                self.heard(now)
            case Response():
                pass

    def _finish(self, now: float) -> None:
        finished, self._finished = self._finished, None
        if finished is not None:
            finished(now)
