"""Dialogs: the peer-to-peer relation that in-dialog requests live in (RFC 3261 §12).

    INVITE ──101-199 with a tag──▶ early ──2xx──▶ confirmed
       └────────────2xx──────────────────────────────┘

The route set decides what a request says, never where it goes: every request of a dialog leaves on a flow of the
account (RFC 7118 Appendix B; a WebSocket client reaches everybody through its server alone).
"""

from dataclasses import dataclass, field, replace
from typing import Self

from sipcore.dialog.snapshot import RESERVED_CSEQS, DialogSnapshot, checked_cseq, reserved
from sipcore.errors import ParseError
from sipcore.events import FlowId
from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr, Uri

MAX_FORWARDS = "70"
MAX_ROUTES = 32

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag (§12)."""


@dataclass(slots=True, kw_only=True)
class Dialog:
    """One dialog, from our side. ``local`` and ``remote`` are the From and To of our requests, tags included."""

    call_id: str
    local: NameAddr
    remote: NameAddr
    remote_target: Uri
    route_set: tuple[NameAddr, ...] = ()
    local_cseq: int
    """Number of the last request sent."""

    invite_cseq: int = 0
    """Number of our last INVITE, 0 before one."""

    remote_cseq: int | None = None
    """Number of the last request received, None before the first."""

    flow: FlowId | None = None
    """The flow its INVITE came by, where it did, and its first hop knows it by (RFC 5626 §5.3)."""

    confirmed: bool = False
    remote_allow: frozenset[str] = field(default_factory=frozenset)
    """Methods of the last Allow seen; empty where there was none."""

    @classmethod
    def as_client(cls, request: Request, response: Response) -> Self:
        """The dialog that ``response`` to our ``request`` makes (§12.1.2); raises ParseError."""
        to = response.to
        if to.tag is None:
            raise ParseError("a response that makes a dialog has no To tag")
        dialog = cls(
            call_id=request.call_id,
            local=request.from_,
            remote=to,
            # §12.1.2 takes it from the Contact. Provisional responses without one are common: then the peer can be
            # reached as it was reached before, and the 2xx will tell.
            remote_target=request.uri,
            local_cseq=request.cseq.number,
            invite_cseq=request.cseq.number,
        )
        dialog.confirm_as_client(response)
        dialog.confirmed = response.is_success
        return dialog

    @classmethod
    def as_server(cls, request: Request, local_tag: str) -> Self:
        """The dialog that our response to ``request`` makes (§12.1.1); raises ParseError."""
        dialog = cls(
            call_id=request.call_id,
            local=request.to.with_tag(local_tag),
            remote=request.from_,
            remote_target=_contact_of(request),
            route_set=_limited(request.record_routes),
            # §12.1.1 leaves it empty until the first request; any number below 2^31 may be that.
            local_cseq=0,
            remote_cseq=request.cseq.number,
        )
        dialog.note_allow(request)
        return dialog

    @classmethod
    def restored_untrusted(cls, kept: DialogSnapshot) -> Self:
        """The confirmed dialog another process had; raises ParseError."""
        if len(kept.route_set) > MAX_ROUTES:
            raise ParseError("too many routes")
        dialog = cls(
            call_id=kept.call_id,
            local=NameAddr.parse(kept.local),
            remote=NameAddr.parse(kept.remote),
            remote_target=_usable(Uri.parse(kept.remote_target)),
            route_set=tuple(NameAddr.parse(route) for route in kept.route_set),
            invite_cseq=checked_cseq(kept.invite_cseq),
            local_cseq=checked_cseq(kept.local_cseq, spare=2 * RESERVED_CSEQS),
            remote_cseq=None if kept.remote_cseq is None else checked_cseq(kept.remote_cseq),
            confirmed=True,
            remote_allow=frozenset(kept.remote_allow),
        )
        if not all((dialog.call_id, dialog.local.tag, dialog.remote.tag)) or not _is_text(kept):
            raise ParseError("a dialog without an identity")
        return dialog

    def snapshot(self) -> DialogSnapshot:
        """What is to be kept of it."""
        return DialogSnapshot(
            call_id=self.call_id,
            local=str(self.local),
            remote=str(self.remote),
            remote_target=str(self.remote_target),
            route_set=tuple(str(route) for route in self.route_set),
            local_cseq=reserved(self.local_cseq),
            invite_cseq=self.invite_cseq,
            remote_cseq=self.remote_cseq,
            remote_allow=tuple(sorted(self.remote_allow)),
        )

    def confirm_as_client(self, response: Response) -> None:
        """Take route set and target anew from a response.

        §13.2.2.4: "the route set of the dialog [...] MUST be recomputed based on the 2xx response".
        """
        self.route_set = _limited(response.record_routes)[::-1]
        self.refresh_target(response)
        self.note_allow(response)

    @property
    def id(self) -> DialogId:
        """What in-dialog messages are matched by."""
        return self.call_id, self.local.tag or "", self.remote.tag or ""

    def next_cseq(self) -> int:
        """Count up and return the number for a new request."""
        self.local_cseq += 1
        return self.local_cseq

    def next_invite_cseq(self) -> int:
        """The same for an INVITE."""
        self.invite_cseq = self.next_cseq()
        return self.invite_cseq

    def request(self, method: str, *, cseq: int | None = None) -> Request:
        """A request within the dialog (§12.2.1.1), ready but for Contact, body and Via. ``cseq`` is for ACK."""
        uri, routes = self._routing()
        request = Request(method, uri)
        headers = request.headers
        headers.add("Max-Forwards", MAX_FORWARDS)
        for route in routes:
            headers.add("Route", str(route))
        headers.add("From", str(self.local))
        headers.add("To", str(self.remote))
        headers.add("Call-ID", self.call_id)
        if cseq is None:
            cseq = self.next_invite_cseq() if method == "INVITE" else self.next_cseq()
        headers.add("CSeq", f"{cseq} {method}")
        return request

    def accept(self, request: Request) -> bool:
        """Check and take the CSeq of a request received; False means 500 (§12.2.2). Gaps are fine."""
        number = request.cseq.number
        if request.method not in ("ACK", "CANCEL"):
            if self.remote_cseq is not None and number <= self.remote_cseq:
                return False
            self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the remote target from a target refresh request or its 2xx (§12.2.1.2, §12.2.2).

        Raises ParseError for a Contact that is none; without a Contact the target stays.
        """
        contacts = message.contacts
        if contacts:
            self.remote_target = _usable(contacts[0].uri)

    def note_allow(self, message: Request | Response) -> None:
        """Remember what the peer says it understands (RFC 3311 §5.1); what cannot be read says nothing."""
        if "Allow" in message.headers:
            try:
                self.remote_allow = frozenset(message.allow)
            except ParseError:
                pass  # a wish list, nobody depends on it

    def _routing(self) -> tuple[Uri, list[NameAddr]]:
        """Request-URI and Route values: loose, or strict where the first proxy is of RFC 2543 (§12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, []
        first = self.route_set[0].uri
        if first.param("lr") is not None:
            return self.remote_target, list(self.route_set)
        # "the UAC MUST place the first URI from the route set into the Request-URI, stripping any parameters that
        # are not allowed in a Request-URI", and "the remote target URI into the Route header field as the last value".
        uri = replace(first, headers=()).without_params("method")
        return uri, [*self.route_set[1:], NameAddr(uri=self.remote_target)]


def _contact_of(message: Request | Response) -> Uri:
    contacts = message.contacts
    if len(contacts) != 1:
        raise ParseError("a message that makes a dialog needs exactly one Contact")
    return _usable(contacts[0].uri)


def _usable(uri: Uri) -> Uri:
    if uri.scheme not in ("sip", "sips"):
        raise ParseError("the Contact is no SIP URI")
    return replace(uri, headers=())


def _is_text(kept: DialogSnapshot) -> bool:
    """Whether everything stays within its header line."""
    parts = (kept.call_id, kept.local, kept.remote, kept.remote_target, *kept.route_set)
    return not any(forbidden in part for part in parts for forbidden in "\r\n\0") and len(kept.call_id.split()) == 1


def _limited(routes: list[NameAddr]) -> tuple[NameAddr, ...]:
    if len(routes) > MAX_ROUTES:
        raise ParseError("too many Record-Route values")
    return tuple(routes)
