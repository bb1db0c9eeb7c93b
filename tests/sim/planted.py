"""Bugs put in on purpose: after how many seeds does the simulation find each? ``make sim-planted`` prints the table.

    plant (a method or a table row replaced) ── seeds 1, 2, 3 … ──▶ first violation, or not within the limit

A bug that is not found means an invariant, or a part of the world, that is missing. Each plant is undone afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipcore.dialog import dialog, modify_out
from sipcore.dialog.accepted import Accepted
from sipcore.dialog.calls import Calls
from sipcore.dialog.core import Timer
from sipcore.dialog.farewell import Farewell
from sipcore.dialog.invite_out import OutgoingInvite
from sipcore.dialog.modify_out import Modifier
from sipcore.dialog.reach import Reach
from sipcore.dialog.session import Input as CallInput
from sipcore.dialog.usage import Usage
from sipcore.events import ReconnectionSuccess
from sipcore.resilience import flow_table, policy, registration_table
from sipcore.resilience.episode import Episode
from sipcore.resilience.keepalive import Heartbeat, KeepAlive
from sipcore.resilience.lifeline import Lifeline
from sipcore.resilience.outbound import Outbound
from sipcore.resilience.registrar import Registrar
from sipcore.resilience.registration import RegistrationSupervisor
from sipcore.resilience.vitals import Vitals
from sipcore.transaction.layer import TransactionLayer
from sipcore.transaction.server_side import ServerSide
from tests.sim.scenario import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipcore.message.message import Response

LIMIT = 2000

Plant = Any
"""A context manager that puts the bug in and takes it out again."""


@dataclass(frozen=True, slots=True)
class Bug:
    """What is wrong, in words, and how it is put in."""

    name: str
    plant: Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Found:
    """The seed that found it, and by which violation; 0 and empty where none did."""

    name: str
    seeds: int
    violation: str
    seconds: float


# --- tools -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _put(owner: object, name: str, value: object) -> Iterator[None]:
    before = vars(owner)[name] if isinstance(owner, type) else getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _row(table: dict[Any, Any], key: object, value: object) -> Iterator[None]:
    """Another transition, or none."""
    before = table[key]
    if value is None:
        del table[key]
    else:
        table[key] = value
    try:
        yield
    finally:
        table[key] = before


def replaced(owner: object, name: str, value: object) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """``owner.name`` is ``value``."""
    return lambda: _put(owner, name, value)


def without(owner: object, name: str) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """``owner.name`` does nothing."""
    return replaced(owner, name, lambda *_, **__: None)


def row(table: dict[Any, Any], key: object, value: object) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """The table says ``value`` for ``key``."""
    return lambda: _row(table, key, value)


# --- the bugs ----------------------------------------------------------------------------------------------

_R, _F = registration_table, flow_table


def _end_calls_with_the_flow(self: Calls, now: float) -> None:
    """What browsers' phones do."""
    self.set_flow(None, None, now)
    for usage in list(self._registry.calls.values()):
        usage.call.feed(CallInput.GONE, now)


def _say_success_when_connected(self: Lifeline, *arguments: Any) -> None:
    _FLOW_UP(self, *arguments)
    self._outputs.append(ReconnectionSuccess(0.0, 1))


def _refresh_twice(self: Modifier, serial: int, response: Response, now: float) -> None:
    first = self._running.refresh and self._serial % 2 == 1
    _ON_SUCCESS(self, serial, response, now)
    if first:
        self.refresh(now)


def _forget_the_wish(self: Modifier, *, wanted: bool) -> None:
    _TAKE_BACK(self, wanted=False)
    self._wanted.refresh = wanted


def _judge_nothing(self: RegistrationSupervisor, verdict: policy.Verdict) -> policy.Verdict:
    return policy.Verdict.TEMPORARY


def _never_dead(self: Heartbeat, now: float) -> bool:
    self._asked_until = None
    return False


def _count_the_same(self: Registrar, request: Any) -> Any:
    numbered = _NUMBERED(self, request)
    self._series.cseq -= 1
    return numbered


def _wait_without_retry_after(self: RegistrationSupervisor, now: float) -> None:
    self._retry_after_s = None
    _ARM_RETRY(self, now)


def _arm_silence_at_once(self: Reach) -> None:
    if self._silent_since is not None:
        self._call.start(Timer.SILENCE, self._silent_since + 4.0)


def _send_as_it_was(self: Accepted, now: float) -> None:
    self._call.core.layer.respond(self._transaction, self._response, now)


_FLOW_UP = Lifeline._flow_up
_ON_SUCCESS = Modifier._on_success
_TAKE_BACK = Modifier._take_back
_NUMBERED = Registrar._numbered
_ARM_RETRY = RegistrationSupervisor._arm_retry


def _trust_the_lead(self: Outbound, standby: Lifeline, now: float) -> None:
    self._layer.flow_takes_over(self.lead.flow.flow)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    with (
        _put(Heartbeat, "found_dead", _never_dead),
        _put(KeepAlive, "missed", lambda *_: False),
    ):
        yield


@contextlib.contextmanager
def _restless() -> Iterator[None]:
    with _put(Vitals, "unregistered", lambda _: None), _put(KeepAlive, "stop", lambda _: False):
        yield


