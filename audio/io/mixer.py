"""The devices all calls share, and the tones: what is read and played in one tick of the media thread.

    microphone ─▶ stillness ─▶ gain ─▶ the active call
    the active call ─▶ + tone ─▶ volume ─┬─▶ speaker
                        ring ─▶ ring volume ─┴─▶ the same device, or the ring device

For the media thread alone. A device's end that fails is let go, and the packets go on without it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from audio.core import SAMPLE_RATE, silence
from audio.io.echo import CleanMicrophone, HeardSpeaker
from audio.io.events import AudioEvent, AudioProblem
from audio.io.settings import Role
from audio.stream.loudness import Gain, mix
from audio.stream.resample import RateConverter
from audio.stream.stillness import Stillness
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from audio.core import Samples
    from audio.io.tone import Channel, ToneSource
    from audio.session import Microphone, Speaker

_log = logging.getLogger(__name__)


class Mixer:
    """``report`` is told of a device that failed."""

    def __init__(self, report: Callable[[AudioEvent], None]) -> None:
        self._report = report
        self._microphone: Microphone | None = None
        self._speakers: dict[Role, Speaker] = {}
        self._tones: dict[Channel, ToneSource] = {}
        self._tone_converters = {role: RateConverter() for role in Role}
        self._gains = {role: Gain() for role in Role}
        self._stillness = Stillness()

    @property
    def sounding(self) -> bool:
        """Whether a tone is to be played."""
        return bool(self._tones)

    @property
    def attached(self) -> bool:
        """Whether any device is open."""
        return self._microphone is not None or bool(self._speakers)

    @property
    def ends(self) -> set[Microphone | Speaker]:
        """The open devices' own ends, each once: calls and the bell mostly share a speaker."""
        ends: set[Microphone | Speaker] = set()
        for end in (self._microphone, *self._speakers.values()):
            match end:
                case CleanMicrophone() | HeardSpeaker():
                    ends.add(end.end)
                case None:
                    pass
                case _:
                    ends.add(end)
        return ends

    @property
    def microphone_dead(self) -> bool:
        """Whether the open microphone gives nothing but one level, and has for a while."""
        return self._stillness.dead

    def attach_microphone(self, microphone: Microphone | None) -> None:
        """Another microphone, or none."""
        self._microphone = microphone
        self._stillness.reset()

    def attach_speaker(self, role: Role, speaker: Speaker | None) -> None:
        """Another device for calls or for rings, or none."""
        if speaker is None:
            self._speakers.pop(role, None)
        else:
            self._speakers[role] = speaker

    def play(self, channel: Channel, source: ToneSource | None) -> None:
        """A sound of a channel until another, or none, takes its place."""
        if source is None:
            self._tones.pop(channel, None)
        else:
            self._tones[channel] = source

    def set_gain(self, role: Role, factor: float) -> None:
        """How loud a device is played, or heard, from the next tick on."""
        self._gains[role].factor = factor

    def pause(self) -> None:
        """Nobody will read or write for a while."""
        self._stillness.reset()
        try:
            if self._microphone is not None:
                self._microphone.pause()
            for speaker in set(self._speakers.values()):
                speaker.pause()
        except Exception:  # noqa: BLE001 - a supervisor: packets go on without a device
            self._lose_devices()

    def hear(self, rate: int) -> Samples | None:
        """20 ms of the microphone at ``rate``, or ``None``. Read it always: what a ring holds grows old."""
        if self._microphone is None:
            return None
        try:
            frame = self._microphone.read(rate)
        except Exception:  # noqa: BLE001 - a supervisor: packets go on without a device
            self._lose_devices()
            return None
        if frame is None:
            return None
        # What suppresses noise gives digital zero in a quiet room, and that says nothing about the device.
        given = self._microphone.given if isinstance(self._microphone, CleanMicrophone) else frame
        self._stillness.add(frame if given is None else given)
        return self._gains[Role.MICROPHONE].apply(frame)

    def tone(self, role: Role, rate: int) -> Samples | None:
        """20 ms of everything that sounds on a device beside the far end, at ``rate`` and before any volume."""
        if not self._tones:
            return None
        sound: Samples | None = None
        ended: Channel | None = None
        for channel, source in self._tones.items():
            if channel.role is not role:
                continue
            frame = source.read()
            if frame is None:
                ended = channel
            else:
                sound = frame if sound is None else mix(sound, frame)
        if ended is not None:
            del self._tones[ended]
        return None if sound is None else self._tone_converters[role].convert(sound, SAMPLE_RATE, rate)

    def play_out(self, heard: Samples | None, tone: Samples | None, rate: int) -> None:
        """20 ms of a call, of a tone over it, and of the bell, all at ``rate``."""
        ring = self.tone(Role.RINGER, rate)
        try:
            heard = silence(rate) if heard is None else heard
            self._play_out(heard, tone, None if ring is None else self._gains[Role.RINGER].apply(ring))
        except Exception:  # noqa: BLE001 - a supervisor: packets go on without a device
            self._lose_devices()

    def _play_out(self, heard: Samples, tone: Samples | None, ring: Samples | None) -> None:
        speaker, ringer = self._speakers.get(Role.SPEAKER), self._speakers.get(Role.RINGER)
        shared = speaker is ringer
        if speaker is not None:
            frame = self._gains[Role.SPEAKER].apply(heard if tone is None else mix(heard, tone))
            speaker.write(frame if ring is None or not shared else mix(frame, ring))
        if ringer is not None and not shared:
            ringer.write(silence() if ring is None else ring)

    def _lose_devices(self) -> None:
        """A supervisor's last resort."""
        _log.exception("! a sound device's end failed")
        self._microphone = None
        self._speakers.clear()
        self._report(AudioProblem(Phrase("Sound failed inside the audio engine and is off; the log has the details.")))
