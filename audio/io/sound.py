"""Sound devices by the shortest way there is: a sound server by its own protocol, else PortAudio.

    PulseAudio or PipeWire answers ─▶ PulseBackend          names no server knows, no server, other systems ─▶ PortAudio

PortAudio reaches a server through ALSA's plugin: a second of start, twice the delay, and five times the processor
time for callbacks. It is not even loaded while a server serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.core import SAMPLE_RATE
from audio.io.backend import DeviceFailure, FailureKind, OpenStream
from audio.io.device import PortAudioBackend
from audio.io.pulse_backend import NoServer, PulseBackend
from sipcore.errors import Phrase

if TYPE_CHECKING:
    from audio.io.settings import Role


class SoundBackend:
    """A :class:`~audio.io.backend.DeviceBackend`, called by one thread only."""

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        self.rate = rate
        self._pulse = PulseBackend()
        self._portaudio = PortAudioBackend()
        self._served: set[tuple[Role, str | None]] = set()

    def load(self) -> None:
        """Nothing is loaded before it is known to be needed."""

    def refresh(self) -> None:
        """Only PortAudio's list of devices grows old."""
        self._portaudio.refresh()

    @property
    def pinned(self) -> bool:
        """Whether a stream of PortAudio's is open."""
        return self._portaudio.pinned

    def restart(self) -> None:
        """Look again at what is plugged in; open streams of PortAudio's end for it."""
        self._portaudio.restart()

    def check(self, role: Role, name: str | None) -> None:
        """Whether there is such a device."""
        try:
            self._pulse.check(role, name)
        except (NoServer, DeviceFailure) as failure:
            self._without(role, name, failure)
            self._portaudio.load()
            self._portaudio.check(role, name)
        else:
            self._served.add((role, name))

    def open(self, role: Role, name: str | None) -> OpenStream:
        """Start a stream on the device whose name is or contains ``name``, or on the default."""
        try:
            stream = self._pulse.open(role, name, self.rate)
        except (NoServer, DeviceFailure) as failure:
            self._without(role, name, failure)
            self._portaudio.load()
            return self._portaudio.open(role, name)
        self._served.add((role, name))
        return stream

    def shut_down(self) -> None:
        """Give the library back."""
        self._portaudio.shut_down()

    def _without(self, role: Role, name: str | None, failure: NoServer | DeviceFailure) -> None:
        """Raise what is the server's last word; return where PortAudio may do better."""
        match failure:
            case DeviceFailure(kind=FailureKind.NOT_FOUND) if (role, name) not in self._served:
                return
            case DeviceFailure():
                raise failure
            case NoServer():
                if self._served:
                    # PortAudio would look for the same server, and be slow to find it missing.
                    raise DeviceFailure(
                        FailureKind.REFUSED,
                        Phrase("The sound server has gone; sound comes back with it. Calls go on without sound."),
                    )
