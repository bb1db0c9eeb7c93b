"""One run of one row: a fresh phone in the world, a fault, and the time until it rings again."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bench.resilience.peer import Offhook
from bench.resilience.world import ACCOUNT, ACCOUNTS, Bell, World, pause_s

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_S = 240.0
NEVER_QUICK_S = 60.0
_RING_EVERY_S, _RING_SLOWLY_S, _SLOWLY_AFTER_S = 0.25, 1.0, 10.0


@dataclass(slots=True)
class Outcome:
    """What a run found. ``seconds`` is None for "never"; ``facts`` are shown, ``broken`` promises fail the bench."""

    seconds: float | None = None
    facts: dict[str, float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    load: float = 0.0

    def check(self, promise: str, kept: bool) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.broken.append(promise)


class Stage:
    """A context manager around one run."""

    def __init__(self, world: World, *, quick: bool, proxied: bool = False, **tables: dict[str, object]) -> None:
        self.world = world
        self.quick = quick
        self.limit_s = NEVER_QUICK_S if quick else NEVER_S
        self.outcome = Outcome()
        self.phone = Offhook(
            world.proxy.uri if proxied else world.uri,
            ACCOUNT,
            ACCOUNTS[ACCOUNT].password,
            command_prefix=world.namespace.command(),
            **tables,
        )
        self._clean_up = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.phone.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._clean_up.close()
        finally:
            self.phone.close()
            with contextlib.suppress(AssertionError, RuntimeError):
                self.world.hang_up_all()

    def afterwards(self, undo: Callable[[], object]) -> None:
        """Undo something when the run is over, however it ends."""
        self._clean_up.callback(undo)

    def until_rings(self, since: float) -> Outcome:
        """:meth:`ring`, then :meth:`settle`: the end of most runs."""
        self.ring(since)
        self.settle()
        return self.outcome

    def ring(self, since: float) -> Outcome:
        """Call the phone until it rings; ``since`` (Unix time) is the fault's end."""
        bell, outcome, phone = Bell(self.world), self.outcome, self.phone
        next_at, registrations = 0.0, 0
        while time.time() < since + self.limit_s and phone.rang_at(since) is None:
            # A new registration is worth a call at once; otherwise one every quarter of a second, later one a second.
            known = len(phone.all("registered", since))
            if time.time() >= next_at or known > registrations:
                registrations = known
                bell.ring()
                next_at = time.time() + (_RING_EVERY_S if time.time() < since + _SLOWLY_AFTER_S else _RING_SLOWLY_S)
            time.sleep(0.01)
        rang = phone.rang_at(since)
        outcome.seconds = None if rang is None else rang - since
        registered = phone.registered_at(since)
        if registered is not None:
            outcome.facts["registered"] = registered - since
        outcome.load = os.getloadavg()[0]
        return outcome

    def settle(self) -> None:
        """End every call and count the contacts that are left at the PBX."""
        pause_s(0.3)
        with contextlib.suppress(AssertionError):
            self.world.hang_up_all()
        contacts = self.world.contacts()
        self.outcome.facts["contacts"] = contacts
        self.outcome.check(f"{contacts} contacts at the end", contacts == 1)
