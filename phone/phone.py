"""The phone without a screen: joins the SIP user agent, the sound engine and the store, and tells what happens.

    UserAgent ── events ──▶ Phone ── reduce ──▶ state ──▶ listener(event)
    AudioEngine ─ events ─▶   │
    verbs ───────────────────▶┴──▶ UserAgent, AudioEngine

All methods belong to the event loop's thread. A verb that does not fit raises :class:`CommandRefused` with a sentence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import time
from typing import TYPE_CHECKING

from audio.engine import AudioEngine, NoMediaPort
from audio.io.settings import Role
from phone.lines import MAX_CALLS, Line, Lines
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.snapshots import CallMedia, CallSlice, HistoryEntry
from phone.signals import REFUSAL_TONE_S, Tones, refusal_tone, tones_for
from phone.state import PhoneState, reduce
from phone.translate import Translator, clean_untrusted, outcome_of
from sipcore import events as sip
from sipcore.aio.useragent import UserAgent
from sipcore.errors import SipError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audio.io.events import AudioEvent
    from audio.io.settings import AudioSettings
    from phone.recorder import Recorder
    from sipcore.auth.credentials import Credentials
    from sipcore.config import StackConfig
    from sipcore.ids import IdSource
    from sipcore.media import LocalMedia

_log = logging.getLogger(__name__)

BUSY_HERE = 486
MEASURE_INTERVAL_S = 1.0
VERB_TIMEOUT_S = 10.0
"""How long a command waits for the far end's word on a hold or a transfer."""

REGISTER_TIMEOUT_S = 20.0
_SEPARATORS = re.compile(r"[\s().\-/]+")
_NUMBER = re.compile(r"\+?[0-9*#\s().\-/]+")


