"""Two hosts on one machine: a network namespace for the phone, with links that go up and down.

    our network ── veth ── NAMESPACE        several links: "Wi-Fi" and "cellular" with different addresses

For what only a real network shows: a link going down, a changed address, a default route that moves. Addresses are
from 198.18.0.0/15, which RFC 2544 sets aside for tests between network devices; nothing leaves the machine.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_numbers = itertools.count()
_HOST_NUMBER = 7


def why_unavailable() -> str | None:
    """Why no namespaces can be made here, in one sentence, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2: run `make system`"
    return None


@dataclass(frozen=True, slots=True)
class Link:
    """A cable: our end's address (where a PBX may listen) and the namespace's."""

    ours: str
    theirs: str
    our_device: str
    their_device: str


class Namespace:
    """A host of its own, reached over links; a context manager. Names carry our process id."""

    def __init__(self) -> None:
        self._number = next(_numbers)
        self.name = f"offhook-{os.getpid()}-{self._number}"
        self.links: list[Link] = []
        self._hosts: list[str] = []

    def __enter__(self) -> Self:
        _ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self.links:
            subprocess.run(["ip", "link", "delete", link.our_device], check=False, capture_output=True)
        for host in self._hosts:
            subprocess.run(["ip", "address", "delete", f"{host}/32", "dev", "lo"], check=False, capture_output=True)
        _ip("netns", "delete", self.name)

    def ip(self, *arguments: str) -> str:
        """Run `ip` inside the namespace."""
        return _ip("-n", self.name, *arguments)

    def command(self, *command: str) -> list[str]:
        """A command line that runs inside the namespace."""
        return ["ip", "netns", "exec", self.name, *command]

    def add_host(self) -> str:
        """An address of ours that no cable holds: it is there whichever link is up, as a PBX elsewhere is."""
        host, _ = self._addresses(_HOST_NUMBER)
        _ip("address", "add", f"{host}/32", "dev", "lo")
        self._hosts.append(host)
        return host

    def _addresses(self, number: int) -> tuple[str, str]:
        # 198.18.0.0/15 in /30s: which one follows from our pid and the link's number, or is the next one that is free.
        in_use = _ip("-4", "-o", "address")
        first = os.getpid() * 16 + self._number * 8 + number
        for subnet in itertools.count(first):
            base = subnet % (1 << 15) * 4
            ours, theirs = (f"198.{18 + (base >> 16)}.{base >> 8 & 255}.{(base & 255) + host}" for host in (1, 2))
            if f" {ours}/" not in in_use:
                break
        return ours, theirs

    def add_link(self, *, default_route: bool = True) -> Link:
        """Lay a cable, up at both ends; the newest default route is preferred."""
        number = len(self.links)
        pid, subnet = os.getpid(), self._number * 8 + number
        ours, theirs = self._addresses(number)
        our_device, their_device = f"oh{pid}a{subnet}", f"oh{pid}b{subnet}"
        link = Link(ours, theirs, our_device, their_device)
        _ip("link", "add", our_device, "type", "veth", "peer", "name", their_device, "netns", self.name)
        self.links.append(link)
        _ip("address", "add", f"{ours}/30", "dev", our_device)
        _ip("link", "set", our_device, "up")
        self.ip("address", "add", f"{theirs}/30", "dev", their_device)
        self.ip("link", "set", their_device, "up")
        if default_route:
            metric = str(1000 - number)
            self.ip("route", "add", "default", "via", ours, "dev", their_device, "metric", metric)
        return link

    def down(self, link: Link) -> None:
        """Pull the cable: the namespace sees its carrier go."""
        _ip("link", "set", link.our_device, "down")

    def leave(self, link: Link) -> None:
        """Pull the cable for good: what the namespace had been given there goes with it, as a lease does."""
        self.down(link)
        self.ip("address", "flush", "dev", link.their_device)

    def up(self, link: Link, *, default_route: bool = True) -> None:
        """Plug it in again (the kernel dropped the routes meanwhile)."""
        _ip("link", "set", link.our_device, "up")
        if default_route:
            self.ip("route", "replace", "default", "via", link.ours, "dev", link.their_device)

    def radio_off(self, link: Link) -> None:
        """Take the link down at the namespace's end, as switching Wi-Fi off does; our end keeps its address."""
        self.ip("link", "set", link.their_device, "down")

    def radio_on(self, link: Link) -> None:
        """The other way round, and the default route leads over it."""
        self.ip("link", "set", link.their_device, "up")
        self.ip("route", "replace", "default", "via", link.ours, "dev", link.their_device)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
