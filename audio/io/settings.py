"""What the user chose to speak into and listen to: the ``[audio]`` section, as values.

input   default | part of a device's name | none | wav:FILE | synthetic
output  default | part of a device's name | none | wav:FILE | synthetic
ring    default | part of a device's name | none | synthetic

ring_file, ring_file_internal   a WAV file, or nothing for the built-in bell
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

DEFAULT_PORT_MIN = 16384
DEFAULT_PORT_MAX = 32766
"""Below Linux' ephemeral range (32768 and up): no other program's outgoing connection sits on a port of ours."""

_WAVE_PREFIX = "wav:"


class Role(enum.StrEnum):
    """What a sound device is used for; the values are the configuration's keys."""

    MICROPHONE = "input"
    SPEAKER = "output"
    RINGER = "ring"

    @property
    def captures(self) -> bool:
        """Whether sound comes from such a device."""
        return self is Role.MICROPHONE


@dataclass(frozen=True, slots=True)
class Device:
    """A real sound device: ``name`` is part of its name, ``None`` stands for the system's default."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class WaveFile:
    """A file as the microphone, or as the recorder of each call."""

    path: str


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A device made of arithmetic: it speaks by itself and remembers what it was played."""


@dataclass(frozen=True, slots=True)
class Silent:
    """No device: silence in, nothing out."""


Choice = Device | WaveFile | Synthetic | Silent


def parse_choice(text: str) -> Choice:
    """The meaning of one of the three settings; any other word is part of a device's name."""
    text = text.strip()
    if text[: len(_WAVE_PREFIX)].lower() == _WAVE_PREFIX:
        return WaveFile(text[len(_WAVE_PREFIX) :])
    match text.lower():
        case "" | "default":
            return Device()
        case "none":
            return Silent()
        case "synthetic":
            return Synthetic()
        case _:
            return Device(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """Everything the audio engine is told by configuration."""

    LEVELS: ClassVar[tuple[str, ...]] = ("volume", "ring_volume", "microphone_gain", "recordings", "recording_beep")
    """Which of these a running engine takes over at any time, in the midst of calls too."""

    input: str = "default"
    output: str = "default"
    ring: str = "default"
    country: str = "us"
    """Whose call-progress tones are played: ``us uk eu au fr jp``."""

    echo_cancelling: bool = False
    """Whether the microphone is freed of what the speaker says; needs the extra ``offhook[aec]``."""

    dtx: bool = False
    """Whether silence is left unsent, with comfort noise in its place (RFC 3389). Saves a slow line half its packets;
    some PBXs take the pause for a dead call.
    """

    key_tones: bool = True
    """Whether digits that are sent are heard."""

    ring_file: str = ""
    """A WAV file in place of the built-in bell."""

    ring_file_internal: str = ""
    """The same for calls from colleagues; empty means as for everybody."""

    volume: int = 100
    """Of calls, in per cent of the amplitude that comes; 50 is 6 dB less. Over 100, peaks are rounded off."""

    ring_volume: int = 100
    """Of the bell."""

    microphone_gain: float = 0.0
    """In dB."""

    recordings: str = ""
    """The directory calls are recorded to on request."""

    recording_beep: str = "start"
    r"""When both sides are told by a beep: at the ``start``, then ``repeat``\ ed, or ``never``."""

    port_min: int = DEFAULT_PORT_MIN
    port_max: int = DEFAULT_PORT_MAX
    """RTP takes an even port from ``port_min`` to ``port_max``, RTCP the odd one above it."""

    dscp: int = 46
    """Differentiated services code point of RTP and RTCP; 46 is EF (RFC 3246)."""

    linger_s: float = 3.0
    """How long the devices stay open after the last call."""

    @property
    def ring_files(self) -> tuple[str, ...]:
        """The files that are named."""
        return tuple(path for path in (self.ring_file, self.ring_file_internal) if path)

    def text(self, role: Role) -> str:
        """The setting for ``role`` as the user wrote it."""
        match role:
            case Role.MICROPHONE:
                return self.input
            case Role.SPEAKER:
                return self.output
            case Role.RINGER:
                return self.ring

    def choice(self, role: Role) -> Choice:
        """What is to be used for ``role``."""
        return parse_choice(self.text(role))
