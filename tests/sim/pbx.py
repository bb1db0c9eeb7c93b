"""A simulated PBX: a registrar with digest, and the calls of :mod:`tests.sim.switch`.

It keeps bindings the way Asterisk does: one contact an account, gone with its connection, gone with the process. Where
it confirms RFC 5626 (:attr:`tests.sim.call.Manner.outbound`) there is one for each reg-id.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sipcore.auth.verifier import Verdict, Verifier
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from tests.sim.call import Call, Manner
from tests.sim.switch import Switch
from tests.sim.world import PING, Connection, End, World

PASSWORD = "right"
"""What phones type; any other is one they do not know."""


@dataclass(slots=True)
class Binding:
    """Where an account can be reached."""

    connection: Connection
    contact: str
    expires_at: float
    call_id: str
    account: str = ""
    gruu: str = ""

    @property
    def works(self) -> bool:
        """Whether it leads to a phone."""
        connection = self.connection
        return connection.is_open[End.PBX] and connection.is_open[End.PHONE] and not connection.cut


@dataclass(slots=True)
class Script:
    """How REGISTERs are answered besides the usual, first entry first."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    lose: int = 0
    """So many answers are lost on the way back."""
    delay_s: float = 0.0
    stale: int = 0
    """So many right credentials are called stale."""


