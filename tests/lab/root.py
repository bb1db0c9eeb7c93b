"""The Asterisk root: a small Debian of its own, built once and cached outside the clone.

    apt's own mirror ──debootstrap──▶ CACHE/root-RECIPE.PID ──rename──▶ CACHE/root-RECIPE

Debian 12 has no asterisk package, Debian testing has. The root is never written to afterwards: instances bring their
own directories (see `tests.lab.asterisk`). A lock lets several runs ask for it at once. `python -m tests.lab.root`
builds it if it is missing and prints the exact version of Asterisk in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = "forky"
# Debian 12's debootstrap has no script called forky; every release since has been bootstrapped the same way.
SCRIPT = "sid"
PACKAGES = ("asterisk", "asterisk-core-sounds-en", "ca-certificates")
TOOLS = ("debootstrap", "unshare", "chroot", "mount")
_STAMP = "offhook-lab"


class LabUnavailableError(Exception):
    """The lab cannot be had on this machine; the message says why and what to do."""


def cache_directory() -> Path:
    """Where roots are kept between runs: OFFHOOK_LAB_CACHE, else /var/cache/offhook-lab."""
    return Path(os.environ.get("OFFHOOK_LAB_CACHE", "/var/cache/offhook-lab"))


def root_directory() -> Path:
    """The root of the current recipe; it may not have been built yet."""
    recipe = " ".join((SUITE, SCRIPT, *PACKAGES))
    return cache_directory() / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"


def is_built() -> bool:
    """Whether the root of the current recipe is complete."""
    return (root_directory() / _STAMP).exists()


def why_unavailable() -> str | None:
    """Why no root can be used or built here, in one sentence, or None."""
    if os.geteuid() != 0:
        return "the lab needs root (debootstrap and chroot): run `sudo make lab`"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"the lab needs {', '.join(missing)}: run `make system`"
    if not is_built():
        try:
            apt_mirror()
        except LabUnavailableError as error:
            return str(error)
    return None


def apt_mirror(directory: Path = Path("/etc/apt"), release: Path = Path("/etc/os-release")) -> str:
    """The mirror apt takes this Debian release from: the one that surely has the next release too."""
    os_release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release.read_text(), re.MULTILINE))
    if os_release.get("ID") != "debian":
        raise LabUnavailableError("the lab needs Debian: its Asterisk is bootstrapped from Debian's packages")
    codename = os_release.get("VERSION_CODENAME", "stable")
    for path in [*sorted(directory.glob("sources.list.d/*")), directory / "sources.list"]:
        if not path.is_file():
            continue
        text = path.read_text()
        entries = _deb822_entries(text) if path.suffix == ".sources" else _one_line_entries(text)
        for uri, suites, components in entries:
            if codename in suites and "main" in components and uri.startswith(("http", "mirror")):
                return uri
    raise LabUnavailableError(f"apt has no source for {codename} main, so the lab knows no mirror")


def _deb822_entries(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    for stanza in re.split(r"\n\s*\n", text):
        field = {name.lower(): value.split() for name, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.M)}
        for uri in field.get("uris", []):
            yield uri, field.get("suites", []), field.get("components", [])


def _one_line_entries(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    for match in re.finditer(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", text, re.M):
        yield match[1], [match[2]], match[3].split()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_root() -> Path:
    """Build the root unless it is there; raises LabUnavailableError with the reason where that is impossible."""
    if reason := why_unavailable():
        raise LabUnavailableError(reason)
    with _locked(cache_directory()):
        if not is_built():
            _build(root_directory())
    return root_directory()


def _build(root: Path) -> None:
    building = root.with_name(f"{root.name}.{os.getpid()}")
    log = cache_directory() / "debootstrap.log"
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE]
    print(f"building the Asterisk root in {root} (about a minute, once)", file=sys.stderr, flush=True)
    for _ in range(2):  # a mirror that hiccups once is not worth a failed run
        shutil.rmtree(building, ignore_errors=True)
        with log.open("w") as output:
            done = subprocess.run(
                [*command, building, apt_mirror(), SCRIPT],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode == 0:
            break
    else:
        shutil.rmtree(building, ignore_errors=True)
        tail = " · ".join(log.read_text().splitlines()[-3:])
        raise LabUnavailableError(f"debootstrap failed ({log}): {tail}")
    shutil.rmtree(building / "var/cache/apt", ignore_errors=True)
    (building / "lab").mkdir()
    (building / _STAMP).write_text(_version_in(building) + "\n")
    building.rename(root)


def _version_in(root: Path) -> str:
    command = ["chroot", str(root), "asterisk", "-V"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def asterisk_version() -> str:
    """The exact version of Asterisk in the root, as it prints it itself."""
    return (root_directory() / _STAMP).read_text().strip()


if __name__ == "__main__":
    try:
        print(f"{ensure_root()}: {asterisk_version()}")
    except LabUnavailableError as error:
        if os.environ.get("OFFHOOK_LAB") == "required":
            sys.exit(f"lab: {error}")
        print(f"lab skipped: {error}", file=sys.stderr)
