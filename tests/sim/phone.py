"""The real stack on virtual time: its effects become connections of the simulated network.

    Stack.effects ──▶ SimPhone ──▶ Connection ──▶ SimPbx
    Stack.events ──▶ history, watchers, lines
    the far end's sound ──▶ heard, or silent ──▶ Stack.media_silent

It does what the engine process does for its stack: carries effects out, moves the sound to a new address, says when
nothing is heard, keeps a journal and goes on from it after a crash.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipcore import events as ev
from sipcore.auth.credentials import Credentials
from sipcore.config import Account, Resilience, ServerAddress, StackConfig
from sipcore.errors import LocalProtocolError
from sipcore.ids import IdSource
from sipcore.media import LocalMedia
from sipcore.stack import Stack, StackSnapshot
from tests.sim.call import Phase
from tests.sim.flow_watch import Heard, Lost
from tests.sim.line import Line
from tests.sim.world import PING, Connection, End, Wire, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sim.pbx import SimPbx

SERVER = ServerAddress.parse("wss://pbx.sim:8089/ws")
INSTANCE = "urn:uuid:00000000-0000-4000-8000-000000001001"
MEDIA = LocalMedia(address="192.0.2.10", rtp_port=4000, rtcp_port=4001)

_TICK_S = 1.0
_SILENT_S = 2.0


class SimPhone:
    """One phone. ``watch`` sees every effect and every event when it happens."""

    def __init__(
        self,
        world: World,
        pbx: SimPbx,
        *,
        name: str = "1001",
        password: str = "right",
        servers: tuple[ServerAddress, ...] = (SERVER,),
        settings: Resilience | None = None,
        watch: Callable[[object], None] = lambda _: None,
        watch_message: Callable[[Connection, End, bytes], None] = lambda *_: None,
    ) -> None:
        account = Account(
            servers=servers,
            username=name,
            domain="pbx.sim",
            auth_username=name,
            instance_id=INSTANCE if pbx.manner.outbound else "",
        )
        self._config = StackConfig(account=account, resilience=settings or Resilience())
        self.world = world
        self.pbx = pbx
        self.name = name
        self.wire = Wire(world)
        self.credentials = Credentials(name, password)
        self.stack = self._new_stack()
        self.history: list[ev.Event] = []
        self.asleep_until = 0.0
        self.lines: dict[ev.CallId, Line] = {}
        self.picks_up: Callable[[Line], float | None] = lambda _: None
        """After how many seconds an incoming call is answered; None: it is rejected at once."""

        self.dead = False
        self.refusing: set[ServerAddress] = set()
        """First hops that take no connection, whatever becomes of the PBX behind them."""

        self.told_online = True
        self.on_news: Callable[[], None] = lambda: None
        """Called when the stack is told of the network, which may be long after it changed: on waking."""
        self.on_answer: Callable[[Line], None] = lambda _: None
        """Called when the user has answered a call."""
        self._generation = 0
        self._watch = watch
        self._watch_message = watch_message
        self._flows: dict[ev.FlowId, Connection] = {}
        self._opening: set[ev.FlowId] = set()
        self._wake = 0
        self._inviting = ""
        self._ticking = False

    def _new_stack(self) -> Stack:
        return Stack(self._config, self.credentials, IdSource(self.world.random))

    @property
    def calls(self) -> set[ev.CallId]:
        """The calls that are up."""
        return {line.call for line in self.lines.values() if line.active}

    @property
    def media(self) -> LocalMedia:
        """Where our sound is to go."""
        return replace(MEDIA, address=self.wire.address)

    # --- driving -----------------------------------------------------------------------------------------------

    def run(self, verb: Callable[[float], object]) -> None:
        """Call a verb of the stack now, or once awake; then drain."""
        if self.dead:
            return
        if self.asleep_until > self.world.now:
            self._later(self.asleep_until + 0.001 - self.world.now, verb)
            return
        verb(self.world.now)
        self._pump()

    def attempt(self, verb: Callable[[float], object]) -> bool:
        """What somebody wants now; False where nobody is at the phone or the stack says that it does not fit."""
        if self.dead or self.asleep_until > self.world.now:
            return False
        try:
            self.run(verb)
        except LocalProtocolError:
            self._pump()
            return False
        return True

    def sleep(self, gap_s: float) -> None:
        """Suspend the machine; on waking, the driver says so before anything else."""
        self.world.note(f"sleeps {gap_s:.1f} s")
        self.asleep_until = self.world.now + gap_s
        self.world.at(self.asleep_until, lambda: self.run(lambda now: self.stack.resumed(gap_s, now)))

    def crash(self, restart_after_s: float) -> None:
        """``kill -9`` of the engine; the kernel closes its connections, and another process goes on."""
        self.world.note("engine killed")
        # What the journal holds: it is written whenever the stack was used, before anything is sent.
        kept = self.stack.snapshot()
        self._generation += 1
        self.dead = True
        self._opening.clear()
        for connection in self._flows.values():
            connection.close(End.PHONE)
        self._flows.clear()
        self.world.after(restart_after_s, lambda: self._restart(kept))

    def _restart(self, kept: StackSnapshot) -> None:
        self.world.note("engine restarted")
        self.dead = False
        self.stack = self._new_stack()
        self.told_online = self.wire.online
        if not self.wire.online:
            self.run(lambda now: self.stack.network_changed(False, now))
        self.stack.restore_binding(kept.binding)
        for call in kept.calls.calls:
            self.run(lambda now, call=call: self.stack.restore_call(call, self.media, now))  # type: ignore[misc]
        for farewell in kept.calls.farewells:
            self.run(lambda now, farewell=farewell: self.stack.restore_farewell(farewell, now))  # type: ignore[misc]
        alive = {call.id for call in kept.calls.calls}
        self.lines = {call: line for call, line in self.lines.items() if call in alive}
        for line in self.lines.values():
            line.heard_at, line.silent, line.address, line.resumed = self.world.now, False, self.wire.address, True
        self.run(self.stack.start)

    def network(self, online: bool, address: str | None = None) -> None:
        """The local link goes or comes, perhaps with another address."""
        self.world.note(f"link {'up' if online else 'down'} {address or ''}")
        self.wire.online = online
        if address is not None and address != self.wire.address:
            self.wire.address = address
            for connection in self.wire.connections:
                connection.cut = True
        source = self.wire.address if online else None

        def tell(now: float) -> None:
            self.told_online = online
            self.on_news()
            self.stack.network_changed(online, now, source_address=source)

        self.run(tell)

    # --- the user ----------------------------------------------------------------------------------------------

    def dial(self, target: str = "600") -> Line | None:
        """Call somebody, where that is possible: 600 is the echo."""
        begun: list[ev.CallId] = []
        self._inviting = ""
        if not self.attempt(lambda now: begun.append(self.stack.dial(target, self.media, now))) or not begun:
            return None
        self.world.note(f"user: dials {target}: {begun[0]} {self._inviting[:6]}")
        return self.lines.setdefault(begun[0], self._line(begun[0], outgoing=True))

    def hang_up(self, line: Line) -> None:
        """The user hangs up."""
        if self.lines.get(line.call) is not line or line.ending:
            return
        if self.asleep_until > self.world.now:
            self.world.at(self.asleep_until + 1.0, lambda: self.hang_up(line))
        else:
            self.world.note(f"user: hangs up {line.call} {line.sip[:6]}")
            line.ending = True
            line.ending = self.attempt(lambda now: self.stack.hang_up(line.call, now))

    def hold(self, line: Line, *, hold: bool) -> None:
        """The user holds, or resumes."""
        if self.lines.get(line.call) is line and line.active:
            self.world.note(f"user: {'holds' if hold else 'resumes'} {line.call} {line.sip[:6]}")
            verb = self.stack.hold if hold else self.stack.resume
            before, line.holding = line.holding, hold
            if not self.attempt(lambda now: verb(line.call, now)):
                line.holding = before

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
                self.run(lambda now: self.stack.handle_timeout(now))

        self.world.at(max(deadline, self.asleep_until + 0.001 if self.asleep_until > self.world.now else 0.0), wake)

    def _on_event(self, event: ev.Event) -> None:
        self.history.append(event)
        match event:
            case ev.IncomingCall(call=call):
                self._rung(self._line(call, outgoing=False))
            case ev.CallStateChanged(call=call, state=ev.CallState.ACTIVE):
                line = self.lines.setdefault(call, self._line(call, outgoing=True))
                line.active, line.heard_at = True, self.world.now
                self._tick_later()
            case ev.CallStateChanged(call=call, state=ev.CallState.ENDING) if call in self.lines:
                self.lines[call].active = False
            case ev.HoldChanged(call=call, remote=remote) if call in self.lines:
                self.lines[call].held = remote
            case ev.VerbFailed(call=call, verb=verb) if call in self.lines and verb in ("hold", "resume"):
                self.lines[call].holding = verb == "resume"
            case ev.LocalAddressChanged():
                self.world.after(0.0, self._move_media)
            case _:
                pass
        self._watch(event)
        if isinstance(event, ev.CallEnded):
            self.lines.pop(event.call, None)

    def _ring(self, line: Line) -> None:
        self.attempt(lambda now: self.stack.ring(line.call, now))

    def _line(self, call: ev.CallId, *, outgoing: bool) -> Line:
        return Line(call, self._inviting, outgoing, self.wire.address)

    def _rung(self, line: Line) -> None:
        self.lines[line.call] = line
        wait_s = self.picks_up(line)
        if wait_s is None:
            line.ending = True
            self.world.after(0.0, lambda: self.run(lambda now: self.stack.reject(line.call, 486, "", now)))
            return
        self.world.after(0.0, lambda: self._ring(line))

        def answer() -> None:
            if self.lines.get(line.call) is not line or line.active:
                return
            if self.asleep_until > self.world.now:
                self.world.at(self.asleep_until + 1.0, answer)
            else:
                self.world.note(f"user: answers {line.call} {line.sip[:6]}")
                line.address = self.wire.address
                if self.attempt(lambda now: self.stack.answer(line.call, self.media, now)):
                    self.on_answer(line)

        self.world.after(wait_s, answer)

    # --- sound -------------------------------------------------------------------------------------------------

    def hears(self, line: Line) -> bool:
        """Whether the far end's sound gets here."""
        call = self.pbx.dialogs.get(line.sip)
        if call is None or call.phase is not Phase.UP or self.dead or self.asleep_until > self.world.now:
            return False
        way = self.wire.online and self.pbx.up and self.wire.hole_until <= self.world.now
        return way and call.address == self.wire.address and call.direction in ("sendrecv", "recvonly")

    @property
    def trusts_a_dead_flow(self) -> bool:
        """Whether a connection it holds to be open leads nowhere."""
        return any(flow.cut or not flow.is_open[End.PBX] for flow in self._flows.values())

    def _move_media(self) -> None:
        for line in list(self.lines.values()):
            if line.active and line.address != self.wire.address:
                line.address = self.wire.address
                self.attempt(lambda now, line=line: self.stack.move_media(line.call, self.media, now))  # type: ignore[misc]

    def _tick_later(self) -> None:
        if not self._ticking:
            self._ticking = True
            self.world.after(_TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        active = [line for line in self.lines.values() if line.active]
        if not active:
            return
        if not self.dead and self.asleep_until <= self.world.now:
            for line in active:
                self._listen(line)
        self._tick_later()

    def _listen(self, line: Line) -> None:
        now = self.world.now
        if self.hears(line) or line.holding or line.held:
            line.heard_at = now
        silent = now - line.heard_at >= _SILENT_S
        if silent != line.silent:
            line.silent = silent
            self.run(lambda now: self.stack.media_silent(line.call, now - line.heard_at if silent else None, now))

    # --- effects -----------------------------------------------------------------------------------------------

    def _carry_out(self, effect: ev.Effect) -> None:
        match effect:
            case ev.OpenFlow():
                self._opening.add(effect.flow)
                self._connect(effect)
            case ev.Transmit(flow=flow, data=data):
                if connection := self._flows.get(flow):
                    self._note_invite(data)
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
                self._later(wait, lambda now: self.stack.probe_result(server, ok, now))

    def _later(self, wait_s: float, verb: Callable[[float], object]) -> None:
        """Run ``verb`` then, unless the process is another one by then."""
        generation = self._generation

        def then() -> None:
            if generation == self._generation:
                self.run(verb)

        self.world.after(wait_s, then)

    def _note_invite(self, data: bytes) -> None:
        """Whose Call-ID the call being dialled, or the call coming in, has."""
        if data.startswith(b"INVITE "):
            head = data.partition(b"\r\n\r\n")[0]
            _, _, rest = head.partition(b"\r\nCall-ID: ")
            self._inviting = rest.partition(b"\r\n")[0].decode()

    def _connect(self, effect: ev.OpenFlow) -> None:
        """TCP's handshake, then the WebSocket's, which a mute PBX does not answer."""
        flow, deadline, generation = effect.flow, self.world.now + effect.timeout_s, self._generation

        def is_wanted() -> bool:
            return flow in self._opening and generation == self._generation

        def fail(reason: str) -> None:
            if is_wanted():
                self._opening.discard(flow)
                self._later(0.0, lambda now: self.stack.flow_failed(flow, reason, now))

        if not self.wire.online:
            self.world.after(0.001, lambda: fail("No route to pbx.sim."))
            return
        arrival = self.wire.open_again_at + 2 * self.wire.delay()
        if arrival > deadline:
            self.world.at(deadline, lambda: fail("No answer from pbx.sim."))
            return

        def arrive() -> None:
            if not is_wanted():
                return
            if self.pbx.dark:
                # Connecting is tried again every three seconds (sipcore.aio.sockets).
                again = self.world.now + 3.0
                self.world.at(min(again, deadline), arrive if again < deadline else lambda: fail("No answer."))
            elif not self.wire.online:
                fail("No route to pbx.sim.")
            elif not self.pbx.up or effect.server in self.refusing:
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

        def receive(now: float) -> None:
            if self._flows.get(connection.flow) is connection:
                self._note_invite(data)
                self._watch_message(connection, End.PBX, data)
                self._watch(Heard(connection.flow))
                self.stack.receive(data, connection.flow, now)

        self.run(receive)

    def connection_pinged(self, connection: Connection) -> None:
        """A pong came in."""
        if self._flows.get(connection.flow) is connection:
            self._watch(Heard(connection.flow))
            self.run(lambda now: self.stack.flow_pong(connection.flow, now))

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """The connection ended."""
        if self._flows.get(connection.flow) is connection:
            del self._flows[connection.flow]
            sentence = f"pbx.sim:8089 {reason}."
            self.run(lambda now: self._lose(connection.flow, sentence, now))

    def _lose(self, flow: ev.FlowId, reason: str, now: float) -> None:
        self._watch(Lost(flow))
        self.stack.flow_closed(flow, reason, now)
