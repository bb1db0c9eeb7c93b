"""Typed values of single header fields, each with `parse` (raises ParseError) and `str`.

RFC 3261 §20 unless a class names another document. Addresses (From, To, Contact, Route) are `uri.NameAddr`.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from sipcore.errors import ParseError
from sipcore.message.grammar import (
    HOST,
    LWS,
    QUOTED,
    TOKEN,
    Params,
    find_param,
    format_params,
    is_token,
    parse_params,
    parse_uint,
    quote,
    set_param,
    split_list,
    split_value,
    unquote,
)
from sipcore.message.uri import check_host, check_port

MAX_UINT32 = 2**32 - 1

# sent-protocol = protocol-name SLASH protocol-version SLASH transport, SLASH with LWS around it.
_VIA_RE = re.compile(
    rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+({HOST})(?:[ \t]*:[ \t]*([0-9]{{1,5}}))?[ \t]*(?=;|$)",
    re.IGNORECASE,
)
_CSEQ_RE = re.compile(rf"([0-9]+)[ \t]+({TOKEN})")
_RACK_RE = re.compile(rf"([0-9]+)[ \t]+([0-9]+)[ \t]+({TOKEN})")
_MEDIA_TYPE_RE = re.compile(rf"({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*(?=;|$)")
_RETRY_AFTER_RE = re.compile(r"([0-9]+)[ \t]*(?:\(((?:[^()\\]|\\.)*)\)[ \t]*)?(?=;|$)", re.DOTALL)
_WARNING_RE = re.compile(rf"([0-9]{{3}})[ \t]+([^ \t\"]+)[ \t]+({QUOTED})", re.DOTALL)


def parse_seconds(text: str) -> int:
    """delta-seconds of Expires, Min-Expires, Min-SE and Flow-Timer; parameters after it are ignored.

    Values over 2^32-1 mean that limit: a peer that asks for more than can be written wants it long.
    """
    return parse_uint(text.partition(";")[0], "delta-seconds", maximum=MAX_UINT32, clamp=True)


def parse_max_forwards(text: str) -> int:
    """Max-Forwards, 0 to 255 (§20.22)."""
    return parse_uint(text, "Max-Forwards", maximum=255)


def parse_content_length(text: str, maximum: int = MAX_UINT32) -> int:
    """Content-Length; beyond `maximum` is an error."""
    return parse_uint(text, "Content-Length", maximum=maximum)


def parse_rseq(text: str) -> int:
    """RSeq of a reliable provisional response, 1 to 2^32-1 (RFC 3262 §7.1)."""
    value = parse_uint(text, "RSeq", maximum=MAX_UINT32)
    if value == 0:
        raise ParseError("RSeq is zero")
    return value


@dataclass(frozen=True, slots=True)
class _WithParams:
    """What fields that end in `;name=value` share."""

    params: Params = ()

    def param(self, name: str) -> str | None:
        """The unquoted value of a parameter: '' when valueless, None when absent."""
        return find_param(self.params, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Via(_WithParams):
    """One hop of the response path (§20.42)."""

    transport: str
    """Upper case: UDP, TCP, TLS, WS, WSS or unknown."""
    host: str
    """The sent-by host; an IPv6 address keeps its brackets."""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse exactly one value."""
        match = _VIA_RE.match(text)
        if match is None:
            raise ParseError("malformed Via")
        return cls(
            transport=match[1].upper(),
            host=check_host(match[2]),
            port=check_port(match[3]),
            params=parse_params(text, match.end()),
        )

    @classmethod
    def parse_many(cls, text: str) -> list[Self]:
        """Parse a comma-separated line."""
        return [cls.parse(part) for part in split_list(text)]

    @property
    def sent_by(self) -> str:
        """`host` or `host:port`, as on the wire."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def branch(self) -> str | None:
        """The transaction identifier, or None in requests of RFC 2543."""
        return self.param("branch")

    @property
    def received(self) -> str | None:
        """The source address the server saw (§18.2.1), without brackets even if they were sent (RFC 5118 §4.5)."""
        value = self.param("received")
        return None if value is None else value.removeprefix("[").removesuffix("]")

    @property
    def rport(self) -> int | None:
        """The source port the server filled in (RFC 3581); None when absent or still empty, see `wants_rport`."""
        value = self.param("rport")
        return parse_uint(value, "rport", maximum=65535) if value else None

    @property
    def wants_rport(self) -> bool:
        """Whether the client asked for symmetric responses (RFC 3581 §3)."""
        return self.param("rport") is not None

    def with_param(self, name: str, value: str | None = None) -> Self:
        """The same with a parameter set, its value taken as written."""
        return replace(self, params=set_param(self.params, name, value))

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}"


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number and method (§20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse; "the sequence number MUST be expressible as a 32-bit unsigned integer"."""
        match = _CSEQ_RE.fullmatch(text)
        if match is None:
            raise ParseError("malformed CSeq")
        return cls(parse_uint(match[1], "CSeq", maximum=MAX_UINT32), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class RAck:
    """What a PRACK acknowledges (RFC 3262 §7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `response-num LWS CSeq-num LWS Method`."""
        match = _RACK_RE.fullmatch(text)
        if match is None:
            raise ParseError("malformed RAck")
        return cls(parse_rseq(match[1]), parse_uint(match[2], "CSeq", maximum=MAX_UINT32), match[3])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType(_WithParams):
    """Content-Type, or one range of Accept (§20.15, §20.1)."""

    type: str
    subtype: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `type "/" subtype *(SEMI parameter)`."""
        match = _MEDIA_TYPE_RE.match(text)
        if match is None:
            raise ParseError("malformed media type")
        return cls(type=match[1].lower(), subtype=match[2].lower(), params=parse_params(text, match.end()))

    @property
    def essence(self) -> str:
        """`type/subtype` in lower case, for comparison."""
        return f"{self.type}/{self.subtype}"

    def __str__(self) -> str:
        return f"{self.essence}{format_params(self.params)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter(_WithParams):
    """When to try again (§20.33)."""

    seconds: int
    comment: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `delta-seconds [comment] *(SEMI retry-param)`."""
        match = _RETRY_AFTER_RE.match(text)
        if match is None:
            raise ParseError("malformed Retry-After")
        comment = None if match[2] is None else unquote(f'"{match[2]}"')
        return cls(seconds=parse_seconds(match[1]), comment=comment, params=parse_params(text, match.end()))

    @property
    def duration(self) -> int | None:
        """For how long the peer will be reachable from then on, in seconds."""
        value = self.param("duration")
        return None if value is None else parse_seconds(value)

    def __str__(self) -> str:
        comment = ""
        if self.comment is not None:
            comment = " (" + re.sub(r"([()\\])", r"\\\1", self.comment) + ")"
        return f"{self.seconds}{comment}{format_params(self.params)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpires(_WithParams):
    """The session interval and who refreshes (RFC 4028 §4)."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `delta-seconds *(SEMI se-params)`."""
        head, params = split_value(text)
        found = cls(seconds=parse_seconds(head), params=params)
        if found.param("refresher") is not None and found.refresher is None:
            raise ParseError("unknown refresher")
        return found

    @property
    def refresher(self) -> str | None:
        """'uac', 'uas' or None when left open."""
        value = (self.param("refresher") or "").lower()
        return value if value in ("uac", "uas") else None

    def __str__(self) -> str:
        return f"{self.seconds}{format_params(self.params)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason(_WithParams):
    """Why a request was sent, on CANCEL and BYE (RFC 3326)."""

    protocol: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one reason-value."""
        head = text.partition(";")[0]
        if not is_token(head.strip(LWS)):
            raise ParseError("malformed Reason")
        return cls(protocol=head.strip(LWS), params=parse_params(text, len(head)))

    @classmethod
    def of(cls, protocol: str, cause: int, text: str | None = None) -> Self:
        """A value to send, e.g. `Reason.of("SIP", 200, "Call completed elsewhere")`."""
        params: Params = (("cause", str(cause)),)
        return cls(protocol=protocol, params=params if text is None else (*params, ("text", quote(text))))

    @property
    def cause(self) -> int | None:
        """The status or Q.850 cause, or None; raises ParseError when it is no number."""
        value = self.param("cause")
        return None if value is None else parse_uint(value, "cause", maximum=MAX_UINT32)

    @property
    def text(self) -> str | None:
        """The sentence that goes with it, or None."""
        return self.param("text")

    def __str__(self) -> str:
        return f"{self.protocol}{format_params(self.params)}"


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog an INVITE takes over (RFC 3891 §6.1); tags are seen from the recipient."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `callid *(SEMI replaces-param)`; both tags are mandatory."""
        call_id, params = split_value(text)
        to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
        if not call_id or " " in call_id or not to_tag or not from_tag:
            raise ParseError("malformed Replaces")
        return cls(call_id, to_tag, from_tag, find_param(params, "early-only") is not None)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(_WithParams):
    """An event package and perhaps the subscription's id (RFC 6665 §8.2.1)."""

    package: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `event-type *(SEMI event-param)`."""
        head, params = split_value(text)
        if not is_token(head):
            raise ParseError("malformed Event")
        return cls(package=head, params=params)

    @property
    def id(self) -> str | None:
        """The id parameter, which tells subscriptions of one dialog apart."""
        return self.param("id")

    def __str__(self) -> str:
        return f"{self.package}{format_params(self.params)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionState(_WithParams):
    """The state a NOTIFY reports (RFC 6665 §8.2.3)."""

    state: str
    """Lower case: active, pending, terminated or an extension."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `substate-value *(SEMI subexp-params)`."""
        head, params = split_value(text)
        if not is_token(head):
            raise ParseError("malformed Subscription-State")
        return cls(state=head.lower(), params=params)

    @property
    def reason(self) -> str | None:
        """Why it was terminated, lower case, or None."""
        value = self.param("reason")
        return None if value is None else value.lower()

    @property
    def expires(self) -> int | None:
        """Seconds the subscription has left, or None."""
        value = self.param("expires")
        return None if value is None else parse_seconds(value)

    @property
    def retry_after(self) -> int | None:
        """Seconds to wait before subscribing anew, or None."""
        value = self.param("retry-after")
        return None if value is None else parse_seconds(value)

    def __str__(self) -> str:
        return f"{self.state}{format_params(self.params)}"


@dataclass(frozen=True, slots=True)
class WarningValue:
    """One value of Warning (§20.43)."""

    code: int
    agent: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `warn-code SP warn-agent SP warn-text`."""
        match = _WARNING_RE.fullmatch(text)
        if match is None:
            raise ParseError("malformed Warning")
        return cls(int(match[1]), match[2], unquote(match[3]))

    def __str__(self) -> str:
        return f"{self.code} {self.agent} {quote(self.text)}"
