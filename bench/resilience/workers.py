"""Runs side by side, each worker a process with a world of its own: most of a run is waiting.

    jobs ──▶ worker: World (namespace, relay, proxy, Asterisk) ──▶ runs
         └─▶ worker: World                                     ──┘

An interrupt reaches every worker, which takes its world down; a world in which a run broke is replaced.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import date
from queue import Empty
from typing import TYPE_CHECKING

from bench.peers.registry import PEERS
from bench.resilience import table
from bench.resilience.records import BROKE, Run
from bench.resilience.stage import NotSetError, Outcome, Trial
from bench.resilience.world import World
from bench.table import figure
from tests.lab import root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.queues import Queue

GIVES_UP_AFTER = 2
"""A phone that never came back this often in a row of the table is not asked again."""

SETS_UP_AT_MOST = 3
"""How often a run is begun anew where the phone did not even register before the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to make."""

    row: str
    peer: str
    quick: bool
    cap_s: float


def run_all(jobs: Sequence[Job], side_by_side: int) -> Iterator[Run]:
    """Every run as it ends, in any order. ``jobs`` that take longest should come first."""
    context = multiprocessing.get_context("spawn")
    to_do: Queue[Job] = context.Queue()
    done: Queue[Run | None] = context.Queue()
    for job in jobs:
        to_do.put(job)
    never = context.Manager().dict()
    workers = [context.Process(target=_work, args=(to_do, done, never)) for _ in range(min(side_by_side, len(jobs)))]
    for worker in workers:
        worker.start()
    running = len(workers)
    try:
        while running:
            try:
                run = done.get(timeout=5)
            except Empty:
                if not any(worker.is_alive() for worker in workers):
                    raise RuntimeError("the workers ended without saying so") from None
                continue
            if run is None:
                running -= 1
            else:
                yield run
    finally:
        for worker in workers:
            if running:
                worker.terminate()
            worker.join(60)


class _Stand:
    """A worker's world: made at first use, made anew after a run that broke in it."""

    def __init__(self) -> None:
        self._world: World | None = None

    def world(self) -> World:
        self._world = self._world or World().__enter__()
        return self._world

    def take_down(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.__exit__(None, None, None)


def _work(to_do: Queue[Job], done: Queue[Run | None], never: dict[tuple[str, str], int]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    stand = _Stand()
    try:
        while True:
            try:
                job = to_do.get(timeout=1)
            except Empty:
                break
            key = (job.row, job.peer)
            if job.peer != "offhook" and never.get(key, 0) >= GIVES_UP_AFTER:
                continue
            for _ in range(SETS_UP_AT_MOST):
                run, begun = _run(job, stand)
                if begun:
                    break
            if run.seconds is None and not run.broke:
                never[key] = never.get(key, 0) + 1
            done.put(run)
    except KeyboardInterrupt:
        pass
    finally:
        stand.take_down()
        done.put(None)


def _run(job: Job, stand: _Stand) -> tuple[Run, bool]:
    """One run, and whether it got as far as the fault."""
    began, begun = time.monotonic(), True
    try:
        try:
            world = stand.world()
        except (AssertionError, RuntimeError, OSError) as error:
            raise NotSetError(f"no world to run in: {error}") from error
        outcome = table.row(job.row).run(Trial(world, job.peer, job.quick, job.cap_s))
    except Exception as error:  # noqa: BLE001  one run that breaks must not hide the others
        traceback.print_exc()
        outcome = Outcome(broken=[f"{BROKE}: {error}"], cap_s=job.cap_s)
        begun = not isinstance(error, NotSetError)
        stand.take_down()
    spent = time.monotonic() - began
    run = Run(
        row=job.row,
        peer=job.peer,
        version=PEERS[job.peer].prepare(),
        pbx=root.asterisk_version(),
        date=date.today().isoformat(),  # noqa: DTZ011  the day on the wall here
        seconds=outcome.seconds,
        cap_s=outcome.cap_s,
        facts=outcome.facts,
        broken=outcome.broken,
        load=outcome.load,
        spent_s=round(spent, 1),
    )
    facts = {**run.facts, **({"broken": run.broken} if run.broken else {})}
    print(f"{job.row} {job.peer}: {figure(run.seconds)} {facts} [{spent:.0f} s]", file=sys.stderr, flush=True)
    return run, begun
