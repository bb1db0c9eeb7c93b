"""A real Asterisk for tests: own directories, own loopback address, own mount namespace over the shared root.

    directory (temporary)                      the root (never written to)
      etc/ lib/ log/ run/ spool/ tls/ ──bind──▶ /lab

Every instance has a 127.x.y.z of its own, derived from our process id, and on it the fixed ports of
`tests.lab.asterisk_config`: nothing is ever "found free". It ends with the process that started it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.lab import asterisk_config as config
from tests.lab import root
from tests.lab.ami import Manager
from tests.lab.relay import sibling_address
from tests.lab.tls import Authority
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_instances = itertools.count(1)

# The mounts live in a namespace of their own and vanish with the process: nothing is left to unmount.
_ENTER = """
set -e
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/lab"
exec chroot "$1" asterisk -f -n -C /lab/etc/asterisk.conf
"""


def loopback_address() -> str:
    """A loopback address no other process of this machine's tests uses; forty of them before the first comes again."""
    pid, number = os.getpid(), next(_instances) % 40
    # 16 to 25, 36 to 45 ...: ten further on are the relays' (`tests.lab.relay.sibling_address`).
    return f"127.{16 + number // 10 * 20 + number % 10}.{pid >> 8 & 255}.{pid & 255}"


class Asterisk:
    """One instance; a context manager. After `stop` the directory is gone unless `keep` was set."""

    def __init__(
        self,
        *,
        address: str | None = None,
        namespace: str | None = None,
        accounts: Mapping[str, config.Account] = config.ACCOUNTS,
        extra: str = "",
        authority: Authority | None = None,
    ) -> None:
        """`namespace` is a network namespace to start in, with `address` configured there; default: our own network."""
        self.address = address or loopback_address()
        self.accounts = accounts
        self.authority = authority or Authority.create()
        self._root = root.ensure_root()
        self._namespace = namespace
        self._extra = extra
        self._process: subprocess.Popen[bytes] | None = None
        self._manager: Manager | None = None
        self.directory = Path(tempfile.mkdtemp(prefix=f"offhook-lab-{os.getpid()}-"))
        self._write_configuration()

    def _write_configuration(self) -> None:
        for name in ("etc", "lib/keys", "log", "run", "spool", "tls"):
            (self.directory / name).mkdir(parents=True)
        modules = next(self._root.glob("usr/lib/*/asterisk/modules")).relative_to(self._root)
        written = config.files(self.address, modules=f"/{modules}", accounts=self.accounts, extra=self._extra)
        for name, text in written.items():
            (self.directory / "etc" / name).write_text(text)
        self.issue_certificate(self.authority)

    # ------------------------------------------------------------------------------------------------- life-cycle

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it is fully booted; may follow `stop` or `kill`."""
        if self._process is not None:
            raise RuntimeError("this Asterisk runs already")
        (self.directory / "run/asterisk.ctl").unlink(missing_ok=True)
        within = ["ip", "netns", "exec", self._namespace] if self._namespace else []
        with (self.directory / "log/console").open("ab") as console:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", *within),
                    *("unshare", "--mount", "--propagation", "private", "--"),
                    *("sh", "-c", _ENTER, "asterisk-in-root", self._root, self.directory),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Return once every module is loaded."""

        def booted() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"Asterisk ended while starting: {self.console()[-2000:]}")
            return (self.directory / "run/asterisk.ctl").exists() and "fully booted" in self.cli("core waitfullybooted")

        wait_until(booted, what="Asterisk boots", timeout_s=timeout_s)

    def stop(self) -> None:
        """End it as an administrator would; phones see their connections closed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would: nothing is said goodbye to."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it in mid-air: sockets stay open, nothing answers. Undone by `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen instance go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("this Asterisk does not run")
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._manager is not None:
            self._manager.close()
            self._manager = None
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    # ------------------------------------------------------------------------------------------- asking and telling

    def cli(self, command: str) -> str:
        """What Asterisk prints for a console command."""
        if self._process is None:
            raise RuntimeError("this Asterisk does not run")
        done = subprocess.run(
            [
                *("nsenter", "--target", str(self._process.pid), "--mount", "--"),
                *("chroot", self._root, "asterisk", "-C", f"{config.INSIDE}/etc/asterisk.conf", "-rx", command),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        return done.stdout + done.stderr

    @property
    def manager(self) -> Manager:
        """The manager interface: events as they happen (one connection, opened at first use)."""
        if self._manager is None:
            self._manager = Manager(self.address, config.MANAGER_PORT, "lab", config.MANAGER_SECRET)
        return self._manager

    def channels(self) -> list[str]:
        """The names of the channels that exist now."""
        lines = self.cli("core show channels concise").splitlines()
        return [line.split("!")[0] for line in lines if line.count("!") > 5]

    def contacts(self, account: str) -> list[str]:
        """The contact URIs registered for an account."""
        found = re.findall(r"Contact:\s+(\S+?)/(\S+)\s", self.cli(f"pjsip show aor {account}"))
        return [uri for name, uri in found if name == account]

    def wait_registered(self, account: str, timeout_s: float = 10.0) -> str:
        """The contact of an account, once it has one."""
        return wait_until(lambda: self.contacts(account), what=f"{account} registers", timeout_s=timeout_s)[0]

    def wait_no_channels(self, timeout_s: float = 10.0) -> None:
        """Return once no channel is left."""
        wait_until(lambda: not self.channels(), what="the PBX holds no channel", timeout_s=timeout_s)

    def call(self, account: str, extension: str = "600") -> None:
        """Ring a registered account and connect it to an extension; a call from Asterisk to the phone."""
        self.cli(f"channel originate PJSIP/{account} extension {extension}@default")

    def digits_read(self) -> str:
        """The digits extension 602 read last, or an empty string."""
        found = re.search(r"Value: (\S+)", self.cli("database get lab digits"))
        return found[1] if found else ""

    def set_password(self, account: str, password: str) -> None:
        """Change an account's password at the PBX, as an administrator would, and reload."""
        path = self.directory / "etc/pjsip.conf"
        pattern = rf"(username={account}\npassword=)\S+"
        path.write_text(re.sub(pattern, lambda match: match[1] + password, path.read_text()))
        self.cli("module reload res_pjsip.so")

    def issue_certificate(self, authority: Authority, *, expired: bool = False) -> None:
        """Write a new server certificate for localhost, our address and a relay's; takes effect at the next start."""
        names = ["localhost", "127.0.0.1", self.address, sibling_address(self.address)]
        authority.issue(self.directory / "tls", names, expired=expired)

    # ---------------------------------------------------------------------------------------------------- addresses

    @property
    def ws_uri(self) -> str:
        return f"ws://{self.address}:{config.WS_PORT}/ws"

    @property
    def wss_uri(self) -> str:
        return f"wss://{self.address}:{config.WSS_PORT}/ws"

    @property
    def ca_file(self) -> Path:
        return self.directory / "tls/ca.pem"

    # ----------------------------------------------------------------------------------------------------- evidence

    def console(self) -> str:
        """Everything Asterisk said so far."""
        return "\n".join(
            path.read_text(errors="replace")
            for name in ("console", "full")
            if (path := self.directory / "log" / name).exists()
        )

    def save_evidence(self, directory: Path) -> None:
        """Copy what explains a failure."""
        (directory / "asterisk.log").write_text(self.console())
        if self._process is not None and self._process.poll() is None:
            state = [self.cli(command) for command in ("core show channels verbose", "pjsip show contacts")]
            (directory / "asterisk.state").write_text("\n".join(state))
