"""Opening streams of a sound server, and who serves where there is none: against a server of a few lines."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from audio.io import pulse_backend, sound
from audio.io.backend import DeviceFailure, FailureKind
from audio.io.pulse_backend import NoServer, PulseBackend
from audio.io.pulse_stream import PulseStream
from audio.io.pulse_wire import INVALID, Command, PacketReader, Reader, Writer
from audio.io.settings import Role
from audio.io.sound import SoundBackend
from tests.audio.io.fake_backend import FakeBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_ENTITY = 5


class ScriptedServer:
    """Answers what is needed to open a stream. ``refuses`` maps a command to the error it gets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refuses: dict[Command, int] = {}
        self.silent = False
        self.seen: list[Command] = []
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(5)
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """End it, as a killed process ends."""
        if not self.path.exists():
            return
        self.path.unlink()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = PacketReader()
        try:
            while data := connection.recv(4096):
                for channel, payload in reader.receive_untrusted(data):
                    if channel == INVALID and not self.silent:
                        self._answer(connection, *Reader(payload).head())
        except OSError:
            pass

    def _answer(self, connection: socket.socket, number: int, tag: int) -> None:
        command = Command(number)
        self.seen.append(command)
        if error := self.refuses.get(command):
            connection.sendall(Writer(Command.ERROR, tag).u32(error).packet())
            return
        answer = Writer(Command.REPLY, tag)
        match command:
            case Command.AUTH:
                answer.u32(35)
            case Command.SET_CLIENT_NAME:
                answer.u32(4)
            case Command.CREATE_PLAYBACK_STREAM | Command.CREATE_RECORD_STREAM:
                sizes = 5 if command is Command.CREATE_PLAYBACK_STREAM else 2
                for value in (7, 1, *[320] * sizes):
                    answer.u32(value)
                answer.mono(8000).u32(3).string("sink.usb").booleans(False)
                answer._parts.append(struct.pack("!cQ", b"U", 10_000))
            case _:
                answer.u32(3).string("sink.usb").string("USB Headset")
        connection.sendall(answer.packet())


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    path = tmp_path / "native"
    monkeypatch.setenv("PULSE_SERVER", f"unix:{path}")
    monkeypatch.setattr(pulse_backend, "find_pulse", lambda name, captures: None)
    server = ScriptedServer(path)
    yield server
    server.close()


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """What would be PortAudio."""
    fake = FakeBackend()
    monkeypatch.setattr(sound, "PortAudioBackend", lambda: fake)
    return fake


@pytest.mark.parametrize("role", list(Role))
def test_a_stream_is_opened_and_called_by_the_device_s_description(server: ScriptedServer, role: Role) -> None:
    stream = PulseBackend().open(role, None)
    assert (stream.name, stream.finished, stream.interrupted, stream.rate) == ("USB Headset", False, False, 8000)
    stream.close()
    assert server.seen[:2] == [Command.AUTH, Command.SET_CLIENT_NAME]


def test_no_sink_at_all_and_no_such_sink_are_told_apart(server: ScriptedServer) -> None:
    server.refuses[Command.CREATE_PLAYBACK_STREAM] = _NO_ENTITY
    for name, kind in ((None, FailureKind.NO_DEVICE), ("Headset", FailureKind.NOT_FOUND)):
        with pytest.raises(DeviceFailure) as failure:
            PulseBackend().open(Role.SPEAKER, name)
        assert failure.value.kind is kind
        assert "speaker" in failure.value.sentence


def test_a_server_that_says_nothing_is_given_up_soon(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse_backend, "_DEADLINE_S", 0.1)
    server.silent = True
    with pytest.raises(DeviceFailure) as failure:
        PulseBackend().open(Role.SPEAKER, None)
    assert failure.value.kind is FailureKind.HANGS


def test_a_server_that_lets_us_not_in_is_none(server: ScriptedServer) -> None:
    server.refuses[Command.AUTH] = 1
    with pytest.raises(NoServer):
        PulseBackend().check(Role.SPEAKER, None)


def test_portaudio_serves_where_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portaudio: FakeBackend
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
    backend = SoundBackend()
    backend.check(Role.SPEAKER, None)
    assert backend.open(Role.SPEAKER, None) is portaudio.newest(Role.SPEAKER)


def test_portaudio_serves_names_the_server_does_not_know(server: ScriptedServer, portaudio: FakeBackend) -> None:
    server.refuses[Command.CREATE_RECORD_STREAM] = _NO_ENTITY
    backend = SoundBackend()
    assert backend.open(Role.MICROPHONE, "hw:1") is portaudio.newest(Role.MICROPHONE)
    with pytest.raises(DeviceFailure):
        backend.open(Role.MICROPHONE, None)


def test_what_a_server_has_served_waits_for_it(server: ScriptedServer, portaudio: FakeBackend) -> None:
    """PortAudio would look for the very same server."""
    backend = SoundBackend()
    stream = backend.open(Role.SPEAKER, "USB Headset")
    assert isinstance(stream, PulseStream)
    server.refuses[Command.CREATE_PLAYBACK_STREAM] = _NO_ENTITY
    with pytest.raises(DeviceFailure) as failure:
        backend.open(Role.SPEAKER, "USB Headset")
    assert failure.value.kind is FailureKind.NOT_FOUND
    server.close()
    with pytest.raises(DeviceFailure) as failure:
        backend.open(Role.SPEAKER, "USB Headset")
    assert failure.value.kind is FailureKind.REFUSED
    assert portaudio.streams == []
    stream.close()
