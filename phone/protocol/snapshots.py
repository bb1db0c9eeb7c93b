"""The slices of the phone's state as they cross the control socket; :mod:`phone.state` composes and reduces them.

Times are Unix times in seconds, so that a client counts up or down by itself and the engine sends nothing each second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["in", "out"]
CallStateName = Literal["calling", "ringing", "early", "active", "ending"]
RegistrationName = Literal["unregistered", "registering", "registered", "failed"]
TransportName = Literal["connected", "connecting", "disconnected"]
Outcome = Literal["answered", "missed", "cancelled", "rejected", "busy", "failed", "elsewhere"]
"""How a call went: ``cancelled`` is our own change of mind, ``missed`` the caller's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """An attempt that runs or is waited for."""

    what: Literal["registration", "transport"]
    attempt: int
    max: int
    next_at: float
    """When the attempt starts; in the past while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSlice:
    """Whether the PBX sends calls here."""

    state: RegistrationName = "unregistered"
    account: str = ""
    """Address of record, without ``sip:``."""

    expires_at: float | None = None
    reason: str = ""
    """Why it is not registered, in the PBX's words or ours."""

    status: int = 0
    """The PBX's last refusal, 0 without one."""

    credentials_refused: bool = False
    """The password is wrong: ask for another."""

    reconnect: Reconnect | None = None
    """None when idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSlice:
    """The connection to the PBX."""

    state: TransportName = "disconnected"
    server: str = ""
    reason: str = ""
    """Why it was lost last."""

    network: Literal["online", "offline"] = "online"
    rtt_ms: float | None = None
    """Of the last answered keep-alive."""

    keep_alive_s: float | None = None
    """Interval of the keep-alive, None while it stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMedia:
    """How a call sounds."""

    mos: float | None = None
    loss: float = 0.0
    """Fraction of packets lost, 0 to 1."""

    jitter_ms: float = 0.0
    underruns: int = 0
    """Times a sound device had too little."""

    overruns: int = 0
    """Times a sound device had too much, and some was thrown away."""

    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSlice:
    """One call. What the network sent is cut to size and free of control characters, and still untrusted."""

    id: str
    direction: Direction
    state: CallStateName
    peer: str
    peer_uri: str = ""
    display_name: str = ""
    called: str = ""
    """Which of our numbers was called, where the PBX says so."""

    internal: bool = False
    """A colleague calls, by the PBX's word."""

    started_at: float
    answered_at: float | None = None
    codec: str | None = None
    security: str | None = None
    """``sdes`` or ``dtls``; None for plain RTP and before media."""

    held: bool = False
    """By us."""

    held_by_peer: bool = False
    muted: bool = False
    media: CallMedia | None = None
    media_silent: bool = False
    """Nothing is heard from the far end although it may speak."""

    microphone_silent: bool = False
    """The far end hears nothing: the microphone's level does not vary."""

    microphone_warned: bool = False
    """That was so before in this call, and told."""

    recording: str = ""
    """The file both sides are recorded to; empty while they are not."""

    signalling_lost: bool = False
    """The far end can be told nothing; a call whose sound is up goes on all the same."""

    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicemailSlice:
    """Message-waiting indication; counts are None where the PBX sends none."""

    waiting: bool = False
    new: int | None = None
    old: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSlice:
    """Which devices are asked for, and what is wrong with them."""

    input: str = "default"
    output: str = "default"
    ring: str = "default"
    volume: int = 100
    """Of calls, in per cent."""

    ring_volume: int = 100
    problem: str | None = None
    """Machine word for what fails, None while all is well."""

    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One call that is over."""

    id: int
    direction: Direction
    outcome: Outcome
    peer: str
    peer_uri: str = ""
    display_name: str = ""
    started_at: float
    answered_at: float | None = None
    duration_s: float = 0.0
    """Counted from the answer."""

    status: int = 0
    reason: str = ""
    account: str = ""