BUGS: tuple[Bug, ...] = (
    # Registration and connection.
    Bug("connection attempts without a gap", replaced(policy, "reconnection_gap_s", lambda *_, **__: 0.0)),
    Bug("registration attempts without a wait", replaced(policy, "registration_wait_s", lambda *_: 0.0)),
    Bug("a second REGISTER while one is in flight", row(_R.TRANSITIONS, (_R.State.SENDING, _R.Input.START), _R._BEGIN)),
    Bug("Retry-After is not read", replaced(RegistrationSupervisor, "_arm_retry", _wait_without_retry_after)),
    Bug("attempts go on while the link is down", row(_F.TRANSITIONS, (_F.State.WAITING, _F.Input.LINK_DOWN), None)),
    Bug("no background retry", replaced(policy, "background_wait_s", lambda *_, **__: None)),
    Bug("a wrong password is tried every minute", replaced(RegistrationSupervisor, "_judge", _judge_nothing)),
    Bug("reconnected is said when connected", replaced(Lifeline, "_flow_up", _say_success_when_connected)),
    Bug("attempts are announced after failure was", replaced(Episode, "failed", property(lambda _: False))),
    Bug("CSeq of REGISTER does not count up", replaced(Registrar, "_numbered", _count_the_same)),
    Bug("refreshed after the binding's end", replaced(policy, "refresh_wait_s", lambda expires_s, _: expires_s + 20.0)),
    Bug("a dead flow is never noticed", _deaf),
    Bug("losing the second flow says nothing of the first", replaced(Outbound, "_standby_lost", _trust_the_lead)),
    Bug("losing the first flow says nothing of the second", without(Lifeline, "verify")),
    Bug("a resumed machine trusts its connection", without(Lifeline, "resumed")),
    Bug("a new address is ignored", without(Lifeline, "_rehome_or_verify")),
    Bug("the keep-alive runs on after shutdown", _restless),
    # Calls.
    Bug("a lost connection ends the calls", replaced(Calls, "flow_lost", _end_calls_with_the_flow)),
    Bug("the PBX is not told the new Contact", without(Usage, "flow_recovered")),
    Bug("a call is refreshed twice", replaced(Modifier, "_on_success", _refresh_twice)),
    Bug("a BYE is not said afterwards", without(Farewell, "flow_recovered")),
    Bug("a hold in flight is lost with the connection", replaced(Modifier, "_take_back", _forget_the_wish)),
    Bug("the sound stays at the old address", without(Calls, "move_media")),
    Bug("an unanswered call rings on after a loss", without(OutgoingInvite, "_leave_early_dialogs")),
    Bug("four seconds of silence end a call", replaced(Reach, "_arm", _arm_silence_at_once)),
    Bug("481 to a re-INVITE is ignored", replaced(modify_out, "GONE_STATUSES", ())),
    Bug("no Contact before the registration", without(Calls, "reachable_at")),
    Bug("a 200 keeps the Contact it was made with", replaced(Accepted, "_send", _send_as_it_was)),
    Bug("answers do not move to the new flow", without(ServerSide, "flow_opened")),
    Bug("a 200 is sent once", without(Accepted, "retransmit")),
    Bug("a call is answered but not acknowledged", without(OutgoingInvite, "_acknowledge")),
    Bug("a repeated 200 gets no ACK", without(TransactionLayer, "send_again")),
    # Another process.
    Bug("CSeq of dialogs starts anew after a crash", replaced(dialog, "reserved", lambda _: 0)),
    Bug("BYEs are not kept over a crash", without(Calls, "restore_farewell")),
)


# --- the hunt ----------------------------------------------------------------------------------------------


def hunt(bug: Bug, *, limit: int = LIMIT, likely: int = 1) -> Found:
    """Run seeds with the bug in until one finds it: ``likely``, which is one of them, before the others."""
    assert likely <= limit
    began = time.perf_counter()
    with bug.plant():
        for seed in (likely, *range(1, limit + 1)):
            if (violation := run(seed).violation) is not None:
                return Found(bug.name, seed, violation, time.perf_counter() - began)
    return Found(bug.name, 0, "", time.perf_counter() - began)


def _hunt(task: tuple[int, int]) -> Found:
    logging.disable(logging.CRITICAL)
    number, limit = task
    return hunt(BUGS[number], limit=limit)


def main(arguments: list[str] | None = None) -> int:
    """Hunt all of them in two processes; exit status 1 if one got away."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--only", default="", help="those whose name contains this")
    options = parser.parse_args(arguments)
    tasks = [(number, options.limit) for number, bug in enumerate(BUGS) if options.only in bug.name]
    missed = 0
    _write(f"{'bug':<46} {'seeds':>5} {'s':>6}  violation")
    with multiprocessing.Pool(2) as pool:
        for found in pool.imap(_hunt, tasks):
            missed += not found.seeds
            seeds = str(found.seeds) if found.seeds else "-"
            _write(f"{found.name:<46} {seeds:>5} {found.seconds:>6.1f}  {found.violation or 'NOT FOUND'}")
    _write(f"{len(tasks)} bugs, {missed} not found within {options.limit} seeds")
    return 1 if missed else 0


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
