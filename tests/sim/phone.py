"""The real stack on virtual time: its effects become connections of the simulated network.

Stack.effects ──▶ SimPhone ──▶ Connection ──▶ SimPbx
Stack.events ──▶ history, watchers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcore import events as ev
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, ServerAddress, StackConfig
from sipcore.errors import LocalProtocolError
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from sipcore.stack import Stack
from tests.sim.world import PING, Connection, End, Wire, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.pbx import SimPbx

SERVER = ServerAddress.parse("wss://pbx.sim:8089/ws")
MEDIA = LocalMedia(address="192.0.2.10", rtp_port=4000, rtcp_port=4001)


class SimPhone:
    """One phone. ``watch`` sees every effect and every event when it happens."""

    def __init__(
        self,
        world: World,
        pbx: SimPbx,
        *,
        name: str = "1001",
        password: str = "right",
        settings: Resilience | None = None,
        watch: Callable[[object], None] = lambda _: None,
        watch_message: Callable[[Connection, End, bytes], None] = lambda *_: None,
    ) -> None:
        account = Account(servers=(SERVER,), username=name, domain="pbx.sim", auth_username=name)
        config = StackConfig(account=account, resilience=settings or Resilience())
        self.world = world
        self.pbx = pbx
        self.name = name
        self.wire = Wire(world)
        self.stack = Stack(config, Credentials(name, password), IdSource(world.random))
        self.history: list[ev.Event] = []
        self.asleep_until = 0.0
        self.calls: set[str] = set()
        self._watch = watch
        self._watch_message = watch_message
        self._flows: dict[ev.FlowId, Connection] = {}
        self._opening: set[ev.FlowId] = set()
        self._wake = 0

    # --- driving -----------------------------------------------------------------------------------------------

    def run(self, verb: Callable[[float], object]) -> None:
        """Call a verb of the stack now, or once awake; then drain."""
        if self.asleep_until > self.world.now:
            self.world.at(self.asleep_until + 0.001, lambda: self.run(verb))
            return
        verb(self.world.now)
        self._pump()

    def sleep(self, gap_s: float) -> None:
        """Suspend the machine; on waking, the driver says so before anything else."""
        self.world.note(f"sleeps {gap_s:.1f} s")
        self.asleep_until = self.world.now + gap_s
        self.world.at(self.asleep_until, lambda: self.run(lambda now: self.stack.resumed(gap_s, now)))

    def network(self, online: bool, address: str | None = None) -> None:
        """The local link goes or comes, perhaps with another address."""
        self.world.note(f"link {'up' if online else 'down'} {address or ''}")
        self.wire.online = online
        if address is not None and address != self.wire.address:
            self.wire.address = address
            for connection in self.wire.connections:
                connection.cut = True
        source = self.wire.address if online else None
        self.run(lambda now: self.stack.network_changed(online, now, source_address=source))

    def dial(self) -> None:
        """Call the echo, where that is possible."""
        try:
            self.run(lambda now: self.stack.dial("600", MEDIA, now))
        except LocalProtocolError:
            self._pump()

    def _pump(self) -> None:
        while True:
            effects, events = self.stack.effects(), self.stack.events()
            if not effects and not events:
                break
            for effect in effects:
                self._watch(effect)
                self._carry_out(effect)
            for event in events:
                self._on_event(event)
        self._schedule()

    def _schedule(self) -> None:
        deadline = self.stack.next_timeout()
        self._wake += 1
        if deadline is None:
            return
        turn = self._wake

        def wake() -> None:
            if turn == self._wake:
                self.run(self.stack.handle_timeout)

        self.world.at(max(deadline, self.asleep_until + 0.001 if self.asleep_until > self.world.now else 0.0), wake)

    def _on_event(self, event: ev.Event) -> None:
        self.history.append(event)
        self._watch(event)
        match event:
            case ev.IncomingCall(call=call):
                self.world.after(0.0, lambda: self.run(lambda now: self.stack.reject(call, 486, "", now)))
            case ev.CallStateChanged(call=call, state=ev.CallState.ACTIVE):
                self.calls.add(call)
            case ev.CallEnded(call=call):
                self.calls.discard(call)
            case _:
                pass

    # --- effects -----------------------------------------------------------------------------------------------

    def _carry_out(self, effect: ev.Effect) -> None:
        match effect:
            case ev.OpenFlow():
                self._opening.add(effect.flow)
                self._connect(effect)
            case ev.Transmit(flow=flow, data=data):
                if connection := self._flows.get(flow):
                    self._watch_message(connection, End.PHONE, data)
                    connection.send(End.PHONE, data)
            case ev.PingFlow(flow=flow):
                if connection := self._flows.get(flow):
                    connection.send(End.PHONE, PING)
            case ev.CloseFlow(flow=flow):
                self._opening.discard(flow)
                if connection := self._flows.pop(flow, None):
                    connection.close(End.PHONE)
            case ev.ProbeServer(server=server, timeout_s=timeout_s):
                ok = self.wire.online and self.pbx.up and not self.pbx.dark and self.wire.hole_until <= self.world.now
                wait = timeout_s if self.pbx.dark or self.wire.hole_until > self.world.now else 2 * self.wire.delay()
                self.world.after(wait, lambda: self.run(lambda now: self.stack.probe_result(server, ok, now)))

    def _connect(self, effect: ev.OpenFlow) -> None:
        """TCP's handshake, then the WebSocket's, which a mute PBX does not answer."""
        flow, deadline = effect.flow, self.world.now + effect.timeout_s

        def fail(reason: str) -> None:
            if flow in self._opening:
                self._opening.discard(flow)
                self.run(lambda now: self.stack.flow_failed(flow, reason, now))

        if not self.wire.online:
            self.world.after(0.001, lambda: fail("No route to pbx.sim."))
            return
        arrival = self.wire.open_again_at + 2 * self.wire.delay()
        if arrival > deadline:
            self.world.at(deadline, lambda: fail("No answer from pbx.sim."))
            return

        def arrive() -> None:
            if flow not in self._opening:
                return
            if self.pbx.dark:
                # Connecting is tried again every three seconds (sipcore.aio.sockets).
                again = self.world.now + 3.0
                self.world.at(min(again, deadline), arrive if again < deadline else lambda: fail("No answer."))
            elif not self.wire.online:
                fail("No route to pbx.sim.")
            elif not self.pbx.up:
                fail("Connection refused by pbx.sim.")
            elif self.pbx.mute_until > self.world.now:
                if self.pbx.mute_until > deadline:
                    self.world.at(deadline, lambda: fail("No answer from pbx.sim."))
                else:
                    self.world.at(self.pbx.mute_until + 0.01, arrive)
            else:
                self._opening.discard(flow)
                connection = Connection(self.wire, self, self.pbx, self.pbx, flow)
                self.pbx.accepted(connection)
                self._flows[flow] = connection
                local = (self.wire.address, 40000 + flow)
                self.run(lambda now: self.stack.flow_opened(flow, local, now))

        self.world.at(arrival, arrive)

    # --- the network's side ------------------------------------------------------------------------------------

    def connection_data(self, connection: Connection, data: bytes) -> None:
        """A message came in."""
        self._watch_message(connection, End.PBX, data)
        self.run(lambda now: self.stack.receive(data, connection.flow, now))

    def connection_pinged(self, connection: Connection) -> None:
        """A pong came in."""
        self.run(lambda now: self.stack.flow_pong(connection.flow, now))

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """The connection ended."""
        if self._flows.pop(connection.flow, None) is not None:
            sentence = f"pbx.sim:8089 {reason}."
            self.run(lambda now: self.stack.flow_closed(connection.flow, sentence, now))
