"""What is said to a registrar: REGISTER requests and the meaning of their responses (RFC 3261 §10.2, RFC 5626 §4.2).

    begin ──▶ request ──▶ response ──on_response──┬▶ request to send at once (401, 407, 423, 439, redirect here)
                                                  ├▶ Accepted
                                                  ├▶ Refused
                                                  └▶ None (provisional)

Sans-I/O and without time. One Call-ID is kept for the life of the object, and CSeq counted up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcore.auth.authenticator import Authenticator, Refusal
from sipcore.errors import ParseError, Phrase
from sipcore.message.fields import RetryAfter, parse_seconds
from sipcore.message.grammar import quote
from sipcore.message.message import Request, Response
from sipcore.message.uri import NameAddr, Uri
from sipcore.resilience import policy
from sipcore.resilience.policy import Verdict

if TYPE_CHECKING:
    from sipcore.config import Account
    from sipcore.ids import IdSource

_MAX_RESENDS = 8
_MAX_EXPIRES_S = 7 * 24 * 3600
_FIRST_CSEQ_BITS = 16
_RESERVED_CSEQS = 100
_MAX_GRUU = 512
_CALL_ID = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingSnapshot:
    """What is kept of a binding, so that another process refreshes it in place of making a second one."""

    call_id: str
    cseq: int
    """At least as high as any number sent."""

    contact_host: str = ""
    """The made-up host of a WebSocket client's Contact."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 2xx; the binding lives for ``expires_s``."""

    expires_s: int
    outbound: bool = False
    """Whether the registrar confirmed RFC 5626 (Require: outbound)."""

    pub_gruu: Uri | None = None
    """A name that leads to us by whatever flow there is (RFC 5627 §4.3)."""

    flow_timer_s: int | None = None
    """How long the first hop keeps a flow on which nothing is heard (RFC 5626 §4.4)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A final response that is no 2xx and that could not be answered at once."""

    status: int
    reason: str
    verdict: Verdict
    retry_after_s: float | None = None
    credentials_refused: bool = False
    """Our response to a fresh challenge was refused: the name or the password is wrong."""

    redirect: Uri | None = None
    """Another host to register at, for verdict REDIRECT."""


Outcome = Accepted | Refused


class _Series:
    """What the REGISTERs of one phone have in common (§10.2), by whatever flow they go."""

    __slots__ = ("call_id", "cseq", "from_tag")

    def __init__(self, ids: IdSource) -> None:
        self.call_id = ids.call_id()
        self.from_tag = ids.tag()
        self.cseq = ids.integer(_FIRST_CSEQ_BITS)


