"""The phone without a screen: joins the SIP user agent, the sound engine and the memory, and tells what happens.

    UserAgent ── events ──▶ Phone ── translate, reduce ──▶ state ──▶ on_event
    AudioEngine ─ events ─▶   ├── Calls (verbs about calls)
                              ├── Signals (tones), figures
                              └── Memory (history, health)

All methods belong to the event loop's thread. A verb that does not fit raises CommandRefused with a sentence.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from typing import TYPE_CHECKING

from audio.core.events import FirstPacketReceived, MediaResumed, MediaSecured, MediaSecurityFailed, MediaSilent
from audio.engine import AudioEngine
from audio.io.events import CallMediaEvent, MicrophoneAlive, MicrophoneDead, RecordingFailed
from audio.io.settings import Role
from phone.calls import Calls
from phone.protocol import events as ev
from phone.protocol.commands import CommandRefused
from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import CallMedia, RegistrationSlice
from phone.recording import Recorder
from phone.resume import Continuity
from phone.signals import Signals
from phone.state import PhoneState, reduce
from phone.translate import Translator
from phone.waiting import Waiting, refusal, within
from sipcore import events as sip
from sipcore.aio.useragent import UserAgent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from audio.io.ahead import SoundAhead
    from audio.io.events import AudioEvent
    from audio.io.settings import AudioSettings
    from phone.journal import Journal
    from phone.memory import Memory
    from phone.protocol.health import HealthReport
    from phone.protocol.snapshots import CallSlice, HistoryEntry
    from sipcore.auth.credentials import Credentials
    from sipcore.config import StackConfig
    from sipcore.ids import IdSource

_log = logging.getLogger(__name__)

MEASURE_INTERVAL_S = 1.0
REGISTER_TIMEOUT_S = 10.0
"""How long a command waits for the PBX's word on a registration."""


