"""From bytes to messages: one datagram, or a stream framed by Content-Length (RFC 3261 §7.5, §18.3).

    datagram, WebSocket message ──▶ parse_message ──┐
                                                    ├─▶ head ─▶ validate ─▶ Request | Response
    TCP or TLS bytes ──▶ StreamParser ── frames ────┘               └─▶ MalformedMessage (400, 416, 505, 513)

Only what every later layer relies on is checked here: the start line, Via, From, To, Call-ID, CSeq and that single
values come once. Other fields are checked when somebody reads them.
"""

import enum
import re
from dataclasses import dataclass

from sipcore.errors import ParseError
from sipcore.message.fields import parse_content_length
from sipcore.message.grammar import LWS, TOKEN, TOKEN_RE
from sipcore.message.headers import Headers
from sipcore.message.message import Message, Request, Response
from sipcore.message.uri import Uri

_REQUEST_LINE_RE = re.compile(rf"({TOKEN}) ([^ \t]+) SIP/([0-9]+)\.([0-9]+)", re.IGNORECASE)
# "SIP/2.0 200" without the final blank is wrong and seen: RFC 4475 §3.1.1.13 lets a liberal receiver take it.
_STATUS_LINE_RE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE)
_FOLD_RE = re.compile(rb"\r\n[ \t]+")
_TAG_RE = re.compile(r";[ \t]*tag[ \t]*=", re.IGNORECASE)
_METHOD_RE = re.compile(rf"({TOKEN})[ \t]")

