"""What an engine writes down so that the next one can go on with its calls, should it die.

    Stack.snapshot, the phone's calls ──▶ Journal ── JSON ──▶ phone.store.journal
                                          before what the stack wants sent is sent

No key and no nonce is ever in it. What is read back is judged like anything from the network: a damaged journal is a
line in the log and no call.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phone.protocol.codec import from_json, to_json
from phone.protocol.snapshots import CallSlice
from phone.store.journal import MAX_TRIES, JournalFile, Moment, boot_id
from sipcore.aio.clock import SystemClock
from sipcore.dialog.snapshot import CallSnapshot, FarewellSnapshot
from sipcore.resilience.registrar import BindingSnapshot

if TYPE_CHECKING:
    from phone.ahead import Ahead

_log = logging.getLogger(__name__)

BEAT_S = 1.0
"""How often a journal with calls says that its engine lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """A call, as the PBX knows it and as the user does."""

    sip: CallSnapshot
    shown: CallSlice


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything that outlives an engine."""

    binding: BindingSnapshot
    calls: tuple[KeptCall, ...] = ()
    others: tuple[CallSlice, ...] = ()
    """Calls that cannot be gone on with: not answered yet, or ending."""

    farewells: tuple[FarewellSnapshot, ...] = ()
    current: str = ""
    """The call that has the microphone, by the user's id."""

    recorded: int = 0
    """How many calls were recorded to files, which the next ones must not overwrite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A journal that was left behind."""

    record: Record
    alive_at: float
    """When its engine was last known to live, Unix time."""

    fresh: bool
    """Whether its calls can be gone on with; see :meth:`phone.store.journal.Row.fresh`."""


class Journal:
    """One account's. Never raises for the file; :meth:`write` is for the event loop and takes microseconds."""

    def __init__(
        self,
        file: Path,
        account: str,
        *,
        boot: str | None = None,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
        ahead: "Ahead | None" = None,
    ) -> None:
        """``boot`` and ``clock`` are the machine's, and must be those of the stack. ``ahead`` has read it already."""
        self._ahead = ahead
        self._file = JournalFile(file, account) if ahead is None else ahead.file
        self._boot = boot_id() if boot is None else boot
        self._clock = clock or SystemClock().boot_time
        self._wall = wall
        self._written: Record | None = None

    @property
    def works(self) -> bool:
        """Whether the next engine would find what it takes to go on with a call."""
        return bool(self._boot) and not self._file.broken

    def read_untrusted(self) -> Found | None:
        """What the last engine left behind; None where it ended in order, or what it left is no use."""
        row = self._file.read() if self._ahead is None else self._ahead.row
        if row is None:
            return None
        try:
            record = from_json(Record, json.loads(row.record))
        except (ValueError, RecursionError) as error:
            _log.warning("! the journal is damaged, no call is resumed: %s", error)
            return None
        if row.tries >= MAX_TRIES:
            _log.warning("! %d engines read the journal and died: no call is resumed", row.tries)
            if row.tries >= 2 * MAX_TRIES:
                return None  # not even to end them
        return Found(record=record, alive_at=row.at.wall_at, fresh=row.fresh(self._boot, self._clock()))

    def write(self, record: Record) -> None:
        """Write a record that differs from the last one."""
        if record != self._written and self._file.write(json.dumps(to_json(record)), self._now()):
            self._written = record

    def beat(self) -> None:
        """The engine lives."""
        self._file.beat(self._now())

    def clear(self) -> None:
        """Nothing is to be resumed."""
        self._written = None
        self._file.clear()

    def close(self) -> None:
        """Give the file back, and leave what is in it to the next engine."""
        self._file.close()

    def _now(self) -> Moment:
        return Moment(self._boot, self._clock(), self._wall())
