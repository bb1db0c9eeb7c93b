"""Opens streams of a sound server by its own protocol: connect, prove who we are, ask for a stream. Blocks, but not
for long.

    connect ─▶ AUTH ─▶ SET_CLIENT_NAME ─▶ CREATE_…_STREAM ─▶ GET_…_INFO ─▶ the socket is the stream's
"""

from __future__ import annotations

import time

from audio.core import SAMPLE_RATE
from audio.io.backend import DeviceFailure, FailureKind
from audio.io.pulse import find_pulse
from audio.io.pulse_server import addresses, connect, cookie, is_remote
from audio.io.pulse_stream import Opened, PulseStream, stream_on
from audio.io.pulse_wire import INVALID, VERSION, Command, PacketReader, Reader, Writer
from audio.io.settings import Role
from sipcore.errors import ParseError, Phrase

_DEADLINE_S = 1.5
_VERSION_MIN = 13
_NO_SUCH = (3, 5)
"""Invalid as a name, and no such entity."""

_BUFFER_MS = 500
_PIECE_MS = 10
_REQUEST_MS = 100
_MARGIN_MS = 6.0
_REMOTE_MARGIN_MS = 40.0
_WORDS = {
    Role.MICROPHONE: Phrase("microphone"),
    Role.SPEAKER: Phrase("speaker"),
    Role.RINGER: Phrase("ring device"),
}
_THE_SERVERS_CHOICE = ("pulse", "pipewire", "default")
"""Names of PortAudio's for whatever the server chooses."""


class NoServer(Exception):
    """There is no sound server here that speaks the protocol, or none that lets us in."""


