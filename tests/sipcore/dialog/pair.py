"""Two user agents in memory, on virtual time, over a network that a seed makes lose, delay and reorder.

    Agent(alice) ══ Network ══ Agent(bob)

Nothing of ours is replaced: each agent is the real transaction layer with the real calls on it.
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from sipcore.auth.authenticator import Authenticator
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, ServerAddress
from sipcore.dialog.calls import Calls
from sipcore.dialog.core import CallSettings
from sipcore.events import CallEnded, CallId, CallState, CallStateChanged, Event, IncomingCall
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from sipcore.message.message import Message, Request, Response
from sipcore.message.parse import parse_message
from sipcore.message.uri import NameAddr
from sipcore.transaction.events import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    TransactionTimedOut,
    TransactionTransportFailed,
    ViaTemplate,
)
from sipcore.transaction.layer import TransactionLayer

_E = TypeVar("_E")

MEDIA = LocalMedia(address="192.0.2.1", rtp_port=4000, rtcp_port=4001)
OTHER_MEDIA = LocalMedia(address="192.0.2.2", rtp_port=5000, rtcp_port=5001)
MOVED_MEDIA = LocalMedia(address="198.51.100.7", rtp_port=6000, rtcp_port=6001)


def account_of(name: str) -> Account:
    """An account at example.com."""
    server = ServerAddress.parse("wss://example.com/ws")
    return Account(servers=(server,), username=name, domain="example.com", auth_username=name)


class Agent:
    """One user agent: the layer, the calls, and what they said."""

    def __init__(self, name: str, *, seed: int = 1, transport: str = "WSS", settings: CallSettings | None = None):
        ids = IdSource(Random(f"{name}{seed}"))
        self.name = name
        self.transport = transport
        self.layer = TransactionLayer(ids)
        self.authenticator = Authenticator(Credentials(name, "secret"), ids)
        self.calls = Calls(account_of(name), ids, self.layer, self.authenticator, settings)
        self.log: list[Event] = []
        self.flow = 0
        self.connected = False
        self.on_event: Callable[[Event, float], None] | None = None
        """Called for each event as it comes, to press buttons."""

    def connect(self, now: float, *, recovered: bool = False) -> None:
        """Open a new flow and register, as the stack does."""
        self.flow += 1
        self.connected = True
        self.layer.flow_opened(self.flow, ViaTemplate(self.transport, f"{self.name}{self.flow}.invalid"))
        contact = NameAddr.parse(f"<sip:{self.name}@{self.name}{self.flow}.invalid;transport=ws>")
        if recovered:
            self.calls.flow_recovered(self.flow, contact, now, secure=self.transport in ("WSS", "TLS"))
        else:
            self.calls.set_flow(self.flow, contact, now)

    def disconnect(self, now: float) -> None:
        """Lose the flow, as the stack does."""
        self.connected = False
        self.layer.flow_lost(self.flow, now)
        self.calls.flow_lost(now)

    def pump(self, now: float) -> list[bytes]:
        """Hand events up until there are none, as the stack does; returns what must be sent."""
        while events := self.layer.events():
            for event in events:
                match event:
                    case RequestReceived() | AckReceived():
                        self.calls.on_request(event, now)
                    case ResponseReceived():
                        assert self.calls.on_response(event, now)
                    case TransactionTimedOut() | TransactionTransportFailed():
                        self.calls.on_failure(event, now)
                self._collect(now)
        self._collect(now)
        return [transmit.data for transmit in self.layer.transmits() if transmit.flow == self.flow]

    def _collect(self, now: float) -> None:
        for event in self.calls.events():
            self.log.append(event)
            if self.on_event is not None:
                self.on_event(event, now)

    def handle_timeout(self, now: float) -> None:
        """Run every timer due."""
        self.layer.handle_timeout(now)
        self.calls.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """The earliest deadline."""
        times = [at for at in (self.layer.next_timeout(), self.calls.next_timeout()) if at is not None]
        return min(times, default=None)

    # --- looking ---------------------------------------------------------------------------------------------

    def seen(self, kind: type[_E]) -> list[_E]:
        """The events of one kind, in order."""
        return [event for event in self.log if isinstance(event, kind)]

    @property
    def ended(self) -> CallEnded | None:
        """The last call's end."""
        return self.seen(CallEnded)[-1] if self.seen(CallEnded) else None

    @property
    def states(self) -> list[CallState]:
        """The states shown, in order."""
        return [event.state for event in self.seen(CallStateChanged)]

    @property
    def incoming(self) -> CallId:
        """The last incoming call."""
        return self.seen(IncomingCall)[-1].call


