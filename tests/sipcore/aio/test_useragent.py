"""The user agent over real loopback sockets: every transport, register by hand, the end."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from sipcore.aio.useragent import UserAgent, tls_context
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, ServerAddress, StackConfig
from sipcore.errors import RegistrationFailed, TransportError
from sipcore.events import (
    Event,
    KeepAlive,
    KeepAliveResult,
    ReconnectionSuccess,
    Registered,
    RegistrationState,
    TransportChanged,
    TransportState,
)
from tests.lab.tls import Authority
from tests.sipcore.aio.certificates import ca_file, server_context
from tests.sipcore.aio.loopback import HOST, LoopbackPbx, until

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path


def agent(
    server: str, events: list[Event], *, password: str = "secret", tls_ca: Any = None, **settings: float
) -> UserAgent:
    address = ServerAddress.parse(server)
    account = Account(servers=(address,), username="1001", domain="pbx.example", auth_username="1001")
    values: dict[str, Any] = {"fleet_spread": 0.0, "register_delay": 0.02} | settings
    return UserAgent(
        StackConfig(account=account, resilience=Resilience(**values)),
        Credentials("1001", password),
        on_event=events.append,
        tls_ca=tls_ca,
        rng=random.Random(1),
    )


@pytest.mark.parametrize("scheme", ["ws", "wss", "tcp", "tls", "udp"])
def test_registers_and_unregisters_over(scheme: str, tmp_path: Path) -> None:
    authority = Authority.create()
    context = server_context(authority, tmp_path, HOST) if scheme in ("wss", "tls") else None

    async def run() -> None:
        pbx, events = LoopbackPbx(), list[Event]()
        serve = {"udp": pbx.datagrams}.get(scheme)
        match scheme:
            case "ws" | "wss":
                serving: contextlib.AbstractAsyncContextManager[int] = pbx.websocket(context)
            case "tcp" | "tls":
                serving = pbx.stream(context)
            case _:
                assert serve is not None
                serving = serve()
        async with serving as port:
            path = "/any/path?token=1" if scheme in ("ws", "wss") else ""
            phone = agent(f"{scheme}://{HOST}:{port}{path}", events, tls_ca=ca_file(authority, tmp_path))
            await phone.start()
            await phone.register_with_retry()
            assert pbx.bound
            assert phone.local_address == HOST
            assert phone.stack.registration_state is RegistrationState.REGISTERED
            contact = pbx.requests[-1].contacts[0].uri
            assert (".invalid" in contact.host) is (scheme in ("ws", "wss"))
            await phone.close()
            assert not pbx.bound
            if path:
                assert pbx.paths == [path]

    asyncio.run(run())


def test_nothing_is_left_behind() -> None:
    async def run() -> None:
        pbx = LoopbackPbx()
        async with pbx.websocket() as port:
            before = asyncio.all_tasks()
            phone = agent(f"ws://{HOST}:{port}/ws", [])
            await phone.start()
            await phone.register_with_retry()
            await phone.close()
            await phone.close()
            mine = {task for task in asyncio.all_tasks() - before if "sipcore/aio" in str(task.get_coro())}
            await until(lambda: all(task.done() for task in mine))
            assert phone.stack.finished
            assert phone.stack.next_timeout() is None

    asyncio.run(run())


def test_register_by_hand_fails_with_a_sentence() -> None:
    async def run() -> None:
        pbx = LoopbackPbx("another")
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", [])
            with pytest.raises(RegistrationFailed) as caught:
                await phone.register_with_retry(attempts=2, delay=0.01)
            assert caught.value.attempts == 2
            assert "401" in caught.value.reason
            await phone.close()

    asyncio.run(run())


def test_an_unreachable_server_fails_too() -> None:
    async def run() -> None:
        phone = agent(f"ws://{HOST}:9/ws", [], max_reconnection_attempts=2, reconnection_delay=0.01)
        with pytest.raises(RegistrationFailed) as caught:
            await phone.register_with_retry()
        assert "refused" in caught.value.reason
        await phone.close()

    asyncio.run(run())


def test_unregistering_lets_nobody_wait_for_ever() -> None:
    async def run() -> None:
        pbx = LoopbackPbx()
        pbx.mute = True
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", [])
            waiting = asyncio.create_task(phone.register_with_retry())
            await until(lambda: bool(pbx.requests))
            for connection in pbx.open:
                await connection.close()
            phone.run(phone.stack.unregister)
            with pytest.raises(RegistrationFailed):
                await waiting
            await phone.close()

    asyncio.run(run())


def test_the_end_takes_three_seconds_at_most_with_a_silent_pbx() -> None:
    async def run() -> None:
        pbx = LoopbackPbx()
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", [])
            await phone.start()
            await phone.register_with_retry()
            pbx.mute = True
            began = time.monotonic()
            await phone.close()
            assert time.monotonic() - began < 3.0

    asyncio.run(run())


def test_reconnects_when_the_server_closes() -> None:
    async def run() -> None:
        pbx, events = LoopbackPbx(), list[Event]()
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", events)
            await phone.start()
            await phone.register_with_retry()
            for connection in list(pbx.open):
                connection.transport.abort()
            await until(lambda: any(isinstance(event, ReconnectionSuccess) for event in events))
            lost = [event for event in events if isinstance(event, TransportChanged) and event.reason]
            assert lost[0].state is TransportState.DISCONNECTED
            assert f"{HOST}:{port}" in lost[0].reason
            await phone.close()

    asyncio.run(run())


def test_reconnects_when_the_server_goes_mute() -> None:
    """A ping without an answer: the half-open flow is found and replaced."""

    async def run() -> None:
        pbx, events = LoopbackPbx(), list[Event]()
        async with pbx.stream() as port:
            phone = agent(
                f"tcp:{HOST}:{port}", events, keep_alive_interval=0.2, keep_alive_timeout=0.2, register_timeout=0.3
            )
            await phone.start()
            await phone.register_with_retry()
            await until(lambda: KeepAlive in {type(event) for event in events})
            pbx.mute = True
            await until(
                lambda: any(isinstance(event, KeepAlive) and event.result is KeepAliveResult.MISSED for event in events)
            )
            pbx.mute = False
            await until(lambda: any(isinstance(event, ReconnectionSuccess) for event in events))
            await phone.close()

    asyncio.run(run())


def test_pings_keep_a_websocket_alive() -> None:
    async def run() -> None:
        pbx, events = LoopbackPbx(), list[Event]()
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", events, ping_interval=0.05, ping_timeout=1.0)
            await phone.start()
            await phone.register_with_retry()
            await asyncio.sleep(0.4)
            assert sum(isinstance(event, Registered) for event in events) == 1
            await phone.close()

    asyncio.run(run())


@pytest.mark.parametrize("binary", [True, False])
def test_text_and_binary_are_both_accepted(binary: bool) -> None:
    """RFC 7118 §5."""

    async def run() -> None:
        pbx = LoopbackPbx()
        pbx.binary = binary
        async with pbx.websocket() as port:
            phone = agent(f"ws://{HOST}:{port}/ws", [])
            await phone.start()
            await phone.register_with_retry()
            assert set(pbx.kinds) == {str}
            await phone.close()

    asyncio.run(run())


def test_an_unusable_authority_file_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "missing.pem"):
        with pytest.raises(TransportError, match=path.name):
            tls_context(path)
