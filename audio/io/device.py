"""Sound devices through PortAudio: the only importer of sounddevice, inside a function a disposable thread runs.

    device ── callback, 10 ms ──▶ ring            ring ── callback, 10 ms ──▶ device

Importing sounddevice initialises PortAudio, which may print on descriptor 2 or hang with a dead sound server. Input
and output are separate streams: a duplex one stalls on ALSA's pulse plugin. Streams are callback streams: blocking
reads crash on PipeWire.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audio.io.backend import DeviceFailure, FailureKind
from audio.io.matching import CallbackCapture, CallbackPlayout, CaptureEnd, PlayoutEnd
from audio.io.pulse import PulseDevice, chosen_pulse, find_pulse, list_pulse, pulse_answers
from audio.io.realtime import raise_thread_priority
from audio.io.ring import FrameRing
from audio.io.settings import Role
from audio.io.stderr import guard_stderr
from audio.io.trial import crash_at_start
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from types import ModuleType

_log = logging.getLogger(__name__)

_RATES = (48000, 44100, 32000, 16000, 8000)
_BLOCKS_PER_SECOND = 100
_RING_S = 0.5
_LOCAL_LATENCY_S = 0.03
"""PortAudio asks ALSA for about this much buffer and a third more. From 0.06 on, ALSA's pulse plugin calls back for
two blocks at a time every 20 ms; below 0.02 PipeWire crackles."""

_REMOTE_LATENCY_S = 0.12
"""Over a forwarded socket or TCP: playout starves with less."""

_START_GRACE_S = 3.0
"""A source or sink found idle may take 2 s before it runs evenly."""

_SERVERS = ("pipewire", "pulse", "default")
"""Devices behind which a sound server moves streams by itself when a headset comes or goes; best first."""

_INVALID_SAMPLE_RATE = -9997
_INVALID_CHANNELS = -9998
_WORDS = {
    Role.MICROPHONE: Phrase("microphone"),
    Role.SPEAKER: Phrase("speaker"),
    Role.RINGER: Phrase("ring device"),
}


@dataclass(frozen=True, slots=True)
class _Target:
    """What to open: a PortAudio device, and which sink or source behind it."""

    index: int
    name: str
    pulse: PulseDevice | None = None


class DeviceStream:
    """A running PortAudio stream: an :class:`~audio.io.backend.OpenStream`."""

    def __init__(self, library: ModuleType, role: Role, target: _Target, rate: int, channels: int) -> None:
        self.name = target.name
        self.rate = rate
        self.ring = FrameRing(round(rate * _RING_S))
        self.end: CaptureEnd | PlayoutEnd = (
            CaptureEnd(CallbackCapture(self.ring, rate, self._since_callback))
            if role.captures
            else PlayoutEnd(CallbackPlayout(self.ring, rate, self._since_callback))
        )
        """What the media thread reads from, or writes to."""

        self.flagged = 0
        """Callbacks in which PortAudio told of an overflow or underflow of its own."""

        self.closed = False
        """Whether it was given back."""

        self.interrupted = False
        """Whether it was ended for a look at the devices."""

        self._channels = channels
        self._served = target.name in _SERVERS or target.pulse is not None
        self._finished = False
        self._started_by = time.monotonic() + _START_GRACE_S
        self.last_callback = 0.0
        """When the callback last ran, on the monotonic clock."""

        options = {
            "device": target.index,
            "samplerate": rate,
            "blocksize": rate // _BLOCKS_PER_SECOND,
            "channels": channels,
            "dtype": "int16",
            "latency": _latency_s(),
            "finished_callback": self._on_finished,
        }
        self._stream: Any = (
            library.RawInputStream(callback=self._on_captured, **options)
            if role.captures
            else library.RawOutputStream(callback=self._on_wanted, **options)
        )
        try:
            self._stream.start()
        except library.PortAudioError:
            self._stream.close(ignore_errors=True)
            raise

    @property
    def finished(self) -> bool:
        """Whether it ended by itself."""
        return self._finished

    def age(self, now: float) -> float:
        """Seconds without a callback; negative while the device may still be starting.

        The grace of the start ends only with time: a sink found idle asks for its first blocks and then pauses.
        """
        return now - max(self.last_callback, self._started_by)

    def _since_callback(self) -> float:
        return time.monotonic() - self.last_callback

    async def answers(self) -> bool:
        """A sink or source of PulseAudio may pause by itself, after an underrun for one; a frozen server is silent."""
        return self._served and await pulse_answers()

    def raise_rate(self, rate: int) -> None:
        """Its own is the best the device has."""

    def close(self) -> None:
        """Drop what is still to be played and give the device back."""
        if not self.closed:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            self.closed = True

    def _on_captured(self, data: Any, frames: int, clock: object, status: object) -> None:
        self._seen(status)
        if self._channels == 1:
            self.ring.write(memoryview(data))
        else:
            self.ring.write(np.frombuffer(data, dtype=np.int16)[:: self._channels].tobytes())

    def _on_wanted(self, data: Any, frames: int, clock: object, status: object) -> None:
        self._seen(status)
        if self._channels == 1:
            self.ring.read_into(memoryview(data))
        else:
            mono = bytearray(frames * 2)
            self.ring.read_into(memoryview(mono))
            np.frombuffer(data, dtype=np.int16)[:] = np.repeat(np.frombuffer(mono, dtype=np.int16), self._channels)

    def _seen(self, status: object) -> None:
        if not self.last_callback:
            # Once, and for the life of PortAudio's own thread: it is as much in a hurry as the media thread.
            raise_thread_priority()
        self.last_callback = time.monotonic()
        if status:
            self.flagged += 1

    def _on_finished(self) -> None:
        self._finished = True


class PortAudioBackend:
    """Devices by PortAudio: a :class:`~audio.io.backend.DeviceBackend`, called by one thread only."""

    def __init__(self, *, expendable: bool = False) -> None:
        """``expendable``: this process may crash, so the library is not tried in another first."""
        self.rate = 0  # that of the calls to come says nothing: a device's own is used
        self._library: ModuleType | None = None
        self._streams: list[DeviceStream] = []
        self._expendable = expendable

    def load(self) -> None:
        """Import sounddevice and so start PortAudio. 0.1 to 1 s; with a dead PULSE_SERVER over a minute."""
        self._loaded()

    def _loaded(self) -> ModuleType:
        if self._library is not None:
            return self._library
        guard_stderr()
        untried = not self._expendable and "sounddevice" not in sys.modules
        if untried and (crash := crash_at_start()):
            raise DeviceFailure(
                FailureKind.NO_LIBRARY,
                Phrase(
                    "The sound library PortAudio crashes as it starts ({crash}); check ALSA's configuration"
                    " (/usr/share/alsa/alsa.conf, /etc/asound.conf, ~/.asoundrc). Calls go on without sound.",
                    crash=crash,
                ),
            )
        try:
            import sounddevice
        except ImportError as error:
            raise DeviceFailure(
                FailureKind.NO_LIBRARY,
                Phrase("Sound needs the Python package sounddevice ({why}); install it with pip.", why=str(error)),
            ) from error
        except OSError as error:
            raise DeviceFailure(
                FailureKind.NO_LIBRARY,
                Phrase(
                    "The sound library PortAudio is not installed; run: apt-get install libportaudio2"
                    ' libasound2-plugins (or set input, output and ring to "none").'
                ),
            ) from error
        except Exception as error:
            raise DeviceFailure(
                FailureKind.REFUSED,
                Phrase("The sound library PortAudio does not start: {why}; check the sound system.", why=str(error)),
            ) from error
        # Its exit handler closes streams and PortAudio, and would hang at exit with a sound server that hangs.
        atexit.unregister(sounddevice._exit_handler)
        library: ModuleType = sounddevice
        if not library._initialized:  # shut down before, and so not started by the import
            library._initialize()
        self._library = library
        return library

    def refresh(self) -> None:
        """PortAudio's list of devices is as old as its start: start it anew."""
        if self._library is None or self.pinned:
            return
        try:
            self._library._terminate()
            self._library._initialize()
        except self._library.PortAudioError as error:
            raise DeviceFailure(
                FailureKind.REFUSED, Phrase("The sound system does not start: {why}; check it.", why=str(error))
            ) from error

    @property
    def pinned(self) -> bool:
        """Whether a stream is open."""
        self._streams = [stream for stream in self._streams if not stream.closed]
        return bool(self._streams)

    def restart(self) -> None:
        """Look again at what is plugged in; open streams end for it."""
        for stream in self._streams:
            stream.interrupted = True
            stream.close()
        self.refresh()

    def check(self, role: Role, name: str | None) -> None:
        """Whether there is such a device."""
        self._find(self._loaded(), role, name)

    def open(self, role: Role, name: str | None) -> DeviceStream:
        """Start a stream on the device, sink or source whose name is or contains ``name``, or on the default."""
        library = self._loaded()
        target = self._find(library, role, name)
        try:
            with chosen_pulse(target.pulse):
                stream = _open_at_any_rate(library, role, target)
        except library.PortAudioError as error:
            raise DeviceFailure(
                FailureKind.REFUSED,
                Phrase(
                    "The {role} {name} cannot be opened ({why}); another program may hold it.",
                    role=_WORDS[role],
                    name=target.name,
                    why=str(error.args[0] if error.args else error),
                ),
            ) from error
        self._streams.append(stream)
        return stream

    def names(self, role: Role) -> list[tuple[str, bool]]:
        """Every device for ``role``, and whether it is the one ``default`` stands for."""
        library = self._loaded()
        devices = _devices(library, role)
        if not devices:
            return []
        default = _default(library, role, devices)
        return [(device.name, device is default) for device in devices]

    def shut_down(self) -> None:
        """End PortAudio; the streams are closed already."""
        if self._library is not None:
            library, self._library = self._library, None
            library._terminate()

    def _find(self, library: ModuleType, role: Role, name: str | None) -> _Target:
        devices = _devices(library, role)
        if not devices:
            # The list may be older than the device.
            self.refresh()
            devices = _devices(library, role)
        if not devices:
            raise DeviceFailure(
                FailureKind.NO_DEVICE,
                Phrase(
                    'There is no {role}: plug one in or start PulseAudio or PipeWire (or set {setting} to "none").',
                    role=_WORDS[role],
                    setting=role.value,
                ),
            )
        if name is None:
            return _default(library, role, devices)
        found = _match(devices, name) or _match_pulse(devices, role, name)
        if found is None:
            self.refresh()
            devices = _devices(library, role)
            found = _match(devices, name)
        if found is None:
            raise DeviceFailure(FailureKind.NOT_FOUND, _not_found(role, name, devices))
        return found


