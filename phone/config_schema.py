"""Every key a configuration may hold: its type, its bounds, and the environment variable that stands above the files.

The names of ``[resilience]`` are the fields of :class:`sipcore.config.Resilience`, which a test holds them to: ``ctl``
reads the settings to find its socket and is not to load the SIP stack for that.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

MEDIA_CHOICES = ("auto", "rtp", "sdes", "webrtc")
TONE_COUNTRIES = ("auto", "us", "uk", "eu", "au", "fr", "jp")
RECORDING_BEEPS = ("start", "repeat", "never")
MAX_VOLUME = 150
"""In per cent."""

LANGUAGES = ("auto", "en", "es")
THEMES = ("auto", "dark", "light", "ansi")
THREE_WAY = ("auto", "yes", "no")


class Kind(enum.Enum):
    """What a value has to be; the text completes "must be ..."."""

    TEXT = "a text in quotes"
    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    NUMBER = "a number"
    ARGV = "a list of texts, the command and its arguments"
    SERVERS = "a server address or a list of them"
    KEYS = 'a table of actions and their keys, such as "call.answer" = "f2,a"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting."""

    kind: Kind
    environment: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    above: float | None = None
    """Exclusive lower bound."""

    maximum: float | None = None

    def problem(self, value: Any) -> str | None:
        """What is wrong with ``value``, to follow "must be "; None when it fits."""
        if not _fits(self.kind, value):
            return self.kind.value
        if any("\0" in text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)):
            return "without NUL characters"  # which no path, address or argument can hold
        if self.choices and value not in self.choices:
            return "one of " + ", ".join(self.choices)
        if self.minimum is not None and value < self.minimum:
            return f"{self.minimum:g} or more"
        if self.above is not None and value <= self.above:
            return f"more than {self.above:g}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.maximum:g} or less"
        return None


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        case Kind.ARGV:
            return _texts(value)
        case Kind.SERVERS:
            return (isinstance(value, str) and bool(value.strip())) or _texts(value)
        case Kind.KEYS:
            return isinstance(value, dict) and all(isinstance(keys, str) for keys in value.values())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _count(name: str) -> Key:
    return Key(kind=Kind.INTEGER, environment="OFFHOOK_" + name.upper(), minimum=1, maximum=1000)


def _seconds(name: str, *, may_be_zero: bool = False) -> Key:
    """A time. Zero turns some of them off, or means at once; of the others it would make a busy loop."""
    minimum, above = (0.0, None) if may_be_zero else (None, 0.0)
    variable = "OFFHOOK_" + name.upper()
    return Key(kind=Kind.NUMBER, environment=variable, minimum=minimum, above=above, maximum=86400)


_RESILIENCE: dict[str, Key] = {
    "preset": Key(kind=Kind.TEXT, environment="OFFHOOK_PRESET", choices=("stable", "unstable", "mobile")),
    "outbound": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_OUTBOUND"),
    "register_expires": Key(kind=Kind.INTEGER, environment="OFFHOOK_REGISTER_EXPIRES", minimum=30, maximum=86400),
    **{name: _count(name) for name in ("register_attempts", "max_reconnection_attempts")},
    **{
        name: _seconds(name)
        for name in (
            "register_timeout",
            "register_timeout_max",
            "connection_timeout",
            "reconnection_delay",
            "reconnection_timeout",
            "keep_alive_interval",
            "keep_alive_timeout",
            "ping_timeout",
            "auth_retry_max",
            "media_timeout",
        )
    },
    **{
        name: _seconds(name, may_be_zero=True)
        for name in (
            "register_delay",
            "ping_interval",
            "background_retry",
            "auth_retry",
            "fleet_spread",
            "probe_interval",
        )
    },
}

SCHEMA: dict[str, dict[str, Key]] = {
    "account": {
        "server": Key(kind=Kind.SERVERS, environment="OFFHOOK_SERVER"),
        "phantom_id": Key(kind=Kind.TEXT, environment="OFFHOOK_PHANTOM_ID"),
        "username": Key(kind=Kind.TEXT, environment="OFFHOOK_USERNAME"),
        "domain": Key(kind=Kind.TEXT, environment="OFFHOOK_DOMAIN"),
        "auth_username": Key(kind=Kind.TEXT, environment="OFFHOOK_AUTH_USERNAME"),
        "display_name": Key(kind=Kind.TEXT, environment="OFFHOOK_DISPLAY_NAME"),
        "media": Key(kind=Kind.TEXT, environment="OFFHOOK_MEDIA", choices=MEDIA_CHOICES),
        "tls_ca": Key(kind=Kind.TEXT, environment="OFFHOOK_TLS_CA"),
        "password_command": Key(kind=Kind.ARGV, environment="OFFHOOK_PASSWORD_COMMAND"),
    },
    "resilience": _RESILIENCE,
    "audio": {
        "input": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_INPUT"),
        "output": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_OUTPUT"),
        "ring": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RING"),
        "volume": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_VOLUME", minimum=0, maximum=MAX_VOLUME),
        "ring_volume": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_RING_VOLUME", minimum=0, maximum=MAX_VOLUME),
        "microphone_gain": Key(kind=Kind.NUMBER, environment="OFFHOOK_AUDIO_MICROPHONE_GAIN", minimum=-20, maximum=20),
        "recordings": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RECORDINGS"),
        "recording_beep": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RECORDING_BEEP", choices=RECORDING_BEEPS),
        "country": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_COUNTRY", choices=TONE_COUNTRIES),
        "echo_cancelling": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_AUDIO_ECHO_CANCELLING"),
        "dtx": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_AUDIO_DTX"),
        "key_tones": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_AUDIO_KEY_TONES"),
        "ring_file": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RING_FILE"),
        "ring_file_internal": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RING_FILE_INTERNAL"),
        "port_min": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_PORT_MIN", minimum=1024, maximum=65534),
        "port_max": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_PORT_MAX", minimum=1024, maximum=65534),
    },
    "log": {"verbose": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_VERBOSE")},
    "control": {"socket": Key(kind=Kind.TEXT, environment="OFFHOOK_SOCKET")},
    "console": {
        "language": Key(kind=Kind.TEXT, environment="OFFHOOK_LANGUAGE", choices=LANGUAGES),
        "theme": Key(kind=Kind.TEXT, environment="OFFHOOK_THEME", choices=THEMES),
        "ssh": Key(kind=Kind.TEXT, environment="OFFHOOK_SSH", choices=THREE_WAY),
        "meters": Key(kind=Kind.TEXT, environment="OFFHOOK_METERS", choices=THREE_WAY),
        "keys": Key(kind=Kind.KEYS, environment="OFFHOOK_KEYS"),
    },
}

SECRET_KEYS = frozenset({"password", "secret", "auth_password"})
"""People write these by habit; they are refused with a pointer to where the password goes."""
