"""An ordered multi-map of header fields that keeps every value as it was written (RFC 3261 §7.3).

Names compare without regard to case and compact forms stand for their long names. Values are stored raw and
parsed where they are asked for, so a malformed field nobody reads harms nobody.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from sipcore.errors import LocalProtocolError
from sipcore.message.grammar import LWS, is_token, split_list

_T = TypeVar("_T")

# RFC 3261 §20 and §7.3.3, RFC 3515, 3892, 3841, 4028, 6665, 8224.
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

# RFC 3261 §7.3.1: lines of one name may be joined and split at commas where "the entire field-value for that header
# field is defined as a comma-separated list". WWW-Authenticate, Authorization and their Proxy- twins never may,
# though they hold commas, nor may Date.
_LIST_HEADERS = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Call-Info",
    "Contact",
    "Content-Encoding",
    "Content-Language",
    "Diversion",
    "Error-Info",
    "History-Info",
    "In-Reply-To",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Permission-Missing",
    "Proxy-Require",
    "Reason",
    "Record-Route",
    "Reject-Contact",
    "Request-Disposition",
    "Require",
    "Resource-Priority",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Service-Route",
    "Supported",
    "Unsupported",
    "Via",
    "Warning",
)

_OTHER_HEADERS = (
    "Accept-Resource-Priority",
    "Answer-Mode",
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Content-Disposition",
    "Content-Length",
    "Content-Type",
    "Date",
    "Event",
    "Expires",
    "Flow-Timer",
    "From",
    "Identity",
    "Identity-Info",
    "Join",
    "MIME-Version",
    "Max-Breadth",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Access-Network-Info",
    "Priority",
    "Priv-Answer-Mode",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "RAck",
    "RSeq",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Remote-Party-ID",
    "Replaces",
    "Reply-To",
    "Retry-After",
    "SIP-ETag",
    "SIP-If-Match",
    "Server",
    "Session-Expires",
    "Subject",
    "Subscription-State",
    "Target-Dialog",
    "Timestamp",
    "To",
    "User-Agent",
    "WWW-Authenticate",
)

_LIST_KEYS = frozenset(name.lower() for name in _LIST_HEADERS)
_CANONICAL = {name.lower(): name for name in (*_LIST_HEADERS, *_OTHER_HEADERS)} | _COMPACT
_KEYS = {alias: name.lower() for alias, name in _CANONICAL.items()}


def canonical_name(name: str) -> str:
    """The long, conventional spelling of a header name; an unknown one is returned as it is."""
    return _CANONICAL.get(name.lower(), name)


def _key(name: str) -> str:
    lowered = name.lower()
    return _KEYS.get(lowered, lowered)


class Headers:
    """The header fields of one message, in order.

    Raises LocalProtocolError when given a name or a value that cannot be put on a line of its own:
    what an application passes in must not be able to add lines to a message.
    """

    __slots__ = ("_fields", "_memo")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        """(key, canonical name, raw value)"""
        self._memo: dict[str, Any] = {}
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append a field line."""
        self._fields.append(_checked(name, value))
        self._memo.clear()

    def add_parsed(self, name: str, value: str) -> None:
        """Append a field line already known to be a single line; for the parser."""
        lowered = name.lower()
        self._fields.append((_KEYS.get(lowered, lowered), _CANONICAL.get(lowered, name), value))

    def insert_first(self, name: str, value: str) -> None:
        """Put a field line before all others, as a new topmost Via or Record-Route needs."""
        self._fields.insert(0, _checked(name, value))
        self._memo.clear()

    def set(self, name: str, value: str) -> None:
        """Replace every line of that name by one, which takes the first one's place or is appended."""
        field = _checked(name, value)
        kept: list[tuple[str, str, str]] = []
        placed = False
        for existing in self._fields:
            if existing[0] != field[0]:
                kept.append(existing)
            elif not placed:
                kept.append(field)
                placed = True
        if not placed:
            kept.append(field)
        self._fields = kept
        self._memo.clear()

    def remove(self, name: str) -> None:
        """Drop every line of that name; no error if there is none."""
        key = _key(name)
        self._fields = [field for field in self._fields if field[0] != key]
        self._memo.clear()

    def get(self, name: str) -> str | None:
        """The raw value of the first line of that name, or None."""
        key = _key(name)
        for field in self._fields:
            if field[0] == key:
                return field[2]
        return None

    def get_all(self, name: str) -> list[str]:
        """The raw values of every line of that name."""
        key = _key(name)
        return [field[2] for field in self._fields if field[0] == key]

    def values(self, name: str) -> list[str]:
        """The single values over all lines of that name: split at commas where the header is a list.

        Raises ParseError for an unbalanced quote or bracket and for an empty element; a line that is empty
        altogether holds no value (`Supported:`, `Accept:`).
        """
        lines = self.get_all(name)
        if _key(name) not in _LIST_KEYS:
            return lines
        return [value for line in lines if line for value in split_list(line)]

    def count(self, name: str) -> int:
        """How many lines have that name."""
        key = _key(name)
        return sum(field[0] == key for field in self._fields)

    def keys(self) -> list[str]:
        """The lower-case long name of every line, in order and with repetitions."""
        return [field[0] for field in self._fields]

    def items(self) -> list[tuple[str, str]]:
        """(canonical name, raw value) of every line, in order."""
        return [(name, value) for _, name, value in self._fields]

    def copy(self) -> "Headers":
        """An independent copy."""
        twin = Headers()
        twin._fields = self._fields.copy()
        return twin

    def memo(self, label: str, parse: Callable[[], _T]) -> _T:
        """The result of `parse`, kept under `label` until the headers change. Errors are not kept."""
        try:
            return cast("_T", self._memo[label])
        except KeyError:
            result = self._memo[label] = parse()
            return result

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(field[0] == key for key in (_key(name),) for field in self._fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        """Same names and values in the same order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [field[::2] for field in self._fields] == [field[::2] for field in other._fields]

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __str__(self) -> str:
        """The field lines, each ended by CRLF."""
        return "".join([f"{name}: {value}\r\n" for _, name, value in self._fields])

    def __repr__(self) -> str:
        """Names only: values may hold credentials."""
        return f"<Headers {', '.join(name for _, name, _ in self._fields)}>"


def _checked(name: str, value: str) -> tuple[str, str, str]:
    if not is_token(name):
        raise LocalProtocolError(f"{name!r} is no header name")
    if "\r" in value or "\n" in value:
        raise LocalProtocolError(f"the value of {name} holds a line break")
    lowered = name.lower()
    return _KEYS.get(lowered, lowered), _CANONICAL.get(lowered, name), value.strip(LWS)
