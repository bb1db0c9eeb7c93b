"""What the phone does for its calls while their signalling is away, or its own address has changed.

address changed ─▶ media sockets move at once ─▶ stack: told with the next re-INVITE
nothing heard ───▶ stack: with lost signalling, the call is given up in the end
hold, resume ────▶ done here at once, told when the far end can be told again
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from audio.engine import NoMediaPort
from phone.protocol import events as ev
from sipcore.errors import SipError

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.engine import AudioEngine
    from phone.lines import Line, Lines
    from phone.state import PhoneState
    from sipcore import events as sip
    from sipcore.aio.useragent import UserAgent

_log = logging.getLogger(__name__)


class Outage:
    """For all calls of the phone."""

    def __init__(
        self,
        lines: Lines,
        agent: UserAgent,
        audio: AudioEngine,
        *,
        state: Callable[[], PhoneState],
        emit: Callable[[ev.Event], None],
        clock: Callable[[], float],
    ) -> None:
        self._lines = lines
        self._agent = agent
        self._audio = audio
        self._state = state
        self._emit = emit
        self._clock = clock

    def hides(self, line: Line) -> bool:
        """Whether the far end of a call can be told nothing now."""
        call = self._state().call(line.id)
        return call is not None and call.signalling_lost

    async def move_media(self, address: str) -> None:
        """We are at another address: the sound of every call goes there at once, and the far ends are told."""
        for line in self._lines:
            call = self._state().call(line.id)
            if call is None or call.answered_at is None or self._audio.local_address(line.id) in (None, address):
                continue  # nothing to move: what is only being set up ends with its connection
            try:
                await self._move(line, address)
            except (NoMediaPort, SipError) as error:
                _log.warning("! the sound of call %s could not be moved to %s: %s", line.id, address, error)

    async def _move(self, line: Line, address: str) -> None:
        media = await self._audio.rehome(line.id, address)
        if media is not None and (call := line.sip) is not None:
            _log.info("= the sound of call %s moved to %s:%d", line.id, address, media.rtp_port)
            self._agent.run(lambda now: self._agent.stack.move_media(call, media, now))

    def media_silent(self, name: str, silent_s: float | None) -> None:
        """Nothing has been heard in a call for so long; None: it is heard again."""
        line = self._lines.get(name)
        if line is not None and (call := line.sip) is not None:
            self._agent.run(lambda now: self._agent.stack.media_silent(call, silent_s, now))

    def hold(self, line: Line, *, hold: bool) -> None:
        """Hold or resume without the far end's word, which it gives later. Raises SipError."""
        stack, call, shown = self._agent.stack, line.sip, self._state().call(line.id)
        if call is None or shown is None:
            return
        self._agent.run(lambda now: stack.hold(call, now) if hold else stack.resume(call, now))
        self._show_hold(line, hold=hold)

    def verb_failed(self, event: sip.VerbFailed) -> None:
        """The far end refused afterwards what was shown as done: show what is."""
        line = self._lines.by_sip(event.call)
        if line is not None and event.verb in ("hold", "resume"):
            self._show_hold(line, hold=event.verb == "resume")

    def _show_hold(self, line: Line, *, hold: bool) -> None:
        shown = self._state().call(line.id)
        if shown is not None and shown.held != hold:
            self._emit(ev.HoldChanged(at=self._clock(), call=line.id, local=hold, remote=shown.held_by_peer))
