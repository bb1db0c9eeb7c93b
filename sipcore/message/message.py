"""Requests and responses: a start line, headers kept raw, typed views parsed on demand (RFC 3261 §7).

bytes ──parse.parse_message──▶ Request | Response ──.via .cseq .contacts …──▶ typed values
                                      │
                                      └──bytes()──▶ bytes
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sipcore.errors import LocalProtocolError, ParseError
from sipcore.message.fields import CSeq, MediaType, Via, parse_max_forwards, parse_seconds
from sipcore.message.grammar import is_token
from sipcore.message.headers import Headers
from sipcore.message.status import is_provisional, reason_phrase
from sipcore.message.uri import NameAddr, Uri

_T = TypeVar("_T")

# RFC 3261 §12.1.1 for INVITE; RFC 6665 §4.1.2.4 and §4.2.1 for the others.
_DIALOG_METHODS = frozenset({"INVITE", "SUBSCRIBE", "NOTIFY", "REFER"})


class _Typed:
    """What both kinds of message share.

    Every typed property parses the raw header on first use and raises ParseError when it is malformed; those
    without `| None` also when it is missing.
    """

    __slots__ = ()

    headers: Headers
    body: bytes

    @property
    def via(self) -> Via:
        """The topmost Via."""
        vias = self._many("Via", Via.parse)
        if not vias:
            raise ParseError("Via is missing")
        return vias[0]

    @property
    def vias(self) -> list[Via]:
        """Every Via, topmost first."""
        return list(self._many("Via", Via.parse))

    @property
    def from_(self) -> NameAddr:
        """From."""
        return self._one("From", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """To."""
        return self._one("To", NameAddr.parse)

    @property
    def call_id(self) -> str:
        """Call-ID, compared byte by byte."""
        return self._one("Call-ID", _parse_call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return self._one("CSeq", CSeq.parse)

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact; empty for `*`."""
        if self.contact_is_star:
            return []
        return list(self._many("Contact", NameAddr.parse))

    @property
    def contact_is_star(self) -> bool:
        """Whether Contact is the `*` that stands for every binding in a REGISTER (§10.2.2)."""
        return self.headers.get("Contact") == "*" and self.headers.count("Contact") == 1

    @property
    def routes(self) -> list[NameAddr]:
        """Every Route, next hop first."""
        return list(self._many("Route", NameAddr.parse))

    @property
    def record_routes(self) -> list[NameAddr]:
        """Every Record-Route, in the message's order."""
        return list(self._many("Record-Route", NameAddr.parse))

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, or None."""
        return self._optional("Max-Forwards", parse_max_forwards)

    @property
    def expires(self) -> int | None:
        """Expires in seconds, or None."""
        return self._optional("Expires", parse_seconds)

    @property
    def require(self) -> list[str]:
        """The option tags of Require, lower case."""
        return [tag.lower() for tag in self._many("Require", _parse_token)]

    @property
    def supported(self) -> list[str]:
        """The option tags of Supported, lower case."""
        return [tag.lower() for tag in self._many("Supported", _parse_token)]

    @property
    def allow(self) -> list[str]:
        """The methods of Allow."""
        return list(self._many("Allow", _parse_token))

    @property
    def content_type(self) -> MediaType | None:
        """Content-Type, or None."""
        return self._optional("Content-Type", MediaType.parse)

    def _one(self, name: str, parse: Callable[[str], _T]) -> _T:
        value = self._optional(name, parse)
        if value is None:
            raise ParseError(f"{name} is missing")
        return value

    def _optional(self, name: str, parse: Callable[[str], _T]) -> _T | None:
        raw = self.headers.get(name)
        return None if raw is None else self.headers.memo(name, lambda: parse(raw))

    def _many(self, name: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
        return self.headers.memo(f"{name}*", lambda: tuple(parse(value) for value in self.headers.values(name)))

    def _serialise(self, start_line: str) -> bytes:
        """Start line, headers and body, with the one correct Content-Length in its place or at the end."""
        if "\r" in start_line or "\n" in start_line:
            raise LocalProtocolError("the start line holds a line break")
        headers = self.headers
        length = str(len(self.body))
        if headers.get_all("Content-Length") != [length]:
            headers = headers.copy()
            headers.set("Content-Length", length)
        return f"{start_line}\r\n{headers}\r\n".encode() + self.body


@dataclass(slots=True)
class Request(_Typed):
    """A request. `method` is case-sensitive."""

    method: str
    uri: Uri
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __bytes__(self) -> bytes:
        """The message as sent; raises LocalProtocolError for a method that is no token."""
        if not is_token(self.method):
            raise LocalProtocolError("the method is no token")
        return self._serialise(f"{self.method} {self.uri} SIP/2.0")

    def copy(self) -> "Request":
        """The same request with headers of its own."""
        return Request(self.method, self.uri, self.headers.copy(), self.body)

    def response(self, status: int, reason: str | None = None, *, to_tag: str | None = None) -> "Response":
        """A response to this request as RFC 3261 §8.2.6 has it.

        Via, From, To, Call-ID and CSeq are copied; `to_tag` is added to To unless it has a tag or the status is 100.
        Record-Route goes into 101 to 299 of methods that form dialogs (§12.1.1), Timestamp into 100 (§8.2.6.1).
        Raises ParseError when To has to be read and cannot be.
        """
        headers = Headers()
        for name in ("Via", "From"):
            _copy(self.headers, headers, name)
        to = self.headers.get("To")
        if to is not None:
            if to_tag is not None and status != 100 and self.to.tag is None:
                to = f"{to};tag={to_tag}"
            headers.add("To", to)
        for name in ("Call-ID", "CSeq"):
            _copy(self.headers, headers, name)
        if self.method in _DIALOG_METHODS and 101 <= status <= 299:
            _copy(self.headers, headers, "Record-Route")
        if status == 100:
            _copy(self.headers, headers, "Timestamp")
        return Response(status, reason_phrase(status) if reason is None else reason, headers=headers)


@dataclass(slots=True)
class Response(_Typed):
    """A response."""

    status: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    @property
    def is_provisional(self) -> bool:
        """1xx."""
        return is_provisional(self.status)

    @property
    def is_final(self) -> bool:
        """200 or more."""
        return self.status >= 200

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status <= 299

    def __bytes__(self) -> bytes:
        """The message as sent."""
        return self._serialise(f"SIP/2.0 {self.status} {self.reason}")


Message = Request | Response


def _copy(source: Headers, target: Headers, name: str) -> None:
    for value in source.get_all(name):
        target.add(name, value)


def _parse_token(text: str) -> str:
    if not is_token(text):
        raise ParseError("not a token")
    return text


def _parse_call_id(text: str) -> str:
    # callid = word [ "@" word ]; a word has no blank in it.
    if not text or " " in text or "\t" in text:
        raise ParseError("malformed Call-ID")
    return text
