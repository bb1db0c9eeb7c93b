"""The real stack, translator, state and toast table on virtual time: what a user is told in an outage, in order.

SimPhone (sipcore on tests/sim) ── events ──▶ Translator ──▶ reduce, toast_for ──▶ ToastBoard ──▶ told
                                ── log records ──▶ lines
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phone.state import PhoneState, reduce
from phone.translate import Translator
from sipcore import events as sip
from tests.sim.pbx import SimPbx
from tests.sim.phone import SimPhone
from tests.sim.world import World
from tui.toast_board import ToastBoard
from tui.toasts import Toast, toast_for
from tui.widgets.alert import alert_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phone.protocol import events as ev
    from sipcore.config import Resilience

EVENTS: tuple[type, ...] = sip.Event.__args__


@dataclass(frozen=True, slots=True)
class Told:
    """One toast as it appeared, ``at`` seconds after the story's beginning."""

    at: float
    toast: Toast

    @property
    def words(self) -> tuple[str, str, str, float]:
        """Title, message, severity, seconds."""
        return self.toast.title, self.toast.message, self.toast.severity, self.toast.seconds


class _Lines(logging.Handler):
    def __init__(self, world: World, lines: list[tuple[float, str]]) -> None:
        super().__init__(logging.INFO)
        self._world, self._lines = world, lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self._lines.append((self._world.now, record.getMessage()))


class Story:
    """One phone at one PBX, and a console that is looked at. Times count from :meth:`begin`."""

    def __init__(self, settings: Resilience | None = None, *, expires_s: int = 600) -> None:
        self.world = World(7)
        self.pbx = SimPbx(self.world, {"1001": "right"}, expires_s=expires_s)
        self.phone = SimPhone(self.world, self.pbx, settings=settings, watch=self._seen)
        self.state = PhoneState()
        self.told: list[Told] = []
        self.events: list[ev.Event] = []
        self.standing: list[Toast] = []
        self.lines: list[tuple[float, str]] = []
        self._translator = Translator(account="1001@pbx.sim", call_name=lambda call: str(call))
        self._board = ToastBoard(show=self._show, clear=self.standing.clear, clock=lambda: self.world.now)
        self._began = self.world.now

    def _seen(self, thing: object) -> None:
        if not isinstance(thing, EVENTS):
            return  # an effect
        for event in self._translator.from_stack(thing, self.world.now):  # type: ignore[arg-type]
            self.events.append(event)
            self.state = reduce(self.state, event)
            if (toast := toast_for(event)) is not None:
                before = list(self.standing)
                self._board.put(toast)
                if self.standing != before:
                    self.told.append(Told(round(self.world.now - self._began, 1), toast))

    def _show(self, toast: Toast, seconds: float) -> None:
        self.standing.append(toast)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self.standing.remove(toast)

        self.world.after(seconds, end)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Register and settle; what is told and logged within the block is the story."""
        logger, handler = logging.getLogger("sipcore"), _Lines(self.world, self.lines)
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            self.phone.run(self.phone.stack.start)
            self.wait(5.0)
            assert self.state.registration.state == "registered"
            self.told.clear()
            self.events.clear()
            self.lines.clear()
            self._began = self.world.now
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run_until(self.world.now + seconds)

    def banner(self) -> str:
        """The first row of the alert slot."""
        rows = alert_rows(self.state, now=self.world.now, attached=True, quiet=False)
        return "".join(text for text, _ in rows[0]).strip()

    @property
    def titles(self) -> list[str]:
        """The titles of what was told."""
        return [told.toast.title for told in self.told]
