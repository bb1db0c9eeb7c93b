"""The network monitor: is there a way to the server, and from which of our addresses (promise R5).

    netlink link/address/route news ─┐
    poll every few seconds ──────────┴──▶ look ──changed──▶ callback(online, source address)

What counts is the route to the server, not the state of some interface: a phone whose PBX runs on this machine is
online without any network. News only say when to look; a monitor that fails is logged and replaced by polling.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.aio.sockets import family_of

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

# linux/rtnetlink.h: RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_NEWLINK, _GETLINK, _NEWADDR, _GETADDR, _ERROR, _DONE = 16, 18, 20, 22, 2, 3
_REQUEST_DUMP = 0x1 | 0x300
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFF_RUNNING = 0x40
_HEADER = struct.Struct("=IHHII")

_POLL_S = 3.0
_POLL_WITH_NEWS_S = 30.0
_SETTLE_S = 0.1
_ENOBUFS = 105
# TEST-NET-1 (RFC 5737): routed like any foreign address; connecting a UDP socket sends nothing.
_ANYWHERE = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class NetworkView:
    """What is known of the way to the server."""

    online: bool
    source_address: str | None


def look(peer: str | None) -> NetworkView:
    """How a datagram to ``peer``, an IP address, would leave this machine now.

    With None the server's address is not known yet: it may be on a network without a default route, or on this
    machine, so that is never called offline.
    """
    target = peer or _ANYWHERE
    try:
        with socket.socket(family_of(target), socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            source = str(probe.getsockname()[0])
    except OSError:
        return NetworkView(peer is None, None)
    return NetworkView(peer is None or _carrier_of(source) is not False, source)


class NetworkMonitor:
    """Watches until closed. ``peer`` tells the server's address, where one is known."""

    def __init__(
        self,
        on_change: Callable[[NetworkView], None],
        peer: Callable[[], str | None],
        *,
        looker: Callable[[str | None], NetworkView] = look,
        netlink: bool = True,
    ) -> None:
        self._on_change = on_change
        self._peer = peer
        self._look = looker
        self._netlink = netlink
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._view: NetworkView | None = None
        self._viewed_peer: str | None = None

    @property
    def view(self) -> NetworkView | None:
        """What was seen last."""
        return self._view

    def start(self) -> None:
        """Look for the first time, and watch from now on."""
        if self._netlink and hasattr(socket, "AF_NETLINK"):
            try:
                self._socket = _subscribe()
                asyncio.get_running_loop().add_reader(self._socket, self._on_news)
            except (OSError, NotImplementedError) as error:
                self._give_up_news(error)
        self._check()

    def connected(self) -> None:
        """There is a connection to the server: from now on what counts is how *it* is reached.

        Without this the first news after a connection would be compared with the way to another server.
        """
        self._viewed_peer = self._peer()
        before, self._view = self._view, self._look(self._viewed_peer)
        if before is not None and before.online != self._view.online:
            self._on_change(self._view)

    def close(self) -> None:
        """Stop watching."""
        self._drop_socket()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_news(self) -> None:
        if self._socket is None:
            return
        try:
            while self._socket.recv(65536):
                pass
        except BlockingIOError:
            pass
        except OSError as error:
            # ENOBUFS: news were lost, so look; anything else: the socket is of no use any more.
            if error.errno != _ENOBUFS:
                self._give_up_news(error)
        # Changes come in bursts: an address, its routes, the default route.
        self._schedule(_SETTLE_S)

    def _give_up_news(self, error: Exception) -> None:
        _log.warning("network monitor falls back to polling: %s", error)
        self._drop_socket()

    def _drop_socket(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _schedule(self, wait_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._check)

    def _check(self) -> None:
        peer = self._peer()
        view = self._look(peer)
        before, self._view = self._view, view
        # Another server may be reached from another address; that is no change of the network.
        same_question = peer == self._viewed_peer
        self._viewed_peer = peer
        self._schedule(_POLL_S if self._socket is None else _POLL_WITH_NEWS_S)
        changed = before != view if same_question else before is None or before.online != view.online
        if changed and (before is not None or not view.online):
            self._on_change(view)


def _subscribe() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        sock.setblocking(False)
        sock.bind((0, _GROUPS))
    except BaseException:
        sock.close()
        raise
    return sock


def _carrier_of(address: str) -> bool | None:
    """Whether the interface that holds ``address`` has a carrier; None where that cannot be told."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    try:
        packed = socket.inet_pton(family_of(address), address.partition("%")[0])
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(0.5)
            sock.bind((0, 0))
            index = _interface_of(sock, packed)
            return None if index is None else _is_running(sock, index)
    except OSError:
        return None


def _dump(sock: socket.socket, request: int, body: bytes) -> list[tuple[int, bytes]]:
    """All (type, payload) of a netlink dump; raises OSError."""
    sock.send(_HEADER.pack(_HEADER.size + len(body), request, _REQUEST_DUMP, 1, 0) + body)
    found: list[tuple[int, bytes]] = []
    while True:
        data = sock.recv(65536)
        while len(data) >= _HEADER.size:
            length, kind, _, _, _ = _HEADER.unpack_from(data)
            if kind in (_DONE, _ERROR) or length < _HEADER.size:
                return found
            found.append((kind, data[_HEADER.size : length]))
            data = data[(length + 3) & ~3 :]


def _interface_of(sock: socket.socket, packed: bytes) -> int | None:
    for kind, payload in _dump(sock, _GETADDR, bytes(8)):
        if kind != _NEWADDR or len(payload) < 8:
            continue
        index = int(struct.unpack_from("=I", payload, 4)[0])
        attributes = payload[8:]
        while len(attributes) >= 4:
            length, name = struct.unpack_from("=HH", attributes)
            if length < 4:
                break
            if name in (_IFA_ADDRESS, _IFA_LOCAL) and attributes[4:length] == packed:
                return index
            attributes = attributes[(length + 3) & ~3 :]
    return None


def _is_running(sock: socket.socket, index: int) -> bool | None:
    for kind, payload in _dump(sock, _GETLINK, bytes(16)):
        if kind == _NEWLINK and len(payload) >= 16:
            found, flags = struct.unpack_from("=iI", payload, 4)
            if found == index:
                return bool(flags & _IFF_RUNNING)
    return None
