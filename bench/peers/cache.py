"""Where the other phones live: a cache outside the clone, filled on demand.

package.json, *.js ──▶ CACHE/npm/      (npm install: JsSIP, SIP.js, ws)
Debian testing ──▶ CACHE/baresip/      (debootstrap, as the lab's Asterisk)
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.root import SCRIPT, SUITE, LabUnavailableError, apt_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


class MissingError(Exception):
    """A phone cannot be had on this machine; the message says why and what to do."""


def directory() -> Path:
    """OFFHOOK_PEERS_CACHE, else /var/cache/offhook-peers."""
    return Path(os.environ.get("OFFHOOK_PEERS_CACHE", "/var/cache/offhook-peers"))


@contextmanager
def _locked() -> Iterator[Path]:
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield directory()


def ensure_node() -> Path:
    """The directory of the browser phones with their packages installed; raises :class:`MissingError`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingError("Node.js 20 and npm are missing: apt-get install nodejs npm")
    with _locked() as cache:
        where = cache / "npm"
        where.mkdir(exist_ok=True)
        wanted = (HERE / "package.json").read_text()
        known = where / "package.json"
        if not known.exists() or known.read_text() != wanted or not (where / "node_modules").is_dir():
            known.write_text(wanted)
            _run("npm", "install", "--no-fund", "--no-audit", cwd=where)
        for script in HERE.glob("*.js"):
            shutil.copy(script, where)
    return where


def node_version(package: str) -> str:
    """Which version of an npm package is installed."""
    text = (ensure_node() / "node_modules" / package / "package.json").read_text()
    return str(json.loads(text)["version"])


def ensure_baresip() -> Path:
    """A root with baresip in it; raises :class:`MissingError`."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise MissingError("baresip comes by debootstrap, as root: run `make system`")
    with _locked() as cache:
        root = cache / "baresip"
        if not (root / "usr/bin/baresip").exists():
            try:
                mirror = apt_mirror()
            except LabUnavailableError as error:
                raise MissingError(str(error)) from None
            building = cache / f"baresip.{os.getpid()}"
            _run("debootstrap", "--variant=minbase", "--include=baresip-core", SUITE, str(building), mirror, SCRIPT)
            building.rename(root)
    return root


def baresip_version() -> str:
    """Which version of baresip is installed, as Debian counts."""
    command = ["chroot", str(ensure_baresip()), "dpkg-query", "-W", "-f=${Version}", "baresip-core"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = " · ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise MissingError(f"{command[0]} failed: {tail}")
