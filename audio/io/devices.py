"""The devices of all three roles as the settings choose them, open while calls or tones want them.

settings ─▶ DeviceSet ─┬─ DeviceSupervisor (microphone) ─ rings ─┐
                       ├─ DeviceSupervisor (speaker) ──── rings ─┼─▶ MediaThread
                       └─ DeviceSupervisor (ring device) ─ rings ┘

A ring device of its own that is missing or fails leaves the bell to the speaker until it is back: a call must be heard.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from audio.codec import registry
from audio.io.commands import AttachMicrophone, AttachSpeaker
from audio.io.echo import CleanMicrophone, EchoCanceller, EchoPath, HeardSpeaker, NoEchoCanceller, installed
from audio.io.events import AudioDeviceLost, AudioDeviceRestored, AudioEvent, AudioProblem
from audio.io.fake import SyntheticMicrophone, SyntheticSpeaker
from audio.io.matching import CaptureEnd, PlayoutEnd
from audio.io.settings import AudioSettings, Device, Role, Silent, Synthetic, WaveFile
from audio.io.supervisor import DeviceSupervisor
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.io.backend import BackendThread, OpenStream
    from audio.io.thread import MediaThread
    from audio.session import Microphone, Speaker
    from sipcore.media import Codec


_NO_EXTRA = Phrase("Echo cancelling is not installed: pip install 'offhook[aec]'. Calls go on without.")


class DeviceSet:
    """For the loop. Nothing waits but :meth:`check`; trouble is told to ``report``, the same for two devices once."""

    def __init__(
        self,
        settings: AudioSettings,
        backend: BackendThread,
        thread: MediaThread,
        report: Callable[[AudioEvent], None],
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._thread = thread
        self._report = report
        self._supervisors: dict[Role, DeviceSupervisor] = {}
        self._linger: asyncio.TimerHandle | None = None
        self._problems: dict[Role, str] = {}
        self._echo = EchoPath() if settings.echo_cancelling else None
        self._speakers: dict[Role, Speaker | None] = {}
        self._wanted: tuple[bool, frozenset[Role]] = (False, frozenset())
        self._bell_moved = False
        """Whether the ring device fails and the speaker rings in its place."""

        self.synthetic_speaker: SyntheticSpeaker | None = None
        """What a synthetic output was played, while one is chosen."""

    def use(self, settings: AudioSettings) -> None:
        """Give back what is open and serve these choices from now on; :meth:`want` opens them."""
        self.give_back()
        self._settings = settings
        for role in Role:
            if self._served_by(role) is not role:
                continue
            match settings.choice(role):
                case Device(name):
                    self._supervisors[role] = DeviceSupervisor(
                        role, name, self._backend, attach=self._attacher(role), report=self._tell
                    )
                case Synthetic() if role.captures:
                    self._thread.send(AttachMicrophone(SyntheticMicrophone()))
                case Synthetic():
                    speaker = SyntheticSpeaker()
                    self.synthetic_speaker = speaker if role is Role.SPEAKER else self.synthetic_speaker
                    self._attach_speaker(role, speaker)
                case Silent() | WaveFile():
                    pass  # nothing, or a file of each call's own

    def want(self, *, calls: bool, tones: frozenset[Role]) -> None:
        """Open what these need now; what they no longer need is given back ``linger_s`` later."""
        self._wanted = calls, tones
        rings = Role.RINGER in tones
        wanted = {
            Role.MICROPHONE: calls,
            Role.SPEAKER: calls or Role.SPEAKER in tones or (rings and self._rings_on_speaker),
            Role.RINGER: rings,
        }
        for role, supervisor in self._supervisors.items():
            if wanted[role]:
                supervisor.want()
        self._cancel_linger()
        if any(supervisor.wanted and not wanted[role] for role, supervisor in self._supervisors.items()):
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._settings.linger_s, self._release_unwanted, wanted)

    def tune(self, codec: Codec) -> None:
        """The active call speaks this. The next one probably will: devices are opened at its rate, and converting
        wideband streams for telephone sound would cost a third of a call. A call is never given less than it has.
        """
        if registry.supports(codec):
            self._backend.backend.rate = rate = registry.sample_rate(codec)
            for role in (Role.MICROPHONE, Role.SPEAKER):
                if (supervisor := self._supervisors.get(role)) is not None:
                    supervisor.raise_rate(rate)

    async def load_echo_canceller(self) -> None:
        """Where it is wanted; it takes a moment, off the loop. Without it calls go on, and the user is told."""
        path = self._echo
        if path is None or path.canceller is not None:
            return
        if not installed():
            self._report(AudioProblem(_NO_EXTRA))
            return
        try:
            path.canceller = await asyncio.to_thread(EchoCanceller)
        except NoEchoCanceller as error:
            self._report(
                AudioProblem(Phrase("Echo cancelling cannot be used: {why}. Calls go on without.", why=str(error)))
            )

    async def check(self) -> None:
        """Load the sound library and look for the chosen devices, opening none; what is wrong is reported."""
        for supervisor in list(self._supervisors.values()):
            await supervisor.check()

    def give_back(self) -> None:
        """Close everything, soon."""
        self._cancel_linger()
        for supervisor in self._supervisors.values():
            supervisor.release()
        self._supervisors.clear()
        self._problems.clear()
        self._speakers.clear()
        self._bell_moved = False
        self.synthetic_speaker = None
        self._thread.send(AttachMicrophone(None))
        self._thread.send(AttachSpeaker(Role.SPEAKER, None))
        self._thread.send(AttachSpeaker(Role.RINGER, None))

    def name(self, role: Role) -> str:
        """The open device's name, or what was chosen while none is open."""
        supervisor = self._supervisors.get(self._served_by(role))
        name = supervisor.name if supervisor is not None else None
        return name or self._settings.text(role)

    def _served_by(self, role: Role) -> Role:
        """Ring tones share the speaker's stream where both are the same device."""
        shared = role is Role.RINGER and self._settings.choice(role) == self._settings.choice(Role.SPEAKER)
        return Role.SPEAKER if shared else role

    @property
    def _rings_on_speaker(self) -> bool:
        return self._bell_moved or self._served_by(Role.RINGER) is Role.SPEAKER

    def _move_bell(self, moved: bool) -> None:
        """To the speaker, or back to the ring device."""
        if moved != self._bell_moved and Role.RINGER in self._supervisors:
            self._bell_moved = moved
            self._attach_bell()
            calls, tones = self._wanted
            self.want(calls=calls, tones=tones)

    def _attacher(self, role: Role) -> Callable[[OpenStream | None], None]:
        def attach(stream: OpenStream | None) -> None:
            end = stream.end if stream is not None else None
            if role.captures:
                self._thread.send(AttachMicrophone(self._microphone(end) if isinstance(end, CaptureEnd) else None))
            else:
                self._attach_speaker(role, self._speaker(role, end) if isinstance(end, PlayoutEnd) else None)

        return attach

    def _microphone(self, end: CaptureEnd) -> Microphone:
        return end if self._echo is None else CleanMicrophone(end, self._echo)

    def _speaker(self, role: Role, end: PlayoutEnd) -> Speaker:
        return end if self._echo is None or role is not Role.SPEAKER else HeardSpeaker(end, self._echo)

    def _attach_speaker(self, role: Role, speaker: Speaker | None) -> None:
        self._speakers[role] = speaker
        if role is Role.SPEAKER:
            self._thread.send(AttachSpeaker(role, speaker))
        elif speaker is not None:
            self._move_bell(False)
        self._attach_bell()

    def _attach_bell(self) -> None:
        role = Role.SPEAKER if self._rings_on_speaker else Role.RINGER
        self._thread.send(AttachSpeaker(Role.RINGER, self._speakers.get(role)))

    def _release_unwanted(self, wanted: dict[Role, bool]) -> None:
        for role, supervisor in self._supervisors.items():
            if not wanted[role]:
                supervisor.release()

    def _cancel_linger(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def _tell(self, event: AudioEvent) -> None:
        match event:
            case AudioDeviceLost(Role.RINGER, name, _):
                self._move_bell(True)
                sentence = Phrase(
                    "The ring device {name} is gone; until it is back calls ring on the speaker.", name=name
                )
                event = AudioDeviceLost(Role.RINGER, name, sentence)
            case AudioProblem(_, Role.RINGER) if self._bell_moved:
                return  # it is known that the bell has moved; why it cannot come back yet is a detail
            case AudioProblem(sentence, Role.RINGER):
                self._move_bell(True)
                known = sentence in self._problems.values()
                self._problems[Role.RINGER] = sentence
                if known:
                    return
                sentence = Phrase("{why} Until then calls ring on the speaker.", why=sentence)
                event = AudioProblem(sentence, Role.RINGER)
            case AudioProblem(sentence, role) if role is not None:
                known = sentence in self._problems.values()
                self._problems[role] = sentence
                if known:
                    return
            case AudioDeviceRestored(role):
                self._problems.pop(role, None)
            case _:
                pass
        self._report(event)
