"""Every key a configuration may hold: its type, its bounds, and the environment variable that stands above the files.

The names of ``[resilience]`` are the fields of :class:`sipcore.config.Resilience`, so that a promise and its setting
cannot drift apart.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass
from typing import Any

from sipcore.config import PRESETS, Resilience

MEDIA_CHOICES = ("auto", "rtp", "sdes", "webrtc")
TONE_COUNTRIES = ("us", "uk", "eu", "au", "fr", "jp")


class Kind(enum.Enum):
    """What a value has to be; the text completes "must be ..."."""

    TEXT = "a text in quotes"
    BOOLEAN = "true or false"
    INTEGER = "a whole number"
    NUMBER = "a number"
    ARGV = "a list of texts, the command and its arguments"
    SERVERS = "a server address or a list of them"


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


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


_MAY_BE_ZERO = frozenset(
    {"register_delay", "ping_interval", "background_retry", "auth_retry", "fleet_spread", "probe_interval"}
)
"""Zero turns these off, or means at once; of the others it would make a busy loop."""


def _resilience() -> dict[str, Key]:
    keys = {
        "preset": Key(kind=Kind.TEXT, environment="OFFHOOK_PRESET", choices=PRESETS),
        "register_expires": Key(kind=Kind.INTEGER, environment="OFFHOOK_REGISTER_EXPIRES", minimum=30, maximum=86400),
    }
    for item in dataclasses.fields(Resilience):
        variable = "OFFHOOK_" + item.name.upper()
        if isinstance(item.default, int):
            keys[item.name] = Key(kind=Kind.INTEGER, environment=variable, minimum=1, maximum=1000)
        elif item.name in _MAY_BE_ZERO:
            keys[item.name] = Key(kind=Kind.NUMBER, environment=variable, minimum=0, maximum=86400)
        else:
            keys[item.name] = Key(kind=Kind.NUMBER, environment=variable, above=0, maximum=86400)
    return keys


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
    "resilience": _resilience(),
    "audio": {
        "input": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_INPUT"),
        "output": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_OUTPUT"),
        "ring": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_RING"),
        "country": Key(kind=Kind.TEXT, environment="OFFHOOK_AUDIO_COUNTRY", choices=TONE_COUNTRIES),
        "port_min": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_PORT_MIN", minimum=1024, maximum=65534),
        "port_max": Key(kind=Kind.INTEGER, environment="OFFHOOK_AUDIO_PORT_MAX", minimum=1024, maximum=65534),
    },
    "log": {"verbose": Key(kind=Kind.BOOLEAN, environment="OFFHOOK_VERBOSE")},
    "control": {"socket": Key(kind=Kind.TEXT, environment="OFFHOOK_SOCKET")},
}

SECRET_KEYS = frozenset({"password", "secret", "auth_password"})
"""People write these by habit; they are refused with a pointer to where the password goes."""