class _Refused(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


def _bytes(milliseconds: float, rate: int) -> int:
    return int(milliseconds * rate / 1000) * 2


class _Session:
    """A connection that is asked one thing after the other. Raises OSError, ParseError, TimeoutError and _Refused."""

    def __init__(self, address: str, rate: int = SAMPLE_RATE) -> None:
        self._rate = rate
        self._deadline = time.monotonic() + _DEADLINE_S
        self.remote = is_remote(address)
        self.socket = connect(address, _DEADLINE_S)
        self.reader = PacketReader()
        self._tag = 0

    def begin(self) -> None:
        """Say who we are."""
        answer = self.ask(self.command(Command.AUTH).u32(VERSION).arbitrary(cookie()))
        if answer.u32() & 0xFFFF < _VERSION_MIN:
            raise ParseError("the sound server is too old")
        self.ask(self.command(Command.SET_CLIENT_NAME).properties({"application.name": "Offhook"}))

    def command(self, command: Command) -> Writer:
        """The beginning of a command."""
        self._tag += 1
        return Writer(command, self._tag)

    def ask(self, command: Writer) -> Reader:
        """The answer to it; what else comes meanwhile is of no interest yet."""
        self.socket.sendall(command.packet())
        while True:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self.socket.settimeout(left_s)
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError
            found: Reader | None = None
            for channel, payload in self.reader.receive_untrusted(data):
                found = found or (self._answer(payload) if channel == INVALID else None)
            if found is not None:
                return found

    def _answer(self, payload: bytes) -> Reader | None:
        reader = Reader(payload)
        command, tag = reader.head()
        if tag != self._tag or command not in (Command.REPLY, Command.ERROR):
            return None
        if command == Command.ERROR:
            raise _Refused(reader.u32())
        return reader

    def create(self, role: Role, name: str | None) -> Opened:
        """A running stream on the sink or source of that name, or on the default."""
        answer = self.ask(self._record(name) if role.captures else self._playback(role, name))
        channel, _ = answer.u32(), answer.u32()
        for _ in range(2 if role.captures else 5):
            answer.u32()  # what was granted of the sizes asked for
        answer.sample_format()
        device, device_name, _ = answer.u32(), answer.string(), answer.boolean()
        piece_ms = min(max(answer.usec() / 1000, 1.0), 200.0)
        information = Command.GET_SOURCE_INFO if role.captures else Command.GET_SINK_INFO
        described = self.ask(self.command(information).u32(device).string(None))
        described.u32(), described.string()
        return Opened(
            name=described.string() or device_name or "pulse",
            channel=channel,
            rate=self._rate,
            piece_ms=piece_ms,
            first_margin_ms=_REMOTE_MARGIN_MS if self.remote else _MARGIN_MS,
        )

    def _record(self, name: str | None) -> Writer:
        command = self.command(Command.CREATE_RECORD_STREAM).mono(self._rate)
        command.u32(INVALID).string(name)
        command.u32(_bytes(_BUFFER_MS, self._rate)).booleans(False).u32(_bytes(_PIECE_MS, self._rate))
        command.booleans(*[False] * 7)  # channels, format and rate are fixed, the stream may be moved
        command.booleans(False, True)  # no peak detection; latency adjusted to the piece
        command.properties(_properties("Call")).u32(INVALID)
        return command.booleans(False, False, False)

    def _playback(self, role: Role, name: str | None) -> Writer:
        command = self.command(Command.CREATE_PLAYBACK_STREAM).mono(self._rate)
        command.u32(INVALID).string(name)
        # The server is to hold one piece in the device; it gets what it needs whether it asks or not.
        sizes_ms = (_BUFFER_MS, 2 * _PIECE_MS + 2 * _REQUEST_MS, 0, _REQUEST_MS)
        maximum, target, prebuffer, request = (_bytes(size_ms, self._rate) for size_ms in sizes_ms)
        command.u32(maximum).booleans(False).u32(target).u32(prebuffer).u32(request).u32(0).volume()
        command.booleans(*[False] * 7)
        command.booleans(False, True).properties(_properties("Ring tone" if role is Role.RINGER else "Call"))
        return command.booleans(False, False, False, False, False, False, False)


def _properties(name: str) -> dict[str, str]:
    return {"media.name": name, "media.role": "phone"}


class PulseBackend:
    """Sound servers; every call raises :class:`NoServer` where there is none, besides what a backend raises."""

    def check(self, role: Role, name: str | None) -> None:
        """Raise what :meth:`open` would, as far as that can be told without opening anything."""
        target = self._target(role, name)
        session = _begun()
        try:
            kind = Command.GET_SOURCE_INFO if role.captures else Command.GET_SINK_INFO
            session.ask(session.command(kind).u32(INVALID).string(target))
        except (_Refused, OSError, ParseError) as error:
            raise _failure(role, name, error) from error
        finally:
            session.socket.close()

    def open(self, role: Role, name: str | None, rate: int = SAMPLE_RATE) -> PulseStream:
        """A stream on the sink or source whose name or description is or contains ``name``, or on the default.

        ``rate`` is the stream's; the server converts it to the device's.
        """
        target = self._target(role, name)
        session = _begun(rate)
        try:
            opened = session.create(role, target)
        except (_Refused, OSError, ParseError) as error:
            session.socket.close()
            raise _failure(role, name, error) from error
        return stream_on(session.socket, session.reader, opened, captures=role.captures)

    def _target(self, role: Role, name: str | None) -> str | None:
        if name is None or name.lower() in _THE_SERVERS_CHOICE:
            return None
        found = find_pulse(name, captures=role.captures)
        return found.name if found is not None else name


def _begun(rate: int = SAMPLE_RATE) -> _Session:
    for address in addresses():
        try:
            session = _Session(address, rate)
        except TimeoutError as error:
            raise _hanging() from error
        except BlockingIOError as error:  # its queue of connections is full: nobody takes them
            raise _hanging() from error
        except OSError:
            continue
        try:
            session.begin()
        except TimeoutError as error:
            session.socket.close()
            raise _hanging() from error
        except (OSError, ParseError, _Refused):
            session.socket.close()
            continue
        return session
    raise NoServer


def _hanging() -> DeviceFailure:
    return DeviceFailure(
        FailureKind.HANGS,
        Phrase(
            "The sound system does not answer; check PulseAudio or PipeWire (over SSH: PULSE_SERVER)."
            " Calls go on without sound."
        ),
    )


def _failure(role: Role, name: str | None, error: Exception) -> DeviceFailure:
    match error:
        case TimeoutError():
            return _hanging()
        case _Refused(code=code) if code in _NO_SUCH and name is None:
            return DeviceFailure(
                FailureKind.NO_DEVICE,
                Phrase(
                    'There is no {role}: plug one in or start PulseAudio or PipeWire (or set {setting} to "none").',
                    role=_WORDS[role],
                    setting=role.value,
                ),
            )
        case _Refused(code=code) if code in _NO_SUCH:
            return DeviceFailure(
                FailureKind.NOT_FOUND,
                Phrase("The {role} {name!r} is not plugged in.", role=_WORDS[role], name=str(name)),
            )
        case _:
            return DeviceFailure(
                FailureKind.REFUSED,
                Phrase(
                    "The {role} {name} cannot be opened ({why}); another program may hold it.",
                    role=_WORDS[role],
                    name=name or "default",
                    why=str(error),
                ),
            )
