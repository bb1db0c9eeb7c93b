"""Session descriptions from bytes (RFC 8866), strict about structure and tolerant about order, line ends and gaps.

body ─ limits ─▶ lines ─▶ session part ─▶ one part per m= line ─▶ SessionDescription
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcore.errors import ParseError
from sipcore.sdp.types import Attribute, Connection, MediaDescription, Origin, SessionDescription

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BODY_BYTES = 65_536
MAX_LINES = 1_000
MAX_LINE_CHARACTERS = 4_096
MAX_MEDIA = 32
MAX_FORMATS = 128

_MAX_DIGITS = 20

Line = tuple[str, str]


def parse(body: bytes) -> SessionDescription:
    """Read a description. Raises :class:`ParseError` and nothing else, whatever the bytes.

    Accepted beyond the grammar, since it is met in the field: bare LF, lines out of order, missing ``s=`` and
    ``t=``, spaces in the origin's user name, bytes that are not UTF-8 (they become U+FFFD).
    """
    session, *media = _parts(_lines_untrusted(body))
    values = _by_type(session)
    if values.get("v") != ["0"]:
        raise ParseError("SDP must have one v=0 line")
    if len(values.get("o", [])) != 1:
        raise ParseError("SDP must have one o= line")
    connections = values.get("c", [])
    return SessionDescription(
        origin=_origin(values["o"][0]),
        session_name=values.get("s", ["-"])[0],
        connection=_connection(connections[0]) if connections else None,
        bandwidths=tuple(values.get("b", [])),
        time=tuple(values.get("t", ["0 0"])),
        attributes=tuple(_attribute(value) for value in values.get("a", [])),
        media=tuple(_media(part) for part in media),
    )


def _lines_untrusted(body: bytes) -> list[Line]:
    if len(body) > MAX_BODY_BYTES:
        raise ParseError(f"SDP longer than {MAX_BODY_BYTES} bytes", status_hint=413)
    # Only CR and LF end a line: str.splitlines() would also break at form feeds and Unicode separators.
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    lines: list[Line] = []
    for line in text.split("\n"):
        if not line.strip():
            continue
        if len(lines) >= MAX_LINES or len(line) > MAX_LINE_CHARACTERS:
            raise ParseError("SDP has too many or too long lines", status_hint=413)
        kind, separator, value = line.partition("=")
        if not separator or len(kind) != 1 or "\0" in value:
            raise ParseError("SDP line without a type")
        lines.append((kind, value.strip(" \t")))
    if not lines or lines[0][0] != "v":
        raise ParseError("SDP must start with v=0")
    return lines


def _parts(lines: Sequence[Line]) -> list[list[Line]]:
    """The session part, then one part for each media description."""
    parts: list[list[Line]] = [[]]
    for line in lines:
        if line[0] == "m":
            if len(parts) > MAX_MEDIA:
                raise ParseError(f"SDP with more than {MAX_MEDIA} media descriptions", status_hint=413)
            parts.append([])
        parts[-1].append(line)
    return parts


def _by_type(part: Sequence[Line]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for kind, value in part:
        values.setdefault(kind, []).append(value)
    return values


def _number(text: str, what: str, maximum: int | None = None) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise ParseError(f"SDP {what} is not a number")
    number = int(text)
    if maximum is not None and number > maximum:
        raise ParseError(f"SDP {what} is over {maximum}")
    return number


def _origin(value: str) -> Origin:
    # From the right, because user names with spaces exist although RFC 8866 §5.2 forbids them.
    fields = value.rsplit(None, 5)
    if len(fields) != 6:
        raise ParseError("SDP o= line needs six fields")
    username, session_id, version, *connection = fields
    return Origin(
        username,
        _number(session_id, "session id"),
        _number(version, "session version"),
        _connection(" ".join(connection)),
    )


def _connection(value: str) -> Connection:
    fields = value.split()
    if len(fields) != 3:
        raise ParseError("SDP connection needs network type, address type and address")
    network_type, address_type, address = fields
    return Connection(address, address_type, network_type)


def _attribute(value: str) -> Attribute:
    name, separator, rest = value.partition(":")
    if not name:
        raise ParseError("SDP attribute without a name")
    return Attribute(name, rest if separator else None)


def _media(part: Sequence[Line]) -> MediaDescription:
    values = _by_type(part)
    fields = values["m"][0].split()
    if len(fields) < 4 or len(fields) > 3 + MAX_FORMATS:
        raise ParseError("SDP m= line needs media, port, protocol and formats")
    media, ports, protocol, *formats = fields
    port, slash, count = ports.partition("/")
    connections = values.get("c", [])
    titles = values.get("i", [])
    return MediaDescription(
        media=media,
        port=_number(port, "port", 65_535),
        port_count=_number(count, "number of ports", 65_535) if slash else 1,
        protocol=protocol,
        formats=tuple(formats),
        title=titles[0] if titles else None,
        connection=_connection(connections[0]) if connections else None,
        bandwidths=tuple(values.get("b", [])),
        attributes=tuple(_attribute(value) for value in values.get("a", [])),
    )
