"""What the history keeps of a call that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import HistoryEntry

if TYPE_CHECKING:
    from phone.protocol import events as ev
    from phone.protocol.snapshots import CallSlice

BUSY_HERE = 486


def entry_of(call: CallSlice, ended: ev.CallEnded) -> HistoryEntry:
    """A call that was there, as it ended."""
    return HistoryEntry(
        id=0,
        direction=call.direction,
        outcome=ended.outcome,
        peer=call.peer,
        peer_uri=call.peer_uri,
        display_name=call.display_name,
        started_at=call.started_at,
        answered_at=call.answered_at,
        duration_s=ended.duration_s,
        status=ended.status,
        reason=ended.reason,
    )


def turned_away(incoming: ev.IncomingCall) -> HistoryEntry:
    """A call that found all lines taken is in the history, or nobody would ever know of it."""
    return HistoryEntry(
        id=0,
        direction="in",
        outcome="missed",
        peer=incoming.peer,
        peer_uri=incoming.peer_uri,
        display_name=incoming.display_name,
        started_at=incoming.at,
        status=BUSY_HERE,
        reason=Phrase("All lines were taken"),
    )
