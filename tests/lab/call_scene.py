"""One call with the echo of a PBX, of one kind of protection, and what can be said of it afterwards.

    Scene ── engine, in the call ══ RTP, captured ══ Asterisk, extension 600

The microphone says a tone all the time: what the earpiece recorded last shows that both directions work.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from tests.lab import asterisk_config as config
from tests.lab import signals
from tests.lab.engine import Engine
from tests.lab.rtp_view import RtpStream, SipLog, heard_by, said_by
from tests.lab.waiting import wait_until
from tests.lab.wire import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from tests.lab.asterisk import Asterisk

TONE_HZ = 700
_RATE = 8000
_TONE_S = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """An account of the lab whose calls are protected in one way."""

    name: str
    username: str
    media: str
    security: str | None
    secure: bool

    def server(self, host: str) -> str:
        """The PBX's WebSocket on ``host``."""
        return f"wss://{host}:{config.WSS_PORT}/ws" if self.secure else f"ws://{host}:{config.WS_PORT}/ws"


PLAIN = Kind("plain", "1001", "rtp", None, secure=False)
SDES = Kind("SDES", "1003", "sdes", "sdes", secure=True)
DTLS = Kind("DTLS", "1002", "webrtc", "dtls", secure=True)
KINDS = (PLAIN, SDES, DTLS)


def pause(seconds: float) -> None:
    """Let time pass: the length of an outage, or of the sound after it."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, what="time passes", timeout_s=seconds + 5)


class Scene:
    """A phone in a call; a context manager. ``host`` is the PBX as the phone sees it, a relay's address perhaps."""

    def __init__(
        self,
        pbx: Asterisk,
        kind: Kind,
        *,
        host: str | None = None,
        command_prefix: Sequence[str] = (),
        device: str = "lo",
        resilience: Mapping[str, object] | None = None,
        make_engine: Callable[..., Engine] | None = None,
        sound: bool = True,
    ) -> None:
        """``make_engine`` keeps what it makes, as the fixture does; without, the engine ends with the scene."""
        self.pbx = pbx
        self.kind = kind
        self._directory = tempfile.TemporaryDirectory(prefix="offhook-scene-")
        directory = Path(self._directory.name)
        self.earpiece = directory / "earpiece.wav"
        audio = {"input": f"wav:{tone_wav(directory)}", "output": f"wav:{self.earpiece}"} if sound else {}
        self._owns_engine = make_engine is None
        self.engine = (make_engine or Engine)(
            kind.server(host or pbx.address),
            kind.username,
            account={"tls_ca": str(pbx.ca_file), "media": kind.media},
            audio=audio,
            resilience=resilience,
            command_prefix=command_prefix,
        )
        self.capture = Capture(pbx.address, directory / "scene.pcapng", device=device)
        self.sip: SipLog | None = None
        self.call = ""
        self.since = 0
        """A mark in the engine's events: the fault."""

        self.fault_at = 0.0
        self._heard: RtpStream | None = None

    def __enter__(self) -> Self:
        self.engine.start()
        self.engine.wait_registered(20)
        self.capture.start()
        self.sip = SipLog(self.pbx)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.capture.stop()
        if self._owns_engine:
            self.engine.close()
        else:
            self.engine.stop()
        self.pbx.cli("channel request hangup all")
        self._directory.cleanup()

    def dial(self, extension: str = "600") -> str:
        """Call and let it sound for a second; returns our id of the call."""
        self.call = self.engine.dial(extension)
        up = self.engine.wait_seconds(1)
        assert up["security"] == self.kind.security
        return self.call

    def fault(self) -> None:
        """What follows is measured."""
        self.since, self.fault_at = self.engine.mark(), time.time()

    def wait_recovered(self, timeout_s: float = 15.0) -> None:
        """Return once the far end was told where we are."""
        self.engine.wait_event("reconnectionSuccess", timeout_s, since=self.since)
        self.engine.wait_event("signallingChanged", since=self.since, up=True)

    def is_up(self) -> bool:
        """Whether phone and PBX both hold the call, the same one."""
        return [call["id"] for call in self.engine.calls()] == [self.call] and len(self.pbx.channels()) == 1

    def end(self, *, by_pbx: bool) -> None:
        """End the call from one side: the other hears of it, and nothing is left."""
        if by_pbx:
            self.pbx.cli("channel request hangup all")
            self.engine.wait_event("callEnded", since=self.since, by="remote")
        else:
            self.engine.ctl("hangup")
            self.engine.wait_event("callEnded", since=self.since, by="local")
        self.pbx.wait_no_channels()
        self.engine.wait_no_calls()
        self.capture.stop()

    # --- what was found, once the call has ended ---------------------------------------------------------------------

    def heard(self) -> RtpStream:
        """What arrived at the PBX from the fault on, and just before it."""
        return heard_by(self.pbx.address, self.capture).since(self.fault_at - 0.1)

    def said(self) -> RtpStream:
        """What the PBX sent."""
        return said_by(self.pbx.address, self.capture).since(self.fault_at - 0.1)

    def sounds_both_ways(self) -> bool:
        """Whether the tone of our microphone still came back at the end."""
        samples, rate = signals.read_wav(self.earpiece)
        return signals.tone_share(samples[-rate:], rate, TONE_HZ) > 0.9


def restart_websocket(pbx: Asterisk, cut: Callable[[], None], seconds: float) -> None:
    """The PBX's web server ends with every connection, for which ``cut`` is needed, and is back after that time."""
    path = pbx.directory / "etc/http.conf"
    text = path.read_text()
    path.write_text(text.replace("enable=yes", "enable=no").replace("enabled=yes", "enabled=no"))
    pbx.cli("module reload http")
    cut()
    pause(seconds)
    path.write_text(text)
    pbx.cli("module reload http")


def tone_wav(directory: Path) -> Path:
    """A tone that outlasts every call of a test."""
    time_s = np.arange(_TONE_S * _RATE) / _RATE
    return signals.write_wav(directory / "tone.wav", 0.3 * np.sin(2 * np.pi * TONE_HZ * time_s), _RATE)
