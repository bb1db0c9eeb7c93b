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
import functools
import logging
from typing import TYPE_CHECKING, Literal

from audio.engine import NoMediaPort
from phone.lines import MAX_CALLS, Line, Lines
from phone.offers import Readiness, answers, offer, readiness_for
from phone.outage import Outage
from phone.past_calls import BUSY_HERE, entry_of, turned_away
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.translate import clean_untrusted, outcome_of, worded
from phone.waiting import Waiting, refusal, within
from sipcore.errors import SipError
from sipcore.events import AlertSource
from sipcore.sdp.offer_answer import Unacceptable
from sipcore.sdp.policy import profiles_to_offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audio.engine import AudioEngine
    from phone.protocol.snapshots import HistoryEntry
    from phone.state import PhoneState
    from sipcore import events as sip
    from sipcore.aio.useragent import UserAgent
    from sipcore.config import Account
    from sipcore.ids import IdSource
    from sipcore.media import LocalMedia, Profile
    from sipcore.stack import Stack

_log = logging.getLogger(__name__)

AGREEMENT_TIMEOUT_S = 10.0
"""How long a command waits for the far end's word on a hold or a transfer."""

_INFO_GAP_S = 0.25
_MAX_DIGITS = 64


class Calls:
    """All verbs about calls; each raises CommandRefused with a sentence where it does not fit."""

    def __init__(
        self,
        *,
        account: Account,
        ids: IdSource,
        agent: UserAgent,
        audio: AudioEngine,
        waiting: Waiting,
        state: Callable[[], PhoneState],
        emit: Callable[[ev.Event], None],
        deliver: Callable[[sip.Event], None],
        write_down: Callable[[HistoryEntry], None],
        clock: Callable[[], float],
    ) -> None:
        self.lines = Lines(ids)
        self._account = account
        self._agent = agent
        self._audio = audio
        self._waiting = waiting
        self._state = state
        self._emit = emit
        self._deliver = deliver
        self._write_down = write_down
        self._clock = clock
        self.outage = Outage(self.lines, agent, audio, state=state, emit=emit, clock=clock)
        self._held_back: list[sip.Event] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what the stack tells ------------------------------------------------------------------------------

    def hold_back(self, event: sip.Event) -> bool:
        """Keep an event that comes while a call is being dialled; it is delivered once the call has an id."""
        if self._held_back is None:
            return False
        self._held_back.append(event)
        return True

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
            internal=event.source is AlertSource.INTERNAL,
        )
        if len(self.lines) >= MAX_CALLS:
            self._agent.run(lambda now: self._agent.stack.reject(event.call, BUSY_HERE, "", now))
            self._write_down(turned_away(incoming))
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

    async def offer_again(self, event: sip.OfferRefused) -> None:
        """Offer what has not been tried, once it is ready; where that is nothing the refusal stands."""
        line = self.lines.by_sip(event.call)
        if line is None:
            return
        media: LocalMedia | None = None
        if line.untried:
            profile, *others = line.untried
            line.untried, ready = tuple(others), readiness_for(profile)
            media = await self._audio.equip(line.id, dtls=ready.dtls, sdes=ready.sdes)
            media = None if media is None else offer(profile, media)
        try:
            self._run(line, lambda call, now: self._agent.stack.offer_again(call, media, now))
        except SipError as error:
            _log.info("= call %s is over before its next offer: %s", line.id, error)

    def negotiated(self, event: sip.MediaNegotiated) -> None:
        """Sound follows the agreement."""
        line = self.lines.by_sip(event.call)
        call = None if line is None else self._state().call(line.id)
        if line is not None and call is not None:
            self._audio.configure(line.id, event.parameters)

    def hold_changed(self, event: sip.HoldChanged) -> None:
        """A call that comes off hold while nobody has the microphone gets it, however late the far end agreed."""
        line = self.lines.by_sip(event.call)
        if line is not None and not event.local and self.lines.current is None:
            self._give_microphone(line.id)

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
            by="error" if line.given_up else event.by.value,
            outcome=outcome_of(event, incoming=call.direction == "in"),
            peer=call.peer,
            status=event.status,
            reason=worded(line.given_up or event.reason),
            duration_s=0.0 if call.answered_at is None else round(max(0.0, at - call.answered_at), 3),
        )
        self._emit(ended)
        self._write_down(entry_of(call, ended))
        if self.lines.current is None:
            self._pass_microphone_on()
        return ended

    # --- verbs ---------------------------------------------------------------------------------------------

    async def dial(self, target: str) -> str:
        """Call ``target``; returns the call's id once the INVITE is sent."""
        if not self._agent.stack.may_call:
            raise CommandRefused("not_registered", Phrase("The phone is not registered; see offhook ctl status."))
        if len(self.lines) >= MAX_CALLS:
            raise CommandRefused("lines_taken", Phrase("All {n} lines are taken; end a call first.", n=MAX_CALLS))
        profile, *others = self._profiles_to_offer()
        line = self.lines.new()
        line.untried = tuple(others)
        before = self.lines.current
        outgoing = ev.OutgoingCall(at=self._clock(), call=line.id, peer=_peer_of(target), peer_uri=target[:256])
        try:
            media = await self._open_media(line, readiness_for(profile))
            self._send_invite(line, target, offer(profile, media), outgoing)
        except CommandRefused:
            self._audio.close_call(line.id)
            self.lines.forget(line)
            self._give_microphone(before)
            raise
        if self.lines.get(line.id) is line:  # it may be over already
            self._hold_others(line)
        return line.id

    def _send_invite(self, line: Line, target: str, media: LocalMedia, outgoing: ev.OutgoingCall) -> None:
        """What the stack says of the call meanwhile waits until the call has its id and was announced."""
        self._held_back = []
        try:
            with _refusing(Phrase("{target!r:.80} cannot be called", target=target)):
                line.sip = self._agent.run(
                    lambda now: self._agent.stack.dial(target, media, now, fallback=bool(line.untried))
                )
            self._emit(outgoing)
            self._give_microphone(line.id)
        finally:
            held_back, self._held_back = self._held_back, None
            for event in held_back:
                self._deliver(event)

    async def answer(self, name: str | None = None) -> None:
        """Answer a ringing call."""
        line, _ = self.lines.choose(self._state(), "answer", name)
        await self._answer(line)

    async def _answer(self, line: Line) -> None:
        if line.answering:
            raise CommandRefused("call_state", Phrase("Call {call} is being answered already.", call=line.id))
        line.answering = True
        before = self.lines.current
        try:
            with _refusing(Phrase("Call {call} cannot be answered", call=line.id)):
                await self._answer_with(line, *answers(self._account.media, secure=self._agent.stack.server.secure))
        except CommandRefused:
            self._audio.close_call(line.id)
            self._give_microphone(before)
            raise
        finally:
            line.answering = False
        self._give_microphone(line.id)
        self._hold_others(line)

    async def _answer_with(self, line: Line, ready: Readiness, *others: Readiness) -> None:
        """Answer with the first readiness that fits the offer; raises what the stack says of the last."""
        media = await self._open_media(line, ready)
        try:
            self._run(line, lambda call, now: self._agent.stack.answer(call, media, now))
        except Unacceptable:
            if not others:
                raise
            self._audio.close_call(line.id)
            await self._answer_with(line, *others)

    async def hang_up(self, name: str | None = None) -> None:
        """End a call; one that rings here is rejected with 486."""
        line, call = self.lines.choose(self._state(), "hangup", name)
        stack = self._agent.stack
        with _refusing(Phrase("Call {call} cannot be ended", call=line.id)):
            if call.direction == "in" and call.state == "ringing":
                self._run(line, lambda sip_call, now: stack.reject(sip_call, BUSY_HERE, "", now))
            else:
                self._run(line, stack.hang_up)

    async def give_up(self, name: str, why: str) -> None:
        """End a call that cannot go on, if it is still there; ``why`` is a sentence."""
        if (line := self.lines.get(name)) is not None:
            line.given_up = why
        try:
            await self.hang_up(name)
        except CommandRefused:
            pass  # it has ended by itself

    async def hold(self, name: str | None = None) -> None:
        """Put a call on hold; returns once the far end agreed, or at once where it can only be told later."""
        line, _ = self.lines.choose(self._state(), "hold", name)
        had_microphone = self.lines.current == line.id
        if had_microphone:
            self._give_microphone(None)
        if self.outage.hides(line):
            self.outage.hold(line, hold=True)
            return
        try:
            await self._agreed(line, "hold", self._agent.stack.hold)
        except CommandRefused:
            if had_microphone and self.lines.current is None and self.lines.get(line.id) is line:
                self._give_microphone(line.id)
            raise

    async def resume(self, name: str | None = None) -> None:
        """Take a call off hold; the one that was current is held."""
        line, _ = self.lines.choose(self._state(), "resume", name)
        self._hold_others(line)
        if self.outage.hides(line):
            self.outage.hold(line, hold=False)
        else:
            await self._agreed(line, "resume", self._agent.stack.resume)
        self._give_microphone(line.id)

    async def mute(self, name: str | None = None, *, muted: bool) -> None:
        """Take the microphone from a call, or give it back."""
        line, call = self.lines.choose(self._state(), "mute" if muted else "unmute", name)
        self._audio.mute(line.id, muted)
        if call.muted != muted:
            self._emit(ev.MuteChanged(at=self._clock(), call=line.id, muted=muted))

    async def dtmf(self, digits: str, name: str | None = None) -> None:
        """Send digits in a call: as telephone-events, or one INFO each where the far end takes none."""
        line, _ = self.lines.choose(self._state(), "dtmf", name)
        if not digits or len(digits) > _MAX_DIGITS:
            raise CommandRefused("digits", Phrase("Give 1 to {n} digits of 0-9 * # A-D.", n=_MAX_DIGITS))
        heard = line.id == self.lines.current
        with _refusing(Phrase("The digits cannot be sent")):
            if self._audio.send_dtmf(line.id, digits):
                if heard:
                    self._audio.ringing.press(digits)
                return
            for digit in digits:
                if heard:
                    self._audio.ringing.press(digit)
                if digit != ",":
                    self._run(line, functools.partial(_send_info, self._agent.stack, digit))
                await asyncio.sleep(_INFO_GAP_S if digit != "," else 1.0)

    async def transfer(self, target: str, name: str | None = None) -> None:
        """Send the far end of a call to ``target``; returns once that worked, or while it rings there."""
        line, _ = self.lines.choose(self._state(), "transfer", name)
        if self.outage.hides(line):
            raise CommandRefused(
                "not_connected", Phrase("The PBX cannot be reached now; transfer the call once it is back.")
            )
        await self._agreed(line, "transfer", lambda call, now: self._agent.stack.transfer(call, target, now))

    # --- helpers -------------------------------------------------------------------------------------------

    def _run(self, line: Line, verb: Callable[[sip.CallId, float], None]) -> None:
        """Run a verb of the stack on a call; raises SipError."""
        call = line.sip
        if call is None:
            raise CommandRefused("call_state", Phrase("Call {call} is only beginning; try again.", call=line.id))
        self._agent.run(lambda now: verb(call, now))

    async def _agreed(
        self,
        line: Line,
        verb: Literal["hold", "resume", "transfer"],
        action: Callable[[sip.CallId, float], None],
    ) -> None:
        """Run a verb and wait for the far end's word; raises CommandRefused when it is no."""
        decision = self._waiting.expect(verb, line.id)
        with _refusing(Phrase("Call {call} cannot do that", call=line.id)):
            self._run(line, action)
        if sentence := refusal(await within(decision, AGREEMENT_TIMEOUT_S), verb):
            raise CommandRefused("refused", sentence)

    def _profiles_to_offer(self) -> tuple[Profile, ...]:
        """By the setting and the server we are connected to; raises CommandRefused where they do not go together."""
        try:
            return profiles_to_offer(self._account.media, self._agent.stack.server)
        except ValueError as error:
            raise CommandRefused("media", Phrase("No call can be made: {why}.", why=worded(str(error)))) from None

    async def _open_media(self, line: Line, ready: Readiness) -> LocalMedia:
        address = self._agent.local_address
        if not address:
            raise CommandRefused("not_connected", Phrase("There is no connection to the PBX; see offhook ctl status."))
        with _refusing(Phrase("Call {call} has ended", call=line.id)):
            try:
                return await self._audio.open(line.id, address, dtls=ready.dtls, sdes=ready.sdes)
            except (NoMediaPort, OSError) as error:
                raise CommandRefused(
                    "no_port", Phrase("No port is free for the call's sound: {why}", why=worded(str(error)))
                ) from None

    def _hold_others(self, line: Line) -> None:
        """Put who is talked to on hold. Nobody waits for the answer: the microphone is elsewhere at once."""
        if self.lines.current != line.id:
            self._give_microphone(None)
        for call in self._state().calls:
            other = self.lines.get(call.id)
            if other is None or other is line or call.state != "active" or call.held:
                continue
            try:
                if self.outage.hides(other):
                    self.outage.hold(other, hold=True)
                else:
                    self._run(other, self._agent.stack.hold)
            except SipError as error:
                _log.info("= call %s could not be held: %s", call.id, error)

    def _give_microphone(self, name: str | None) -> None:
        self.lines.current = name
        self._audio.activate(name)

    def _pass_microphone_on(self) -> None:
        """After a call's end: to the only other one that is not on hold."""
        talking = [call.id for call in self._state().calls if call.state in ("active", "early") and not call.held]
        if len(talking) == 1:
            self._give_microphone(talking[0])


@contextlib.contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn what the stack or the sound engine refuses into a refused command."""
    try:
        yield
    except SipError as error:
        raise CommandRefused("refused", Phrase("{what}: {why}", what=what, why=worded(str(error)))) from None


def _send_info(stack: Stack, digit: str, call: sip.CallId, now: float) -> None:
    stack.send_info_dtmf(call, digit, now)


def _peer_of(target: str) -> str:
    """The user part of a dialled target, or all of it."""
    text = clean_untrusted(target)
    for scheme in ("sips:", "sip:", "tel:", "callto:"):
        if text.lower().startswith(scheme):
            text = text[len(scheme) :]
    return text.partition("@")[0].partition(";")[0] or text
