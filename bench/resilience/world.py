"""The world the phones are measured in: a host of its own, a cable, a relay with faults, a real PBX behind it.

    phone's namespace ── veth ── relay (ws, SIP, RTP) ──▶ Asterisk on loopback
                              └─ SIP proxy (ws) ─────────▶   the same, REGISTERs refused or lost by script

The account under measurement may hold one contact only (`max_contacts=1 remove_existing=yes`), as at the
original's PBX.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Self

from tests.lab import asterisk_config as config
from tests.lab.asterisk import Asterisk
from tests.lab.net import Link, Namespace
from tests.lab.relay import Relay
from tests.lab.sip_proxy import SipProxy
from tests.lab.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType

    from tests.lab.tls import Authority

ACCOUNT = "1005"
FLEET = "1004"
NONCES = "1010"
ACCOUNTS = {
    **config.ACCOUNTS,
    ACCOUNT: config.Account(password="secret-1005", aor="max_contacts=1\nremove_existing=yes"),
    NONCES: config.Account(
        password="secret-1010",
        aor="max_contacts=1\nremove_existing=yes\nmaximum_expiration=12",
        auth="nonce_lifetime=3",
    ),
    FLEET: config.Account(password="secret-1004", aor="max_contacts=32\nremove_existing=yes"),
}
_PROXY_PORT = 8090
_NOBODY = "02:00:00:00:00:01"
_READY = re.compile(r"^\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})\].*Asterisk Ready\.", re.MULTILINE)


class World:
    """Everything but the phone; a context manager. One row after the other uses it."""

    def __init__(self, *, relayed: bool = True) -> None:
        """Without the relay the phone speaks to the PBX itself: a PBX that is down then refuses, as most do."""
        self._relayed = relayed
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._enter()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _enter(self) -> None:
        enter = self._stack.enter_context
        self.namespace = enter(Namespace())
        self.link: Link = self.namespace.add_link()
        if not self._relayed:
            self.pbx = enter(Asterisk(address=self.link.ours, accounts=ACCOUNTS))
            return
        # The relay rewrites addresses in place, so the PBX's has as many characters as its own.
        inside = "127." + self.link.ours.split(".", 1)[1]
        self.pbx = Asterisk(address=inside, accounts=ACCOUNTS)
        self._issue(self.pbx.authority)
        enter(self.pbx)
        self.relay = enter(Relay(inside, self.link.ours))
        self.proxy = enter(SipProxy(self.pbx.ws_uri, self.link.ours, _PROXY_PORT))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def uri(self) -> str:
        """The PBX as the phone sees it through the relay."""
        return f"ws://{self.link.ours}:{config.WS_PORT}/ws"

    @property
    def wss_uri(self) -> str:
        """The same, encrypted."""
        return f"wss://{self.link.ours}:{config.WSS_PORT}/ws"

    # ----------------------------------------------------------------------------------------------------- faults

    def _issue(self, authority: Authority) -> None:
        authority.issue(self.pbx.directory / "tls", ["localhost", self.link.ours, self.pbx.address])

    def change_certificate(self, authority: Authority) -> None:
        """Give the running PBX another certificate for its https port."""
        before = self.served_certificate()
        self._issue(authority)
        self.pbx.cli("module reload http")
        wait_until(lambda: self.served_certificate() != before, what="the PBX shows its new certificate")

    def served_certificate(self) -> str:
        """The certificate the PBX shows now, as PEM."""
        return ssl.get_server_certificate((self.pbx.address, config.WSS_PORT), timeout=5)

    def cellular(self) -> Link:
        """A second link of the phone's host, off until it is used; made at first use."""
        if len(self.namespace.links) < 2:
            self.namespace.radio_off(self.namespace.add_link(default_route=False))
        return self.namespace.links[1]

    def hole(self) -> None:
        """Let every packet between the phone's host and ours vanish: no reset, no ICMP, no lost carrier."""
        link = self.link
        _neighbour("replace", link.theirs, "lladdr", _NOBODY, "dev", link.our_device, "nud", "permanent")
        neighbour = ("neigh", "replace", link.ours, "lladdr", _NOBODY, "dev", link.their_device, "nud", "permanent")
        self.namespace.ip(*neighbour)

    def fill_hole(self) -> None:
        """Let packets through again; no-op where they are."""
        link = self.link
        with contextlib.suppress(subprocess.CalledProcessError, RuntimeError):
            _neighbour("delete", link.theirs, "dev", link.our_device)
            self.namespace.ip("neigh", "delete", link.ours, "dev", link.their_device)

    def readdress(self) -> None:
        """Give the phone's host another address on the same cable, as a new lease of another network does."""
        old = self.link
        first, second, rest = old.theirs.split(".", 2)
        flip = {"18": "19", "19": "18"}[second]
        theirs, gateway = f"{first}.{flip}.{rest}", f"{first}.{flip}.{old.ours.split('.', 2)[2]}"
        run = self.namespace.ip
        _ip("address", "add", f"{gateway}/30", "dev", old.our_device)
        run("address", "delete", f"{old.theirs}/30", "dev", old.their_device)
        run("address", "add", f"{theirs}/30", "dev", old.their_device)
        _ip("link", "set", old.our_device, "up")
        run("route", "replace", "default", "via", gateway, "dev", old.their_device)

    def restore_address(self) -> None:
        """Undo :meth:`readdress`."""
        link = self.link
        first, second, rest = link.theirs.split(".", 2)
        flip = {"18": "19", "19": "18"}[second]
        run = self.namespace.ip
        run("address", "delete", f"{first}.{flip}.{rest}/30", "dev", link.their_device)
        run("address", "add", f"{link.theirs}/30", "dev", link.their_device)
        _ip("address", "delete", f"{first}.{flip}.{link.ours.split('.', 2)[2]}/30", "dev", link.our_device)
        run("route", "replace", "default", "via", link.ours, "dev", link.their_device)

    def kill_pbx(self) -> None:
        """Kill Asterisk, and let it forget its registrations."""
        self.pbx.kill()
        for database in (self.pbx.directory / "lib").glob("astdb*"):
            database.unlink()

    def ready_at(self) -> float:
        """When Asterisk last said that it is ready, as Unix time."""
        lines = _READY.findall((self.pbx.directory / "log/full").read_text(errors="replace"))
        return datetime.fromisoformat(lines[-1]).timestamp()  # the log's clock and ours are one machine's

    # ------------------------------------------------------------------------------------------------------ truth

    def connects(self) -> int:
        """How many TCP connections the phone's host tried to open so far, probes included."""
        text = subprocess.run(
            self.namespace.command("cat", "/proc/net/snmp"), capture_output=True, text=True, check=True
        ).stdout
        names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
        return int(values[names.index("ActiveOpens")])

    def wire_bytes(self) -> int:
        """How many bytes crossed the cable so far in both directions, Ethernet headers included."""
        where = f"/sys/class/net/{self.link.our_device}/statistics"
        total = 0
        for name in ("rx_bytes", "tx_bytes"):
            with open(f"{where}/{name}") as file:  # noqa: PTH123
                total += int(file.read())
        return total


class Bell:
    """Makes the PBX call the phone, again and again, until it rings: the only proof that it can be reached."""

    def __init__(self, pbx: Asterisk, account: str = ACCOUNT) -> None:
        self._pbx = pbx
        self._account = account
        self._number = 0

    def ring(self) -> None:
        """One attempt of a second; what comes of it shows at the phone."""
        self._number += 1
        with contextlib.suppress(OSError, AssertionError):  # a PBX that is down is asked again
            self._pbx.manager.send(
                {
                    "Action": "Originate",
                    "ActionID": f"bell-{self._number}",
                    "Channel": f"PJSIP/{self._account}",
                    "Context": "default",
                    "Exten": "600",
                    "Priority": "1",
                    "Timeout": "1500",
                    "Async": "true",
                }
            )


def in_background(function: object, *arguments: object) -> threading.Thread:
    """Run ``function`` on a thread of its own."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def pause_s(seconds: float) -> None:
    """Let time pass; what a row waits for has a name of its own."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, what="time passes", timeout_s=seconds + 5)


def _neighbour(*arguments: str) -> None:
    _ip("neigh", *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)