class Phone:
    """One account's phone."""

    def __init__(
        self,
        config: StackConfig,
        credentials: Credentials,
        *,
        audio: AudioSettings,
        ids: IdSource,
        memory: Memory,
        on_event: Callable[[ev.Event], None],
        tls_ca: Path | None = None,
        clock: Callable[[], float] = time.time,
        journal: Journal | None = None,
        sound: SoundAhead | None = None,
    ) -> None:
        """``on_event`` is called after the state took an event in. ``sound`` has calls of the journal that sound.

        Raises TransportError for an unusable ``tls_ca``.
        """
        self._memory = memory
        self._on_event = on_event
        self._clock = clock
        self._waiting = Waiting()
        account = config.account.address_of_record.removeprefix("sip:")
        self.state = reduce(
            PhoneState(registration=RegistrationSlice(account=account)),
            ev.AudioChanged(at=clock(), input=audio.input, output=audio.output, ring=audio.ring),
        )
        self.state = reduce(self.state, _volume(audio, clock()))
        self.agent = UserAgent(config, credentials, on_event=self._on_stack_event, tls_ca=tls_ca)
        self.audio = AudioEngine(audio, ids=ids, on_event=self._on_sound_event, ahead=sound)
        self.calls = Calls(
            account=config.account,
            ids=ids,
            agent=self.agent,
            audio=self.audio,
            waiting=self._waiting,
            state=lambda: self.state,
            emit=self._emit,
            deliver=self._on_stack_event,
            write_down=self._write_down,
            clock=clock,
        )
        self.recorder = Recorder(self.calls.lines, self.audio, state=lambda: self.state, emit=self._emit, clock=clock)
        self._continuity = Continuity(
            journal,
            agent=self.agent,
            audio=self.audio,
            calls=self.calls,
            state=lambda: self.state,
            show=self._show,
            write_down=self._write_down,
        )
        self.agent.keep_with(self._continuity.keep)
        self._translator = Translator(account=account, call_name=self.calls.name_of)
        self._begun = self._resumed = False
        self._signals = Signals(self.audio.ringing, self.calls.lines)
        self._measuring: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life ----------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Make sound ready; once."""
        if not self._begun:
            self._begun = True
            await self.audio.start()

    async def resume(self) -> None:
        """Go on with the calls that an engine before this one left behind; once."""
        if self._resumed:
            return
        self._resumed = True
        await self.begin()
        await self._continuity.resume()
        await self.recorder.resume()
        self._follow()

    async def start(self) -> None:
        """Begin where :meth:`resume` did not; then what is remembered, the connection and the registration."""
        await self.resume()
        self.state = dataclasses.replace(self.state, recent=await self._memory.recent())
        await self.agent.start()

    async def close(self) -> None:
        """BYE, un-REGISTER, sound off, everything written down: three seconds with a PBX that is silent."""
        self._signals.stop()
        await self.agent.close()
        if self._measuring is not None:
            self._measuring.cancel()
        for line in self.calls.lines:
            self.audio.close_call(line.id)
        await self.audio.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._emit(ev.EngineStopping(at=self._clock()))
        self._continuity.end()
        await self._memory.close()

    @property
    def can_hand_over(self) -> bool:
        """Whether what is going on would go on in the next engine."""
        return not self.state.calls or self._continuity.works

    async def hand_over(self) -> None:
        """Stop where it is, without a word to anybody: the journal has everything. :meth:`abandon` follows."""
        self._continuity.hand_over()
        self.agent.stop()
        await self.audio.hand_over()

    async def abandon(self) -> None:
        """After :meth:`hand_over`: let go of everything else."""
        if self._measuring is not None:
            self._measuring.cancel()
        await self.agent.abandon()
        await self.audio.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._memory.close()

    # --- events --------------------------------------------------------------------------------------------

    def _emit(self, event: ev.Event) -> None:
        """Take an event into the state, tell it, and let those who wait for it go on."""
        before = self.state.calls
        self.state = reduce(self.state, event)
        if self.state.calls is not before:
            self._continuity.keep()
        self._memory.note(event)
        self._on_event(event)
        self._waiting.settle(event)

    def _on_stack_event(self, event: sip.Event) -> None:
        if self.calls.hold_back(event):
            return
        ended: ev.CallEnded | None = None
        outgoing = False
        match event:
            case sip.IncomingCall():
                self.calls.incoming(event)
            case sip.OfferRefused():
                self._spawn(self.calls.offer_again(event))
            case sip.MediaNegotiated():
                self.calls.negotiated(event)
                self._continuity.negotiated(self.calls.name_of(event.call) or "")
            case sip.HoldChanged():
                self.calls.hold_changed(event)
            case sip.VerbFailed():
                self.calls.outage.verb_failed(event)
            case sip.LocalAddressChanged(address=address):
                self._spawn(self.calls.outage.move_media(address))
            case sip.CallRinging():
                self.calls.lines.rang(event.call)
            case sip.CallEnded():
                call = self.state.call(self.calls.name_of(event.call) or "")
                outgoing = call is not None and call.direction == "out"
                self.recorder.finish(self.calls.name_of(event.call))
                ended = self.calls.ended(event)
            case _:
                pass
        for translated in self._translator.from_stack(event, self._clock()):
            self._emit(translated)
        self._follow(ended, outgoing=outgoing)

    def _on_sound_event(self, event: AudioEvent) -> None:
        match event:
            case CallMediaEvent(call, MediaSecurityFailed(sentence)):
                self._spawn(self.calls.give_up(call, sentence))
            case CallMediaEvent(call, FirstPacketReceived()):
                self.calls.lines.heard(call)
                self._follow()
            case CallMediaEvent(call, MediaSecured()):
                self._continuity.secured(call)
            case CallMediaEvent(call, MediaSilent(silent_s)):
                self.calls.outage.media_silent(call, silent_s)
            case CallMediaEvent(call, MediaResumed()):
                self.calls.outage.media_silent(call, None)
            case MicrophoneDead(call) if (slice_ := self.state.call(call)) is not None:
                device, again = self.audio.device_name(Role.MICROPHONE), slice_.microphone_warned
                self._emit(ev.MicrophoneSilent(at=self._clock(), call=call, device=device, again=again))
            case MicrophoneAlive(call) if self.state.call(call) is not None:
                self._emit(ev.MicrophoneHeard(at=self._clock(), call=call))
            case RecordingFailed():
                self.recorder.failed(event)
            case _:
                pass
        for translated in self._translator.from_sound(event, self._clock()):
            self._emit(translated)

    def _write_down(self, entry: HistoryEntry) -> None:
        async def write() -> None:
            self._emit(ev.HistoryAdded(at=self._clock(), entry=await self._memory.add(entry)))

        self._spawn(write())

    def _show(self, calls: tuple[CallSlice, ...]) -> None:
        self.state = dataclasses.replace(self.state, calls=calls)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- tones and figures ---------------------------------------------------------------------------------

    def _follow(self, ended: ev.CallEnded | None = None, *, outgoing: bool = False) -> None:
        """Let tones and measuring follow the calls."""
        self._signals.follow(self.state, ended, outgoing=outgoing)
        if self.state.calls and self._measuring is None:
            self._measuring = asyncio.create_task(self._measure(), name="call figures")

    def hush(self) -> bool:
        """The user does something: end the tone of a call that came to nothing. Whether there was one."""
        return self._signals.hush()

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
                    underruns=figures.underruns,
                    overruns=figures.overruns,
                    rtt_ms=None if figures.rtt_ms is None else round(figures.rtt_ms, 1),
                )
                if media != call.media:
                    self._emit(ev.MediaMeasured(at=self._clock(), call=call.id, media=media))
        self._measuring = None

    # --- verbs ---------------------------------------------------------------------------------------------

    async def register(self, credentials: Credentials | None = None) -> None:
        """Register now, with other credentials if given; returns once registered."""
        decision = self._waiting.expect("register")
        if credentials is not None:
            self.agent.run(lambda now: self.agent.stack.set_credentials(credentials, now))
        self.agent.run(self.agent.stack.register)
        outcome = await within(decision, REGISTER_TIMEOUT_S)
        if outcome is None:
            reason = (
                self.state.transport.reason or self.state.registration.reason or Phrase("The PBX has not answered.")
            )
            raise CommandRefused("not_registered", Phrase("Not registered yet, and trying on. {why}", why=reason))
        if sentence := refusal(outcome, "register"):
            raise CommandRefused("not_registered", sentence)

    async def unregister(self) -> None:
        """Take the registration back; returns once the PBX agreed, or its time is up."""
        if self.state.registration.state == "unregistered":
            return
        decision = self._waiting.expect("unregister")
        self.agent.run(self.agent.stack.unregister)
        await within(decision, REGISTER_TIMEOUT_S)

    async def set_devices(self, *, microphone: str | None, speaker: str | None, ringer: str | None) -> None:
        """Move the sound, in the midst of calls too; None leaves a device where it is."""
        await self.audio.set_devices(input=microphone, output=speaker, ring=ringer)
        now = self.audio.settings
        self._emit(ev.AudioChanged(at=self._clock(), input=now.input, output=now.output, ring=now.ring))

    async def set_tones(self, audio: AudioSettings) -> None:
        """Take over whose tones are heard, and which bells."""
        await self.audio.ringing.use(audio)

    def set_levels(self, settings: AudioSettings) -> None:
        """Volumes, microphone gain and where recordings go as in ``settings``, in the midst of calls too."""
        self.audio.set_levels(settings)
        now, shown = self.audio.settings, self.state.audio
        if (now.volume, now.ring_volume) != (shown.volume, shown.ring_volume):
            self._emit(_volume(now, self._clock()))

    async def health(self) -> HealthReport | None:
        """The health figures of the last days, or None where the store fails."""
        return await self._memory.report(self._clock())

    async def history(self, limit: int) -> tuple[HistoryEntry, ...]:
        """Calls that are over, newest first."""
        return await self._memory.recent(limit)


def _volume(settings: AudioSettings, at: float) -> ev.VolumeChanged:
    return ev.VolumeChanged(at=at, volume=settings.volume, ring_volume=settings.ring_volume)
