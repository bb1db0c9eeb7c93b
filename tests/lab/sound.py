"""A sound server of the tests' own: PulseAudio with null sinks as earpiece, microphone and ringer.

    paplay ──▶ sink mic ─monitor─▶ PortAudio ▶ the phone ▶ PortAudio ──▶ sink spk ─monitor─▶ parec

Everything is in a private directory with a private socket: the user's own sound is never touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab import signals
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.lab.signals import Samples

TOOLS = ("pulseaudio", "pactl", "paplay", "parec")
SINKS = ("spk", "mic", "ring")
RATE = 16000


def why_unavailable() -> str | None:
    """Why no sound server can be started here, in one sentence, or None."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"the sound tests need {', '.join(missing)}: run `make system`"
    return None


class Recording:
    """A running recording of a source; `stop` gives its samples at `RATE`."""

    def __init__(self, server: SoundServer, source: str) -> None:
        self._path = server.directory / f"recording-{os.urandom(4).hex()}.raw"
        with self._path.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *("parec", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1", "--latency-msec=20"),
                    f"--device={source}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=server.client_environment(),
            )
        # An idle null sink's monitor takes two seconds to move.
        wait_until(lambda: self._path.stat().st_size > 0, what=f"{source} delivers sound")
        self.started_at = time.monotonic() - self.seconds
        """When its first sample was taken, on the monotonic clock, to some 20 ms."""

    @property
    def seconds(self) -> float:
        """How much has been recorded so far."""
        return self._path.stat().st_size / 2 / RATE

    def wait_seconds(self, seconds: float) -> None:
        """Return once that much is recorded."""
        wait_until(lambda: self.seconds >= seconds, what=f"{seconds:g} s recorded", timeout_s=seconds + 10)

    def stop(self) -> Samples:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(5)
        return signals.from_pcm16(self._path.read_bytes())


class SoundServer:
    """A private PulseAudio; a context manager."""

    def __init__(self, *, awake: bool = False) -> None:
        """Null sinks follow who uses them, and take two seconds to wake when nobody has. ``awake`` ones move every
        50 ms all the time, as sound cards do.
        """
        self.directory = Path(tempfile.mkdtemp(prefix=f"offhook-sound-{os.getpid()}-"))
        self._sink_settings = ("rate=48000", "channels=1", *(["norewinds=1"] if awake else []))
        self._socket = self.directory / "native"
        self._process: subprocess.Popen[bytes] | None = None
        self._playing: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def client_environment(self) -> dict[str, str]:
        """The environment in which a program hears and speaks through this server."""
        return {
            **os.environ,
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": str(self.directory),
            "PULSE_STATE_PATH": str(self.directory),
            "PULSE_CLIENTCONFIG": str(self.directory / "client.conf"),
        }

    def start(self) -> None:
        """Start it; may follow `kill`, and then the same clients can come back."""
        self._socket.unlink(missing_ok=True)
        (self.directory / "client.conf").write_text("autospawn = no\n")
        settings = " ".join(self._sink_settings)
        sinks = "".join(f"load-module module-null-sink sink_name={name} {settings}\n" for name in SINKS)
        (self.directory / "server.pa").write_text(
            f"load-module module-native-protocol-unix socket={self._socket} auth-anonymous=1\n"
            f"{sinks}set-default-sink spk\nset-default-source mic.monitor\n"
        )
        arguments = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
        with (self.directory / "pulseaudio.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--"),
                    *("pulseaudio", "-n", "-F", str(self.directory / "server.pa"), *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.client_environment(),
            )
        wait_until(lambda: "mic" in self.pactl("list", "short", "sinks"), what="PulseAudio starts")

    def pactl(self, *arguments: str) -> str:
        """What pactl says; an empty string while the server is away."""
        done = subprocess.run(
            ["pactl", *arguments],
            env=self.client_environment(),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""

    def play(self, wav: Path, sink: str = "mic") -> subprocess.Popen[bytes]:
        """Start playing a WAV file into a sink; wait on the process for its end."""
        command = ["paplay", f"--device={sink}", str(wav)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=self.client_environment())
        self._playing.append(process)
        return process

    def record(self, source: str = "spk.monitor") -> Recording:
        """Start recording; returns once the first samples are there."""
        return Recording(self, source)

    def unplug(self, sink: str) -> None:
        """Take a device away, as a headset is pulled."""
        self.pactl("unload-module", self._module_of(sink))

    def plug(self, sink: str) -> None:
        """Give a device (back)."""
        self.pactl("load-module", "module-null-sink", f"sink_name={sink}", *self._sink_settings)

    def _module_of(self, sink: str) -> str:
        for line in self.pactl("list", "short", "modules").splitlines():
            if f"sink_name={sink}" in line:
                return line.split()[0]
        raise AssertionError(f"no sink called {sink}")

    def freeze(self) -> None:
        """Stop the server in mid-air, as a hung tunnel does. Undone by `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the server at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None

    def close(self) -> None:
        for process in self._playing:
            process.kill()
            process.wait(5)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        shutil.copy(self.directory / "pulseaudio.log", directory)
