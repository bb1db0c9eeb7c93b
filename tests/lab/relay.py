"""A wire between the phone and the PBX that can be cut, clogged and frayed: TCP and UDP, on an address of its own.

    phone ──▶ relay address : the PBX's ports ──▶ PBX address : the same ports

Signalling (8088, 8089, 5060, 5061) and the PBX's RTP ports are all relayed. On unencrypted flows the PBX's address is
replaced by the relay's in what the PBX sends (both have the same number of characters, so no length changes): the SDP
then leads media through the relay too. Faults act on both directions and on existing and new flows, unless said
otherwise. The relay runs on a thread of its own; its methods are called from the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar, cast

from tests.lab import asterisk_config as config

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

T = TypeVar("T")
Address = tuple[str, int]

TCP_PORTS = (config.WS_PORT, config.WSS_PORT, config.SIP_PORT, config.SIPS_PORT)
UDP_PORTS = (config.SIP_PORT, *config.RTP_PORTS)

# baresip asks for / and cannot be told otherwise; Asterisk has its WebSocket at /ws.
_ROOT, _WS = b"GET / HTTP/1.1\r\n", b"GET /ws HTTP/1.1\r\n"


@dataclass(slots=True)
class Faults:
    """What happens to a packet (UDP) or a chunk (TCP, which knows only delay); changed at any time."""

    loss: float = 0.0
    """The fraction of datagrams dropped."""
    duplicate: float = 0.0
    """The fraction of datagrams delivered twice."""
    delay_s: float = 0.0
    """Added to everything, one way."""
    jitter_s: float = 0.0
    """Up to this is added to each datagram, so they may overtake each other."""
    forget_idle_s: float = 0.0
    """A TCP connection without a byte for this long is forgotten as by `Relay.half_open`: a NAT's timer. 0: never."""


def sibling_address(address: str) -> str:
    """A loopback address as long as a given one, for the relay in front of it."""
    first, second, *rest = address.split(".")
    return ".".join([first, str(int(second) + 100) if len(second) == 3 else str(int(second) + 10), *rest])


def _same(protocol: T) -> T:
    return protocol


class Relay:
    """Relays one PBX; a context manager."""

    def __init__(self, upstream: str, address: str | None = None, *, seed: int = 1, rewrite: bool = True) -> None:
        """Without ``rewrite`` what the PBX says of its address stays: a proxy has to recognise it in our Route."""
        self.upstream = upstream
        self._rewrite = rewrite
        self.address = address or sibling_address(upstream)
        if len(self.address) != len(self.upstream):
            raise ValueError("the relay's address must have as many characters as the PBX's")
        self.faults = Faults()
        self.random = random.Random(seed)
        self.tcp_connections = 0
        """How many TCP connections were accepted so far."""
        self.datagrams = 0
        """How many datagrams were handed on so far, both directions."""
        self.tcp_bytes = 0
        """How many bytes were handed on over TCP so far, both directions."""
        self._mute = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-relay", daemon=True)
        self._open = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._links: set[_Link] = set()
        self._datagrams: list[_DatagramFront] = []

    # ------------------------------------------------------------------------------------------------- life-cycle

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Return once every port listens. OSError where somebody else has one: no port is held then."""
        self._thread.start()
        try:
            self._run(self._start())
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close every socket and end the thread."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(15)

    async def _start(self) -> None:
        self._open.set()
        await self._listen()
        for port in UDP_PORTS:
            front = _DatagramFront(self, port)
            await self._loop.create_datagram_endpoint(partial(_same, front), local_addr=(self.address, port))
            self._datagrams.append(front)

    async def _listen(self) -> None:
        for port in TCP_PORTS:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port) -> None:
                self.tcp_connections += 1
                _Link(self, port, reader, writer).start()

            self._servers.append(await asyncio.start_server(accept, self.address, port, reuse_address=True))

    async def _close(self) -> None:
        await self._stop_listening()
        for link in list(self._links):
            await link.close(reset=False)
        for front in self._datagrams:
            front.close()

    async def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    # ----------------------------------------------------------------------------------------------------- faults

    def pause(self) -> None:
        """Pull the cable: nothing gets through, no socket notices. TCP's bytes wait, datagrams are lost."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def resume(self) -> None:
        """Plug the cable in again: what TCP had accepted is delivered now."""
        self._loop.call_soon_threadsafe(self._open.set)

    def reset(self) -> None:
        """Reset every TCP connection that exists now, to both ends."""
        self._run(self._reset())

    def refuse(self) -> None:
        """Refuse new TCP connections, as a host without the service does."""
        self._run(self._stop_listening())

    def accept(self) -> None:
        """Take new TCP connections again, after `refuse`."""
        self._run(self._accept())

    def half_open(self) -> None:
        """Forget the TCP connections of now, telling neither end: they swallow everything for ever. New ones work."""
        self._run(self._half_open())

    def mute(self) -> None:
        """Accept new TCP connections, but never answer on those accepted from now on."""
        self._mute = True

    def speak(self) -> None:
        """Serve connections accepted from now on; those accepted while mute stay so."""
        self._mute = False

    def live_connections(self) -> int:
        """How many TCP connections would carry a byte now, from end to end."""
        return self._run(self._live_connections())

    async def _live_connections(self) -> int:
        return sum(link.alive for link in self._links)

    async def _reset(self) -> None:
        for link in list(self._links):
            await link.close(reset=True)

    async def _accept(self) -> None:
        if not self._servers:
            await self._listen()

    async def _half_open(self) -> None:
        for link in self._links:
            link.swallow = True

    def rewritten(self, data: bytes) -> bytes:
        """What the PBX sent, with its address replaced by ours."""
        return data.replace(self.upstream.encode(), self.address.encode()) if self._rewrite else data


