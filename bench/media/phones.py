"""The phones that are measured, each at a sound server and a far end of its own: Offhook, baresip, linphone.

Each is what its package installs, with G.711 µ-law, the server's default devices and no other setting changed that
sound depends on.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from phone.client import Connection
from tests.lab.engine import Engine
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.media.far_end import FarEnd
    from tests.lab.sound import SoundServer

_HOST = "127.0.0.1"


class Softphone(ABC):
    """One phone; a context manager. It calls the far end when told to."""

    title: str
    install: str
    wants_a_microphone = False
    """Whether the monitor of a sink is no microphone to it."""

    @abstractmethod
    def __init__(self, server: SoundServer, far: FarEnd) -> None:
        """Start it."""

    @classmethod
    @abstractmethod
    def version(cls) -> str | None:
        """Which is installed; ``None`` where none is."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its process."""

    @abstractmethod
    def dial(self) -> None:
        """Call the far end; returns at once."""

    @abstractmethod
    def hang_up(self) -> None:
        """End the call; returns at once."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def __enter__(self) -> Softphone:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Offhook(Softphone):
    """`offhook run --headless`, told over its control socket."""

    title = "Offhook"
    install = ""

    def __init__(self, server: SoundServer, far: FarEnd) -> None:
        sound = {name: value for name, value in server.client_environment().items() if name.startswith("PULSE_")}
        audio = {"input": "default", "output": "default", "ring": "none"}
        self.engine = Engine(f"udp:{_HOST}:{far.port}", "bench", password="x", audio=audio, environment=sound)
        self.engine.start()
        self.engine.wait_registered()
        self._control = Connection(self.engine.socket)

    @classmethod
    def version(cls) -> str | None:
        return "this tree"

    @property
    def pid(self) -> int:
        return self.engine.pid

    def dial(self) -> None:
        self._control.call("dial", target="600")

    def hang_up(self) -> None:
        self._control.call("hangup")

    def close(self) -> None:
        self._control.close()
        self.engine.close()


class _Program(Softphone):
    """Another's program, in a home of its own."""

    program: str
    package: str

    def __init__(self, server: SoundServer, far: FarEnd) -> None:
        self.home = Path(tempfile.mkdtemp(prefix=f"offhook-{self.program}-"))
        self._far = far
        command = self._prepare()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(server.client_environment()),
            cwd=self.home,
        )

    @abstractmethod
    def _prepare(self) -> Sequence[str]:
        """Write its configuration; its command."""

    def _environment(self, sound: Mapping[str, str]) -> dict[str, str]:
        private = {"HOME": self.home, "XDG_CONFIG_HOME": self.home / "config", "XDG_DATA_HOME": self.home / "data"}
        return {**sound, **{name: str(path) for name, path in private.items()}}

    @classmethod
    def version(cls) -> str | None:
        if shutil.which(cls.program) is None:
            return None
        query = ("dpkg-query", "-W", "-f=${Version}", cls.package)
        done = subprocess.run(query, capture_output=True, text=True, check=False) if shutil.which(query[0]) else None
        return done.stdout if done is not None and done.stdout else "of unknown version"

    @property
    def pid(self) -> int:
        return self.process.pid

    def close(self) -> None:
        self.process.kill()
        self.process.wait(5)
        shutil.rmtree(self.home, ignore_errors=True)


_BARESIP = """
module_path /usr/lib/baresip/modules
module g711.so
module alsa.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{port}
net_interface {host}
audio_source alsa,pulse
audio_player alsa,pulse
audio_alert alsa,pulse
"""


class Baresip(_Program):
    """Through its ALSA module and ALSA's pulse plugin: Debian's has no module for PulseAudio."""

    title = "baresip"
    program = "baresip"
    package = "baresip-core"
    install = "apt-get install baresip-core libasound2-plugins"

    def __init__(self, server: SoundServer, far: FarEnd) -> None:
        super().__init__(server, far)
        control = wait_until(self._connected, what="baresip takes commands")
        assert control is not None
        self._control = control

    def _prepare(self) -> Sequence[str]:
        self._port = _free_port(socket.SOCK_STREAM)
        (self.home / "config").write_text(_BARESIP.format(host=_HOST, port=self._port))
        account = f"<sip:bench@{_HOST}:{self._far.port};transport=udp>;auth_pass=x;regint=0;audio_codecs=PCMU\n"
        (self.home / "accounts").write_text(account)
        return (self.program, "-f", str(self.home))

    def _connected(self) -> socket.socket | None:
        try:
            return socket.create_connection((_HOST, self._port), 1.0)
        except OSError:
            return None

    def dial(self) -> None:
        self._tell("dial", f"sip:600@{_HOST}:{self._far.port}")

    def hang_up(self) -> None:
        self._tell("hangup", "")

    def _tell(self, command: str, parameters: str) -> None:
        text = json.dumps({"command": command, "params": parameters})
        self._control.sendall(f"{len(text)}:{text},".encode())

    def close(self) -> None:
        self._control.close()
        super().close()


_LINPHONE = """
[sip]
sip_port={port}
sip_tcp_port=0
sip_tls_port=0
[sound]
capture_dev_id=PulseAudio Unknown: Microphone
echocancellation=0
[net]
firewall_policy=0
"""


class Linphone(_Program):
    """`linphonec`, told on its standard input."""

    title = "linphone"
    program = "linphonec"
    package = "linphone-cli"
    wants_a_microphone = True
    install = "apt-get install linphone-cli"

    def _prepare(self) -> Sequence[str]:
        for name in ("config/linphone", "data/linphone", ".local/share/linphone"):
            (self.home / name).mkdir(parents=True)
        (self.home / "rc").write_text(_LINPHONE.format(port=_free_port(socket.SOCK_DGRAM)))
        return (self.program, "-c", str(self.home / "rc"))

    def dial(self) -> None:
        self._say(f"call sip:600@{_HOST}:{self._far.port}")

    def hang_up(self) -> None:
        self._say("terminate")

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


def _free_port(kind: socket.SocketKind) -> int:
    """A port for a program that must be told one."""
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])


PHONES: dict[str, type[Softphone]] = {"offhook": Offhook, "baresip": Baresip, "linphone": Linphone}
"""By name; Offhook first."""