class Registrar:
    """Speaks for one binding. One exchange at a time: :meth:`begin`, then each response to :meth:`on_response`."""

    def __init__(
        self, account: Account, ids: IdSource, authenticator: Authenticator, *, first: Registrar | None = None
    ) -> None:
        """``first`` speaks for the other flow of this phone: together they are one client to the registrar.

        A Call-ID that changes makes it forget every binding of the instance, as after a reboot.
        """
        self._account = account
        self._ids = ids
        self._authenticator = authenticator
        self._series: _Series = _Series(ids) if first is None else first._series
        self._expires_s = account.expires_s
        self._reg_id = 0 if not account.instance_id else 1 if first is None else 2
        self.standby = False
        """Whether it is of use only as one of two, so that nothing is bound without reg-id."""

        self._uri = Uri.parse(f"sip:{account.domain}")
        self._contact: Uri | None = None
        self._request: Request | None = None
        self._removal = False
        self._resends = 0
        self._began_again = False

    @property
    def call_id(self) -> str:
        """The Call-ID of every REGISTER of this binding (§10.2: "SHOULD use the same Call-ID for registrations")."""
        return self._series.call_id

    def snapshot(self, contact_host: str) -> BindingSnapshot:
        """What is to be kept of the binding; it stays the same for many requests."""
        reserved = (self._series.cseq // _RESERVED_CSEQS + 1) * _RESERVED_CSEQS
        return BindingSnapshot(call_id=self.call_id, cseq=reserved, contact_host=contact_host)

    def restore_untrusted(self, kept: BindingSnapshot) -> None:
        """Go on where another process stopped; raises ParseError."""
        if not _CALL_ID.fullmatch(kept.call_id) or not 0 <= kept.cseq < 2**31 - 2 * _RESERVED_CSEQS:
            raise ParseError("a registration without an identity")
        self._series.call_id, self._series.cseq = kept.call_id, kept.cseq

    def begin(self, contact: Uri, *, removal: bool = False, signed: bool = True) -> Request:
        """The first request of an exchange: bind ``contact``, or remove just that binding.

        ``signed``: with credentials where the realm is known already; its nonce may be too old for that.
        """
        self._contact, self._removal = contact, removal
        self._resends, self._began_again = 0, False
        return self._first_request(signed=signed)

    def on_response(self, response: Response) -> Request | Outcome | None:
        """What a response to the last request means."""
        request = self._request
        if request is None or response.is_provisional:
            return None
        if response.is_success:
            self._authenticator.learn(request, response)
            return self._accepted(response)
        if self._resends < _MAX_RESENDS and (again := self._answer(request, response)) is not None:
            self._resends += 1
            return again
        return self._refused(request, response)

    # --- requests ----------------------------------------------------------------------------------------------

    def _first_request(self, *, signed: bool = True) -> Request:
        request = Request("REGISTER", self._uri)
        aor = self._account.address_of_record
        headers = request.headers
        headers.add("Max-Forwards", "70")
        headers.add("From", f"<{aor}>;tag={self._series.from_tag}")
        headers.add("To", f"<{aor}>")
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", "0 REGISTER")
        headers.add("Contact", self._contact_value())
        if self._reg_id:
            headers.add("Supported", "path, outbound, gruu")
        headers.add("User-Agent", self._account.user_agent)
        return self._numbered(self._authenticator.authorize(request) if signed else request)

    def _numbered(self, request: Request) -> Request:
        # §10.2: "A UA MUST increment the CSeq value by one for each REGISTER request with the same Call-ID."
        self._series.cseq += 1
        request.headers.set("CSeq", f"{self._series.cseq} REGISTER")
        request.headers.remove("Via")
        self._request = request
        # The transaction layer adds its Via to what it is given; ours stays without.
        return request.copy()

    def _contact_value(self) -> str:
        value = f"<{self._contact}>"
        if self._account.instance_id:
            value += f";+sip.instance={quote(f'<{self._account.instance_id}>')}"
            if self._reg_id:
                value += f";reg-id={self._reg_id}"
        return f"{value};expires={0 if self._removal else self._expires_s}"

    # --- responses ---------------------------------------------------------------------------------------------

    def _answer(self, request: Request, response: Response) -> Request | None:
        """The request that follows at once, or None."""
        match policy.classify(response.status):
            case Verdict.CREDENTIALS if response.status in (401, 407):
                return self._authenticated(request, response)
            case Verdict.TOO_BRIEF:
                return self._longer(response)
            case Verdict.NO_OUTBOUND if self._reg_id and not self.standby:
                self._reg_id = 0
                return self._first_request()
            case Verdict.REDIRECT:
                return self._redirected_here(response)
            case _:
                return None

    def _authenticated(self, request: Request, response: Response) -> Request | None:
        answered = self._authenticator.answer(request, response)
        if answered is not None:
            return self._numbered(answered)
        if self._authenticator.refusal is Refusal.TOO_MANY and not self._began_again:
            # Nonces that are stale as soon as they are issued, as a PBX gives out while it restarts: once more from
            # the beginning, without credentials.
            self._began_again = True
            return self._first_request()
        return None

    def _longer(self, response: Response) -> Request | None:
        try:
            minimum = parse_seconds(response.headers.get("Min-Expires") or "")
        except ParseError:
            return None
        if not self._expires_s < minimum <= _MAX_EXPIRES_S:
            return None
        self._expires_s = minimum
        return self._first_request()

    def _redirected_here(self, response: Response) -> Request | None:
        """A redirection to another domain on the same host is followed on the same flow."""
        target = _redirect_target(response)
        if target is None or target.host.lower() == self._uri.host.lower():
            return None
        if target.host.lower() not in {server.host.lower() for server in self._account.servers}:
            return None
        self._uri = Uri(scheme="sip", host=target.host)
        return self._first_request()

    def _accepted(self, response: Response) -> Outcome:
        if self._removal:
            return Accepted(0)
        expires = self._granted(response)
        if expires <= 0:
            return Refused(response.status, Phrase("the registrar granted no time"), Verdict.TEMPORARY)
        try:
            outbound = "outbound" in response.require
        except ParseError:
            outbound = False
        return Accepted(
            min(expires, _MAX_EXPIRES_S),
            outbound and self._reg_id > 0,
            next((gruu for contact in self._our_contacts(response) if (gruu := _pub_gruu_of(contact))), None),
            _flow_timer_s(response),
        )

    def _our_contacts(self, response: Response) -> list[NameAddr]:
        return [contact for contact in _contacts_of(response) if self._is_ours(contact)]

    def _granted(self, response: Response) -> int:
        """§10.2.4 and §10.3 item 8: our Contact's expires, else Expires, else what was asked for."""
        contacts, ours = _contacts_of(response), self._our_contacts(response)
        # Behind a registrar that rewrites Contacts none is ours to see; the freshest binding is the one just made.
        candidates = [_expires_of(contact) for contact in ours or contacts]
        known = [seconds for seconds in candidates if seconds is not None]
        if known:
            return max(known) if ours else min(max(known), self._expires_s)
        try:
            general = response.expires
        except ParseError:
            general = None
        return self._expires_s if general is None else general

    def _is_ours(self, contact: NameAddr) -> bool:
        # RFC 5626 §4.2.1: instance and reg-id identify the binding, whatever became of the URI.
        instance = contact.param("+sip.instance")
        if instance is not None and self._account.instance_id:
            return instance == f"<{self._account.instance_id}>" and contact.param("reg-id") in (
                None,
                str(self._reg_id or 1),
            )
        return self._contact is not None and contact.uri.equivalent(self._contact)

    def _refused(self, request: Request, response: Response) -> Refused:
        retry_after = _retry_after_s(response)
        verdict = policy.classify(response.status, retry_after=retry_after is not None)
        if verdict is Verdict.CREDENTIALS and self._authenticator.refusal is Refusal.TOO_MANY:
            verdict = Verdict.TEMPORARY  # nobody has judged the password yet
        redirect = _redirect_target(response) if verdict is Verdict.REDIRECT else None
        if verdict is Verdict.TOO_BRIEF:
            verdict = (
                Verdict.TEMPORARY
            )  # it wants what it was given, or names no limit: not our fault, and not for ever
        elif verdict is Verdict.NO_OUTBOUND or (verdict is Verdict.REDIRECT and redirect is None):
            verdict = Verdict.PERMANENT
        rejected = (response.status in (401, 407) and self._authenticator.rejected_fresh) or (
            response.status == 403 and self._authenticator.carries_fresh(request)
        )
        return Refused(response.status, response.reason, verdict, retry_after, rejected, redirect)


def _contacts_of(response: Response) -> list[NameAddr]:
    try:
        return response.contacts
    except ParseError:
        return []


def _pub_gruu_of(contact: NameAddr) -> Uri | None:
    value = contact.param("pub-gruu")
    try:
        uri = None if value is None or len(value) > _MAX_GRUU else Uri.parse(value)
    except ParseError:
        return None
    # Headers would be put into the requests of whoever calls us (RFC 3261 §19.1.5).
    if uri is None or uri.scheme not in ("sip", "sips") or uri.param("gr") is None or uri.headers:
        return None
    return uri


def _flow_timer_s(response: Response) -> int | None:
    raw = response.headers.get("Flow-Timer")
    try:
        return None if raw is None else parse_seconds(raw) or None
    except ParseError:
        return None


def _expires_of(contact: NameAddr) -> int | None:
    value = contact.param("expires")
    if value is None:
        return None
    try:
        return parse_seconds(value)
    except ParseError:
        return None


def _retry_after_s(response: Response) -> float | None:
    raw = response.headers.get("Retry-After")
    if raw is None:
        return None
    try:
        return min(float(RetryAfter.parse(raw).seconds), policy.RETRY_AFTER_MAX_S)
    except ParseError:
        return None


def _redirect_target(response: Response) -> Uri | None:
    try:
        contacts = response.contacts
    except ParseError:
        return None
    return next((contact.uri for contact in contacts if contact.uri.scheme == "sip"), None)
