"""Digest credentials and the arithmetic behind them (RFC 7616 §3.4, RFC 2617 §3.2.2, RFC 8760).

A1 = user ":" realm ":" password      [-sess: H(A1) ":" nonce ":" cnonce]
A2 = method ":" uri                   [auth-int: ":" H(body)]
response = H( H(A1) ":" nonce ":" [nc ":" cnonce ":" qop ":"] H(A2) )
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from sipcore.auth.challenge import Challenge, parse_auth_params, quoted, scheme_of
from sipcore.errors import ParseError

_HEX_RE = re.compile(r"[0-9A-Fa-f]+")
_NC_RE = re.compile(r"[0-9A-Fa-f]{8}")


def _hasher(name: str) -> Callable[[bytes], str]:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


_HASHES: dict[str, Callable[[bytes], str]] = {
    sip_name: _hasher(name)
    for sip_name, name in (("SHA-512-256", "sha512_256"), ("SHA-256", "sha256"), ("MD5", "md5"))
    if name in hashlib.algorithms_available
}

STRENGTH = ("MD5", "SHA-256", "SHA-512-256")
"""Base algorithms, weakest first."""


def base_algorithm(algorithm: str | None) -> str:
    """The hash behind an algorithm token: upper case, without -sess; MD5 for None."""
    return "MD5" if algorithm is None else algorithm.upper().removesuffix("-SESS")


def is_supported(algorithm: str | None) -> bool:
    """Whether digests of that algorithm can be computed here."""
    return base_algorithm(algorithm) in _HASHES


def is_session(algorithm: str | None) -> bool:
    """Whether it is one of the -sess variants, whose A1 is bound to the first nonce and cnonce."""
    return algorithm is not None and algorithm.upper().endswith("-SESS")


def hash_text(algorithm: str | None, text: str | bytes) -> str:
    """H() of the algorithm as lower-case hexadecimal. The algorithm must be supported."""
    return _HASHES[base_algorithm(algorithm)](text.encode() if isinstance(text, str) else text)


def user_hash(algorithm: str | None, username: str, realm: str) -> str:
    """The username as sent with userhash=true (RFC 7616 §3.4.4)."""
    return hash_text(algorithm, f"{username}:{realm}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password for one account."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The value of Authorization or Proxy-Authorization."""

    username: str
    """The hash of it when `userhash` is set."""
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str | None = None
    opaque: str | None = None
    cnonce: str | None = None
    qop: str | None = None
    nc: int | None = None
    userhash: bool = False

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Parse one header value; None for a scheme other than Digest, ParseError for a malformed one."""
        if scheme_of(value) != "digest":
            return None
        params = parse_auth_params(value)
        missing = {"username", "realm", "nonce", "uri", "response"} - params.keys()
        if missing:
            raise ParseError("incomplete credentials")
        qop = params.get("qop")
        nc = params.get("nc")
        if not _HEX_RE.fullmatch(params["response"]) or (nc is not None and not _NC_RE.fullmatch(nc)):
            raise ParseError("malformed response or nc")
        if qop is not None and (nc is None or "cnonce" not in params):
            raise ParseError("qop without nc or cnonce")
        return cls(
            username=params["username"],
            realm=params["realm"],
            nonce=params["nonce"],
            uri=params["uri"],
            response=params["response"].lower(),
            algorithm=params.get("algorithm"),
            opaque=params.get("opaque"),
            cnonce=params.get("cnonce"),
            qop=None if qop is None else qop.lower(),
            nc=None if nc is None else int(nc, 16),
            userhash=params.get("userhash", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [
            f"username={quoted(self.username)}",
            f"realm={quoted(self.realm)}",
            f"nonce={quoted(self.nonce)}",
            f"uri={quoted(self.uri)}",
            f"response={quoted(self.response)}",
        ]
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.cnonce is not None:
            parts.append(f"cnonce={quoted(self.cnonce)}")
        if self.opaque is not None:
            parts.append(f"opaque={quoted(self.opaque)}")
        if self.qop is not None:
            parts.append(f"qop={self.qop}")
        if self.nc is not None:
            parts.append(f"nc={self.nc:08x}")
        if self.userhash:
            parts.append("userhash=true")
        return "Digest " + ", ".join(parts)

    def expected(self, credentials: Credentials, method: str, body: bytes = b"") -> str:
        """The response that a holder of `credentials` would have sent with these parameters.

        `credentials.username` is the plain name even where `username` is its hash.
        """
        return digest(
            credentials,
            algorithm=self.algorithm,
            realm=self.realm,
            nonce=self.nonce,
            uri=self.uri,
            method=method,
            qop=self.qop,
            nc=self.nc or 0,
            cnonce=self.cnonce or "",
            body=body,
        )


def digest(
    credentials: Credentials,
    *,
    realm: str,
    nonce: str,
    uri: str,
    method: str,
    algorithm: str | None = None,
    qop: str | None = None,
    nc: int = 0,
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The request-digest of RFC 7616 §3.4.1; with `qop` None that of RFC 2069. The algorithm must be supported."""
    ha1 = hash_text(algorithm, f"{credentials.username}:{realm}:{credentials.password}")
    if is_session(algorithm):
        ha1 = hash_text(algorithm, f"{ha1}:{nonce}:{cnonce}")
    a2 = f"{method}:{uri}"
    if qop == "auth-int":
        a2 += ":" + hash_text(algorithm, body)
    ha2 = hash_text(algorithm, a2)
    if qop is None:
        return hash_text(algorithm, f"{ha1}:{nonce}:{ha2}")
    return hash_text(algorithm, f"{ha1}:{nonce}:{nc:08x}:{cnonce}:{qop}:{ha2}")


def choose_qop(challenge: Challenge) -> str | None:
    """The quality of protection to use: auth before auth-int, None where the server offers none at all.

    Raises KeyError when all that is offered is unknown.
    """
    if not challenge.qop:
        return None
    for option in ("auth", "auth-int"):
        if option in challenge.qop:
            return option
    raise KeyError("no known quality of protection")


def respond(
    challenge: Challenge, credentials: Credentials, *, method: str, uri: str, body: bytes, nc: int, cnonce: str
) -> Authorization:
    """The credentials that answer a challenge whose algorithm and qop are supported."""
    qop = choose_qop(challenge)
    needs_cnonce = qop is not None or is_session(challenge.algorithm)
    response = digest(
        credentials,
        algorithm=challenge.algorithm,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        method=method,
        qop=qop,
        nc=nc,
        cnonce=cnonce,
        body=body,
    )
    username = credentials.username
    if challenge.userhash:
        username = user_hash(challenge.algorithm, username, challenge.realm)
    return Authorization(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response=response,
        algorithm=challenge.algorithm,
        opaque=challenge.opaque,
        cnonce=cnonce if needs_cnonce else None,
        qop=qop,
        nc=nc if qop is not None else None,
        userhash=challenge.userhash,
    )