_MANDATORY = ("From", "To", "Call-ID", "CSeq")
_AT_MOST_ONCE = (
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Event",
    "Refer-To",
    "Replaces",
    "RSeq",
    "RAck",
    "Session-Expires",
    "Subscription-State",
)
_SINGLE = {name.lower(): name for name in (*_MANDATORY, *_AT_MOST_ONCE)}
# RFC 3261 §8.2.2.1 answers other schemes with 416. A tel URI may be dialled through us.
_REQUEST_SCHEMES = frozenset({"sip", "sips", "tel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a peer's data is taken before it is refused."""

    max_message: int = 65535
    """Octets of a whole message; "implementations MUST be able to handle messages up to the maximum datagram
    packet size" (§18.1.1)."""
    max_head: int = 32768
    """Octets of start line and headers together."""
    max_headers: int = 256
    """Header lines."""
    max_line: int = 8192
    """Characters of one header line after unfolding, and of the start line."""


DEFAULT = Limits()


class Keepalive(enum.Enum):
    """What travels between messages on a flow (RFC 5626 §3.5.1)."""

    PING = "\r\n\r\n"
    """The peer wants to see a CRLF back."""
    PONG = "\r\n"
    """The answer to our ping."""


class MalformedMessage(ParseError):
    """A message that was delimited but is not valid."""

    def __init__(
        self, message: str, *, status_hint: int = 400, method: str | None = None, partial: Headers | None = None
    ) -> None:
        super().__init__(message, status_hint=status_hint)
        self.method = method
        """The method of a request, None for a response or when not even that could be read."""
        self.partial = partial
        """The header lines that could be split into name and value, or None."""

    def response(self, to_tag: str) -> Response | None:
        """The stateless response of `status_hint`, or None where none can or may be sent.

        Responses are dropped in silence and ACK is never answered (§17.1.1.3); without Via there is no way back.
        """
        if self.partial is None or self.method in (None, "ACK") or "Via" not in self.partial:
            return None
        headers = Headers()
        for value in self.partial.get_all("Via"):
            headers.add("Via", value)
        for name in _MANDATORY:
            value = self.partial.get(name) or ""
            if name == "To" and value and _TAG_RE.search(value) is None:
                value = f"{value};tag={to_tag}"
            if value:
                headers.add(name, value)
        # §21.4.1: "The Reason-Phrase SHOULD identify the syntax problem in more detail".
        return Response(self.status_hint, str(self), headers)


@dataclass(slots=True)
class _Head:
    """Start line and headers of one message, split but not validated."""

    start_line: str
    headers: Headers
    problem: str | None = None
    """The first line that could not be split, as a sentence."""
    status_hint: int = 400

    @property
    def method(self) -> str | None:
        match = _METHOD_RE.match(self.start_line)
        return None if match is None or self.start_line[:4].upper() == "SIP/" else match[1]

    def error(self, message: str, status_hint: int = 400) -> MalformedMessage:
        return MalformedMessage(message, status_hint=status_hint, method=self.method, partial=self.headers)


def parse_keepalive(data: bytes) -> Keepalive | None:
    """Whether a whole datagram or WebSocket message is a keep-alive rather than a SIP message."""
    if data == b"\r\n\r\n":
        return Keepalive.PING
    return Keepalive.PONG if data == b"\r\n" else None


def parse_message(data: bytes, limits: Limits = DEFAULT) -> Message:
    """Parse one datagram or WebSocket message; raises MalformedMessage, a ParseError.

    §18.3: "If there are additional bytes in the transport packet beyond the end of the body, they MUST be discarded.
    If the transport packet ends before the end of the message body, this is considered an error." Without
    Content-Length the body reaches to the end of the data.
    """
    if len(data) > limits.max_message:
        raise MalformedMessage("Message too large", status_hint=513)
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2  # §7.5 demands it of streams only; keep-alives glued to a datagram are seen as well.
    end = data.find(b"\r\n\r\n", start)
    head = _parse_head(data[start : len(data) if end < 0 else end], limits)
    if end < 0:
        raise head.error("No empty line after the headers")
    body = data[end + 4 :]
    lengths = head.headers.get_all("Content-Length")
    if lengths:
        length = _content_length(head, lengths)
        if length > len(body):
            raise head.error("Content-Length exceeds the message")
        body = body[:length]
    return _validated(head, body)


class StreamParser:
    """Cuts a byte stream into messages and keep-alives.

    A message that is invalid but well delimited does no harm to the stream: it is kept in `take_rejected`.
    Once the framing itself is lost every `feed` raises, and the only cure is to close the connection.
    """

    __slots__ = ("_broken", "_buffer", "_half_ping", "_head", "_length", "_limits", "_rejected", "_scanned")

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        """How far the buffer has been searched for the end of the headers."""
        self._head: _Head | None = None
        """The headers of the message whose body is awaited; they have left the buffer."""
        self._length = 0
        self._half_ping = False
        """A lone CRLF was reported as a pong; one more directly after it makes it a ping."""
        self._rejected: list[MalformedMessage] = []
        self._broken: ParseError | None = None

    @property
    def broken(self) -> bool:
        """Whether the framing is lost."""
        return self._broken is not None

    def take_rejected(self) -> list[MalformedMessage]:
        """The invalid messages seen since the last call, each with the response it deserves."""
        rejected, self._rejected = self._rejected, []
        return rejected

    def feed(self, data: bytes) -> list[Message | Keepalive]:
        """Take bytes and return what they complete.

        Raises ParseError when the framing is lost; if the same bytes completed something before that point, it is
        returned first, `broken` is true and the next call raises.
        """
        if self._broken is not None:
            raise self._broken
        self._buffer += data
        items: list[Message | Keepalive] = []
        try:
            while (item := self._next()) is not None:
                if not isinstance(item, MalformedMessage):
                    items.append(item)
                else:
                    self._rejected.append(item)
        except ParseError as error:
            self._broken = error
            self._buffer.clear()
            if not items:
                raise
        return items

    def _next(self) -> Message | Keepalive | MalformedMessage | None:
        """Cut one item off the buffer, or None when more bytes are needed."""
        if self._head is None:
            keepalive = self._next_keepalive()
            if keepalive is not None:
                return keepalive
            self._head = self._next_head()
        if self._head is None or len(self._buffer) < self._length:
            return None
        head, self._head = self._head, None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        try:
            return _validated(head, body)
        except MalformedMessage as error:
            return error

    def _next_keepalive(self) -> Keepalive | None:
        buffer = self._buffer
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            self._half_ping = False
            return Keepalive.PING
        if buffer.startswith(b"\r\n") and buffer != b"\r\n\r":
            del buffer[:2]
            found = Keepalive.PING if self._half_ping else Keepalive.PONG
            self._half_ping = found is Keepalive.PONG and not buffer
            return found
        return None

    def _next_head(self) -> _Head | None:
        """Cut the headers of the next message off the buffer, or None when more bytes are needed."""
        buffer, limits = self._buffer, self._limits
        if not buffer or buffer == b"\r" or buffer.startswith(b"\r\n"):
            return None
        self._half_ping = False
        end = buffer.find(b"\r\n\r\n", self._scanned)
        if (len(buffer) if end < 0 else end) > limits.max_head:
            raise MalformedMessage("Headers too large", status_hint=513)
        if end < 0:
            self._scanned = max(0, len(buffer) - 3)
            return None
        head = _parse_head(bytes(buffer[:end]), limits)
        self._length = self._framed_length(head)
        if end + 4 + self._length > limits.max_message:
            raise head.error("Message too large", 513)
        del buffer[: end + 4]
        self._scanned = 0
        return head

    @staticmethod
    def _framed_length(head: _Head) -> int:
        lengths = head.headers.get_all("Content-Length")
        if not lengths:
            # §18.3 demands the header on streams. Where no body is announced either, its absence can only mean none.
            if "Content-Type" in head.headers or not head.start_line.upper().count("SIP/2.0"):
                raise head.error("No Content-Length on a stream")
            return 0
        return _content_length(head, lengths)


def _parse_head(section: bytes, limits: Limits) -> _Head:
    if b"\r\n " in section or b"\r\n\t" in section:
        # §7.3.1: a line that begins with a blank or tab continues the one before.
        section = _FOLD_RE.sub(b" ", section)
    lines = section.decode().split("\r\n") if section.isascii() else [_decode(x) for x in section.split(b"\r\n")]
    head = _Head(lines[0], Headers())
    if len(lines) - 1 > limits.max_headers:
        head.problem, head.status_hint = "Too many headers", 513
        del lines[limits.max_headers + 1 :]
    for line in lines:
        if len(line) > limits.max_line:
            head.problem, head.status_hint = "Line too long", 513
        elif "\r" in line or "\n" in line:
            head.problem = head.problem or "Stray line break"
        elif line is not lines[0]:
            name, colon, value = line.partition(":")
            name = name.rstrip(LWS)
            if colon and TOKEN_RE.fullmatch(name):
                head.headers.add_parsed(name, value.strip(LWS))
            else:
                head.problem = head.problem or "Malformed header line"
    return head


def _decode(line: bytes) -> str:
    """Headers are UTF-8 (§7.3.1); what is not is read as Latin-1, the charset old equipment sends names in."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _content_length(head: _Head, lengths: list[str]) -> int:
    if len(lengths) > 1:
        raise head.error("Several Content-Length headers")
    try:
        return parse_content_length(lengths[0])
    except ParseError as error:
        raise head.error(str(error)) from None


def _validated(head: _Head, body: bytes) -> Message:
    """The message of a head, with everything checked that the module promises."""
    message = _start(head, body)
    if head.problem is not None:
        raise head.error(head.problem, head.status_hint)
    headers = head.headers
    seen: set[str] = set()
    for key in headers.keys():  # noqa: SIM118 - one key per line, not a mapping's
        if key in _SINGLE and key in seen:
            raise head.error(f"Several {_SINGLE[key]} headers")
        seen.add(key)
    for name in _MANDATORY:
        if name.lower() not in seen:
            raise head.error(f"{name} is missing")
    try:
        # Reading them is checking them; the results are kept.
        _ = message.via, message.from_, message.to, message.call_id
        method = message.cseq.method
    except ParseError as error:
        raise head.error(str(error)) from None
    if isinstance(message, Request):
        if method != message.method:
            raise head.error("CSeq method does not match the request")
        if message.uri.scheme not in _REQUEST_SCHEMES:
            raise head.error("Unsupported URI Scheme", 416)
    return message


def _start(head: _Head, body: bytes) -> Message:
    line = head.start_line
    if line[:4].upper() == "SIP/":
        status = _STATUS_LINE_RE.fullmatch(line)
        if status is None:
            raise head.error("Malformed status line")
        return Response(int(status[1]), status[2] or "", head.headers, body)
    request = _REQUEST_LINE_RE.fullmatch(line)
    if request is None:
        raise head.error("Malformed request line")
    if (int(request[3][:9]), int(request[4][:9])) != (2, 0):
        raise head.error("Version Not Supported", 505)
    try:
        uri = Uri.parse(request[2])
    except ParseError as error:
        raise head.error(f"Request-URI: {error}") from None
    if uri.headers:
        # §19.1.1: headers are not allowed in a Request-URI, and honouring them would let a peer forge fields.
        raise head.error("Request-URI with headers")
    return Request(request[1], uri, head.headers, body)
