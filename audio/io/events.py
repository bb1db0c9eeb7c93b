"""What the audio engine reports to the loop that owns it; rare by design, never one per packet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio.core import MediaEvent, MediaStatistics
    from audio.io.settings import Role


@dataclass(frozen=True, slots=True)
class AudioDeviceLost:
    """A device that worked has stopped: unplugged, its server gone, or frozen. Calls go on; it is tried again."""

    role: Role
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AudioDeviceRestored:
    """Sound is back after :class:`AudioDeviceLost` or :class:`AudioProblem`."""

    role: Role
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AudioProblem:
    """Something about sound does not work; ``sentence`` says what, and what to do. Told once, not per attempt."""

    sentence: str
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class CallMediaEvent:
    """Something happened in the media of one call."""

    call: str
    event: MediaEvent


@dataclass(frozen=True, slots=True)
class MicrophoneDead:
    """The active call is not muted and yet the far end hears nothing: the microphone's level does not vary."""

    call: str


@dataclass(frozen=True, slots=True)
class MicrophoneAlive:
    """After :class:`MicrophoneDead`: the microphone is heard, or nobody is to hear it any more."""

    call: str


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """A recording of both sides has ended before its call, with what the disk took of it."""

    call: str
    path: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CallMediaEnded:
    """The last word about a call's media: its sockets are closed and these are its final figures."""

    call: str
    statistics: MediaStatistics
    recording: str | None = None
    """The file its sound was recorded to; complete once :meth:`Recordings.finished` returns."""


AudioEvent = (
    AudioDeviceLost
    | AudioDeviceRestored
    | AudioProblem
    | CallMediaEvent
    | MicrophoneDead
    | MicrophoneAlive
    | RecordingFailed
    | CallMediaEnded
)


@dataclass(frozen=True, slots=True)
class Levels:
    """The active call's sound, dBFS over about the last 300 ms; -96 is silence."""

    input_dbfs: float = -96.0
    output_dbfs: float = -96.0