class Phone:
    """One account's phone."""

    def __init__(
        self,
        config: StackConfig,
        credentials: Credentials | None,
        *,
        audio: AudioSettings,
        ids: IdSource,
        recorder: Recorder,
        on_event: Callable[[ev.Event], None],
        tls_ca: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``on_event`` is called after the state took the event in."""
        self._account = config.account
        self._recorder = recorder
        self._on_event = on_event
        self._clock = clock
        self._lines = Lines(ids)
        account = config.account.address_of_record.removeprefix("sip:")
        self._translator = Translator(account=account, call_name=self._call_name)
        self.state = PhoneState()
        self._emit_only(ev.AudioChanged(at=clock(), input=audio.input, output=audio.output, ring=audio.ring))
        self.state = dataclasses.replace(
            self.state, registration=dataclasses.replace(self.state.registration, account=account)
        )
        self.agent = UserAgent(config, credentials, on_event=self._on_stack_event, tls_ca=tls_ca)
        self.audio = AudioEngine(audio, ids=ids, on_event=self._on_sound_event)
        self._tones: Tones = {}
        self._refusal: asyncio.TimerHandle | None = None
        self._waiting: dict[tuple[str, str], asyncio.Future[ev.Event]] = {}
        self._registered = asyncio.Event()
        self._measuring: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin: sound first, then the connection and the registration."""
        recent = await self._recorder.recent()
        self.state = dataclasses.replace(self.state, recent=recent)
        await self.audio.start()
        await self.agent.start()
        self.agent.register()

    async def close(self) -> None:
        """BYE, un-REGISTER, sound off, everything written down. The caller bounds the time."""
        self._emit(ev.EngineStopping(at=self._clock()))
        if self._measuring is not None:
            self._measuring.cancel()
        self._play({})
        try:
            await self.agent.close()
        finally:
            for line in self._lines:
                self.audio.close_call(line.id)
            await self.audio.stop()
            await self._recorder.settled()

    # --- events --------------------------------------------------------------------------------------------

    def _emit(self, event: ev.Event) -> None:
        """Take an event into the state and tell it; then let tones and waiting verbs follow."""
        self._emit_only(event)
        self._on_event(event)

    def _emit_only(self, event: ev.Event) -> None:
        self.state = reduce(self.state, event)

    def _call_name(self, call: sip.CallId) -> str | None:
        line = self._lines.by_sip(call)
        return None if line is None else line.id

    def _on_stack_event(self, event: sip.Event) -> None:
        at = self._clock()
        match event:
            case sip.IncomingCall():
                self._incoming(event, at)
            case sip.CallEnded():
                self._ended(event, at)
            case sip.MediaNegotiated():
                if line := self._lines.by_sip(event.call):
                    call = self.state.call(line.id)
                    line.early_media = call is not None and call.answered_at is None
                    self.audio.configure(line.id, event.parameters)
            case _:
                pass
        for translated in self._translator.from_stack(event, at):
            self._emit(translated)
            self._recorder.note(translated)
            self._settle_waiting(translated)
        self._signal()

    def _on_sound_event(self, event: AudioEvent) -> None:
        for translated in self._translator.from_sound(event, self._clock()):
            self._emit(translated)

    def _incoming(self, event: sip.IncomingCall, at: float) -> None:
        incoming = ev.IncomingCall(
            at=at,
            call="",
            peer=clean_untrusted(event.peer),
            peer_uri=clean_untrusted(event.peer_uri),
            display_name=clean_untrusted(event.display_name),
            called=clean_untrusted(event.called),
        )
        if len(self._lines) >= MAX_CALLS:
            self.agent.reject(event.call, BUSY_HERE)
            self._remember_turned_away(incoming)
            return
        line = self._lines.new(event.call)
        self._emit(dataclasses.replace(incoming, call=line.id))
        if event.replaces is None:
            self.agent.ring(event.call)
        else:  # RFC 3891 §3: the far end transfers a call of ours to itself; the stack ends the old one
            self._spawn(self._answer(line))

    def _ended(self, event: sip.CallEnded, at: float) -> None:
        line = self._lines.by_sip(event.call)
        call = None if line is None else self.state.call(line.id)
        if line is None or call is None:
            return
        self.audio.close_call(line.id)
        self._lines.forget(line)
        outcome = outcome_of(event, incoming=call.direction == "in")
        duration_s = 0.0 if call.answered_at is None else round(max(0.0, at - call.answered_at), 3)
        ended = ev.CallEnded(
            at=at,
            call=line.id,
            by=event.by.value,
            outcome=outcome,
            peer=call.peer,
            status=event.status,
            reason=clean_untrusted(event.reason),
            duration_s=duration_s,
        )
        self._emit(ended)
        self._write_down(_history_entry(call, ended))
        for (name, _), waiting in list(self._waiting.items()):
            if name == line.id and not waiting.done():
                waiting.set_result(ended)
        if not self._lines and call.direction == "out" and (tone := refusal_tone(outcome)):
            self._play({Role.SPEAKER: tone})
            self._refusal = asyncio.get_running_loop().call_later(REFUSAL_TONE_S, self._end_refusal)
        if self._lines.current is None:
            self._give_microphone_on()

    def _remember_turned_away(self, incoming: ev.IncomingCall) -> None:
        """A call that found all lines taken is in the history, or nobody would ever know of it."""
        self._write_down(
            HistoryEntry(
                id=0,
                direction="in",
                outcome="missed",
                peer=incoming.peer,
                peer_uri=incoming.peer_uri,
                display_name=incoming.display_name,
                started_at=incoming.at,
                status=BUSY_HERE,
                reason="All lines were taken",
            )
        )

    def _write_down(self, entry: HistoryEntry) -> None:
        async def write() -> None:
            self._emit(ev.HistoryAdded(at=self._clock(), entry=await self._recorder.add(entry)))

        self._spawn(write())

    # --- tones and figures ---------------------------------------------------------------------------------

    def _signal(self) -> None:
        """Let tones and measuring follow the state."""
        if self.state.calls and self._refusal is not None:
            self._refusal.cancel()
            self._refusal = None
        if self._refusal is None:
            self._play(tones_for(self.state, current=self._lines.current, early_media=self._has_early_media))
        if self.state.calls and self._measuring is None:
            self._measuring = asyncio.create_task(self._measure(), name="call figures")

    def _has_early_media(self, name: str) -> bool:
        line = self._lines.get(name)
        return line is not None and line.early_media

    def _play(self, tones: Tones) -> None:
        for role in (Role.SPEAKER, Role.RINGER):
            if tones.get(role) is not self._tones.get(role):
                self.audio.tone(tones.get(role), role)
        self._tones = tones

    def _end_refusal(self) -> None:
        self._refusal = None
        self._play({})

    async def _measure(self) -> None:
        """Look at the figures of every call once a second, for as long as there is one."""
        while self.state.calls:
            await asyncio.sleep(MEASURE_INTERVAL_S)
            for call in self.state.calls:
                figures = self.audio.statistics(call.id)
                if figures is None or figures.codec is None:
                    continue
                media = CallMedia(
                    mos=None if figures.mos is None else round(figures.mos, 2),
                    loss=round(figures.loss, 4),
                    jitter_ms=round(figures.jitter_ms, 1),
                    rtt_ms=None if figures.rtt_ms is None else round(figures.rtt_ms, 1),
                )
                if media != call.media:
                    self._emit(ev.MediaMeasured(at=self._clock(), call=call.id, media=media))
        self._measuring = None

    # --- calls ---------------------------------------------------------------------------------------------

    async def dial(self, target: str) -> str:
        """Call ``target``; returns the call's id once the INVITE is sent."""
        target = normalized_target(target)
        if self.state.registration.state != "registered":
            raise CommandRefused("not_registered", "The phone is not registered; see offhook ctl status.")
        if len(self._lines) >= MAX_CALLS:
            raise CommandRefused("lines_taken", f"All {MAX_CALLS} lines are taken; end a call first.")
        line = self._lines.new()
        try:
            media = await self._open_media(line)
            await self._hold_others(line)
            line.sip = self.agent.dial(target, media)
        except SipError as error:
            self._drop(line)
            raise CommandRefused("refused", f"{target} cannot be called: {error}") from None
        except CommandRefused:
            self._drop(line)
            raise
        self._lines.current = line.id
        return line.id

    async def answer(self, name: str | None = None) -> None:
        """Answer a ringing call; the current one is put on hold."""
        line, _ = self._lines.choose(self.state, "answer", name)
        await self._answer(line)

    async def _answer(self, line: Line) -> None:
        if line.answering or line.sip is None:
            raise CommandRefused("call_state", f"Call {line.id} is being answered already.")
        line.answering = True
        try:
            media = await self._open_media(line)
            await self._hold_others(line)
            self.agent.answer(line.sip, media)
        except SipError as error:
            self.audio.close_call(line.id)
            raise CommandRefused("refused", f"Call {line.id} cannot be answered: {error}") from None
        finally:
            line.answering = False
        self._take_microphone(line)

    async def hang_up(self, name: str | None = None) -> None:
        """End a call; one that rings here is rejected with 486."""
        line, call = self._lines.choose(self.state, "hangup", name)
        if line.sip is None:
            raise CommandRefused("call_state", f"Call {line.id} is only beginning; try again.")
        with _refusing(f"Call {line.id} cannot be ended"):
            if call.direction == "in" and call.state == "ringing":
                self.agent.reject(line.sip, BUSY_HERE)
            else:
                self.agent.hang_up(line.sip)

    async def hold(self, name: str | None = None) -> None:
        """Put a call on hold; returns once the far end agreed."""
        line, _ = self._lines.choose(self.state, "hold", name)
        if self._lines.current == line.id:
            self._give_microphone(None)
        try:
            await self._agreed(line, "hold", lambda call: self.agent.hold(call))
        except CommandRefused:
            if self._lines.current is None and self._lines.get(line.id):
                self._take_microphone(line)
            raise

    async def resume(self, name: str | None = None) -> None:
        """Take a call off hold and make it current; the one that was is held."""
        line, _ = self._lines.choose(self.state, "resume", name)
        await self._hold_others(line)
        await self._agreed(line, "resume", lambda call: self.agent.resume(call))
        self._take_microphone(line)

    async def mute(self, name: str | None = None, *, muted: bool) -> None:
        """Take the microphone from a call, or give it back."""
        line, call = self._lines.choose(self.state, "mute" if muted else "unmute", name)
        self.audio.mute(line.id, muted)
        if call.muted != muted:
            self._emit(ev.MuteChanged(at=self._clock(), call=line.id, muted=muted))

    async def dtmf(self, digits: str, name: str | None = None) -> None:
        """Send digits in a call."""
        line, _ = self._lines.choose(self.state, "dtmf", name)
        with _refusing("The digits cannot be sent"):
            if digits and self.audio.send_dtmf(line.id, digits):
                return
        if not digits:
            raise CommandRefused("digits", "There are no digits to send.")
        raise CommandRefused("dtmf", f"The other side of call {line.id} takes no digits.")

    async def transfer(self, target: str, name: str | None = None) -> None:
        """Send the far end of a call to ``target``; returns once it took the order."""
        line, _ = self._lines.choose(self.state, "transfer", name)
        target = normalized_target(target)
        await self._agreed(line, "transfer", lambda call: self.agent.transfer(call, target))

    def choose(self, name: str | None) -> CallSlice:
        """The call whose sound is asked for."""
        return self._lines.choose(self.state, "meters", name)[1]

    # --- registration --------------------------------------------------------------------------------------

    async def register(self, credentials: Credentials | None = None) -> None:
        """Register now, with other credentials if given; returns once registered, else refused with the reason."""
        if credentials is not None:
            self.agent.set_credentials(credentials)
        done = self._expect("", "register")
        if self.state.registration.state == "registered":
            self.agent.register()
            return
        self.agent.retry() if self.state.registration.state == "failed" else self.agent.register()
        outcome = await self._within(done, ("", "register"), REGISTER_TIMEOUT_S)
        if not isinstance(outcome, ev.Registered):
            reason = self.state.registration.reason or self.state.transport.reason or "the PBX has not answered yet"
            raise CommandRefused("not_registered", f"Not registered: {reason}")

    async def unregister(self) -> None:
        """Take the registration back; returns once the PBX agreed, or its time is up."""
        if self.state.registration.state == "unregistered":
            self.agent.unregister()
            return
        done = self._expect("", "unregister")
        self.agent.unregister()
        await self._within(done, ("", "unregister"), VERB_TIMEOUT_S)

    # --- helpers -------------------------------------------------------------------------------------------

    async def _open_media(self, line: Line) -> LocalMedia:
        address = self.agent.local_address
        if address is None:
            raise CommandRefused("not_connected", "There is no connection to the PBX; see offhook ctl status.")
        try:
            return await self.audio.open(line.id, address)
        except (NoMediaPort, OSError) as error:
            raise CommandRefused("no_port", f"No port is free for the call's sound: {error}") from None

    async def _hold_others(self, line: Line) -> None:
        """Put the call that is talked to on hold; its answer is not waited for, its microphone is off at once."""
        self._give_microphone(None)
        for call in self.state.calls:
            other = self._lines.get(call.id)
            if other is None or other.sip is None or call.id == line.id or call.state != "active" or call.held:
                continue
            try:
                self.agent.hold(other.sip)
            except SipError as error:
                _log.info("= call %s could not be held: %s", call.id, error)

    def _take_microphone(self, line: Line) -> None:
        self._give_microphone(line.id)

    def _give_microphone(self, name: str | None) -> None:
        self._lines.current = name
        self.audio.activate(name)

    def _give_microphone_on(self) -> None:
        """After a call's end: to the only other one that is not on hold."""
        talking = [call.id for call in self.state.calls if call.state in ("active", "early") and not call.held]
        if len(talking) == 1:
            self._give_microphone(talking[0])

    def _drop(self, line: Line) -> None:
        """Take back a call that never was."""
        self.audio.close_call(line.id)
        self._lines.forget(line)
        self._give_microphone_on()
