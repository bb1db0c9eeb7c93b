"""Where the other phones live: a cache outside the clone, filled on demand.

package.json, *.js ──▶ CACHE/npm/, CACHE/browser/      (npm install: JsSIP, SIP.js, ws; JsSIP, playwright-core)
apt ──▶ Chromium, and Node.js where there is none
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
NODE = 20


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
    return ensure_packages(HERE, "npm")


def ensure_packages(source: Path, name: str) -> Path:
    """The scripts of ``source`` beside what their package.json wants; raises :class:`MissingError`."""
    _ensure_node_itself()
    with _locked() as cache:
        where = cache / name
        where.mkdir(exist_ok=True)
        wanted = (source / "package.json").read_text()
        known = where / "package.json"
        if not known.exists() or known.read_text() != wanted or not (where / "node_modules").is_dir():
            known.write_text(wanted)
            _run("npm", "install", "--no-fund", "--no-audit", "--no-package-lock", cwd=where)
        for script in source.glob("*.js"):
            shutil.copy(script, where)
    return where


def _ensure_node_itself() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        _apt_install("nodejs", "npm")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    if int(said.lstrip("v").partition(".")[0] or 0) < NODE:
        raise MissingError(f"Node.js {NODE} or newer is needed, this is {said or 'none that runs'}")


def ensure_chromium() -> str:
    """The path of Chromium; raises :class:`MissingError`."""
    for _ in range(2):
        for name in ("chromium", "chromium-browser", "google-chrome"):
            if (path := shutil.which(name)) is not None:
                return path
        _apt_install("chromium")
    raise MissingError("there is no program called chromium even after apt-get install chromium")


def chromium_version() -> str:
    """Which version of Chromium is installed."""
    done = subprocess.run([ensure_chromium(), "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("Chromium ").partition(" ")[0]


def _apt_install(*packages: str) -> None:
    wanted = " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingError(f"missing here: apt-get install {wanted}")
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)


def node_version(package: str, where: Path | None = None) -> str:
    """Which version of an npm package is installed."""
    text = ((where or ensure_node()) / "node_modules" / package / "package.json").read_text()
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
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        tail = " · ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
        raise MissingError(f"{command[0]} failed: {tail}")
