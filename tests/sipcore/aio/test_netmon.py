"""The network monitor (promise R5): what counts is the way to the server."""

from __future__ import annotations

import asyncio
import socket

import pytest

from sipcore.aio import netmon
from sipcore.aio.netmon import NetworkMonitor, NetworkView, look


def test_this_machine_is_always_reachable() -> None:
    assert look("127.0.0.1") == NetworkView(True, "127.0.0.1")


def test_a_server_without_an_address_yet_is_never_called_offline() -> None:
    """It may be on this machine, or on a network without a default route."""
    assert look(None).online


def test_without_a_route_the_server_is_offline() -> None:
    """Class E addresses are routed nowhere."""
    assert look("255.255.255.255") == NetworkView(False, None)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="netlink is Linux's")
def test_the_loopback_interface_has_a_carrier() -> None:
    assert netmon._carrier_of("127.0.0.1") is True
    assert netmon._carrier_of("192.0.2.77") is None


class Views:
    """What the machine would say, one answer after the other; the last one stays."""

    def __init__(self, *views: NetworkView) -> None:
        self._views = list(views)

    def __call__(self, peer: str | None) -> NetworkView:
        return self._views.pop(0) if len(self._views) > 1 else self._views[0]


HOME, AWAY, GONE = NetworkView(True, "192.0.2.1"), NetworkView(True, "198.51.100.1"), NetworkView(False, None)


def watched(*views: NetworkView, netlink: bool = False) -> list[NetworkView]:
    """What the monitor tells while these are seen."""

    async def run() -> list[NetworkView]:
        told: list[NetworkView] = []
        monitor = NetworkMonitor(told.append, lambda: None, looker=Views(*views), netlink=netlink)
        monitor.start()
        for _ in views[1:]:
            monitor._check()
        monitor.close()
        return told

    return asyncio.run(run())


def test_the_first_look_tells_only_bad_news() -> None:
    assert watched(HOME) == []
    assert watched(GONE) == [GONE]


def test_each_change_is_told_once() -> None:
    assert watched(HOME, HOME, GONE, GONE, AWAY, AWAY, HOME) == [GONE, AWAY, HOME]


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="netlink is Linux's")
def test_netlink_can_be_listened_to() -> None:
    assert watched(HOME, AWAY, netlink=True) == [AWAY]


def test_another_server_is_no_change_of_the_network() -> None:
    async def run() -> list[NetworkView]:
        told: list[NetworkView] = []
        peers = iter(["192.0.2.200", "127.0.0.1"])
        monitor = NetworkMonitor(told.append, lambda: next(peers), looker=Views(HOME, AWAY), netlink=False)
        monitor.start()
        monitor._check()
        monitor.close()
        return told

    assert asyncio.run(run()) == []


def test_a_monitor_that_fails_polls(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> socket.socket:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(netmon, "_subscribe", broken)
    assert watched(HOME, GONE, netlink=True) == [GONE]
    assert "falls back to polling" in caplog.text


def test_the_first_change_after_a_connection_is_told() -> None:
    """The way to the server is known from the connection on, not from the next look at it."""

    async def run() -> list[NetworkView]:
        told: list[NetworkView] = []
        peers = iter([None, "192.0.2.200", "192.0.2.200"])
        monitor = NetworkMonitor(told.append, lambda: next(peers), looker=Views(HOME, HOME, AWAY), netlink=False)
        monitor.start()
        monitor.connected()
        monitor._check()
        monitor.close()
        return told

    assert asyncio.run(run()) == [AWAY]


def test_a_connection_that_proves_the_network_up_is_told() -> None:
    """Being offline was a mistake, or is over."""

    async def run() -> list[NetworkView]:
        told: list[NetworkView] = []
        monitor = NetworkMonitor(told.append, lambda: "192.0.2.200", looker=Views(GONE, HOME), netlink=False)
        monitor.start()
        monitor.connected()
        monitor.close()
        return told

    assert asyncio.run(run()) == [GONE, HOME]
