"""Digest challenges: WWW-Authenticate and Proxy-Authenticate (RFC 7616 §3.3, RFC 8760 §2, RFC 3261 §22)."""

import re
from dataclasses import dataclass
from typing import Self

from sipcore.errors import ParseError

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
_SCHEME_RE = re.compile(rf"[ \t]*({_TOKEN})(?:[ \t]+|$)")
_PARAM_RE = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\x00-\x20",\x7f]*)[ \t]*(?=,|$)', re.DOTALL)
_SEPARATOR_RE = re.compile(r"[ \t,]*")
_QUOTED_PAIR_RE = re.compile(r"\\(.)", re.DOTALL)
MAX_PARAMS = 32


def scheme_of(value: str) -> str:
    """The authentication scheme of a header value in lower case; raises ParseError when there is none."""
    match = _SCHEME_RE.match(value)
    if match is None:
        raise ParseError("no authentication scheme")
    return match[1].lower()


def parse_auth_params(value: str) -> dict[str, str]:
    """The parameters after the scheme, names in lower case, values unquoted; raises ParseError.

    A parameter that comes twice is an error: peers that take the first and peers that take the last would disagree
    about what was signed.
    """
    scheme = _SCHEME_RE.match(value)
    if scheme is None:
        raise ParseError("no authentication scheme")
    params: dict[str, str] = {}
    position = _end_of_separator(value, scheme.end())
    while position < len(value):
        match = _PARAM_RE.match(value, position)
        if match is None:
            raise ParseError("malformed authentication parameter")
        name, text = match[1].lower(), match[2]
        if name in params or len(params) >= MAX_PARAMS:
            raise ParseError("repeated or too many authentication parameters")
        params[name] = _QUOTED_PAIR_RE.sub(r"\1", text[1:-1]) if text.startswith('"') else text
        position = _end_of_separator(value, match.end())
    return params


def quoted(text: str) -> str:
    """The text as a quoted-string on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\r", " ").replace("\n", " ") + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One Digest challenge."""

    realm: str
    nonce: str
    opaque: str | None = None
    algorithm: str | None = None
    """As sent, to be echoed so; None when left out, which means MD5."""
    qop: tuple[str, ...] = ()
    """The qualities of protection on offer, lower case; empty for servers of RFC 2069."""
    stale: bool = False
    """The nonce was too old and the credentials were not judged."""
    domain: tuple[str, ...] = ()
    userhash: bool = False

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Parse one header value; None for a scheme other than Digest, ParseError for a malformed one."""
        if scheme_of(value) != "digest":
            return None
        params = parse_auth_params(value)
        try:
            realm, nonce = params["realm"], params["nonce"]
        except KeyError:
            raise ParseError("challenge without realm or nonce") from None
        return cls(
            realm=realm,
            nonce=nonce,
            opaque=params.get("opaque"),
            algorithm=params.get("algorithm"),
            qop=tuple(option.strip().lower() for option in params.get("qop", "").split(",") if option.strip()),
            stale=params.get("stale", "").lower() == "true",
            domain=tuple(params.get("domain", "").split()),
            userhash=params.get("userhash", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [f"realm={quoted(self.realm)}", f"nonce={quoted(self.nonce)}"]
        if self.domain:
            parts.append(f"domain={quoted(' '.join(self.domain))}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f"qop={quoted(','.join(self.qop))}")
        if self.userhash:
            parts.append("userhash=true")
        return "Digest " + ", ".join(parts)


def parse_challenges(values: list[str]) -> list[Challenge]:
    """The Digest challenges among header values, in their order; what is not understood is ignored (RFC 8760 §2.4)."""
    found = []
    for value in values:
        try:
            challenge = Challenge.parse(value)
        except ParseError:
            continue
        if challenge is not None:
            found.append(challenge)
    return found


def _end_of_separator(value: str, position: int) -> int:
    match = _SEPARATOR_RE.match(value, position)
    return position if match is None else match.end()
