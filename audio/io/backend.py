"""The port to whatever opens sound devices: PortAudio, or a fake in its place. Everything here may block, or hang."""

from __future__ import annotations

import enum
from typing import Protocol

from audio.io.ring import FrameRing
from audio.io.settings import Role


class FailureKind(enum.Enum):
    """Why there is no sound; each has its own next step."""

    NO_LIBRARY = "no library"
    NO_DEVICE = "no device"
    NOT_FOUND = "not found"
    HANGS = "hangs"
    REFUSED = "refused"


class DeviceFailure(Exception):
    """A device cannot be had; the text is one sentence that says what and what to do."""

    def __init__(self, kind: FailureKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


class OpenStream(Protocol):
    """A running stream in one direction. Its callback copies between the device and :attr:`ring` and counts."""

    @property
    def name(self) -> str:
        """The device's name, for people."""
        ...

    @property
    def ring(self) -> FrameRing:
        """Sound on its way: written by a capture callback, read by a playout callback."""
        ...

    @property
    def rate(self) -> int:
        """Hz of what is in the ring."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stream ended by itself: unplugged, or its server gone."""
        ...

    def age(self, now: float) -> float:
        """Seconds since the callback last ran (monotonic ``now``), less whatever the device may take to start."""
        ...

    def close(self) -> None:
        """Stop and give back; blocks, for ever if the sound server hangs."""
        ...


class DeviceBackend(Protocol):
    """Opens devices. All calls are made one after the other, by one thread that may be lost to any of them."""

    def load(self) -> None:
        """Load the library. Raises :class:`DeviceFailure`."""
        ...

    def refresh(self) -> None:
        """Look again at what is plugged in, if no stream is open. Raises :class:`DeviceFailure`."""
        ...

    def open(self, role: Role, name: str | None) -> OpenStream:
        """Start a stream on the device whose name is or contains ``name``, or on the default. Raises :class:`DeviceFailure`."""
        ...

    def shut_down(self) -> None:
        """Give the library back."""
        ...
