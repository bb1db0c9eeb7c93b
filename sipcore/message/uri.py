"""SIP, SIPS and opaque URIs, and the name-addr around them (RFC 3261 §19.1, §20.10).

"Alice" <sip:alice@example.com:5061;transport=tls?Subject=hi>;tag=88sja8x
└─────┘  └─┘ └───┘ └─────────┘ └──┘ └───────────┘ └────────┘ └──────────┘
display scheme user   host     port    params      headers   header params
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import quote as percent_encode
from urllib.parse import unquote as percent_decode

from sipcore.errors import ParseError
from sipcore.message.grammar import (
    HOST,
    LWS,
    Params,
    drop_params,
    find_param,
    format_params,
    param_text,
    parse_params,
    quote,
    set_param,
    split_list,
    unquote,
)

# What the separators leave. RFC 3261 wants "#" and non-ASCII escaped in the user part; both arrive bare in the field.
_USER_CHARS = r'(?:[^\x00-\x20"<>@:%\\\x7f\ud800-\udfff]|%[0-9A-Fa-f]{2})'
_PARAM_CHARS = r'(?:[^\x00-\x20"<>;?%\\\x7f\ud800-\udfff]|%[0-9A-Fa-f]{2})'
_HEADER_CHARS = r'(?:[^\x00-\x20"<>%\\\x7f\ud800-\udfff]|%[0-9A-Fa-f]{2})'

_SCHEME_RE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_SIP_RE = re.compile(
    rf"(?:({_USER_CHARS}++)(?::({_USER_CHARS}*+))?@)?({HOST})(?::([0-9]{{1,5}}))?"
    rf"((?:;{_PARAM_CHARS}++)*+)(?:\?({_HEADER_CHARS}++))?",
)
_THIRD_COLON_RE = re.compile(r":::(?=[0-9]+\.)")
_OPAQUE_RE = re.compile(r'[^\x00-\x20"<>\\\x7f\ud800-\udfff]+')
_BRACKETED_RE = re.compile(r'([^"<>,]*)<([^<>]*)>')
_QUOTED_NAME_RE = re.compile(r'[ \t]*("(?:[^"\\]|\\.)*")[ \t]*<([^<>]*)>', re.DOTALL)

# RFC 3261 §19.1.1: unreserved and user-unreserved need no escape in the user part.
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PARAM_SAFE = "-_.!~*'()[]/:&+$"
_HEADER_SAFE = "-_.!~*'()[]/?:+$"

# §19.1.4: present in only one URI, these make the two differ. The transport parameter follows from the
# examples there ("sip:bob@biloxi.com" and "sip:bob@biloxi.com;transport=udp" are not equivalent).
_DECISIVE_PARAMS = frozenset({"user", "ttl", "method", "maddr", "transport"})


def normal_host(host: str) -> str:
    """A host in one spelling for comparison: lower case, IPv6 literals compressed and in brackets.

    Raises ParseError for brackets that hold no IPv6 address.
    """
    if not host.startswith("["):
        return host.lower()
    try:
        # RFC 5118 §4.10: the grammar of RFC 3261 yields a third colon before an embedded IPv4 address, which has to be
        # tolerated.
        return f"[{ipaddress.IPv6Address(_THIRD_COLON_RE.sub('::', host[1:-1])).compressed}]"
    except ValueError:
        raise ParseError("invalid IPv6 reference") from None


def check_host(host: str) -> str:
    """Return the host as it is; raises ParseError for brackets that hold no IPv6 address."""
    if host.startswith("["):
        normal_host(host)
    return host


def check_port(text: str | None) -> int | None:
    """A port number from its digits, or None."""
    if text is None:
        return None
    port = int(text)
    if port > 65535:
        raise ParseError("port out of range")
    return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Uri:
    """A URI. Parts are kept escaped as written, so that `str` gives back an equivalent text."""

    scheme: str
    """Lower case."""
    user: str | None = None
    password: str | None = None
    host: str = ""
    """An IPv6 address keeps its brackets. Empty for anything but sip and sips."""
    port: int | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    opaque: str | None = None
    """What follows the colon of tel: and of unknown schemes; None for sip and sips."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse one URI without angle brackets; raises ParseError."""
        scheme_match = _SCHEME_RE.match(text)
        if scheme_match is None:
            raise ParseError("URI without a scheme")
        scheme = scheme_match[1].lower()
        if scheme not in ("sip", "sips"):
            if _OPAQUE_RE.fullmatch(text, scheme_match.end()) is None:
                raise ParseError(f"malformed {scheme} URI")
            return cls(scheme=scheme, opaque=text[scheme_match.end() :])
        match = _SIP_RE.fullmatch(text, scheme_match.end())
        if match is None:
            raise ParseError("malformed SIP URI")
        user, password, host, port, params, headers = match.groups()
        return cls(
            scheme=scheme,
            user=user,
            password=password,
            host=check_host(host),
            port=check_port(port),
            params=_parse_uri_params(params) if params else (),
            headers=_parse_uri_headers(headers) if headers else (),
        )

    def __str__(self) -> str:
        if self.opaque is not None:
            return f"{self.scheme}:{self.opaque}"
        text = f"{self.scheme}:"
        if self.user is not None:
            text += self.user if self.password is None else f"{self.user}:{self.password}"
            text += "@"
        text += self.host
        if self.port is not None:
            text += f":{self.port}"
        if self.params:
            text += format_params(self.params)
        if self.headers:
            text += "?" + "&".join(f"{name}={value}" for name, value in self.headers)
        return text

    @property
    def user_part(self) -> str | None:
        """The user with escapes resolved (it may hold any character, even control ones); the number of a tel URI."""
        if self.scheme == "tel" and self.opaque is not None:
            return percent_decode(self.opaque.partition(";")[0])
        return None if self.user is None else percent_decode(self.user)

    @property
    def host_port(self) -> str:
        """`host` or `host:port`, as in the URI."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def param(self, name: str) -> str | None:
        """The value of a parameter, unescaped: '' when valueless, None when absent."""
        wanted = name.lower()
        for key, value in self.params:
            if _fold(key) == wanted:
                return percent_decode(value or "")
        return None

    def header(self, name: str) -> str | None:
        """A header carried in the URI, unescaped, or None."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return percent_decode(value)
        return None

    def with_user(self, user: str | None) -> Self:
        """The URI for another user, given unescaped."""
        return replace(self, user=None if user is None else _escape(user, _USER_SAFE))

    def with_param(self, name: str, value: str | None = None) -> Self:
        """The URI with a parameter set, its value given unescaped."""
        if value is not None:
            value = _escape(value, _PARAM_SAFE)
        return replace(self, params=set_param(self.params, name, value))

    def without_params(self, *names: str) -> Self:
        """The URI without the parameters named."""
        return replace(self, params=drop_params(self.params, names))

    def with_header(self, name: str, value: str) -> Self:
        """The URI with a header added, its value given unescaped."""
        return replace(self, headers=(*self.headers, (name, _escape(value, _HEADER_SAFE))))

    def bare(self) -> Self:
        """The URI without parameters and headers."""
        return replace(self, params=(), headers=())

    def equivalent(self, other: "Uri") -> bool:
        """RFC 3261 §19.1.4 equality, which is looser than `==` and not transitive."""
        if self.scheme != other.scheme:
            return False
        if self.opaque is not None or other.opaque is not None:
            return _decoded(self.opaque) == _decoded(other.opaque)
        return (
            _decoded(self.user) == _decoded(other.user)
            and _decoded(self.password) == _decoded(other.password)
            and normal_host(self.host) == normal_host(other.host)
            and self.port == other.port
            and _params_match(self.params, other.params)
            and _header_set(self.headers) == _header_set(other.headers)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAddr:
    """The value of From, To, Contact, Route and their like: a URI, perhaps a display name, header parameters."""

    uri: Uri
    display_name: str | None = None
    """Unquoted; comes from the network and may hold control characters."""
    params: Params = ()
    """Header parameters, raw: `param` gives them unquoted."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse exactly one name-addr or addr-spec with its parameters; raises ParseError."""
        quoted = _QUOTED_NAME_RE.match(text)
        if quoted is not None:
            return cls(
                display_name=unquote(quoted[1]),
                uri=Uri.parse(quoted[2]),
                params=parse_params(text, quoted.end()),
            )
        bracketed = _BRACKETED_RE.match(text)
        if bracketed is not None:
            return cls(
                display_name=bracketed[1].strip(LWS) or None,
                uri=Uri.parse(bracketed[2]),
                params=parse_params(text, bracketed.end()),
            )
        # §20: "If the URI contains a comma, question mark or semicolon, the URI MUST be enclosed in angle
        # brackets"; so a semicolon here starts the header's parameters, and a question mark is an error.
        head = text.partition(";")[0]
        if "?" in head or "," in head:
            raise ParseError("URI with a question mark or comma outside angle brackets")
        return cls(uri=Uri.parse(head.strip(LWS)), params=parse_params(text, len(head)))

    @classmethod
    def parse_many(cls, text: str) -> list[Self]:
        """Parse a comma-separated list; raises ParseError."""
        return [cls.parse(part) for part in split_list(text)]

    def __str__(self) -> str:
        name = "" if self.display_name is None else quote(self.display_name) + " "
        return f"{name}<{self.uri}>{format_params(self.params)}"

    @property
    def tag(self) -> str | None:
        """The tag parameter of From and To, or None."""
        return find_param(self.params, "tag")

    def param(self, name: str) -> str | None:
        """The unquoted value of a header parameter: '' when valueless, None when absent."""
        return find_param(self.params, name)

    def with_tag(self, tag: str) -> Self:
        """The same with its tag set."""
        return self.with_param("tag", tag)

    def with_param(self, name: str, value: str | None = None) -> Self:
        """The same with a header parameter set, quoted where it has to be."""
        raw = None if value is None else param_text(value)
        return replace(self, params=set_param(self.params, name, raw))

    def without_params(self, *names: str) -> Self:
        """The same without the header parameters named."""
        return replace(self, params=drop_params(self.params, names))


def _parse_uri_params(text: str) -> Params:
    pairs = (item.partition("=") for item in text[1:].split(";"))
    params = tuple((name, value if equals else None) for name, equals, value in pairs)
    if not all(name for name, _ in params):
        raise ParseError("URI parameter without a name")
    return params


def _parse_uri_headers(text: str) -> tuple[tuple[str, str], ...]:
    headers = []
    for item in text.split("&"):
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise ParseError("malformed URI header")
        headers.append((name, value))
    return tuple(headers)


def _escape(text: str, safe: str) -> str:
    # Half a surrogate pair, which a terminal or a JSON text may deliver, has no octets: it becomes a question mark.
    return percent_encode(text, safe=safe, errors="replace")


def _decoded(text: str | None) -> str | None:
    # Octets that are not UTF-8 must stay distinct from one another here.
    return None if text is None else percent_decode(text, errors="surrogateescape")


def _params_match(left: Params, right: Params) -> bool:
    ours = {_fold(name): _fold(value or "") for name, value in left}
    theirs = {_fold(name): _fold(value or "") for name, value in right}
    if any(ours[name] != theirs[name] for name in ours.keys() & theirs.keys()):
        return False
    return not (ours.keys() ^ theirs.keys()) & _DECISIVE_PARAMS


def _fold(text: str) -> str:
    return percent_decode(text).lower()


def _header_set(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return sorted((_fold(name), percent_decode(value)) for name, value in headers)