class SimPbx:
    """One PBX. ``passwords`` may change at any time."""

    def __init__(
        self,
        world: World,
        passwords: dict[str, str],
        *,
        expires_s: int = 600,
        nonce_lifetime_s: float = 60.0,
        manner: Manner | None = None,
    ) -> None:
        self.world = world
        self.passwords = passwords
        self.expires_s = expires_s
        self.challenges_options = False
        """Asterisk does, and its nonces live half a minute."""

        self.nonce_lifetime_s = nonce_lifetime_s
        self.up = True
        self.dark = False
        self.mute_until = 0.0
        self.script = Script()
        self.bindings: dict[str, Binding] = {}
        """By account, or by account and reg-id."""

        self.registers: list[tuple[float, str, int]] = []
        """(when, account, status) of each final response to REGISTER."""
        self.rejected: list[float] = []
        """When credentials were not accepted, be it for a nonce of another life."""
        self.wrong: list[float] = []
        """When they were made with a password that is not the present one."""
        self.lapsed: list[float] = []
        """When a binding ended on a connection that worked, without so much as an attempt to refresh it."""
        self._ids = IdSource(world.random)
        self._connections: list[Connection] = []
        self._rung = -1
        self._verifier = self._new_verifier()
        self.manner = manner or Manner()
        self.switch = Switch(world, self._ids, self._refusal, self.manner)
        self.switch.route = self._route

    def _new_verifier(self) -> Verifier:
        lifetime_s = self.nonce_lifetime_s
        return Verifier("sim", self.passwords, self._ids, algorithms=("MD5",), nonce_lifetime_s=lifetime_s)

    # --- calls, as tests look at them --------------------------------------------------------------------------

    @property
    def dialogs(self) -> dict[str, Call]:
        """The calls there are, by Call-ID."""
        return self.switch.calls

    @property
    def byes(self) -> list[str]:
        """Call-IDs of the BYEs that came from phones."""
        return self.switch.byes

    @property
    def refreshed(self) -> list[tuple[str, Connection, bytes]]:
        """Call-ID, connection and description of each re-INVITE that was accepted."""
        return self.switch.refreshed

    def ring(self, account: str, *, patience_s: float = 40.0) -> str | None:
        """Call a phone; its Call-ID, or None where it has no binding."""
        found = [binding for binding in self.bindings.values() if binding.account == account]
        working = [binding for binding in found if binding.works] or found
        if not working:
            return None
        self._rung += 1
        binding = working[self._rung % len(working)]  # they come by either flow
        contact = binding.gruu or binding.contact
        return self.switch.ring(account, contact, binding.connection, patience_s=patience_s)

    def _binding_of(self, account: str) -> Binding | None:
        """The best one: a proxy takes the next flow after a 430 (RFC 5626 §7)."""
        found = [binding for binding in self.bindings.values() if binding.account == account]
        return max(found, key=lambda binding: binding.works, default=None)

    def _route(self, call: Call) -> Connection:
        binding = self._binding_of(call.account) if ";gr=" in call.target else None
        return call.connection if binding is None else binding.connection

    # --- faults ------------------------------------------------------------------------------------------------

    def stop(self, *, silently: bool) -> None:
        """The process dies, or the machine: what it knew is gone."""
        self.up = False
        self.dark = silently
        for connection in self._connections:
            if silently:
                connection.vanish(End.PBX)
            else:
                connection.reset()
        self._connections.clear()
        self.bindings.clear()
        self.switch.forget_all()

    def start(self) -> None:
        """Up again, with new nonces."""
        self.up, self.dark = True, False
        self._verifier = self._new_verifier()

    # --- the network's side ------------------------------------------------------------------------------------

    def accepted(self, connection: Connection) -> None:
        """A phone connected."""
        self._connections.append(connection)

    def connection_pinged(self, connection: Connection) -> None:
        """Answer at once."""
        connection.send(End.PBX, PING)

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """Asterisk: "Removed contact due to shutdown" of its transport."""
        if connection in self._connections:
            self._connections.remove(connection)
        self.bindings = {name: kept for name, kept in self.bindings.items() if kept.connection is not connection}
        self.switch.closed(connection)

    def connection_data(self, connection: Connection, data: bytes) -> None:
        """A message came in."""
        if data in (b"\r\n\r\n", b"\r\n"):
            return
        message = parse_message(data)
        match message:
            case Response():
                self.switch.on_response(connection, message)
            case Request(method="REGISTER"):
                self._register(connection, message)
            case Request(method="OPTIONS") if message.to.tag is None:
                refusal = self._refusal(message) if self.challenges_options else None
                self._send(connection, refusal or message.response(200, to_tag="pbx"))
            case _ if (flow := self._token(connection, message)) is not None:
                self._send(flow, message)
            case _:
                self.switch.on_request(connection, message)

    def _token(self, connection: Connection, request: Request) -> Connection | None:
        """The flow of the token in the Route of a call that came by it, where the request came by another.

        RFC 5626 §5.3.1: that makes it an "incoming" request to a first hop, which sends it down that flow.
        """
        call = self.switch.calls.get(request.call_id) if self.manner.outbound else None
        if call is None or call.by_phone or call.connection is connection or request.method == "CANCEL":
            return None
        way = call.connection
        return way if all(way.is_open.values()) and not way.cut else None

    def _send(self, connection: Connection, message: Request | Response) -> None:
        connection.send(End.PBX, bytes(message))

    def _refusal(self, request: Request) -> Response | None:
        """A challenge, where the credentials are missing or not right."""
        verdict = self._verifier.verify(request, self.world.now).verdict
        return None if verdict is Verdict.ACCEPTED else self._challenge(request, verdict)

    def _challenge(self, request: Request, verdict: Verdict) -> Response:
        response = request.response(401, to_tag="reg")
        for challenge in self._verifier.challenges(self.world.now, stale=verdict is Verdict.STALE):
            response.headers.add("WWW-Authenticate", challenge)
        return response

    # --- registrations -----------------------------------------------------------------------------------------

    def _register(self, connection: Connection, request: Request) -> None:
        response = self._judge(connection, request)
        account = request.to.uri.user or ""
        self.registers.append((self.world.now, account, response.status))
        if self.script.lose and response.status == 200:
            self.script.lose -= 1
            return
        if self.script.delay_s:
            self.world.after(self.script.delay_s, lambda: self._send(connection, response))
        else:
            self._send(connection, response)

    def _judge(self, connection: Connection, request: Request) -> Response:
        if self.script.answers:
            status, headers = self.script.answers.pop(0)
            response = request.response(status, to_tag="reg")
            for name, value in headers.items():
                response.headers.add(name, value)
            return response
        verdict = self._verifier.verify(request, self.world.now).verdict
        if verdict is Verdict.ACCEPTED and self.script.stale:
            self.script.stale -= 1
            verdict = Verdict.STALE
        if verdict is Verdict.REJECTED:
            self.rejected.append(self.world.now)
            if self.passwords.get(request.to.uri.user or "") != PASSWORD:
                self.wrong.append(self.world.now)
        return self._bind(connection, request) if verdict is Verdict.ACCEPTED else self._challenge(request, verdict)

    def _bind(self, connection: Connection, request: Request) -> Response:
        account = request.to.uri.user or ""
        contact = request.contacts[0]
        expires = int(contact.param("expires") or self.expires_s)
        response = request.response(200, to_tag="reg")
        reg_id = contact.param("reg-id") if self.manner.outbound else None
        key = f"{account};{reg_id}" if reg_id else account
        if expires == 0:
            self.bindings.pop(key, None)
            return response
        granted = min(expires, self.expires_s)
        self.world.after(granted + 0.5, lambda: self._note_lapse(key, account, connection, granted))
        until = self.world.now + granted
        self.bindings[key] = made = Binding(connection, str(contact.uri), until, request.call_id, account)
        value = f"<{contact.uri}>;expires={granted}"
        if reg_id:
            response.headers.add("Require", "outbound")
            instance = contact.param("+sip.instance") or ""
            value += f';reg-id={reg_id};+sip.instance="{instance}"'
            if self.manner.outbound == "gruu":
                made.gruu = f"sip:{account}@pbx.sim;gr={instance.strip('<>')}"
                value += f';pub-gruu="{made.gruu}"'
        response.headers.add("Contact", value)
        return response

    def _note_lapse(self, key: str, account: str, connection: Connection, granted: float) -> None:
        binding = self.bindings.get(key)
        tried = any(name == account and at > self.world.now - granted * 0.75 for at, name, _ in self.registers)
        works = all(connection.is_open.values()) and not connection.cut and connection in self._connections
        if binding is not None and binding.connection is connection and works and not tried and not self._hindered():
            self.lapsed.append(self.world.now)

    def _hindered(self) -> bool:
        return self.mute_until > self.world.now - 60.0

    def reachable(self, account: str) -> bool:
        """Whether the account has a binding that leads to a phone."""
        found = [binding for binding in self.bindings.values() if binding.account == account]
        return any(binding.works and binding.expires_at > self.world.now for binding in found)
