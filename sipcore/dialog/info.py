"""Bodies of INFO and of the voicemail indication: DTMF digits (de facto) and message summaries (RFC 3842 §5.2)."""

import re

from sipcore.events import MessageWaiting
from sipcore.message.message import Request

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"
DIGITS = "0123456789*#ABCD"

_DEFAULT_DURATION_MS = 160
_MAX_DURATION_MS = 10_000
_MAX_BODY = 4096
_SIGNAL = re.compile(r"^\s*signal\s*=\s*([0-9A-D*#])\s*$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^\s*duration\s*=\s*([0-9]{1,6})\s*$", re.IGNORECASE | re.MULTILINE)
_WAITING = re.compile(r"^messages-waiting[ \t]*:[ \t]*(yes|no)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_ACCOUNT = re.compile(r"^message-account[ \t]*:[ \t]*([^\r\n]{1,256}?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_VOICE = re.compile(r"^voice-message[ \t]*:[ \t]*([0-9]{1,9})[ \t]*/[ \t]*([0-9]{1,9})", re.IGNORECASE | re.MULTILINE)


def dtmf_relay(digit: str, duration_ms: int) -> bytes:
    """The body of an INFO that sends one digit."""
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()


def parse_dtmf_untrusted(request: Request) -> tuple[str, int] | None:
    """The digit and its duration in milliseconds, or None for any other INFO; raises ParseError."""
    content_type = request.content_type
    if content_type is None:
        return None
    text = request.body[:_MAX_BODY].decode("ascii", "replace")
    if content_type.essence == DTMF and len(text.strip()) == 1 and text.strip().upper() in DIGITS:
        return text.strip().upper(), _DEFAULT_DURATION_MS
    if content_type.essence not in (DTMF, DTMF_RELAY):
        return None
    signal, duration = _SIGNAL.search(text), _DURATION.search(text)
    if signal is None:
        return None
    milliseconds = int(duration[1]) if duration else _DEFAULT_DURATION_MS
    return signal[1].upper(), min(milliseconds, _MAX_DURATION_MS)


def parse_message_summary_untrusted(body: bytes) -> MessageWaiting | None:
    """The voicemail indication in a message-summary body, or None where it says nothing."""
    text = body[:_MAX_BODY].decode("utf-8", "replace")
    waiting = _WAITING.search(text)
    if waiting is None:
        return None
    account, voice = _ACCOUNT.search(text), _VOICE.search(text)
    return MessageWaiting(
        waiting=waiting[1].lower() == "yes",
        account=account[1] if account else "",
        new=int(voice[1]) if voice else None,
        old=int(voice[2]) if voice else None,
    )
