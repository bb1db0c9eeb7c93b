"""Lexical pieces of SIP shared by URIs, header fields and messages (RFC 3261 §25.1).

Everything here takes text whose folding has been undone: LWS is a run of blanks and tabs.
"""

import re
from collections.abc import Iterable

from sipcore.errors import ParseError

Params = tuple[tuple[str, str | None], ...]
"""Parameters in their order, values raw: a quoted-string keeps its quotes, a valueless parameter has None."""

LWS = " \t"

# token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~" )
TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
# quoted-string = SWS DQUOTE *(qdtext / quoted-pair ) DQUOTE
QUOTED = r'"(?:[^"\\]|\\.)*"'
# hostname / IPv4address / IPv6reference, with the underscore that real networks put into names.
HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_.])?)"

TOKEN_RE = re.compile(TOKEN)
HOST_RE = re.compile(HOST)
_DIGITS_RE = re.compile(r"[0-9]+")
_QUOTED_RE = re.compile(QUOTED, re.DOTALL)
# generic-param = token [ EQUAL gen-value ]; gen-value = token / host / quoted-string.
# Unquoted values are taken as widely as the separators allow: tags with "=" or "@" are seen in the field.
_PARAM_RE = re.compile(
    rf'[ \t]*;[ \t]*({TOKEN})(?:[ \t]*=[ \t]*({QUOTED}|[^\x00-\x20;,"\x7f]+))?[ \t]*',
    re.DOTALL,
)
_QUOTED_PAIR_RE = re.compile(r"\\(.)", re.DOTALL)
_BARE_VALUE_RE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+")
_PIECE_RES = {separator: re.compile(rf'{QUOTED}|<[^<>"]*>|[^"<{separator}]+|.', re.DOTALL) for separator in (",", ";")}


def is_token(text: str) -> bool:
    """Whether the whole text is one RFC 3261 `token`."""
    return TOKEN_RE.fullmatch(text) is not None


def parse_uint(text: str, what: str, *, maximum: int, clamp: bool = False) -> int:
    """A decimal number of ASCII digits between 0 and `maximum`; beyond it an error, or `maximum` with `clamp`."""
    text = text.strip(LWS)
    if _DIGITS_RE.fullmatch(text) is None:
        raise ParseError(f"{what} is not a number")
    # Python refuses to convert thousands of digits; no field of SIP needs more than 20.
    significant = text.lstrip("0") or "0"
    value = int(significant) if len(significant) <= 20 else maximum + 1
    if value <= maximum:
        return value
    if clamp:
        return maximum
    raise ParseError(f"{what} is out of range")


def quote(text: str) -> str:
    """The text as a quoted-string. A line break, which no header can hold, becomes a blank."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\r", " ").replace("\n", " ") + '"'


def unquote(text: str) -> str:
    """The meaning of a quoted-string; any other text is returned as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _QUOTED_PAIR_RE.sub(r"\1", inner) if "\\" in inner else inner


def param_text(value: str) -> str:
    """A parameter value as written: bare where token or host allow it, quoted otherwise; a quoted-string stays."""
    if _BARE_VALUE_RE.fullmatch(value) or _QUOTED_RE.fullmatch(value):
        return value
    return quote(value)


def parse_params(text: str, start: int = 0) -> Params:
    """Parse `*( SEMI generic-param )` from `start` to the end of the text."""
    found: list[tuple[str, str | None]] = []
    position, end = start, len(text)
    while position < end:
        match = _PARAM_RE.match(text, position)
        if match is None:
            if text[position:].strip(LWS):
                raise ParseError("malformed parameter")
            break
        found.append((match[1], match[2]))
        position = match.end()
    return tuple(found)


def format_params(params: Params) -> str:
    """The inverse of `parse_params`, in the compact layout `;a=1;b`."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def find_param(params: Params, name: str) -> str | None:
    """The unquoted value of the first parameter of that name (any case): '' when valueless, None when absent."""
    wanted = name.lower()
    for key, value in params:
        if key.lower() == wanted:
            return "" if value is None else unquote(value)
    return None


def set_param(params: Params, name: str, value: str | None) -> Params:
    """The parameters with `name` replaced where it stands, or appended; the value is taken raw."""
    wanted = name.lower()
    entry = (name, value)
    kept: list[tuple[str, str | None]] = []
    placed = False
    for item in params:
        if item[0].lower() != wanted:
            kept.append(item)
        elif not placed:
            kept.append(entry)
            placed = True
    if not placed:
        kept.append(entry)
    return tuple(kept)


def drop_params(params: Params, names: Iterable[str]) -> Params:
    """The parameters without those named."""
    unwanted = {name.lower() for name in names}
    return tuple(item for item in params if item[0].lower() not in unwanted)


def split_value(text: str) -> tuple[str, Params]:
    """Split `value *( SEMI generic-param )` for values that hold neither quotes nor semicolons."""
    head, semicolon, _ = text.partition(";")
    return head.strip(LWS), parse_params(text, len(head)) if semicolon else ()


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at separators outside quoted-strings and angle brackets; empty elements are an error.

    RFC 3261 §7.3.1 lets several values of a list header share one line, separated by commas.
    """
    if '"' not in text and "<" not in text:
        parts = text.split(separator)
    else:
        parts = []
        start = 0
        for match in _PIECE_RES[separator].finditer(text):
            piece = match[0]
            if piece == separator:
                parts.append(text[start : match.start()])
                start = match.end()
            elif piece == '"':
                raise ParseError("unbalanced quotation mark")
            elif piece == "<":
                raise ParseError("unbalanced angle bracket")
        parts.append(text[start:])
    stripped = [part.strip(LWS) for part in parts]
    if not all(stripped):
        raise ParseError("empty element in a list")
    return stripped