def _open_at_any_rate(library: ModuleType, role: Role, target: _Target) -> DeviceStream:
    """48 kHz mono where it can be had: other rates, and a second channel, only for hardware without a sound server."""
    for channels in (1, 2):
        for rate in _RATES:
            try:
                return DeviceStream(library, role, target, rate, channels)
            except library.PortAudioError as error:
                code = error.args[1] if len(error.args) > 1 else None
                if code == _INVALID_CHANNELS:
                    break
                if code != _INVALID_SAMPLE_RATE:
                    raise
    return DeviceStream(library, role, target, _RATES[0], 1)


def _devices(library: ModuleType, role: Role) -> list[_Target]:
    key = "max_input_channels" if role.captures else "max_output_channels"
    return [
        _Target(index, str(device["name"])) for index, device in enumerate(library.query_devices()) if device[key] > 0
    ]


def _default(library: ModuleType, role: Role, devices: list[_Target]) -> _Target:
    for server in _SERVERS:
        for device in devices:
            if device.name == server:
                return device
    preferred = library.default.device[0 if role.captures else 1]
    return next((device for device in devices if device.index == preferred), devices[0])


def _match(devices: list[_Target], name: str) -> _Target | None:
    wanted = name.lower()
    for device in devices:
        if device.name.lower() == wanted:
            return device
    return next((device for device in devices if wanted in device.name.lower()), None)


