"""The sound of every call, behind verbs that never wait: the engine loop's side of the media thread.

    phone ── verbs ──▶ AudioEngine ── commands ──▶ MediaThread ══ RTP, RTCP
          ◀─ events ──      │                          ║
                            └── DeviceSet ── rings, while a device is open

Sound problems are events, never exceptions: a call without a device is a call with silence. Devices open when the first
call or tone wants them and stay open a little after the last.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audio.codec import registry
from audio.core import MediaCore
from audio.io.backend import BackendThread, DeviceBackend
from audio.io.commands import (
    Activate,
    AddSession,
    Certify,
    CloseSession,
    Configure,
    Mute,
    ReplaceSockets,
    SendDtmf,
    SetGain,
    SpeakFrom,
    Stop,
)
from audio.io.devices import DeviceSet
from audio.io.events import (
    AudioDeviceLost,
    AudioDeviceRestored,
    AudioEvent,
    AudioProblem,
    CallMediaEnded,
    CallMediaEvent,
    Levels,
)
from audio.io.keying import Keying
from audio.io.names import UnknownHost, numeric
from audio.io.probe import DeviceList, probe_devices
from audio.io.realtime import RealtimeGuard, keep_heap_small
from audio.io.recordings import Recordings
from audio.io.ringing import Ringing
from audio.io.settings import AudioSettings, Role, WaveFile
from audio.io.sockets import MediaSockets, NoMediaPort, bind_pair, is_numeric
from audio.io.sound import SoundBackend
from audio.io.thread import MediaThread
from audio.io.tone import Channel
from audio.io.wave import WaveMicrophone, WaveProblem, wave_microphone
from audio.session import MediaSession
from audio.stream.loudness import factor_of
from audio.stream.tones import ToneKind
from sipcore.errors import LocalProtocolError, Phrase
from sipcore.ids import IdSource
from sipcore.media import IceCredentials, LocalMedia, MediaParameters

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from audio.core.statistics import MediaStatistics
    from audio.io.ahead import SoundAhead
    from audio.io.fake import SyntheticSpeaker

__all__ = [
    "AudioDeviceLost",
    "AudioDeviceRestored",
    "AudioEngine",
    "AudioEvent",
    "AudioProblem",
    "AudioSettings",
    "CallMediaEnded",
    "CallMediaEvent",
    "Channel",
    "DeviceList",
    "Levels",
    "NoMediaPort",
    "Role",
    "ToneKind",
]

_log = logging.getLogger(__name__)

_PRELOAD_AFTER_S = 0.5
_STOP_DEADLINE_S = 1.0
_DTMF = frozenset("0123456789*#ABCDabcd!,")


@dataclass(slots=True)
class _Call:
    """One call as the loop keeps it."""

    address: str
    media: LocalMedia | None = None
    parameters: MediaParameters | None = None


class AudioEngine:
    """All verbs are for the loop that called :meth:`start`. One for a call that is gone does nothing.

    ``on_event`` is called on the loop. ``backend`` replaces PortAudio. ``ahead`` has calls that sound already, to be
    adopted.
    """

    def __init__(
        self,
        settings: AudioSettings,
        *,
        ids: IdSource | None = None,
        on_event: Callable[[AudioEvent], None],
        loop: asyncio.AbstractEventLoop | None = None,
        backend: DeviceBackend | None = None,
        ahead: SoundAhead | None = None,
    ) -> None:
        keep_heap_small()
        self.settings = settings
        self._ids = ids or IdSource(random.SystemRandom())
        self._on_event = on_event
        self._loop = loop
        self.codecs = registry.offered()
        """What calls are offered, best first."""

        self._rate = registry.highest_sample_rate()
        self._backend = BackendThread(backend or SoundBackend(self._rate))
        self._ahead = ahead
        self._thread = ahead.thread if ahead is not None else MediaThread(self._from_thread)
        self._ended = False
        self._guard = ahead.guard if ahead is not None else RealtimeGuard()
        self._calls: dict[str, _Call] = {}
        self._keying = Keying(self._ids)
        self._active: str | None = None
        self.ringing = Ringing(settings, self._thread, self._deliver, want=self._want_devices)
        """What the user hears beside the far end."""

        self._devices = DeviceSet(settings, self._backend, self._thread, self._deliver)
        self.recordings = Recordings(self._thread, self._from_thread)
        """Files that calls are recorded to."""

        self._tasks: set[asyncio.Task[None]] = set()

    # -------------------------------------------------------------------------------------------- life and devices

    async def start(self) -> None:
        """Begin. The sound library is loaded a moment later, off the loop; what is wrong with it comes as an event."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        if self._ahead is not None:
            self._ahead.report_to(self._from_thread)
        self.set_levels(self.settings)
        self._devices.use(self.settings)
        self._spawn(self._preload())

    async def stop(self) -> None:
        """End all calls' media (RTCP BYE), finish recordings, give devices back. At most some two seconds."""
        for task in self._tasks:
            task.cancel()
        self._devices.give_back()
        await self._end_thread(Stop())
        self._calls.clear()
        self._guard.release()
        await self.recordings.finished(_STOP_DEADLINE_S)
        try:
            await self._backend.run(self._backend.backend.shut_down, _STOP_DEADLINE_S)
        except TimeoutError:
            _log.warning("! the sound system hangs; it is left behind")
        self._backend.end()

    async def hand_over(self) -> None:
        """Give all calls' ports back without a word to the far ends: another process goes on. :meth:`stop` follows."""
        await self._end_thread(Stop(quietly=True))

    async def _end_thread(self, stop: Stop) -> None:
        if not self._ended:
            self._ended = True
            self._thread.send(stop)
            await asyncio.to_thread(self._thread.join, _STOP_DEADLINE_S)

    async def set_devices(
        self, *, input: str | None = None, output: str | None = None, ring: str | None = None
    ) -> None:
        """Other devices from now on, in the midst of calls too; files serve calls that begin later."""
        now = self.settings
        self.settings = dataclasses.replace(
            now,
            input=now.input if input is None else input,
            output=now.output if output is None else output,
            ring=now.ring if ring is None else ring,
        )
        self._devices.use(self.settings)
        self._want_devices()
        await self._check()

    def set_levels(self, levels: AudioSettings) -> None:
        """Volumes, gain and recordings as in ``levels`` from now on, in the midst of calls too; within 20 ms."""
        self.settings = dataclasses.replace(
            self.settings, **{name: getattr(levels, name) for name in AudioSettings.LEVELS}
        )
        self._thread.send(SetGain(Role.SPEAKER, levels.volume / 100))
        self._thread.send(SetGain(Role.RINGER, levels.ring_volume / 100))
        self._thread.send(SetGain(Role.MICROPHONE, factor_of(levels.microphone_gain)))

    async def devices(self) -> DeviceList:
        """What is plugged in, asked in a process of its own."""
        return await probe_devices()

    def device_name(self, role: Role) -> str:
        """The open device's name, or what was chosen while none is open."""
        return self._devices.name(role)

    @property
    def synthetic_speaker(self) -> SyntheticSpeaker | None:
        """What a synthetic output was played, while one is chosen."""
        return self._devices.synthetic_speaker

    def _want_devices(self) -> None:
        self._devices.want(calls=bool(self._calls), tones=self.ringing.roles)

    async def _preload(self) -> None:
        await self.ringing.load()  # the first call may come at once
        await asyncio.sleep(_PRELOAD_AFTER_S)
        await self._devices.load_echo_canceller()
        await self._check()

    async def _check(self) -> None:
        """Tell what is wrong before a call finds out."""
        await self.ringing.load()
        await self._devices.check()
        await self._own_microphone()

    # --------------------------------------------------------------------------------------------------- calls

    async def open(
        self, call: str, local_address: str, *, port: int | None = None, dtls: bool = False, sdes: bool = False
    ) -> LocalMedia:
        """Bind a call's RTP and RTCP ports on ``local_address`` and listen; nothing is sent before :meth:`configure`.

        ``port`` asks for one RTP port, to resume a call whose far end still sends there. ``dtls`` and ``sdes`` are
        those of :meth:`equip`.
        Raises :class:`NoMediaPort`, and :class:`sipcore.errors.LocalProtocolError` for a call that is open already.
        """
        if call in self._calls:
            raise LocalProtocolError(f"call {call} has media already")
        sockets = self._bind(local_address, port)
        entry = self._calls[call] = _Call(local_address)
        self._guard.hold()
        self._want_devices()
        microphone = await self._own_microphone()
        core = MediaCore(self._ids, wall_offset_s=time.time() - time.monotonic(), dtx=self.settings.dtx)
        entry.media = LocalMedia(
            address=local_address,
            rtp_port=sockets.rtp_port,
            rtcp_port=sockets.rtcp_port,
            codecs=self.codecs,
            ssrc=core.ssrc,
            cname=core.cname,
        )
        if self._calls.get(call) is not entry:
            sockets.close()
            raise _ended_early(call)
        self._thread.send(AddSession(MediaSession(call, core, microphone=microphone, ids=self._ids), sockets))
        if (media := await self.equip(call, dtls=dtls, sdes=sdes)) is None:
            raise _ended_early(call)
        return media

    async def equip(self, call: str, *, dtls: bool = False, sdes: bool = False) -> LocalMedia | None:
        """The call's media with what it takes to offer or answer encryption; ``None`` for a call that is gone.

        ``dtls`` adds the fingerprint, rtcp-mux and ICE, ``sdes`` fresh keys. The caller adds the profile. The libraries
        that takes are loaded for the first call that needs them, off the loop.
        """
        entry = self._calls.get(call)
        certificate = await self._keying.certificate() if dtls else None
        crypto = await self._keying.fresh_keys() if sdes else ()
        if entry is None or entry.media is None or self._calls.get(call) is not entry:
            return None
        if certificate is not None:
            self._thread.send(Certify(call, certificate))
            fingerprint, ice = certificate.fingerprint, IceCredentials(self._ids.token(40), self._ids.token(128))
            entry.media = dataclasses.replace(entry.media, fingerprint=fingerprint, rtcp_mux=True, ice=ice)
        if crypto:
            entry.media = dataclasses.replace(entry.media, crypto=crypto)
        return entry.media

    async def adopt(self, call: str) -> LocalMedia | None:
        """The media of a call that was begun ahead of this engine, as :meth:`open` would have it; else ``None``."""
        media = None if self._ahead is None else self._ahead.calls.pop(call, None)
        if media is None:
            return None
        self._calls[call] = _Call(media.address, media)
        self._want_devices()
        if (microphone := await self._own_microphone()) is not None:
            self._thread.send(SpeakFrom(call, microphone))
        return media

    def abandon_orphans(self) -> None:
        """End what was begun ahead of this engine and never adopted."""
        if self._ahead is not None:
            self._ahead.abandon()
        if not self._calls:
            self._guard.release()

    async def _own_microphone(self) -> WaveMicrophone | None:
        """What a call speaks from in place of the shared microphone."""
        try:
            return await wave_microphone(self.settings.choice(Role.MICROPHONE), self._rate)
        except WaveProblem as problem:
            self._deliver(AudioProblem(str(problem), Role.MICROPHONE))
            return None

    async def rehome(self, call: str, local_address: str) -> LocalMedia | None:
        """The call's media from another local address, for the re-INVITE that tells of it; ``None`` if it is gone.

        The stream goes on: same SSRC, sequence numbers, keys and jitter buffer. Where connectivity is checked, the
        offer restarts ICE; until it is answered the path of before is used.
        """
        entry = self._calls.get(call)
        if entry is None or entry.media is None:
            return None
        sockets = self._bind(local_address, None)
        entry.address = local_address
        entry.media = dataclasses.replace(
            entry.media,
            address=local_address,
            rtp_port=sockets.rtp_port,
            rtcp_port=sockets.rtcp_port,
            # RFC 8445 §2.4: other credentials are what makes an offer an ICE restart.
            ice=IceCredentials(self._ids.token(40), self._ids.token(128)) if entry.media.ice is not None else None,
        )
        self._thread.send(ReplaceSockets(call, sockets))
        return entry.media

    def local_address(self, call: str) -> str | None:
        """Where the call's media is bound; ``None`` where it has none."""
        entry = self._calls.get(call)
        return None if entry is None else entry.address

    def configure(self, call: str, parameters: MediaParameters) -> None:
        """Media as an offer/answer round agreed; the first packet leaves at once, sound device or not.

        A call's first round makes it the active call where no other is.
        """
        entry = self._calls.get(call)
        if entry is None or (entry.parameters and parameters.negotiation < entry.parameters.negotiation):
            return
        first, entry.parameters = entry.parameters is None, parameters
        if first:
            match self.settings.choice(Role.SPEAKER):
                case WaveFile(path):
                    self.recordings.hear_with(call, path)
                case _:
                    pass
        if self._active == call or (first and self._active is None):
            self.activate(call)
        if is_numeric(parameters.remote_address):
            self._thread.send(Configure(call, parameters))
        else:
            self._spawn(self._configure_by_name(call, parameters))

    def activate(self, call: str | None) -> None:
        """This call has the microphone and the speaker; the others hear and are heard by nobody."""
        if call != self._active:
            self.ringing.release_keys()
        self._active = call
        self._thread.send(Activate(call))
        if (entry := self._calls.get(call or "")) is not None and entry.parameters is not None:
            self._devices.tune(entry.parameters.send_codec)

    def mute(self, call: str, muted: bool) -> None:
        """Send faint noise in place of the microphone."""
        self._thread.send(Mute(call, muted))

    def send_dtmf(self, call: str, digits: str) -> bool:
        """Send ``0-9 * # A-D !`` (``,`` is a pause) as telephone-events; false when the far end takes none.

        Raises :class:`sipcore.errors.LocalProtocolError` for another character.
        """
        if not _DTMF.issuperset(digits):
            raise LocalProtocolError(Phrase("{digits!r} holds a character that is no telephone key", digits=digits))
        entry = self._calls.get(call)
        if entry is None or entry.parameters is None or entry.parameters.send_dtmf is None:
            return False
        self._thread.send(SendDtmf(call, digits))
        return True

    def close_call(self, call: str) -> None:
        """Stop a call's media now: RTCP BYE, ports given back, recording finished. :class:`CallMediaEnded` follows."""
        if self._calls.pop(call, None) is None:
            return
        self._thread.send(CloseSession(call))
        if self._active == call:
            self._active = None
            self.ringing.release_keys()
        if not self._calls:
            self._guard.release()
        self._want_devices()

    def statistics(self, call: str) -> MediaStatistics | None:
        """The call's figures, at most half a second old; ``None`` before its media and after it."""
        return self._thread.statistics.get(call)

    def levels(self) -> Levels:
        """How loud the active call is, both ways; at most 100 ms old for who looks again and again."""
        self._thread.watch_levels()
        figures = self._thread.statistics.get(self._active) if self._active is not None else None
        return Levels(figures.level_in_dbfs, figures.level_out_dbfs) if figures is not None else Levels()

    def _bind(self, address: str, port: int | None) -> MediaSockets:
        of = self.settings
        return bind_pair(address, self._ids, port=port, port_min=of.port_min, port_max=of.port_max, dscp=of.dscp)

    async def _configure_by_name(self, call: str, parameters: MediaParameters) -> None:
        """An SDP may name the host (RFC 8866 §5.7); the media thread must not wait for a name server."""
        try:
            found = await numeric(str(parameters.remote_address), beside=self._calls[call].address)
        except UnknownHost as problem:
            self._deliver(AudioProblem(str(problem)))
        else:
            self._thread.send(Configure(call, dataclasses.replace(parameters, remote_address=found)))

    # -------------------------------------------------------------------------------------------------- events

    def _from_thread(self, event: AudioEvent) -> None:
        """Hand over an event from another thread."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._deliver, event)
        except RuntimeError:
            _log.debug("= event %s after the loop's end", type(event).__name__)

    def _deliver(self, event: AudioEvent) -> None:
        self._on_event(event)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _ended_early(call: str) -> LocalProtocolError:
    return LocalProtocolError(Phrase("call {call} ended while its sound was made ready", call=call))
