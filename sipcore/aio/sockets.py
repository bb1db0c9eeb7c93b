"""TCP and UDP sockets: options set before connecting, and addresses tried side by side (RFC 8305).

targets ──first, then one more every 250 ms; all again every 3 s──▶ the first that connects wins

The kernel repeats a SYN after 1, 3, 7 and 15 s; a server that comes back in between need not wait for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcore.locate import Target

_STAGGER_S = 0.25
_AGAIN_S = 3.0
_MAX_RUNNING = 16
# RFC 4594 §3.1: signalling travels in CS5 or CS3; CS3 is what SIP phones use. 24 << 2 in the TOS byte.
_TOS_CS3 = 0x60


def set_options(sock: socket.socket, *, dead_after_s: float | None) -> None:
    """Mark a socket as signalling; for streams also switch Nagle off and bound how long bytes stay unacknowledged."""
    # Marking is a wish: containers and some systems refuse it, and signalling works without.
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TOS_CS3)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TOS_CS3)
    if dead_after_s is None:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(dead_after_s * 1000))


def family_of(address: str) -> socket.AddressFamily:
    """The family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def connect_tcp(targets: Sequence[Target], *, dead_after_s: float) -> tuple[socket.socket, Target]:
    """A connected, non-blocking socket to the first target that answers.

    Raises the last OSError when none does. Bounding the time is the caller's business.
    """
    running: dict[asyncio.Task[socket.socket], Target] = {}
    waiting = list(targets)
    failure = OSError("no address to connect to")
    try:
        while waiting or running:
            if waiting:
                target = waiting.pop(0)
                running[asyncio.create_task(_connect_one(target, dead_after_s))] = target
            done, _ = await asyncio.wait(
                running, timeout=_STAGGER_S if waiting else _AGAIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not done and not waiting and len(running) + len(targets) <= _MAX_RUNNING:
                waiting = list(targets)
            for task in done:
                target = running.pop(task)
                error = task.exception()
                if error is None:
                    return task.result(), target
                if not isinstance(error, OSError):
                    raise error
                failure = error
    finally:
        await _abandon(running)
    raise failure


async def _connect_one(target: Target, dead_after_s: float) -> socket.socket:
    sock = socket.socket(family_of(target.address), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        set_options(sock, dead_after_s=dead_after_s)
        await asyncio.get_running_loop().sock_connect(sock, (target.address, target.port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _abandon(tasks: dict[asyncio.Task[socket.socket], Target]) -> None:
    """Cancel what is still connecting, and close what connected too late."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()