class _Link:
    """One TCP connection through the relay: a pump for each direction."""

    def __init__(self, relay: Relay, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.swallow = relay._mute
        self._relay = relay
        self._last_byte_at = relay._loop.time()
        self._port = port
        self._near = (reader, writer)
        self._far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._relay._links.add(self)
        self._tasks.append(asyncio.ensure_future(self._join()))

    async def _join(self) -> None:
        if self.swallow:
            return  # muted for good
        await self._relay._open.wait()  # with the cable out, the handshake above us is answered but nothing follows
        try:
            self._far = await asyncio.open_connection(self._relay.upstream, self._port)
        except OSError:
            await self.close(reset=True)
            return
        far_reader, far_writer = self._far
        near_reader, near_writer = self._near
        self._tasks.append(asyncio.ensure_future(self._pump(near_reader, far_writer, from_pbx=False)))
        self._tasks.append(asyncio.ensure_future(self._pump(far_reader, near_writer, from_pbx=True)))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_pbx: bool) -> None:
        try:
            while data := await reader.read(65536):
                await self._relay._open.wait()
                if self._relay.faults.delay_s:
                    await asyncio.sleep(self._relay.faults.delay_s)
                self.swallow = not self.alive
                if not self.swallow:
                    self._last_byte_at = self._relay._loop.time()
                    self._relay.tcp_bytes += len(data)
                    writer.write(self._relay.rewritten(data) if from_pbx else data.replace(_ROOT, _WS, 1))
                    await writer.drain()
            await self._relay._open.wait()
        except OSError:
            pass
        if not self.swallow:
            await self.close(reset=False)

    @property
    def alive(self) -> bool:
        """Whether a byte would come through now."""
        limit = self._relay.faults.forget_idle_s
        return not self.swallow and not (limit and self._relay._loop.time() - self._last_byte_at > limit)

    async def close(self, *, reset: bool) -> None:
        self._relay._links.discard(self)
        for _, writer in filter(None, (self._near, self._far)):
            if reset:
                # SO_LINGER of zero seconds: close() sends RST instead of FIN.
                linger = struct.pack("ii", 1, 0)
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()


class _DatagramFront(asyncio.DatagramProtocol):
    """One UDP port: a socket towards the PBX for each phone that writes to us."""

    def __init__(self, relay: Relay, port: int) -> None:
        self._relay = relay
        self._port = port
        self._transport: asyncio.DatagramTransport | None = None
        self._backs: dict[Address, _DatagramBack] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr not in self._backs:
            self._backs[addr] = back = _DatagramBack(self, addr)
            target = (self._relay.upstream, self._port)
            asyncio.ensure_future(  # noqa: RUF006 - ends with the socket, which `close` closes
                asyncio.get_running_loop().create_datagram_endpoint(
                    partial(_same, back), local_addr=(self._relay.address, 0), remote_addr=target
                )
            )
        self._backs[addr].send(data)

    def reply(self, data: bytes, addr: Address) -> None:
        """Carry what the PBX sent back to the phone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(self._relay.rewritten(data), addr)

    def through(self, deliver: _Deliver, data: bytes) -> None:
        """Hand a datagram on as the faults of the moment allow."""
        faults, dice = self._relay.faults, self._relay.random
        if not self._relay._open.is_set() or dice.random() < faults.loss:
            return
        self._relay.datagrams += 1
        for _ in range(2 if dice.random() < faults.duplicate else 1):
            delay = faults.delay_s + dice.uniform(0, faults.jitter_s)
            if delay:
                asyncio.get_running_loop().call_later(delay, deliver, data)
            else:
                deliver(data)

    def close(self) -> None:
        for back in self._backs.values():
            back.close()
        if self._transport is not None:
            self._transport.close()


class _DatagramBack(asyncio.DatagramProtocol):
    """The PBX's side of one phone's flow."""

    def __init__(self, front: _DatagramFront, phone: Address) -> None:
        self._front = front
        self._phone = phone
        self._transport: asyncio.DatagramTransport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        for data in self._early:
            self.send(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._front.through(lambda data: self._front.reply(data, self._phone), data)

    def send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        else:
            self._front.through(self._forward, data)

    def _forward(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


if TYPE_CHECKING:
    from collections.abc import Callable

    _Deliver = Callable[[bytes], None]
