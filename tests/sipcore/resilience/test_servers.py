"""Health memory of servers (RFC 3263 §4.3; resilience.md 3.7)."""

from __future__ import annotations

import pytest

from sipcore.config import ServerAddress
from sipcore.resilience.servers import ServerList

A, B, C = (ServerAddress.parse(f"wss://{name}.example:8089/ws") for name in "abc")


def test_order_is_preference() -> None:
    assert ServerList((A, B)).best(0.0) == A


def test_a_failed_server_comes_last_for_a_while_that_doubles() -> None:
    servers = ServerList((A, B))
    servers.failed(A, 0.0)
    assert servers.best(31.9) == B
    assert servers.best(32.0) == A
    servers.failed(A, 32.0)
    assert servers.best(95.0) == B
    assert servers.best(96.0) == A


def test_where_all_failed_the_one_whose_time_is_over_first_is_next() -> None:
    servers = ServerList((A, B))
    servers.failed(A, 0.0)
    servers.failed(B, 1.0)
    assert not servers.other(B, 2.0)
    assert servers.best(2.0) == A


def test_retry_after_keeps_a_server_away() -> None:
    servers = ServerList((A, B))
    servers.failed(A, 0.0, avoid_s=100.0)
    assert servers.best(99.0) == B


def test_success_and_forgiveness() -> None:
    servers = ServerList((A, B))
    servers.failed(A, 0.0)
    servers.failed(A, 0.0)
    servers.succeeded(A)
    assert servers.best(0.0) == A
    servers.failed(A, 0.0)
    servers.forgive()
    assert servers.best(0.0) == A


def test_a_redirection_puts_its_target_first_and_only_the_last_counts() -> None:
    servers = ServerList((A,))
    servers.prefer(B)
    assert servers.best(0.0) == B
    servers.prefer(C)
    assert servers.best(0.0) == C
    servers.failed(C, 0.0)
    assert servers.best(0.0) == A


def test_probes_take_turns_and_leave_udp_out() -> None:
    servers = ServerList((A, ServerAddress.parse("udp:d.example"), B))
    assert [servers.next_to_probe() for _ in range(3)] == [A, B, A]
    assert ServerList((ServerAddress.parse("udp:d.example"),)).next_to_probe() is None


def test_no_server_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ServerList(())


def test_a_server_that_is_taken_is_the_last_resort() -> None:
    """The other flow of the phone is there (RFC 5626)."""
    servers = ServerList((A, B))
    assert servers.best(0.0, taken=A) == B
    servers.failed(B, 0.0)
    assert servers.best(1.0, taken=A) == B
    assert not servers.other(B, 1.0, taken=A)
    assert servers.free_at(A) == 32.0
    alone = ServerList((A,))
    assert alone.best(0.0, taken=A) == A
    assert alone.free_at(A) is None
