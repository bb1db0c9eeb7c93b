"""The message log: the last SIP messages of an account, with everything secret taken out.

    bytes ──redact──▶ text ──▶ ring (bounded in entries and characters) ──▶ trace view, support file

The only place where messages are turned into text for people. What is redacted never enters the ring: digest
responses and nonces (RFC 7616), SDES and ICE keys (RFC 4568, RFC 8839), passwords in URIs, DTMF digits in INFO.
"""

from __future__ import annotations

import enum
import logging
import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

REDACTED = "[redacted]"

_MAX_ENTRIES = 500
_MAX_CHARACTERS = 512 * 1024
_MAX_MESSAGE = 16 * 1024

# Digest parameters that prove or help to guess a password; realm, username and uri stay for support.
_DIGEST = re.compile(
    r"\b(response|nonce|cnonce|nextnonce|rspauth|opaque|ha1|password)([ \t]*=[ \t]*)"
    r'("(?:[^"\\\r\n]|\\.)*"?|[^\s,;"]+)',
    re.IGNORECASE,
)
_OTHER_SCHEME = re.compile(
    r"^((?:Proxy-)?Authorization[ \t]*:[ \t]*)(?!Digest\b)([^\s,]+)[ \t]+(?:.*(?:\r?\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_SDES = re.compile(r"(\binline:)[^\s|;]+", re.IGNORECASE)
_ICE = re.compile(r"^(a=ice-pwd:).*$", re.IGNORECASE | re.MULTILINE)
_URI_PASSWORD = re.compile(r"\b(sips?:[^\s:@<>\"]+:)[^\s@<>\"]+(@)", re.IGNORECASE)
_INFO_DIGIT = re.compile(r"^(Signal[ \t]*=[ \t]*).*$", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(r"^CSeq[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)


class Way(enum.Enum):
    """Direction of a message; the value is its glyph."""

    IN = "<"
    OUT = ">"


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One message as it may be shown: ``at`` on the stack's clock, ``text`` redacted and perhaps cut."""

    at: float
    way: Way
    flow: int
    summary: str
    text: str


def redact(text: str) -> str:
    """The text of a message without secrets."""
    text = _OTHER_SCHEME.sub(rf"\1\2 {REDACTED}", text)
    text = _DIGEST.sub(rf"\1\2{REDACTED}", text)
    text = _SDES.sub(rf"\1{REDACTED}", text)
    text = _ICE.sub(rf"\1{REDACTED}", text)
    text = _URI_PASSWORD.sub(rf"\1{REDACTED}\2", text)
    return _INFO_DIGIT.sub(rf"\1{REDACTED}", text)


def summarise(text: str) -> str:
    """One line: the start line, and for a response its CSeq."""
    start = text.partition("\n")[0].rstrip("\r")
    if start.upper().startswith("SIP/2.0 ") and (cseq := _CSEQ.search(text)):
        return f"{start[8:]} ({cseq[1].strip()})"
    return start.removesuffix(" SIP/2.0")


class MessageLog:
    """A bounded ring of messages; the oldest give way."""

    def __init__(self, max_entries: int = _MAX_ENTRIES, max_characters: int = _MAX_CHARACTERS) -> None:
        self._entries: deque[TraceEntry] = deque()
        self._max_entries = max_entries
        self._max_characters = max_characters
        self._characters = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[TraceEntry]:
        return iter(tuple(self._entries))

    def record(self, way: Way, flow: int, data: bytes, now: float) -> None:
        """Add one message; keep-alives are no messages."""
        if not data.strip(b"\r\n"):
            return
        text = redact(data[:_MAX_MESSAGE].decode("utf-8", "replace"))
        entry = TraceEntry(now, way, flow, summarise(text), text)
        _log.debug("%s %s", way.value, entry.summary)
        self._entries.append(entry)
        self._characters += len(text)
        while len(self._entries) > self._max_entries or self._characters > self._max_characters:
            self._characters -= len(self._entries.popleft().text)
