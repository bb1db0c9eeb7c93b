"""What a client asks of the engine, as JSON-RPC 2.0 requests: one dataclass per method.

    client ── {"id", "method", "params"} ──▶ engine
    client ◀── {"id", "result" | "error"} ── engine

A change here that an older client would misread raises :data:`phone.protocol.wire.PROTOCOL`; the methods of
:data:`phone.protocol.wire.FROZEN_METHODS` stay as they are for ever.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from phone.protocol.codec import ProtocolError, field_types, from_json
from phone.protocol.settings import SettingValue  # noqa: TC001 - the codec resolves annotations at run time
from phone.protocol.wire import PROTOCOL


@dataclass(frozen=True, slots=True)
class Attach:
    """Begin to follow the engine: answered by :class:`Attached`, then ``state`` and ``event`` notifications."""

    method: ClassVar[str] = "attach"
    protocol: int = PROTOCOL
    pulse_server: str | None = None
    """The client's PULSE_SERVER, so that the sound can be moved to where the person sits."""


@dataclass(frozen=True, slots=True)
class Events:
    """Follow ``event`` notifications only."""

    method: ClassVar[str] = "events"


@dataclass(frozen=True, slots=True)
class Status:
    """The state as scripts read it."""

    method: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of :class:`Status` alone."""

    method: ClassVar[str] = "calls"


@dataclass(frozen=True, slots=True)
class Stats:
    """Health figures, and the media figures of every call."""

    method: ClassVar[str] = "stats"


@dataclass(frozen=True, slots=True)
class History:
    """The newest ``limit`` calls that are over, newest first."""

    method: ClassVar[str] = "history"
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Meters:
    """Sound levels and figures of a call, now; polled while visible."""

    method: ClassVar[str] = "meters"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """Call ``target``: a number, a user part or a SIP URI. The result is ``{"call": id}``."""

    method: ClassVar[str] = "dial"
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a ringing call."""

    method: ClassVar[str] = "answer"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Hangup:
    """End a call; a ringing incoming one is rejected with 486."""

    method: ClassVar[str] = "hangup"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Put a call on hold; answered once the far end agreed."""

    method: ClassVar[str] = "hold"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Take a call off hold; the one that was current is held."""

    method: ClassVar[str] = "resume"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """Stop sending the microphone to a call."""

    method: ClassVar[str] = "mute"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Unmute:
    """Send the microphone again."""

    method: ClassVar[str] = "unmute"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Send ``digits`` (``0-9 * # A-D ! ,``; a comma waits one second) in a call."""

    method: ClassVar[str] = "dtmf"
    digits: str
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Send the far end of a call to ``target`` (blind)."""

    method: ClassVar[str] = "transfer"
    target: str
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Begin or end the recording of a call: answered by ``{"file": path}``."""

    method: ClassVar[str] = "record"
    action: Literal["start", "stop"] = "start"
    call: str | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """Set the volume to ``level``, or ``change`` it by so much, in per cent; with neither, tell it.

    ``ring`` means the bell's. The result is ``{"volume", "ring_volume"}``. It is kept over restarts.
    """

    method: ClassVar[str] = "volume"
    level: int | None = None
    change: int | None = None
    ring: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """Register now, whatever was waited for; answered once registered or refused."""

    method: ClassVar[str] = "register"


@dataclass(frozen=True, slots=True)
class Unregister:
    """Take the registration back and stay that way."""

    method: ClassVar[str] = "unregister"


@dataclass(frozen=True, slots=True)
class Shutdown:
    """End the engine: BYE, un-REGISTER, 3 s at most."""

    method: ClassVar[str] = "shutdown"


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the engine anew, from what is installed now; calls go on in the new one."""

    method: ClassVar[str] = "restart"


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Use ``password`` from now on; it stays in the engine's memory."""

    method: ClassVar[str] = "set_password"
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetVerbose:
    """Switch the verbose log on or off."""

    method: ClassVar[str] = "set_verbose"
    on: bool


@dataclass(frozen=True, slots=True)
class Devices:
    """The sound devices the engine sees."""

    method: ClassVar[str] = "devices"


@dataclass(frozen=True, slots=True)
class SetDevices:
    """Move the sound; None leaves one where it is."""

    method: ClassVar[str] = "set_devices"
    input: str | None = None
    output: str | None = None
    ring: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force, with what a form needs: answered by :class:`phone.protocol.settings.SettingsReply`."""

    method: ClassVar[str] = "settings"


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Check, write and apply settings: answered by :class:`phone.protocol.settings.SettingsChanged`.

    A ``password`` stays in the engine's memory, and is stored where passwords are kept when ``keep_password`` says so.
    """

    method: ClassVar[str] = "change_settings"
    values: tuple[SettingValue, ...] = ()
    password: str | None = field(default=None, repr=False)
    keep_password: bool = False


@dataclass(frozen=True, slots=True)
class TestSound:
    """Record three seconds and play them back; refused while a call is up. ``poll`` starts and ends nothing.

    The result is ``{"phase": "recording" | "playing" | "off", "input_dbfs", "output_dbfs"}``.
    """

    method: ClassVar[str] = "test_sound"
    action: Literal["start", "stop", "poll"] = "poll"


@dataclass(frozen=True, slots=True)
class TailLog:
    """The newest ``lines`` lines of the engine's log, oldest first: ``{"file", "lines"}``. Secrets are not in it."""

    method: ClassVar[str] = "tail_log"
    lines: int = 200


Command = (
    Attach
    | Events
    | Status
    | Calls
    | Stats
    | History
    | Meters
    | Dial
    | Answer
    | Hangup
    | Hold
    | Resume
    | Mute
    | Unmute
    | Dtmf
    | Transfer
    | Record
    | Volume
    | Register
    | Unregister
    | Shutdown
    | Restart
    | SetPassword
    | SetVerbose
    | Devices
    | SetDevices
    | Settings
    | ChangeSettings
    | TestSound
    | TailLog
)
COMMANDS: dict[str, type[Command]] = {command.method: command for command in typing.get_args(Command)}


def command_from_json(method: str, params: Any) -> Command:
    """The command a client sent; raises KeyError for an unknown method, ProtocolError for bad parameters."""
    cls = COMMANDS[method]
    if params is not None and not isinstance(params, dict):
        raise ProtocolError("parameters must be an object")
    unknown = sorted(set(params or {}) - set(field_types(cls)))
    if unknown:
        raise ProtocolError(f"{method} has no parameter {unknown[0]!r}")
    return from_json(cls, params or {})


class CommandRefused(Exception):
    """A command that cannot be carried out now. ``reason`` is an id for catalogues, the message one plain sentence."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
