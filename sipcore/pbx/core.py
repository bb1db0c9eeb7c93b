"""A small PBX, sans-I/O: registrar, digest, and one set of calls per client flow, on the phone's own SIP stack.

    receive ─▶ parser ─▶ TransactionLayer ─┬▶ REGISTER ─▶ Registrar          effects()
    (one Leg a flow)                       └▶ the rest ─▶ Calls ─▶ events ─▶ events() of the PBX

It serves the demo and the tests. What a call hears is its owner's business: an IncomingCall event names the leg,
and the owner rings, answers or rejects by verbs that name it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from sipcore.auth.authenticator import Authenticator
from sipcore.auth.credentials import Credentials
from sipcore.auth.verifier import Verdict, Verifier
from sipcore.config import Account, ServerAddress
from sipcore.dialog.calls import Calls
from sipcore.errors import ParseError
from sipcore.events import CallId, Event, FlowId, Transmit
from sipcore.message.parse import Keepalive, MalformedMessage, parse_keepalive, parse_message
from sipcore.message.uri import NameAddr, Uri
from sipcore.pbx.registrar import Registrar
from sipcore.transaction.events import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    TransactionEvent,
    TransactionTimedOut,
    TransactionTransportFailed,
    ViaTemplate,
)
from sipcore.transaction.layer import TransactionLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipcore.ids import IdSource
    from sipcore.media import LocalMedia
    from sipcore.message.message import Request, Response


@dataclass(frozen=True, slots=True)
class LegEvent:
    """An event of the calls on one flow."""

    flow: FlowId
    event: Event


@dataclass(slots=True)
class _Leg:
    layer: TransactionLayer
    calls: Calls
    user: str = ""


class Pbx:
    """Users register with a password and call whatever the owner answers."""

    def __init__(self, domain: str, users: Mapping[str, str], ids: IdSource, *, name: str = "Offhook demo") -> None:
        """``users`` maps names to passwords and is read anew at each request."""
        self._ids = ids
        self._domain = domain
        self._name = name
        self._verifier = Verifier(domain, users, ids)
        self._legs: dict[FlowId, _Leg] = {}
        self._effects: list[Transmit] = []
        self._events: list[LegEvent] = []
        self._refusals: list[tuple[int, int]] = []
        self.registrar = Registrar()

    # --- flows -------------------------------------------------------------------------------------------------

    def flow_opened(self, flow: FlowId, server: ServerAddress, now: float) -> None:
        """A client connected; ``server`` is our end."""
        layer = TransactionLayer(self._ids)
        account = Account(
            servers=(server,),
            username="pbx",
            domain=self._domain,
            auth_username="pbx",
            display_name=self._name,
            user_agent=self._name,
        )
        calls = Calls(account, self._ids, layer, Authenticator(Credentials("", ""), self._ids))
        self._legs[flow] = _Leg(layer, calls)
        layer.flow_opened(flow, ViaTemplate(server.via_transport, f"{server.host}:{server.port}"))
        contact = Uri.parse(f"sip:pbx@{server.host}:{server.port};transport={server.scheme}")
        calls.set_flow(flow, NameAddr(uri=contact), now, secure=server.secure)

    def flow_lost(self, flow: FlowId, now: float) -> None:
        """A client is gone, with its registration; its calls end here, since it comes back on another flow."""
        leg = self._legs.pop(flow, None)
        self.registrar.flow_lost(flow)
        if leg is not None:
            leg.layer.flow_lost(flow, now)

    def user_of(self, flow: FlowId) -> str:
        """Who registered over ``flow``; empty for a stranger."""
        leg = self._legs.get(flow)
        return leg.user if leg else ""

    def refuse_registrations(self, status: int, times: int, *, retry_after_s: int = 0) -> None:
        """Answer the next ``times`` REGISTERs of known users with ``status``."""
        self._refusals = [(status, retry_after_s)] * times

    # --- verbs for calls ---------------------------------------------------------------------------------------

    def dial(self, flow: FlowId, media: LocalMedia, now: float) -> CallId:
        """Call the user at the other end of ``flow``; raises LocalProtocolError, or KeyError for an unknown flow."""
        leg = self._legs[flow]
        call = leg.calls.dial(f"sip:{leg.user}@{self._domain}", media, now)
        self._settle(flow, leg, now)
        return call

    def ring(self, flow: FlowId, call: CallId, now: float) -> None:
        """Send 180."""
        if leg := self._legs.get(flow):
            leg.calls.ring(call, now)
            self._settle(flow, leg, now)

    def answer(self, flow: FlowId, call: CallId, media: LocalMedia, now: float) -> None:
        """Accept a call."""
        if leg := self._legs.get(flow):
            leg.calls.answer(call, media, now)
            self._settle(flow, leg, now)

    def reject(self, flow: FlowId, call: CallId, status: int, now: float) -> None:
        """Refuse a call."""
        if leg := self._legs.get(flow):
            leg.calls.reject(call, status, "", now)
            self._settle(flow, leg, now)

    def hang_up(self, flow: FlowId, call: CallId, now: float) -> None:
        """End a call."""
        if leg := self._legs.get(flow):
            leg.calls.hang_up(call, now)
            self._settle(flow, leg, now)

    # --- network and clock -------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: FlowId, now: float) -> None:
        """One WebSocket message; nothing in it can raise."""
        leg = self._legs.get(flow)
        if leg is None:
            return
        if (keepalive := parse_keepalive(data)) is not None:
            if keepalive is Keepalive.PING:
                self._effects.append(Transmit(flow, b"\r\n"))
            return
        try:
            message = parse_message(data)
        except MalformedMessage as error:
            if response := error.response(self._ids.tag()):
                self._effects.append(Transmit(flow, bytes(response)))
        except ParseError:
            pass  # not even the beginning of a message
        else:
            leg.layer.receive(message, flow, now)
            self._settle(flow, leg, now)

    def handle_timeout(self, now: float) -> None:
        """Do everything that is due."""
        for flow, leg in list(self._legs.items()):
            leg.layer.handle_timeout(now)
            leg.calls.handle_timeout(now)
            self._settle(flow, leg, now)

    def next_timeout(self) -> float | None:
        """When :meth:`handle_timeout` is due, or None."""
        parts = [part for leg in self._legs.values() for part in (leg.layer, leg.calls)]
        return min((at for part in parts if (at := part.next_timeout()) is not None), default=None)

    def effects(self) -> list[Transmit]:
        """Drain what must be done, in order."""
        effects, self._effects = self._effects, []
        return effects

    def events(self) -> list[LegEvent]:
        """Drain what has happened on all legs, in order."""
        events, self._events = self._events, []
        return events

    # --- inside ------------------------------------------------------------------------------------------------

    def _settle(self, flow: FlowId, leg: _Leg, now: float) -> None:
        moved = True
        while moved:
            moved = False
            for event in leg.layer.events():
                self._on_transaction(flow, leg, event, now)
                moved = True
            self._effects += leg.layer.transmits()
            said = leg.calls.events()
            self._events += [LegEvent(flow, event) for event in said]
            moved = moved or bool(said)

    def _on_transaction(self, flow: FlowId, leg: _Leg, event: TransactionEvent, now: float) -> None:
        match event:
            case RequestReceived():
                self._on_request(flow, leg, event, now)
            case AckReceived():
                leg.calls.on_request(event, now)
            case ResponseReceived():
                leg.calls.on_response(event, now)
            case TransactionTimedOut() | TransactionTransportFailed():
                leg.calls.on_failure(event, now)
            case _:
                assert_never(event)

    def _on_request(self, flow: FlowId, leg: _Leg, event: RequestReceived, now: float) -> None:
        request = event.request
        if request.method == "REGISTER" or (request.method == "INVITE" and request.to.tag is None):
            user = self._authenticated(leg, event, now)
            if user is None:
                return
            if request.method == "REGISTER":
                leg.user = user
                answer = self._refusal_of(request) or self.registrar.register(user, request, flow, now, self._ids.tag())
                leg.layer.respond(event.transaction, answer, now)
                return
        leg.calls.on_request(event, now)

    def _refusal_of(self, request: Request) -> Response | None:
        if not self._refusals:
            return None
        status, retry_after_s = self._refusals.pop(0)
        response = request.response(status, to_tag=self._ids.tag())
        if retry_after_s:
            response.headers.add("Retry-After", str(retry_after_s))
        return response

    def _authenticated(self, leg: _Leg, event: RequestReceived, now: float) -> str | None:
        """The user behind a request; None after refusing or challenging it."""
        request: Request = event.request
        verification = self._verifier.verify(request, now)
        match verification.verdict:
            case Verdict.ACCEPTED if verification.username is not None:
                return verification.username
            case Verdict.MALFORMED:
                leg.layer.respond(event.transaction, request.response(400, to_tag=self._ids.tag()), now)
            case Verdict.MISSING | Verdict.STALE | Verdict.REJECTED | Verdict.ACCEPTED:
                response = request.response(self._verifier.status, to_tag=self._ids.tag())
                for value in self._verifier.challenges(now, stale=verification.verdict is Verdict.STALE):
                    response.headers.add(self._verifier.challenge_header, value)
                leg.layer.respond(event.transaction, response, now)
        return None
