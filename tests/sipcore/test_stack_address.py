"""Our own address as the stack sees it: told to who owns the media sockets, once a change (docs/resilience.md S4)."""

from __future__ import annotations

from sipcore import events as ev
from tests.sipcore.test_stack import STATE, Lab

HERE, THERE = "192.0.2.10", "198.51.100.77"


def told(lab: Lab) -> list[str]:
    return [event.address for event in lab.of(ev.LocalAddressChanged)]


def news(lab: Lab, address: str) -> None:
    lab.phone.run(lambda now: lab.phone.stack.network_changed(True, now, source_address=address))


def test_the_first_address_is_no_change() -> None:
    lab = Lab()
    lab.register()
    assert lab.phone.stack.local_address == lab.phone.wire.address
    assert told(lab) == []


def test_news_of_another_address_come_before_the_flow_moves() -> None:
    """The sound goes ahead; it needs no registration."""
    lab = Lab()
    lab.register()
    lab.seen.clear()
    news(lab, THERE)
    assert told(lab) == [THERE]
    assert "Registered" not in lab.names()
    assert lab.phone.stack.local_address == THERE


def test_repeated_news_are_told_once_and_so_is_the_way_back() -> None:
    lab = Lab()
    lab.register()
    home = lab.phone.wire.address
    for address in (THERE, THERE, home, home):
        news(lab, address)
    assert told(lab) == [THERE, home]


def test_an_address_only_the_new_flow_shows_is_told_before_the_far_ends_are() -> None:
    """Without a network monitor, or with one that is late."""
    lab = Lab()
    lab.register()
    lab.phone.wire.address = THERE
    lab.seen.clear()
    lab.reset()
    lab.wait(5.0)
    assert lab.is_(STATE.REGISTERED)
    names = lab.names()
    assert told(lab) == [THERE]
    assert names.index("LocalAddressChanged") < names.index("Registered")


def test_being_offline_is_no_address() -> None:
    """The old one stays the best guess until another is seen."""
    lab = Lab()
    lab.register()
    lab.phone.run(lambda now: lab.phone.stack.network_changed(False, now, source_address=None))
    assert told(lab) == []
    assert lab.phone.stack.local_address == lab.phone.wire.address
