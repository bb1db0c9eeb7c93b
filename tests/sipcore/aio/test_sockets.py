"""Connecting to several addresses, and the options of a signalling socket."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from sipcore.aio.dns import targets_of
from sipcore.aio.sockets import connect_tcp
from sipcore.config import ServerAddress
from sipcore.errors import TransportError
from sipcore.ids import IdSource
from sipcore.locate import Target

HOST = "127.0.0.1"


def test_the_first_target_that_answers_wins_and_its_options_are_set() -> None:
    async def run() -> None:
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            listener.listen()
            port = listener.getsockname()[1]
            targets = [Target(HOST, 9, "pbx"), Target(HOST, port, "pbx")]
            sock, target = await connect_tcp(targets, dead_after_s=10.0)
            with sock:
                assert target.port == port
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x60
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10000

    asyncio.run(run())


def test_the_last_error_comes_out_where_nobody_answers() -> None:
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connect_tcp([Target(HOST, 9, "pbx"), Target(HOST, 10, "pbx")], dead_after_s=1.0))


def test_names_are_resolved_by_the_system() -> None:
    server = ServerAddress.parse("ws://localhost:8088/ws")
    targets = asyncio.run(targets_of(server, IdSource(random.Random(1))))
    assert HOST in [target.address for target in targets]


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(TransportError, match=r"Unknown host nowhere\.invalid"):
        asyncio.run(targets_of(ServerAddress.parse("ws://nowhere.invalid/ws"), IdSource(random.Random(1))))
