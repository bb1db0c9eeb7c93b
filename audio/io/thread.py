"""The media thread: every call's sockets, cores and devices, on a deadline every 20 ms.

    loop ── commands, wake ──▶ ┌ poll until the next deadline ┐ ── events (call_soon_threadsafe) ──▶ loop
    sockets ── datagrams ────▶ │ receive ▸ tick ▸ timeouts    │ ── datagrams ──▶ sockets
    capture rings ───────────▶ └──────────────────────────────┘ ── sound ──▶ playout rings

Deadlines are absolute on the monotonic clock: a late one is made up for, and no device, disk or call of another thread
moves them. A device that is missing, opening or dead means silence, never a missing packet.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, assert_never

from audio.core import SAMPLE_RATE, Samples, Transmit, TransmitKind
from audio.core.statistics import MediaStatistics
from audio.io.arrivals import READ_AT_ONCE, read_arrivals, stamp_arrivals
from audio.io.call import MediaCall
from audio.io.commands import (
    Activate,
    AddSession,
    AttachMicrophone,
    AttachSpeaker,
    Certify,
    CloseSession,
    Command,
    Configure,
    Mute,
    PlayTone,
    Record,
    RecordBoth,
    ReplaceSockets,
    SendDtmf,
    SetGain,
    SpeakFrom,
    Stop,
)
from audio.io.events import (
    AudioEvent,
    AudioProblem,
    CallMediaEnded,
    CallMediaEvent,
    MicrophoneAlive,
    MicrophoneDead,
)
from audio.io.mixer import Mixer
from audio.io.realtime import raise_thread_priority
from audio.io.settings import Role
from audio.io.step import shift_s
from audio.io.waiting import Waiting
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.sockets import MediaSockets
    from audio.session import Recorder, Speaker

_log = logging.getLogger(__name__)

TICK_S = 0.020
_IDLE_S = 0.100
"""Between two looks at devices that are open while nothing is heard: the telephone rings, or was just hung up."""

_CATCH_UP_TICKS = 10
"""A thread that was kept from running makes up for 200 ms; after a longer stop it goes on from now."""

_SNAPSHOT_TICKS = 25
_SNAPSHOT_TICKS_WATCHED = 5
_WATCHED_S = 1.0
"""So long after somebody looked at the levels figures are kept fresh for the next look."""

_LEISURE_TICKS = 5
"""Once sound flows only reports are due, by a clock of seconds."""

_AFTER_FAILURE_S = 0.005


class MediaThread:
    """Started once, told by :meth:`send`, ended by :class:`Stop`. ``report`` is called on it and must not block."""

    def __init__(self, report: Callable[[AudioEvent], None]) -> None:
        self._report = report
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._commands: deque[Command] = deque()
        self._waiting = Waiting()
        self._readable: dict[int, tuple[str, TransmitKind]] = {}
        self._calls: dict[str, MediaCall] = {}
        self._active: str | None = None
        self._mixer = Mixer(report)
        self._next_tick: float | None = None
        self._next_look: float | None = None
        self._ticks = 0
        self._stopping = False
        self._quietly = False
        self._restore_priority: Callable[[], None] | None = None
        self.statistics: dict[str, MediaStatistics] = {}
        """Each configured call's figures, at most half a second old, 100 ms while levels are watched. Written here,
        read anywhere.
        """

        self._watched_until = 0.0

        self.skipped_ticks = 0
        """Deadlines given up after a stop too long to make up for."""

        self.wakes = 0
        """Times it woke up: beside the sound itself, what a call costs."""

        self.send_failures = 0
        """Datagrams the network stack refused."""

    def start(self) -> None:
        """Begin where that was not done; returns at once."""
        if self._thread.ident is None:
            self._thread.start()

    def send(self, command: Command) -> None:
        """Queue a command and wake the thread. From any thread; never blocks."""
        self._commands.append(command)
        try:
            self._waiting.wake()
        except OSError:
            _log.debug("= command %s after the end", type(command).__name__)

    def watch_levels(self) -> None:
        """Somebody looks at the figures just now, and will again. From any thread."""
        self._watched_until = time.monotonic() + _WATCHED_S

    def join(self, timeout_s: float) -> bool:
        """Whether the thread ended within ``timeout_s`` after :class:`Stop`."""
        if self._thread.ident is None:
            return True  # never started
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # ------------------------------------------------------------------------------------------------ the loop

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - a supervisor: no failure may end the sound of every call, nor spin
                _log.exception("! the media thread failed in a turn")
                time.sleep(_AFTER_FAILURE_S)
        for call in list(self._calls):
            self._close(call)
        self._waiting.close()

    def _turn(self) -> None:
        ready = self._waiting.until(0.0 if self._commands else self._deadline())
        self.wakes += 1
        self._obey()
        for descriptor in ready:
            self._receive_untrusted(descriptor)
        self._tick_if_due()
        self._look_if_due()
        self._handle_timeouts()

    def _deadline(self) -> float | None:
        if self._next_tick is not None:
            return self._next_tick  # what a call has to do beside its sound can wait for the next
        deadlines = [self._next_look, *(call.session.next_timeout() for call in self._calls.values())]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    # ---------------------------------------------------------------------------------------------- commands

    def _obey(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            try:
                self._handle(command)
            except Exception:  # noqa: BLE001 - a supervisor: one call's failure must not end the others' sound
                _log.exception("! media command %s failed", type(command).__name__)
                self._report(AudioProblem(Phrase("The audio engine failed in a command; the log has the details.")))

    def _handle(self, command: Command) -> None:
        now = time.monotonic()
        match command:
            case AddSession(session, sockets):
                added = self._calls[session.call] = MediaCall(session, sockets)
                self._watch(added)
            case Record(name, speaker, path):
                self._record(name, speaker, path)
            case RecordBoth(name, recorder):
                self._record_both(name, recorder)
            case ReplaceSockets(name, sockets):
                self._replace_sockets(name, sockets)
            case Configure(name, parameters):
                if (call := self._calls.get(name)) is not None and call.session.configure(parameters, now):
                    self._start_ticking(now)
                    self._flush(call)
            case Certify(name, certificate):
                if (call := self._calls.get(name)) is not None:
                    call.session.certify(certificate)
            case Activate(name):
                self._active = name
            case Mute(name, muted):
                if (call := self._calls.get(name)) is not None:
                    call.session.core.set_mute(muted)
            case SpeakFrom(name, microphone):
                if (call := self._calls.get(name)) is not None:
                    call.session.speak_from(microphone)
            case SendDtmf(name, digits):
                if (call := self._calls.get(name)) is not None:
                    call.session.core.send_dtmf(digits, now)
            case CloseSession(name):
                self._close(name)
            case AttachMicrophone(microphone):
                self._mixer.attach_microphone(microphone)
                self._next_look = now
            case AttachSpeaker(role, speaker):
                self._mixer.attach_speaker(role, speaker)
                self._next_look = now if speaker is not None else self._next_look
            case PlayTone(channel, source):
                self._mixer.play(channel, source)
                if source is not None:
                    self._start_ticking(now)
            case SetGain(role, factor):
                self._mixer.set_gain(role, factor)
            case Stop(quietly):
                self._stopping, self._quietly = True, quietly
            case _:
                assert_never(command)

    def _watch(self, call: MediaCall) -> None:
        """From now on every datagram of it wakes the thread."""
        call.stamped, call.rests = stamp_arrivals(call.sockets.rtp), False
        for sock, kind in ((call.sockets.rtp, TransmitKind.RTP), (call.sockets.rtcp, TransmitKind.RTCP)):
            self._readable[sock.fileno()] = (call.session.call, kind)
            self._waiting.watch(sock.fileno())

    def _release(self, sockets: MediaSockets) -> None:
        for sock in (sockets.rtp, sockets.rtcp):
            self._readable.pop(sock.fileno(), None)
            self._waiting.forget(sock.fileno())
        sockets.close()

    def _rest(self, call: MediaCall, *, rests: bool) -> None:
        """Once sound flows nothing is to be done with it before the next tick: a wake-up for each packet costs more
        than the packet.
        """
        if rests != call.rests:
            call.rests = rests
            (self._waiting.forget if rests else self._waiting.watch)(call.sockets.rtp.fileno())

    def _replace_sockets(self, name: str, sockets: MediaSockets) -> None:
        call = self._calls.get(name)
        if call is None:
            sockets.close()
            return
        self._release(call.sockets)
        call.sockets = sockets
        self._watch(call)

    def _record(self, name: str, speaker: Speaker, path: str) -> None:
        if (call := self._calls.get(name)) is None:
            speaker.close()
        else:
            call.session.speaker = speaker
            call.recording = path

    def _record_both(self, name: str, recorder: Recorder | None) -> None:
        if (call := self._calls.get(name)) is not None:
            call.session.record(recorder)
        elif recorder is not None:
            recorder.close()

    def _close(self, name: str) -> None:
        call = self._calls.pop(name, None)
        if call is None:
            return
        now = time.monotonic()
        statistics = MediaStatistics()
        try:
            statistics = call.statistics(now)
            if self._quietly:
                call.session.abandon()
            else:
                call.session.close(now)
                self._flush(call)
        finally:
            self._release(call.sockets)
            self.statistics.pop(name, None)
            if self._active == name:
                self._active = None
            self._report(CallMediaEnded(name, statistics, call.recording))

    # ------------------------------------------------------------------------------------------------ network

    def _receive_untrusted(self, descriptor: int) -> None:
        name, kind = self._readable.get(descriptor, ("", TransmitKind.RTP))
        call = self._calls.get(name)
        if call is None:
            return  # closed by a command of this very wake
        first = call.session.core.heard_at is None
        self._read_untrusted(call, kind)
        if first and (heard_at := call.session.core.heard_at) is not None:
            self._fall_in_step(name, heard_at)
        self._flush(call)

    def _fall_in_step(self, name: str, arrival: float) -> None:
        """Sound of the call in use begins: tick where it is played soonest, if nobody else is heard by these ticks."""
        alone = sum(call.session.configured for call in self._calls.values()) == 1
        if self._next_tick is not None and alone and name == self._active:
            self._next_tick += shift_s(self._next_tick, arrival, TICK_S)
            self._mixer.pause()  # devices begin anew, with as much in reserve as at any beginning

    def _read_untrusted(self, call: MediaCall, kind: TransmitKind) -> bool:
        """Take what has come; whether there may be more."""
        sock = call.sockets.rtp if kind is TransmitKind.RTP else call.sockets.rtcp
        arrivals = read_arrivals(sock)
        hidden = len(arrivals) >= READ_AT_ONCE
        try:
            for data, source, at in arrivals:
                call.session.receive_untrusted(data, source, kind, at)
                hidden = hidden or not data
        except Exception:  # noqa: BLE001 - a supervisor
            self._end_failed(call)
        return hidden

    def _flush(self, call: MediaCall) -> None:
        """Drain the core completely, as its contract asks after every mutation."""
        for transmit in call.session.transmits():
            self._transmit(call.sockets, transmit)
        for event in call.session.events():
            self._report(CallMediaEvent(call.session.call, event))

    def _transmit(self, sockets: MediaSockets, transmit: Transmit) -> None:
        sock = sockets.rtp if transmit.kind is TransmitKind.RTP else sockets.rtcp
        try:
            sock.sendto(transmit.data, transmit.destination)
        except OSError as error:
            # No route, a closed port, a full queue: RTP has no other answer to loss than the next packet.
            self.send_failures += 1
            if self.send_failures & (self.send_failures - 1) == 0:
                _log.info("= %d datagrams could not be sent: %s", self.send_failures, error)

    def _handle_timeouts(self) -> None:
        leisure = self._ticks % _LEISURE_TICKS != 0
        for call in list(self._calls.values()):
            if leisure and call.rests:
                continue
            due = call.session.next_timeout()
            if due is not None and due <= (now := time.monotonic()):
                try:
                    call.session.handle_timeout(now)
                except Exception:  # noqa: BLE001 - a supervisor
                    self._end_failed(call)
                self._flush(call)

    def _end_failed(self, call: MediaCall) -> None:
        """To be called in an ``except``: one call's failure must not end the others' sound."""
        _log.exception("! media of call %s failed", call.session.call)
        self._report(
            AudioProblem(Phrase("The sound of a call failed inside the audio engine; the log has the details."))
        )
        self._close(call.session.call)

    # -------------------------------------------------------------------------------------------------- sound

    def _start_ticking(self, now: float) -> None:
        if self._next_tick is None:
            self._next_tick = now
            self._restore_priority = raise_thread_priority()

    def _tick_if_due(self) -> None:
        while self._next_tick is not None and (now := time.monotonic()) >= self._next_tick:
            calls = [call for call in self._calls.values() if call.session.configured]
            if not calls and not self._mixer.sounding:
                self._stop_ticking()
                return
            behind = int((now - self._next_tick) / TICK_S)
            if behind > _CATCH_UP_TICKS:
                self.skipped_ticks += behind
                self._next_tick += behind * TICK_S
            self._next_tick += TICK_S
            self._tick(now, calls)

    def _stop_ticking(self) -> None:
        self._next_tick = None
        if self._restore_priority is not None:
            self._restore_priority()
        self._pause_devices()

    def _pause_devices(self) -> None:
        self._mixer.pause()
        self._next_look = time.monotonic() + _IDLE_S if self._mixer.attached else None

    def _look_if_due(self) -> None:
        """Between calls devices are told again and again that nobody listens: what they hold would grow old."""
        if self._next_tick is None and self._next_look is not None and time.monotonic() >= self._next_look:
            self._pause_devices()

    def _tick(self, now: float, calls: list[MediaCall]) -> None:
        self._ticks += 1
        # Device, tones and the call they are mixed with speak at one rate, the call's.
        active = self._calls.get(self._active or "")
        rate = active.session.core.sample_rate if active is not None else SAMPLE_RATE
        spoken = self._mixer.hear(rate)
        tone = self._mixer.tone(Role.SPEAKER, rate)
        heard: Samples | None = None
        for call in calls:
            playout = self._tick_call(call, now, spoken, tone)
            heard = heard if playout is None else playout
        self._mixer.play_out(heard, tone, rate)

    def _tick_call(self, call: MediaCall, now: float, spoken: Samples | None, tone: Samples | None) -> Samples | None:
        """One call's 20 ms, sent at once; what the shared speaker is to play of it."""
        session = call.session
        active = session.call == self._active
        flooded = call.rests and self._read_untrusted(call, TransmitKind.RTP)
        if session.call not in self._calls:
            return None
        try:
            playout = session.tick(now, spoken, active=active, tone=tone if active else None)
        except Exception:  # noqa: BLE001 - a supervisor
            self._end_failed(call)
            return None
        self._flush(call)
        self._rest(call, rests=call.stamped and session.settled and not flooded)
        every = _SNAPSHOT_TICKS_WATCHED if now < self._watched_until else _SNAPSHOT_TICKS
        if self._ticks % every == 0:
            if active:
                call.breakups.look(self._mixer.ends)
            self.statistics[session.call] = call.statistics(now)
            self._watch_microphone(call, active and session.listens)
        return playout if active and session.speaker is None else None

    def _watch_microphone(self, call: MediaCall, listens: bool) -> None:
        """Tell when the far end hears nothing because the microphone gives nothing, and when that is over."""
        dead = listens and self._mixer.microphone_dead
        if dead != call.microphone_dead:
            call.microphone_dead = dead
            self._report(MicrophoneDead(call.session.call) if dead else MicrophoneAlive(call.session.call))
