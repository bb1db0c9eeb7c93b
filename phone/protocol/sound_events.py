"""What happened to the sound: devices, volumes, the microphone, recordings. Part of :mod:`phone.protocol.events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phone.protocol.event_base import EventBase


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneSilent(EventBase):
    """The microphone gives nothing although a call is to hear it; ``again`` where that was told of this call before."""

    event: ClassVar[str] = "microphoneSilent"
    call: str
    device: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MicrophoneHeard(EventBase):
    """The microphone is heard again, or nobody is to hear it any more."""

    event: ClassVar[str] = "microphoneHeard"
    call: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted(EventBase):
    """Both sides of a call are recorded to ``file``."""

    event: ClassVar[str] = "recordingStarted"
    call: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnded(EventBase):
    """A call is recorded no longer; ``problem`` is a sentence where nobody asked for that."""

    event: ClassVar[str] = "recordingEnded"
    call: str
    file: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioChanged(EventBase):
    """The sound moved to these devices."""

    event: ClassVar[str] = "audioChanged"
    input: str
    output: str
    ring: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeChanged(EventBase):
    """How loud calls and the bell are played, in per cent."""

    event: ClassVar[str] = "volumeChanged"
    volume: int
    ring_volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioProblem(EventBase):
    """Sound fails for ``problem`` (a machine word); calls go on without it.

    ``security`` alone ends its call: what should have been encrypted could not be, or not with the right far end.
    """

    event: ClassVar[str] = "audioProblem"
    problem: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRestored(EventBase):
    """Sound works again."""

    event: ClassVar[str] = "audioRestored"
