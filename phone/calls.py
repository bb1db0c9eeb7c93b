"""The calls of the phone: what arrives, what is asked, who has the microphone, and what is left when one is over.

    stack ── IncomingCall, CallEnded, MediaNegotiated ──▶ Calls ──▶ emit(events)
    verbs ──────────────────────────────────────────────▶   ├────▶ stack
                                                            └────▶ audio

At most one call has the microphone: answering, resuming or dialling puts the one that had it on hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING, Literal

from audio.engine import NoMediaPort
from phone.lines import MAX_CALLS, Line, Lines
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.snapshots import CallSlice, HistoryEntry
from phone.translate import clean_untrusted, outcome_of
from phone.waiting import Waiting, refusal, within
from sipcore.errors import SipError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audio.engine import AudioEngine
    from phone.state import PhoneState
    from sipcore import events as sip
    from sipcore.aio.useragent import UserAgent
    from sipcore.ids import IdSource
    from sipcore.media import LocalMedia

_log = logging.getLogger(__name__)

BUSY_HERE = 486
AGREEMENT_TIMEOUT_S = 10.0
"""How long a command waits for the far end's word on a hold or a transfer."""

_INFO_GAP_S = 0.25


class Calls:
    """All verbs about calls; each raises CommandRefused with a sentence where it does not fit."""

    def __init__(
        self,
        *,
        ids: IdSource,
        agent: UserAgent,
        audio: AudioEngine,
        waiting: Waiting,
        state: Callable[[], PhoneState],
        emit: Callable[[ev.Event], None],
        write_down: Callable[[HistoryEntry], None],
        clock: Callable[[], float],
    ) -> None:
        self.lines = Lines(ids)
        self._agent = agent
        self._audio = audio
        self._waiting = waiting
        self._state = state
        self._emit = emit
        self._write_down = write_down
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what the stack tells ------------------------------------------------------------------------------

    def name_of(self, call: sip.CallId) -> str | None:
        """Our id of a call of the stack; None for one that is not ours to show."""
        line = self.lines.by_sip(call)
        return None if line is None else line.id

    def incoming(self, event: sip.IncomingCall) -> None:
        """Let a call ring, or turn it away when all lines are taken."""
        incoming = ev.IncomingCall(
            at=self._clock(),
            call="",
            peer=clean_untrusted(event.peer),
            peer_uri=clean_untrusted(event.peer_uri),
            display_name=clean_untrusted(event.display_name),
            called=clean_untrusted(event.called),
        )
        if len(self.lines) >= MAX_CALLS:
            self._agent.run(lambda now: self._agent.stack.reject(event.call, BUSY_HERE, "", now))
            self._write_down(_turned_away(incoming))
            return
        line = self.lines.new(event.call)
        self._emit(dataclasses.replace(incoming, call=line.id))
        if event.replaces is None:
            self._agent.run(lambda now: self._agent.stack.ring(event.call, now))
        else:  # RFC 3891 §3: the far end moves a call of ours to another phone; nobody is to be asked again
            task = asyncio.create_task(self._take_over(line), name=f"replace by {line.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take_over(self, line: Line) -> None:
        try:
            await self._answer(line)
        except CommandRefused as refused:
            _log.warning("! %s", refused.sentence)

    def negotiated(self, event: sip.MediaNegotiated) -> None:
        """Sound follows the agreement."""
        line = self.lines.by_sip(event.call)
        call = None if line is None else self._state().call(line.id)
        if line is not None and call is not None:
            line.early_media = call.answered_at is None
            self._audio.configure(line.id, event.parameters)

    def ended(self, event: sip.CallEnded) -> ev.CallEnded | None:
        """Clear a call away; returns what was told of it."""
        line = self.lines.by_sip(event.call)
        call = None if line is None else self._state().call(line.id)
        if line is None or call is None:
            return None
        at = self._clock()
        self._audio.close_call(line.id)
        self.lines.forget(line)
        ended = ev.CallEnded(
            at=at,
            call=line.id,
            by=event.by.value,
            outcome=outcome_of(event, incoming=call.direction == "in"),
            peer=call.peer,
            status=event.status,
            reason=clean_untrusted(event.reason),
            duration_s=0.0 if call.answered_at is None else round(max(0.0, at - call.answered_at), 3),
        )
        self._emit(ended)
        self._write_down(_history_entry(call, ended))
        if self.lines.current is None:
            self._pass_microphone_on()
        return ended

    # --- verbs ---------------------------------------------------------------------------------------------

    async def dial(self, target: str) -> str:
        """Call ``target``; returns the call's id once the INVITE is sent."""
        if self._state().registration.state != "registered":
            raise CommandRefused("not_registered", "The phone is not registered; see offhook ctl status.")
        if len(self.lines) >= MAX_CALLS:
            raise CommandRefused("lines_taken", f"All {MAX_CALLS} lines are taken; end a call first.")
        line = self.lines.new()
        before = self.lines.current
        try:
            media = await self._open_media(line)
            self._hold_others(line)
            outgoing = ev.OutgoingCall(at=self._clock(), call=line.id, peer=_shown_peer(target), peer_uri=target[:256])
            with _refusing(f"{target!r:.80} cannot be called"), self._announced(outgoing):
                line.sip = self._agent.run(lambda now: self._agent.stack.dial(target, media, now))
        except CommandRefused:
            self._audio.close_call(line.id)
            self.lines.forget(line)
            self._give_microphone(before)
            raise
        self._give_microphone(line.id)
        return line.id

    @contextlib.contextmanager
    def _announced(self, outgoing: ev.OutgoingCall) -> Iterator[None]:
        """Hold back what the stack says of a call until the call has an id of the stack's and was announced."""
        with self._agent_events_deferred() as release:
            yield
            self._emit(outgoing)
            release()

    async def answer(self, name: str | None = None) -> None:
        """Answer a ringing call."""
        line, _ = self.lines.choose(self._state(), "answer", name)
        await self._answer(line)

    async def _answer(self, line: Line) -> None:
        if line.answering:
            raise CommandRefused("call_state", f"Call {line.id} is being answered already.")
        line.answering = True
        try:
            media = await self._open_media(line)
            self._hold_others(line)
            with _refusing(f"Call {line.id} cannot be answered"):
                self._run(line, lambda call, now: self._agent.stack.answer(call, media, now))
        except CommandRefused:
            self._audio.close_call(line.id)
            raise
        finally:
            line.answering = False
        self._give_microphone(line.id)
