"""A WebSocket in the middle that understands REGISTER: it refuses the n-th one itself, or loses its answer.

    phone ──ws──▶ SipProxy ──ws──▶ PBX        one upstream connection for each of the phone's

What a PBX does on a bad day (503, 403, stale nonces, answers that never arrive) cannot be had from a healthy Asterisk.
Everything but REGISTER passes through untouched, unless a test puts something in its place. The proxy runs on a thread
of its own; its methods are called from the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeVar

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from websockets.asyncio.client import ClientConnection

T = TypeVar("T")
_SIP = [Subprotocol("sip")]
_KEPT = re.compile(r"^(?:Via|From|To|Call-ID|CSeq)\s*:.*$", re.IGNORECASE | re.MULTILINE)
_HELLO = "offhook-sip-proxy-"
_EXPIRES = re.compile(r"^(?:Contact|m)\s*:.*;\s*expires=(\d+)", re.IGNORECASE | re.MULTILINE)
_TO = re.compile(r"To\s*:", re.IGNORECASE)
_ACCEPTED_REGISTER = re.compile(r"\ASIP/2\.0 200 .*^CSeq\s*:\s*\d+ REGISTER", re.DOTALL | re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to one REGISTER, given in the PBX's place."""

    status: int
    reason: str
    headers: tuple[str, ...] = ()

    def response(self, request: str) -> str:
        """The response to ``request``."""
        kept = [line.strip() for line in _KEPT.findall(request)]
        kept = [f"{line};tag=proxy" if _TO.match(line) else line for line in kept]
        status = f"SIP/2.0 {self.status} {self.reason}"
        return "\r\n".join((status, *kept, *self.headers, "Content-Length: 0", "", ""))


def retry_after(seconds: int) -> Refusal:
    """503 with Retry-After."""
    return Refusal(503, "Service Unavailable", (f"Retry-After: {seconds}",))


def too_brief(seconds: int) -> Refusal:
    """423 with Min-Expires (RFC 3261 §10.3)."""
    return Refusal(423, "Interval Too Brief", (f"Min-Expires: {seconds}",))


def stale_nonce(realm: str = "asterisk") -> Refusal:
    """401 that calls the nonce stale: the password was right, answer again (RFC 7616 §3.3)."""
    challenge = f'Digest realm="{realm}", nonce="{secrets.token_hex(12)}", stale=true, algorithm=MD5, qop="auth"'
    return Refusal(401, "Unauthorized", (f"WWW-Authenticate: {challenge}",))


def _hello() -> str:
    """An OPTIONS of our own, whose answer the phone never sees.

    Asterisk closes a WebSocket on which nothing was said for 32 s, but none on which it refused something itself. Since
    it sees no REGISTER that we refuse in its place, this keeps it from breaking, and thereby healing, the connection.
    """
    who = "<sip:proxy@proxy.invalid>"
    return "\r\n".join(
        (
            "OPTIONS sip:proxy.invalid SIP/2.0",
            f"Via: SIP/2.0/WS proxy.invalid;branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: {who};tag=proxy",
            f"To: {who}",
            f"Call-ID: {_HELLO}{secrets.token_hex(8)}",
            "CSeq: 1 OPTIONS",
            "Max-Forwards: 1",
            "Content-Length: 0",
            "",
            "",
        )
    )


@dataclass(slots=True)
class Seen:
    """One REGISTER that came from the phone."""

    at: float
    """Unix time."""
    answered: int = 0
    """The status we gave it ourselves; 0 where the PBX was asked."""
    authorized: bool = field(default=False)
    expires_s: int = 0
    """The lifetime asked for; 0 where it says none, or asks for its end."""


class SipProxy:
    """A context manager. ``registers`` grows while it runs."""

    def __init__(self, upstream: str, address: str, port: int) -> None:
        self.upstream = upstream
        self.uri = f"ws://{address}:{port}/ws"
        self.registers: list[Seen] = []
        self.answers_lost = 0
        self.to_phone: Callable[[str], str] = str
        """What becomes of each message of the PBX's; nothing unless set."""

        self._where = (address, port)
        self._script: deque[Refusal | None] = deque()
        self._to_lose = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-sip-proxy", daemon=True)
        self._server: Server | None = None
        self._phones: set[ServerConnection] = set()

    # ------------------------------------------------------------------------------------------------- life-cycle

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(15)

    async def _start(self) -> None:
        self._server = await serve(
            self._serve, *self._where, subprotocols=_SIP, compression=None, ping_interval=None, max_size=1 << 20
        )

    async def _stop(self) -> None:
        await self._reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    # ----------------------------------------------------------------------------------------------------- faults

    def script(self, *refusals: Refusal) -> None:
        """Answer the next REGISTERs like this, one each, in this order; the PBX sees none of them."""
        self._script.extend(refusals)

    def swallow(self, count: int = 1) -> None:
        """Let the next ``count`` REGISTERs vanish, after those of the script: no answer, and the PBX sees nothing."""
        self._script.extend([None] * count)

    def lose_accepted(self, count: int = 1) -> None:
        """Hand the next REGISTERs to the PBX, but lose its next ``count`` 200 responses to them."""
        self._to_lose += count

    def clear(self) -> None:
        """Forget what is left of the script, and of what was to be lost."""
        self._script.clear()
        self._to_lose = 0

    def reset(self) -> None:
        """Break every connection that exists now; new ones are served."""
        self._run(self._reset())

    async def _reset(self) -> None:
        for phone in list(self._phones):
            phone.transport.abort()

    # ------------------------------------------------------------------------------------------------ in the middle

    async def _serve(self, phone: ServerConnection) -> None:
        self._phones.add(phone)
        try:
            async with connect(
                self.upstream, subprotocols=_SIP, compression=None, ping_interval=None, proxy=None, max_size=1 << 20
            ) as pbx:
                down = asyncio.create_task(self._down(pbx, phone))
                await self._up(phone, pbx)
                down.cancel()
        except (OSError, ConnectionClosed):
            phone.transport.abort()
        finally:
            self._phones.discard(phone)

    async def _up(self, phone: ServerConnection, pbx: ClientConnection) -> None:
        known = False
        with contextlib.suppress(ConnectionClosed):
            async for data in phone:
                text = data if isinstance(data, str) else data.decode("utf-8", "replace")
                if text.startswith("REGISTER "):
                    asked = _EXPIRES.search(text)
                    seen = Seen(
                        time.time(),
                        authorized="\nauthorization:" in text.lower(),
                        expires_s=int(asked[1]) if asked else 0,
                    )
                    self.registers.append(seen)
                    if self._script:
                        if not known:
                            known = True
                            await pbx.send(_hello())
                        if (refusal := self._script.popleft()) is not None:
                            seen.answered = refusal.status
                            await phone.send(refusal.response(text))
                        continue
                await pbx.send(data)

    async def _down(self, pbx: ClientConnection, phone: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for data in pbx:
                text = data if isinstance(data, str) else data.decode("utf-8", "replace")
                if _HELLO in text:
                    continue
                if self._to_lose and _ACCEPTED_REGISTER.search(text):
                    self._to_lose -= 1
                    self.answers_lost += 1
                    continue
                await phone.send(self.to_phone(text))
        phone.transport.abort()
