"""What the loop tells the media thread, in order, over one queue.

Each names the call it is meant for; one for a call that has gone is ignored, and so is an older negotiation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio.io.settings import Role
    from audio.io.sockets import MediaSockets
    from audio.io.tone import Channel, ToneSource
    from audio.secure.certificate import DtlsCertificate
    from audio.session import MediaSession, Microphone, Recorder, Speaker
    from sipcore.media import MediaParameters


@dataclass(frozen=True, slots=True)
class AddSession:
    """A call's media begins: its sockets are the thread's from now on."""

    session: MediaSession
    sockets: MediaSockets


@dataclass(frozen=True, slots=True)
class Record:
    """The call is heard by a file in place of the shared speaker."""

    call: str
    speaker: Speaker
    path: str


@dataclass(frozen=True, slots=True)
class RecordBoth:
    """Both sides of the call are recorded from now on; ``None`` finishes that."""

    call: str
    recorder: Recorder | None


@dataclass(frozen=True, slots=True)
class ReplaceSockets:
    """The call goes on from another local address; the old sockets are closed."""

    call: str
    sockets: MediaSockets


@dataclass(frozen=True, slots=True)
class Configure:
    """An offer/answer round is complete; ``parameters.negotiation`` tells which."""

    call: str
    parameters: MediaParameters


@dataclass(frozen=True, slots=True)
class Certify:
    """The call may take part in DTLS from now on."""

    call: str
    certificate: DtlsCertificate


@dataclass(frozen=True, slots=True)
class Activate:
    """This call, and no other, has the microphone and the speaker."""

    call: str | None


@dataclass(frozen=True, slots=True)
class Mute:
    """The call hears faint noise in place of the microphone."""

    call: str
    muted: bool


@dataclass(frozen=True, slots=True)
class SpeakFrom:
    """The call is spoken into by a file in place of the shared microphone."""

    call: str
    microphone: Microphone


@dataclass(frozen=True, slots=True)
class SendDtmf:
    """Keys to send as telephone-events."""

    call: str
    digits: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    """RTCP BYE, sockets closed, recording finished, :class:`~audio.io.events.CallMediaEnded`."""

    call: str


@dataclass(frozen=True, slots=True)
class AttachMicrophone:
    """The shared microphone, or none."""

    microphone: Microphone | None


@dataclass(frozen=True, slots=True)
class AttachSpeaker:
    """The shared device calls (``SPEAKER``) or ring tones (``RINGER``) are played on, or none."""

    role: Role
    speaker: Speaker | None


@dataclass(frozen=True, slots=True)
class PlayTone:
    """A sound of a channel until another, or none, takes its place. The source ends by returning ``None``."""

    channel: Channel
    source: ToneSource | None


@dataclass(frozen=True, slots=True)
class SetGain:
    """How loud a device is played, or heard: a factor, reached within one tick."""

    role: Role
    factor: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Close everything and end the thread."""

    quietly: bool = False
    """Tell no far end: another process goes on with the calls."""


Command = (
    AddSession
    | Record
    | RecordBoth
    | ReplaceSockets
    | Configure
    | Certify
    | Activate
    | Mute
    | SpeakFrom
    | SendDtmf
    | CloseSession
    | AttachMicrophone
    | AttachSpeaker
    | PlayTone
    | SetGain
    | Stop
)
