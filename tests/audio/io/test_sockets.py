"""RTP and RTCP port pairs."""

from __future__ import annotations

import random
import socket

import pytest

from audio.io.sockets import MediaSockets, NoMediaPort, bind_pair
from sipcore.ids import IdSource

LOOPBACK = "127.0.0.1"


def _ids(seed: int = 1) -> IdSource:
    return IdSource(random.Random(seed))


def _bind(port_min: int = 21000, port_max: int = 21019, port: int | None = None, seed: int = 1) -> MediaSockets:
    return bind_pair(LOOPBACK, _ids(seed), port_min=port_min, port_max=port_max, dscp=46, port=port)


def test_rtp_is_even_and_rtcp_the_next_port() -> None:
    """RFC 3550 §11: an even port for RTP, "and the corresponding RTCP stream SHOULD use the next higher (odd)"."""
    pair = _bind()
    try:
        assert pair.rtp.getsockname() == (LOOPBACK, pair.rtp_port)
        assert pair.rtcp.getsockname() == (LOOPBACK, pair.rtcp_port)
        assert pair.rtp_port % 2 == 0
        assert pair.rtcp_port == pair.rtp_port + 1
        assert 21000 <= pair.rtp_port <= 21018
    finally:
        pair.close()


def test_sockets_ask_for_expedited_forwarding() -> None:
    pair = _bind()
    try:
        assert pair.rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
        assert pair.rtcp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
    finally:
        pair.close()


def test_every_pair_of_the_range_is_used_before_it_is_full() -> None:
    pairs = [_bind(21001, 21012, seed=seed) for seed in range(6)]
    try:
        assert sorted(pair.rtp_port for pair in pairs) == [21002, 21004, 21006, 21008, 21010, 21012]
        with pytest.raises(NoMediaPort) as caught:
            _bind(21001, 21012)
        assert "21001 to 21012" in str(caught.value)
        with pytest.raises(NoMediaPort):
            _bind(21001, 21001)
    finally:
        for pair in pairs:
            pair.close()


def test_a_pair_is_skipped_when_only_its_rtcp_port_is_taken() -> None:
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind((LOOPBACK, 21001))
    try:
        pair = _bind(21000, 21003)
        assert pair.rtp_port == 21002
        pair.close()
        # The RTP socket bound on the way was given back.
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind((LOOPBACK, 21000))
        probe.close()
    finally:
        other.close()


def test_a_certain_port_can_be_asked_for() -> None:
    pair = _bind(port=21014)
    try:
        assert pair.rtp_port == 21014
        with pytest.raises(NoMediaPort) as caught:
            _bind(port=21014)
        assert "21014 and 21015" in str(caught.value)
    finally:
        pair.close()


def test_an_address_that_is_not_ours_is_one_sentence() -> None:
    with pytest.raises(NoMediaPort) as caught:
        bind_pair("203.0.113.77", _ids(), port_min=21000, port_max=21010)
    assert "203.0.113.77" in str(caught.value)
    assert str(caught.value).endswith(".")


def test_ipv6() -> None:
    try:
        pair = bind_pair("::1", _ids(), port_min=21000, port_max=21010, dscp=46)
    except NoMediaPort:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        assert pair.rtp.family == socket.AF_INET6
        assert pair.rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 46 << 2
    finally:
        pair.close()