@dataclass(order=True, slots=True)
class _Packet:
    at: float
    number: int
    sender: Agent = field(compare=False)
    data: bytes = field(compare=False)


@dataclass(slots=True)
class Netem:
    """How the network treats messages; all False and zero: perfectly, after ``latency_s``."""

    seed: int = 0
    latency_s: float = 0.01
    jitter_s: float = 0.0
    """Each message is late by up to this much more, which reorders."""

    loss: float = 0.0


class Pair:
    """Alice and Bob, connected to each other as if each were the other's server."""

    def __init__(
        self,
        *,
        transport: str = "WSS",
        netem: Netem | None = None,
        settings: CallSettings | None = None,
        seed: int = 1,
        drop: Callable[[str, Message], bool] | None = None,
    ) -> None:
        self.now = 1000.0
        self.alice = Agent("alice", seed=seed, transport=transport, settings=settings)
        self.bob = Agent("bob", seed=seed, transport=transport, settings=settings)
        self.netem = netem or Netem()
        self.drop = drop
        """Takes the sender's name and a message; True loses it."""

        self.wire: list[tuple[float, str, Message]] = []
        """(time, sender, message) of everything sent, lost or not."""

        self._random = Random(self.netem.seed)
        self._queue: list[_Packet] = []
        self._numbers = itertools.count()
        for agent in (self.alice, self.bob):
            agent.connect(self.now)

    # --- running -----------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.now + seconds
        self._flush()
        while True:
            times = [agent.next_timeout() for agent in (self.alice, self.bob)]
            times.append(self._queue[0].at if self._queue else None)
            due = min((at for at in times if at is not None), default=None)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self._step()
        self.now = end

    def settle(self) -> None:
        """Let everything on its way arrive."""
        self.run(0.2)

    def _step(self) -> None:
        while self._queue and self._queue[0].at <= self.now:
            packet = heapq.heappop(self._queue)
            receiver = self.bob if packet.sender is self.alice else self.alice
            receiver.layer.receive(parse_message(packet.data), receiver.flow, self.now)
            self._flush()
        for agent in (self.alice, self.bob):
            agent.handle_timeout(self.now)
        self._flush()

    def _flush(self) -> None:
        for agent in (self.alice, self.bob):
            for data in agent.pump(self.now):
                self._send(agent, data)

    def _send(self, sender: Agent, data: bytes) -> None:
        message = parse_message(data)
        self.wire.append((self.now, sender.name, message))
        if self._random.random() < self.netem.loss or (self.drop is not None and self.drop(sender.name, message)):
            return
        at = self.now + self.netem.latency_s + self._random.uniform(0, self.netem.jitter_s)
        heapq.heappush(self._queue, _Packet(at, next(self._numbers), sender, data))

    # --- looking -----------------------------------------------------------------------------------------------

    @property
    def flow(self) -> list[str]:
        """The ladder: ``alice INVITE``, ``bob 180 INVITE`` …"""
        return [f"{sender} {summary(message)}" for _, sender, message in self.wire]

    def requests(self, method: str) -> list[Request]:
        """Every request of that method that was sent."""
        return [message for _, _, message in self.wire if isinstance(message, Request) and message.method == method]

    def responses(self, method: str, status: int) -> list[Response]:
        """Every such response that was sent."""
        return [
            message
            for _, _, message in self.wire
            if isinstance(message, Response) and message.status == status and message.cseq.method == method
        ]

    # --- shortcuts ---------------------------------------------------------------------------------------------

    def call(self, media: LocalMedia = MEDIA) -> CallId:
        """Alice dials Bob, whose phone rings."""
        call = self.alice.calls.dial("bob", media, self.now)
        self.settle()
        self.bob.calls.ring(self.bob.incoming, self.now)
        self.settle()
        return call

    def connect_call(self) -> tuple[CallId, CallId]:
        """Alice's and Bob's side of an answered call."""
        call = self.call()
        self.bob.calls.answer(self.bob.incoming, OTHER_MEDIA, self.now)
        self.settle()
        return call, self.bob.incoming


def summary(message: Message) -> str:
    """``INVITE`` or ``180 INVITE``."""
    match message:
        case Request():
            return message.method
        case Response():
            return f"{message.status} {message.cseq.method}"