def _match_pulse(devices: list[_Target], role: Role, name: str) -> _Target | None:
    """A sink or source of the sound server by its name, through the one device PortAudio has for all of them."""
    server = next((device for device in devices if device.name == "pulse"), None)
    pulse = find_pulse(name, captures=role.captures) if server is not None else None
    if server is None or pulse is None:
        return None
    return _Target(server.index, pulse.description, pulse)


def _not_found(role: Role, name: str, devices: list[_Target]) -> str:
    described = [device for device in list_pulse(captures=role.captures) if not device.monitor]
    descriptions = [device.description for device in described]
    # Where two devices describe themselves alike only the name tells them apart.
    pulse = [device.description if descriptions.count(device.description) == 1 else device.name for device in described]
    choices = ", ".join([*pulse, *(device.name for device in devices)])
    return Phrase(
        "No {role} is called {name!r}; choose one of: {choices}.", role=_WORDS[role], name=name, choices=choices
    )


def _latency_s() -> float:
    """By where the sound server is: on this machine, or behind a network (``PULSE_SERVER=tcp:…``)."""
    server = os.environ.get("PULSE_SERVER", "")
    remote = server.startswith(("tcp", "tcp4", "tcp6")) or (bool(server) and not server.startswith(("unix:", "/", "{")))
    return _REMOTE_LATENCY_S if remote else _LOCAL_LATENCY_S
