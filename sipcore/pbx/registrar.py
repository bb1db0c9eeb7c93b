"""Who is reachable where: the registrar's table of the demo PBX (RFC 3261 §10.3).

REGISTER ─▶ Registrar.register ─▶ 200 with bindings │ 400 │ 423
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.errors import ParseError

if TYPE_CHECKING:
    from sipcore.events import FlowId
    from sipcore.message.message import Request, Response

DEFAULT_EXPIRES_S = 300
MIN_EXPIRES_S = 30
MAX_EXPIRES_S = 3600
MAX_BINDINGS = 3


@dataclass(frozen=True, slots=True)
class Binding:
    """One Contact of a user, valid until ``expires_at``."""

    contact: str
    flow: FlowId
    expires_at: float


class Registrar:
    """Bindings by user name; a lost flow takes its bindings along, as a WebSocket client is reachable by no other."""

    def __init__(self, min_expires_s: int = MIN_EXPIRES_S) -> None:
        self._bindings: dict[str, list[Binding]] = {}
        self._min_expires_s = min_expires_s

    def register(self, user: str, request: Request, flow: FlowId, now: float, to_tag: str) -> Response:
        """Apply an authenticated REGISTER and answer it."""
        try:
            wanted = self._wanted(request)
        except ParseError as error:
            return request.response(error.status_hint, str(error), to_tag=to_tag)
        if any(0 < expires < self._min_expires_s for _, expires in wanted):
            response = request.response(423, to_tag=to_tag)
            response.headers.add("Min-Expires", str(self._min_expires_s))
            return response
        kept = [binding for binding in self._bindings.get(user, []) if binding.expires_at > now]
        for contact, expires in wanted:
            kept = [binding for binding in kept if binding.contact != contact]
            if expires:
                kept.append(Binding(contact, flow, now + expires))
        self._bindings[user] = kept[-MAX_BINDINGS:]
        response = request.response(200, to_tag=to_tag)
        for binding in self._bindings[user]:
            response.headers.add("Contact", f"{binding.contact};expires={int(binding.expires_at - now)}")
        return response

    def _wanted(self, request: Request) -> list[tuple[str, int]]:
        if request.contact_is_star:
            raise ParseError("This registrar removes bindings one by one")
        default = DEFAULT_EXPIRES_S if request.expires is None else request.expires
        wanted = []
        for contact in request.contacts:
            text = contact.param("expires")
            seconds = int(text) if text and text.isdigit() and len(text) < 10 else default
            wanted.append((f"<{contact.uri}>", min(seconds, MAX_EXPIRES_S)))
        return wanted

    def flow_lost(self, flow: FlowId) -> None:
        """Forget what was registered over ``flow``."""
        for user, bindings in self._bindings.items():
            self._bindings[user] = [binding for binding in bindings if binding.flow != flow]

    def flow_of(self, user: str, now: float) -> FlowId | None:
        """Where the newest binding of ``user`` lives."""
        live = [binding for binding in self._bindings.get(user, []) if binding.expires_at > now]
        return live[-1].flow if live else None

    def users(self, now: float) -> tuple[str, ...]:
        """Everybody who is registered."""
        return tuple(user for user in self._bindings if self.flow_of(user, now) is not None)
