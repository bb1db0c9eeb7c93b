"""What a user dials, as a SIP URI: an extension, a number, an address or a link (RFC 3261 §19.1.6, RFC 3966)."""

import re

from sipcore.errors import LocalProtocolError, ParseError, Phrase
from sipcore.message.uri import Uri

_MAX_TARGET = 256
# RFC 3966 §5.1.1: visual separators "-" "." "(" ")"; people type blanks and slashes as well.
_NUMBER = re.compile(r"[+]?[0-9*#()\[\]./\-\s\u00a0\u2010-\u2015\u202f]+")
_SEPARATORS = re.compile(r"[()\[\]./\-\s\u00a0\u2010-\u2015\u202f]+")
_LINK = re.compile(r"(sips?|tel|callto):(?://)?(.*)", re.IGNORECASE | re.DOTALL)


def target_uri(target: str, domain: str) -> Uri:
    """The Request-URI for ``target``; ``domain`` is the account's.

    Raises LocalProtocolError with a sentence for the user.
    """
    text = target.strip()
    problem = LocalProtocolError(Phrase("{target!r:.80} is neither a number nor an address", target=target))
    if not text or len(text) > _MAX_TARGET or not text.isprintable():
        raise problem
    scheme, rest = "", text
    if link := _LINK.fullmatch(text):
        scheme, rest = link[1].lower(), link[2]
    try:
        if scheme in ("tel", "callto"):
            # §19.1.6: the number with its separators gone becomes the user part; the parameters say nothing to a PBX.
            return _at_domain(rest.partition(";")[0], domain)
        if "@" in rest:
            return _address(scheme or "sip", rest)
        if scheme and _is_host(rest):
            return Uri.parse(f"{scheme}:{rest}")
        return _at_domain(rest, domain)
    except ParseError:
        raise problem from None


def _is_host(text: str) -> bool:
    """Whether ``sip:TEXT`` means a host rather than an extension of ours."""
    return "." in text.partition(";")[0] or text.startswith("[")


def _address(scheme: str, text: str) -> Uri:
    user, _, host = text.rpartition("@")
    if not user:
        raise ParseError("no user before the @")
    if "%" in user or ";" in user or ":" in user:
        return Uri.parse(f"{scheme}:{text}")
    return Uri.parse(f"{scheme}:{host}").with_user(_cleaned(user))


def _at_domain(user: str, domain: str) -> Uri:
    user = _cleaned(user)
    if not user or any(character.isspace() for character in user):
        raise ParseError("no user")
    return Uri.parse(f"sip:{domain}").with_user(user)


def _cleaned(user: str) -> str:
    return _SEPARATORS.sub("", user) if _NUMBER.fullmatch(user) else user
