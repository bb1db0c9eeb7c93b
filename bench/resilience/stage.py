"""One run of one row: a fresh phone in the world, a fault, and the time until it rings again."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from bench.peers.registry import PEERS
from bench.resilience.peer import Offhook
from bench.resilience.world import ACCOUNT, ACCOUNTS, Bell, pause_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.resilience.world import World

CAP_S = 240.0
CAP_QUICK_S = 60.0
_RING_EVERY_S, _RING_SLOWLY_S, _SLOWLY_AFTER_S = 0.25, 1.0, 10.0


class NotSetError(Exception):
    """The phone did not register before any fault: this says nothing about the row."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a row is run with: the world, which phone, and how long is "never"."""

    world: World
    peer: str = "offhook"
    quick: bool = False
    """Outages are shortened where a row says so."""

    cap_s: float = CAP_S

    def within(self, world: World) -> Trial:
        """The same in another world."""
        return replace(self, world=world)


@dataclass(slots=True)
class Outcome:
    """What a run found. ``seconds`` is None for "never"; ``facts`` are shown, ``broken`` promises fail the bench."""

    seconds: float | None = None
    facts: dict[str, float | str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    load: float = 0.0
    cap_s: float = CAP_S

    def check(self, promise: str, kept: bool) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.broken.append(promise)


class Stage:
    """A context manager around one run."""

    def __init__(
        self,
        trial: Trial,
        *,
        proxied: bool = False,
        uri: str = "",
        account: str = ACCOUNT,
        account_table: dict[str, object] | None = None,
        resilience: dict[str, object] | None = None,
    ) -> None:
        """The tables of settings are Offhook's; the others run as they are."""
        self.trial = trial
        self.world = trial.world
        self.pbx = trial.world.pbx
        """The one that calls."""
        self.account = account
        self.outcome = Outcome(cap_s=trial.cap_s)
        self.phone = PEERS[trial.peer].make(
            uri or (self.world.proxy.uri if proxied else self.world.uri),
            account,
            ACCOUNTS[account].password,
            command_prefix=self.world.namespace.command(),
            **({"account": account_table, "resilience": resilience} if trial.peer == "offhook" else {}),
        )
        self._clean_up = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self.phone.start()
        except AssertionError as error:
            self.phone.close()
            raise NotSetError(str(error)) from error
        except BaseException:
            self.phone.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._clean_up.close()
        finally:
            self.phone.close()
            with contextlib.suppress(AssertionError, RuntimeError):
                self._hang_up_all()

    @property
    def offhook(self) -> Offhook:
        """The phone, in a row that only Offhook is asked for."""
        assert isinstance(self.phone, Offhook)
        return self.phone

    def promise(self, what: str, kept: bool) -> None:
        """Something Offhook promises; nobody else did."""
        if isinstance(self.phone, Offhook):
            self.outcome.check(what, kept)

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
        bell, outcome, phone = Bell(self.pbx, self.account), self.outcome, self.phone
        next_at, registrations = 0.0, 0
        while time.time() < since + self.trial.cap_s and phone.rang_at(since) is None:
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
            self._hang_up_all()
        contacts = len(self.pbx.contacts(self.account))
        self.outcome.facts["contacts"] = contacts
        self.promise(f"{contacts} contacts at the end", contacts == 1)

    def _hang_up_all(self) -> None:
        self.pbx.cli("channel request hangup all")
        self.pbx.wait_no_channels()
