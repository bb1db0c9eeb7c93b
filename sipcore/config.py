"""Frozen settings of an account and of resilience; no files and no environment are read here.

The numbers of :class:`Resilience` are the promises R1 to R8 of docs/resilience.md, by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from sipcore.media import DEFAULT_CODECS, Codec

Scheme = Literal["ws", "wss", "tls", "tcp", "udp"]
MediaChoice = Literal["auto", "rtp", "sdes", "webrtc"]

_SCHEMES: dict[str, Scheme] = {"ws": "ws", "wss": "wss", "tls": "tls", "tcp": "tcp", "udp": "udp"}
_DEFAULT_PORTS: dict[Scheme, int] = {"ws": 80, "wss": 443, "tls": 5061, "tcp": 5060, "udp": 5060}
_VIA_TRANSPORTS: dict[Scheme, str] = {"ws": "WS", "wss": "WSS", "tls": "TLS", "tcp": "TCP", "udp": "UDP"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)|(ws|wss|tls|tcp|udp):(.*)", re.IGNORECASE)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?]\S*)?")
_PHANTOM = re.compile(r"\d{3,4}")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One server of an account; IPv6 hosts stand in brackets."""

    scheme: Scheme
    host: str
    port: int
    path: str = ""
    """Resource name with its query, starting with ``/`` for ws and wss; RFC 7118 leaves it to the server."""

    port_given: bool = True
    """False where the port is the scheme's default, so that RFC 3263 SRV look-ups are due."""

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read ``wss://host:8089/ws``, ``udp:host:5060``, ``udp://host`` or a bare host (``wss://HOST:8089/ws``).

        Raises ValueError with a sentence for the user.
        """
        name, rest = "", text.strip()
        if prefixed := _SCHEME.fullmatch(rest):
            name, rest = prefixed[1] or prefixed[3], prefixed[2] or prefixed[4] or ""
        match = _HOST.fullmatch(rest)
        if match is None:
            raise ValueError(f"{text!r} is not a server address; write for example wss://pbx.example.com:8089/ws")
        host, port, path = match["host"], match["port"], match["path"] or ""
        if port and not 0 < int(port) < 65536:
            raise ValueError(f"{text!r} has a port outside 1 to 65535")
        if not name:
            return cls("wss", host, int(port) if port else 8089, path or "/ws", port_given=True)
        scheme = _SCHEMES.get(name.lower())
        if scheme is None:
            raise ValueError(f"{text!r} has the unknown scheme {name!r}; use ws, wss, tls, tcp or udp")
        if scheme in ("ws", "wss"):
            path = path if path.startswith("/") else "/" + path
        elif path not in ("", "/"):
            raise ValueError(f"{text!r} has a path, which only ws and wss addresses may have")
        else:
            path = ""
        return cls(scheme, host, int(port) if port else _DEFAULT_PORTS[scheme], path, port_given=port is not None)

    @property
    def via_transport(self) -> str:
        """The transport token of a Via header (RFC 3261 §20.42, RFC 7118 §5.2)."""
        return _VIA_TRANSPORTS[self.scheme]

    @property
    def reliable(self) -> bool:
        """Whether retransmission timers are off (RFC 3261 §17)."""
        return self.scheme != "udp"

    @property
    def secure(self) -> bool:
        """Whether signalling is encrypted, so that SDES keys may travel in it (RFC 4568 §7)."""
        return self.scheme in ("wss", "tls")

    @property
    def websocket(self) -> bool:
        """Whether RFC 7118 rules apply: ``.invalid`` hosts, everything pinned to the flow."""
        return self.scheme in ("ws", "wss")

    def __str__(self) -> str:
        separator = "://" if self.websocket else ":"
        return f"{self.scheme}{separator}{self.host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One registration: who, where, and how media is offered. Holds no password."""

    servers: tuple[ServerAddress, ...]
    """In order of preference; the second and later ones are for failover."""

    username: str
    domain: str
    auth_username: str
    display_name: str = ""
    media: MediaChoice = "auto"
    instance_id: str = ""
    """``urn:uuid:...``, kept over restarts (RFC 5626 §4.1); empty leaves ``+sip.instance`` out."""

    expires_s: int = 600
    """The registration lifetime asked for."""

    user_agent: str = "Offhook"

    @property
    def address_of_record(self) -> str:
        """The SIP URI that is registered."""
        return f"sip:{self.username}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resilience:
    """Every number of the resilience promises; all times in seconds."""

    register_attempts: int = 3
    register_delay: float = 2.0
    register_timeout: float = 6.0
    """Per attempt on reliable transports; doubles after each time-out up to ``register_timeout_max``."""

    register_timeout_max: float = 32.0
    connection_timeout: float = 20.0
    max_reconnection_attempts: int = 10
    reconnection_delay: float = 2.0
    reconnection_timeout: float = 30.0
    """Cap of the gap between two connection attempts."""

    keep_alive_interval: float = 90.0
    keep_alive_timeout: float = 10.0
    ping_interval: float = 15.0
    """WebSocket ping of our own; 0 turns it off."""

    ping_timeout: float = 10.0
    background_retry: float = 60.0
    """Quiet retry after the promised attempts are used up; 0 turns it off."""

    auth_retry: float = 600.0
    """First slow attempt after refused credentials; doubles to ``auth_retry_max``; 0: none."""

    auth_retry_max: float = 1800.0
    media_timeout: float = 32.0
    fleet_spread: float = 0.5
    probe_interval: float = 0.5
    """Least distance of two reachability probes between scheduled attempts; 0 turns probing off."""

    outbound: bool = True
    """Whether a second flow is kept where the registrar confirms RFC 5626."""


_PRESETS: dict[str, dict[str, float]] = {
    "stable": {"max_reconnection_attempts": 10, "keep_alive_interval": 90.0},
    "unstable": {"max_reconnection_attempts": 20, "keep_alive_interval": 60.0},
    "mobile": {"max_reconnection_attempts": 15, "keep_alive_interval": 60.0},
}
PRESETS = tuple(_PRESETS)


def preset(name: str) -> Resilience:
    """The recommended settings called ``name``; raises ValueError for an unknown one."""
    if name not in _PRESETS:
        raise ValueError(f"{name!r} is not a preset; use one of {', '.join(PRESETS)}")
    values = _PRESETS[name]
    return replace(
        Resilience(),
        max_reconnection_attempts=int(values["max_reconnection_attempts"]),
        keep_alive_interval=values["keep_alive_interval"],
    )


def phantom_server(phantom_id: str) -> ServerAddress:
    """The original system's PBX for a 3 or 4 digit id; raises ValueError."""
    if not _PHANTOM.fullmatch(phantom_id):
        raise ValueError(f"phantom_id must be 3 or 4 digits, not {phantom_id!r}")
    return ServerAddress("wss", f"server1-{phantom_id}.phantomapi.net", 8089, "/ws")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """What a :class:`sipcore.stack.Stack` is built from."""

    account: Account
    resilience: Resilience = field(default_factory=Resilience)
    codecs: tuple[Codec, ...] = DEFAULT_CODECS
    """What an offer is accepted with; those a call is offered with come with its media."""
