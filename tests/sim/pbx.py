"""A simulated PBX: registrar with digest, an echo extension, and one that calls its phones.

It keeps bindings the way Asterisk does: one contact an account, gone with its connection, gone with the process.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from sipcore.auth.verifier import Verdict, Verifier
from sipcore.ids import IdSource
from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from sipcore.message.uri import Uri
from tests.sim.world import PING, Connection, End, World

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 10000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


@dataclass(slots=True)
class Binding:
    """Where an account can be reached."""

    connection: Connection
    contact: str
    expires_at: float
    call_id: str


@dataclass(slots=True)
class Dialog:
    """A call the PBX takes part in; ``connection`` is where its requests would go."""

    account: str
    connection: Connection
    invite: Request
    tag: str


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

    def __init__(self, world: World, passwords: dict[str, str], *, expires_s: int = 600) -> None:
        self.world = world
        self.passwords = passwords
        self.expires_s = expires_s
        self.up = True
        self.dark = False
        self.mute_until = 0.0
        self.script = Script()
        self.bindings: dict[str, Binding] = {}
        self.dialogs: dict[str, Dialog] = {}
        self.registers: list[tuple[float, str, int]] = []
        """(when, account, status) of each final response to REGISTER."""
        self.rejected: list[float] = []
        """When credentials were wrong."""
        self.byes: list[str] = []
        self.refreshed: list[tuple[str, Connection]] = []
        """Call-ID and connection of each re-INVITE."""
        self.rung: dict[str, int] = {}
        """Final status of the calls made by :meth:`ring`, by Call-ID."""
        self._ids = IdSource(world.random)
        self._connections: list[Connection] = []
        self._verifier = self._new_verifier()
        self._cseq = 0

    def _new_verifier(self) -> Verifier:
        return Verifier("sim", self.passwords, self._ids, algorithms=("MD5",), nonce_lifetime_s=60.0)

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
        self.dialogs.clear()

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

    def connection_data(self, connection: Connection, data: bytes) -> None:
        """A message came in."""
        if data in (b"\r\n\r\n", b"\r\n"):
            return
        message = parse_message(data)
        if isinstance(message, Response):
            self._on_response(connection, message)
            return
        match message.method:
            case "REGISTER":
                self._register(connection, message)
            case "INVITE":
                self._invite(connection, message)
            case "ACK":
                pass
            case "BYE":
                self._bye(connection, message)
            case _:
                self._send(connection, message.response(200, to_tag="pbx"))

    def _send(self, connection: Connection, message: Request | Response) -> None:
        connection.send(End.PBX, bytes(message))

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
        if verdict is not Verdict.ACCEPTED:
            if verdict is Verdict.REJECTED:
                self.rejected.append(self.world.now)
            response = request.response(401, to_tag="reg")
            for challenge in self._verifier.challenges(self.world.now, stale=verdict is Verdict.STALE):
                response.headers.add("WWW-Authenticate", challenge)
            return response
        return self._bind(connection, request)

    def _bind(self, connection: Connection, request: Request) -> Response:
        account = request.to.uri.user or ""
        contact = request.contacts[0]
        expires = int(contact.param("expires") or self.expires_s)
        response = request.response(200, to_tag="reg")
        if expires == 0:
            self.bindings.pop(account, None)
            return response
        granted = min(expires, self.expires_s)
        self.bindings[account] = Binding(connection, str(contact.uri), self.world.now + granted, request.call_id)
        response.headers.add("Contact", f"<{contact.uri}>;expires={granted}")
        return response

    def reachable(self, account: str) -> bool:
        """Whether the account has a binding that leads to a phone."""
        binding = self.bindings.get(account)
        if binding is None or binding.expires_at <= self.world.now:
            return False
        connection = binding.connection
        return connection.is_open[End.PBX] and connection.is_open[End.PHONE] and not connection.cut

    # --- calls -------------------------------------------------------------------------------------------------

    def ring(self, account: str) -> str | None:
        """Call a phone; its Call-ID, or None where it has no binding. The outcome goes to :attr:`rung`."""
        binding = self.bindings.get(account)
        if binding is None:
            return None
        self._cseq += 1
        call_id = self._ids.call_id()
        invite = Request("INVITE", Uri.parse(binding.contact), body=SDP)
        for name, value in (
            ("Via", f"SIP/2.0/WS pbx.sim;branch={self._ids.branch()}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:600@pbx.sim>;tag={self._ids.tag()}"),
            ("To", f"<sip:{account}@pbx.sim>"),
            ("Call-ID", call_id),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:600@pbx.sim>"),
            ("Content-Type", "application/sdp"),
        ):
            invite.headers.add(name, value)
        self._send(binding.connection, invite)
        return call_id

    def _on_response(self, connection: Connection, response: Response) -> None:
        if response.cseq.method != "INVITE" or response.is_provisional:
            return
        self.rung[response.call_id] = response.status
        ack = Request("ACK", Uri.parse("sip:phone@pbx.sim"))
        for name in ("Via", "From", "To", "Call-ID"):
            ack.headers.add(name, response.headers.get(name) or "")
        ack.headers.add("CSeq", f"{response.cseq.number} ACK")
        ack.headers.add("Max-Forwards", "70")
        self._send(connection, ack)

    def _invite(self, connection: Connection, request: Request) -> None:
        if request.to.tag is not None:
            self._modify(connection, request)
            return
        verdict = self._verifier.verify(request, self.world.now).verdict
        if verdict is not Verdict.ACCEPTED:
            challenged = request.response(401, to_tag="inv")
            for challenge in self._verifier.challenges(self.world.now, stale=verdict is Verdict.STALE):
                challenged.headers.add("WWW-Authenticate", challenge)
            self._send(connection, challenged)
            return
        tag = self._ids.tag()
        self.dialogs[request.call_id] = Dialog(request.from_.uri.user or "", connection, request, tag)
        self._send(connection, request.response(100))
        self._send(connection, request.response(180, to_tag=tag))
        self.world.after(1.0, lambda: self._send(connection, self._ok(request, tag)))

    def _modify(self, connection: Connection, request: Request) -> None:
        dialog = self.dialogs.get(request.call_id)
        if dialog is None:
            self._send(connection, request.response(481))
            return
        # FreeSWITCH and Asterisk alike: a re-INVITE tells where the phone is now.
        self.dialogs[request.call_id] = dataclasses.replace(dialog, connection=connection)
        self.refreshed.append((request.call_id, connection))
        self._send(connection, self._ok(request, dialog.tag))

    def _ok(self, request: Request, tag: str) -> Response:
        response = request.response(200, to_tag=tag)
        response.headers.add("Contact", "<sip:600@pbx.sim>")
        response.headers.add("Content-Type", "application/sdp")
        response.body = SDP
        return response

    def _bye(self, connection: Connection, request: Request) -> None:
        known = self.dialogs.pop(request.call_id, None)
        self.byes.append(request.call_id)
        self._send(connection, request.response(200 if known else 481))
