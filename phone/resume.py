"""Keeps the journal of a running phone, and goes on with the calls of an engine that died.

    start ──▶ journal ──▶ same port, sound at once ──▶ registered ──▶ one re-INVITE a call       (phone.ahead)
                    └──▶ too old, another boot, no sound to be had ──▶ BYE, and a line in the history

Plain RTP flows before there is signalling; SDES and DTLS-SRTP take new keys in the re-INVITE, DTLS at first without
ICE.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import socket
from typing import TYPE_CHECKING

from audio.engine import NoMediaPort
from phone.journal import BEAT_S, KeptCall, Record
from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import HistoryEntry
from sipcore.dialog.snapshot import FarewellSnapshot
from sipcore.errors import ParseError, SipError

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.engine import AudioEngine
    from phone.calls import Calls
    from phone.journal import Found, Journal
    from phone.protocol.snapshots import CallSlice
    from phone.state import PhoneState
    from sipcore.aio.useragent import UserAgent
    from sipcore.media import LocalMedia
    from sipcore.resilience.registrar import BindingSnapshot
    from sipcore.stack import StackSnapshot

_log = logging.getLogger(__name__)

SECOND_TRY_S = 2.0
"""How long a resumed call waits for its DTLS handshake before the next offer."""


class Continuity:
    """Between an engine and its successor; without a journal nothing is kept."""

    def __init__(
        self,
        journal: Journal | None,
        *,
        agent: UserAgent,
        audio: AudioEngine,
        calls: Calls,
        state: Callable[[], PhoneState],
        show: Callable[[tuple[CallSlice, ...]], None],
        write_down: Callable[[HistoryEntry], None],
    ) -> None:
        """``show`` replaces the calls of the state; ``write_down`` puts one into the history."""
        self._journal = journal
        self._agent = agent
        self._audio = audio
        self._calls = calls
        self._state = state
        self._show = show
        self._write_down = write_down
        self._keeping = False
        self._unsecured: dict[str, LocalMedia] = {}
        """Resumed calls that wait for their keys, with what to offer next."""

        self._beating: asyncio.Task[None] | None = None

    @property
    def works(self) -> bool:
        """Whether a call would go on in the next engine."""
        return self._journal is not None and self._journal.works

    # --- keeping -------------------------------------------------------------------------------------------

    def keep(self, snapshot: StackSnapshot | None = None) -> None:
        """Write down what has changed; called before anything the stack wants sent is sent, and after verbs."""
        if self._journal is None or not self._keeping:
            return
        record = self._record(snapshot or self._agent.stack.snapshot())
        self._journal.write(record)
        if record.calls and self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat(), name="journal")

    def _record(self, snapshot: StackSnapshot) -> Record:
        state, lines = self._state(), self._calls.lines
        kept: list[KeptCall] = []
        orphans: list[FarewellSnapshot] = []
        for call in snapshot.calls.calls:
            line = lines.by_sip(call.id)
            shown = None if line is None else state.call(line.id)
            if shown is None:
                orphans.append(FarewellSnapshot(dialog=call.dialog))
            else:
                kept.append(KeptCall(sip=call, shown=_lasting(shown)))
        names = {call.shown.id for call in kept}
        return Record(
            binding=snapshot.binding,
            calls=tuple(kept),
            others=tuple(dataclasses.replace(call, media=None) for call in state.calls if call.id not in names),
            farewells=(*snapshot.calls.farewells, *orphans),
            current=lines.current or "",
            recorded=self._audio.recordings.count,
        )

    async def _beat(self) -> None:
        while self._journal is not None and self._state().calls:
            await asyncio.sleep(BEAT_S)
            self._journal.beat()
        self._beating = None

    def end(self) -> None:
        """The phone has ended in order: only BYEs that nobody heard are left to the next engine."""
        if self._journal is None or not self._keeping:
            return
        self._stop_beating()
        record = self._record(self._agent.stack.snapshot())
        if record.calls or record.farewells:
            self._journal.write(record)
        else:
            self._journal.clear()
        self._journal.close()

    def hand_over(self) -> None:
        """The phone stops where it is: everything is left to the next engine."""
        self.keep()
        self._keeping = False
        self._stop_beating()
        if self._journal is not None:
            self._journal.beat()
            self._journal.close()

    def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None

    # --- resuming ------------------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Go on with what the last engine left behind; the sound has started, signalling has not."""
        found = None if self._journal is None else self._journal.read_untrusted()
        if found is not None:
            self._audio.recordings.count = max(0, found.record.recorded)
            self._restore_binding(found.record.binding)
            for farewell in found.record.farewells:
                self._say_farewell(farewell)
            for kept in found.record.calls:
                if not (found.fresh and await self._resume_call(kept, found)):
                    self._say_farewell(FarewellSnapshot(dialog=kept.sip.dialog))
                    self._note_lost(kept.shown, found)
            for shown in found.record.others:
                self._note_lost(shown, found)
            self._give_microphone(found.record.current)
        self._audio.abandon_orphans()
        self._keeping = True
        if found is not None:
            self.keep()

    async def _resume_call(self, kept: KeptCall, found: Found) -> bool:
        media = await self._open(kept)
        if media is None:
            return False
        before, shown = self._state().calls, kept.shown
        line = self._calls.lines.restore(shown.id, kept.sip.id)
        answered_at = shown.answered_at or found.alive_at
        self._show((*before, dataclasses.replace(shown, state="active", answered_at=answered_at)))
        self._audio.mute(shown.id, shown.muted)
        if media.ice is not None:
            # With ICE in the offer Asterisk finds its candidates but never begins another DTLS association (22.10).
            self._unsecured[shown.id] = media
            media = dataclasses.replace(media, ice=None)
        try:
            self._agent.run(functools.partial(self._agent.stack.restore_call, kept.sip, media))
        except SipError as error:
            _log.warning("! the journal is damaged, call %s is lost: %s", shown.id, error)
            self._audio.close_call(shown.id)
            self._calls.lines.forget(line)
            self._show(before)
            return False
        _log.info("= call %s with %s goes on at port %d", shown.id, shown.peer, media.rtp_port)
        return True

    async def _open(self, kept: KeptCall) -> LocalMedia | None:
        """The call's media: where the far end still sends to, else wherever it can be told to."""
        name, negotiation = kept.shown.id, kept.sip.negotiation
        if (sounding := await self._audio.adopt(name)) is not None:
            return sounding
        dtls, sdes = negotiation.keying == "dtls", negotiation.keying == "sdes"
        here = _source_address(negotiation.remote_address)
        for address, port in (
            (negotiation.address, negotiation.rtp_port),
            (negotiation.address, None),
            (here, None),
        ):
            try:
                return await self._audio.open(name, address, port=port, dtls=dtls, sdes=sdes)
            except (NoMediaPort, SipError, OSError, ValueError, OverflowError) as error:
                _log.info("= call %s cannot be heard at %s: %s", name, address, error)
        return None

    def negotiated(self, name: str) -> None:
        """A round of offer and answer is complete: the keys should follow."""
        if name in self._unsecured:
            asyncio.get_running_loop().call_later(SECOND_TRY_S, self._try_ice, name)

    def secured(self, name: str) -> None:
        """A call has its keys."""
        self._unsecured.pop(name, None)

    def _try_ice(self, name: str) -> None:
        """The far end cannot be reached directly, behind a NAT perhaps: let ICE find the way."""
        media, line = self._unsecured.pop(name, None), self._calls.lines.get(name)
        if media is None or line is None or (call := line.sip) is None:
            return
        _log.info("= call %s got no keys in %g s; trying with ICE", name, SECOND_TRY_S)
        try:
            self._agent.run(lambda now: self._agent.stack.update_media(call, media, now))
        except SipError as error:
            _log.info("= call %s: %s", name, error)

    def _note_lost(self, shown: CallSlice, found: Found) -> None:
        """A call ended with its engine: the history says so."""
        _log.warning("! call %s with %s ended with the engine", shown.id, shown.peer)
        answered_at = shown.answered_at
        self._write_down(
            HistoryEntry(
                id=0,
                direction=shown.direction,
                outcome="answered" if answered_at is not None else "missed" if shown.direction == "in" else "failed",
                peer=shown.peer,
                peer_uri=shown.peer_uri,
                display_name=shown.display_name,
                started_at=shown.started_at,
                answered_at=answered_at,
                duration_s=0.0 if answered_at is None else round(max(0.0, found.alive_at - answered_at), 3),
                reason=Phrase("The engine ended"),
            )
        )

    def _restore_binding(self, binding: BindingSnapshot) -> None:
        try:
            self._agent.stack.restore_binding(binding)
        except ParseError as error:
            _log.warning("! the journal is damaged, the registration begins anew: %s", error)

    def _say_farewell(self, farewell: FarewellSnapshot) -> None:
        try:
            self._agent.run(lambda now: self._agent.stack.restore_farewell(farewell, now))
        except ParseError as error:
            _log.warning("! the journal is damaged, a BYE is lost: %s", error)

    def _give_microphone(self, name: str) -> None:
        current = name if self._calls.lines.get(name) is not None else None
        self._calls.lines.current = current
        self._audio.activate(current)


def _lasting(call: CallSlice) -> CallSlice:
    """Of what a call shows, what still holds in the next engine."""
    return dataclasses.replace(call, media=None, media_silent=False, microphone_silent=False)


def _source_address(remote: str) -> str:
    """What we would send from to ``remote``; nothing is sent to find out."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
