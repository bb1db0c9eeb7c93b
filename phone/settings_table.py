"""The settings a form shows, in its order: one table of texts, beside the types and bounds of the schema.

Titles and explanations are catalogue keys: English here, translated by whoever shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phone.config_schema import SCHEMA, Kind
from phone.protocol.settings import FieldKind, SettingField

if TYPE_CHECKING:
    from phone.config_schema import Key

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)"
_SERVER = rf"(?:(?:wss?|tls|tcp|udp):(?://)?)?{_HOST}(?::\d{{1,5}})?(?:[/?]\S*)?"
_USER = r"[A-Za-z0-9\-_.!~*'()&=+$,;?/%]+"


def mark(text: str) -> str:
    """Marks a catalogue key at its definition."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting as people see it."""

    key: str
    title: str
    help: str
    default: str = ""
    pattern: str = ""
    example: str = ""
    required: bool = False
    restart: bool = False
    """It takes effect only with the next start of the engine or the console."""

    device: bool = False


def _account() -> tuple[Entry, ...]:
    return (
        Entry(
            key="account.server",
            title=mark("Server"),
            help=mark("The PBX; several with commas between them, the first one that works is used"),
            pattern=_SERVER,
            example="wss://pbx.example.com:8089/ws",
            required=True,
        ),
        Entry(
            key="account.username",
            title=mark("User name"),
            help=mark("Your extension, as the PBX knows it"),
            pattern=_USER,
            example="1001",
            required=True,
        ),
        Entry(
            key="account.auth_username",
            title=mark("Login name"),
            help=mark("Only where the PBX asks for another name than the user name"),
        ),
        Entry(
            key="account.domain",
            title=mark("Domain"),
            help=mark("Only where it is not the server's host name"),
            pattern=_HOST,
            example="pbx.example.com",
        ),
        Entry(key="account.display_name", title=mark("Display name"), help=mark("What the people you call see")),
        Entry(
            key="account.media",
            title=mark("Media"),
            help=mark("How sound is sent: plain RTP, encrypted with SDES, or WebRTC; auto asks the PBX for the best"),
            default="auto",
        ),
        Entry(
            key="account.tls_ca",
            title=mark("Extra authority"),
            help=mark("A file of certificates to trust beside the system's, for a PBX with its own authority"),
            example="/etc/ssl/pbx.pem",
        ),
    )


def _sound() -> tuple[Entry, ...]:
    device = mark("A device's name or part of it; default is the system's own, none is silence")
    return (
        Entry(key="audio.input", title=mark("Microphone"), help=device, default="default", device=True),
        Entry(key="audio.output", title=mark("Speaker"), help=device, default="default", device=True),
        Entry(key="audio.ring", title=mark("Ring on"), help=device, default="default", device=True),
        Entry(
            key="audio.volume",
            title=mark("Volume"),
            help=mark("Of calls, in per cent; 100 is as it comes. Ctrl+Up and Ctrl+Down change it at any time"),
            default="100",
        ),
        Entry(key="audio.ring_volume", title=mark("Ring volume"), help=mark("Of the bell, in per cent"), default="100"),
        Entry(
            key="audio.microphone_gain",
            title=mark("Microphone gain"),
            help=mark("Decibels added to your voice; loud peaks are rounded off, not cut off"),
            default="0",
        ),
        Entry(
            key="audio.recordings",
            title=mark("Recordings"),
            help=mark("The directory for calls you record; empty: with Offhook's own files"),
        ),
        Entry(
            key="audio.recording_beep",
            title=mark("Recording beep"),
            help=mark("Tells both sides that a call is recorded: at the start, repeated every 15 seconds, or never"),
            default="start",
        ),
        Entry(
            key="audio.country",
            title=mark("Tones of"),
            help=mark("Whose ringing, busy and error tones you hear; auto follows the system's language"),
            default="auto",
        ),
        Entry(
            key="audio.key_tones",
            title=mark("Key tones"),
            help=mark("Hear the digits you send in a call; the other side gets them either way"),
            default="on",
        ),
        Entry(
            key="audio.ring_file",
            title=mark("Own bell"),
            help=mark("A WAV file of at most 30 seconds; empty is the built-in bell"),
            example="~/bell.wav",
        ),
        Entry(
            key="audio.ring_file_internal",
            title=mark("Colleagues' bell"),
            help=mark("The same for internal calls, where the PBX marks them; empty rings as for everybody"),
            example="~/colleague.wav",
        ),
        Entry(
            key="audio.echo_cancelling",
            title=mark("Echo cancelling"),
            help=mark("For loudspeakers: takes out echo and noise; needs the extra offhook[aec]"),
            default="off",
        ),
    )


def _resilience() -> tuple[Entry, ...]:
    texts = (
        ("preset", mark("Preset"), mark("Recommended numbers for a kind of network; any number below stands above it")),
        ("register_attempts", mark("Register: attempts"), mark("How many attempts to register in a row")),
        ("register_delay", mark("Register: pause"), mark("Seconds between two of them")),
        ("register_timeout", mark("Register: patience"), mark("Seconds to wait for the PBX's answer")),
        ("register_expires", mark("Register: lifetime"), mark("Seconds a registration lasts; renewed well before")),
        ("connection_timeout", mark("Connect: patience"), mark("Seconds for one attempt to connect")),
        ("max_reconnection_attempts", mark("Reconnect: attempts"), mark("How many before the failure is reported")),
        ("reconnection_delay", mark("Reconnect: first pause"), mark("Seconds; doubles with each attempt")),
        ("reconnection_timeout", mark("Reconnect: longest pause"), mark("Seconds the pause never exceeds")),
        ("background_retry", mark("Reconnect: quiet retry"), mark("Seconds between tries after a failure; 0: none")),
        ("keep_alive_interval", mark("Keep-alive: interval"), mark("Seconds between two OPTIONS requests")),
        ("keep_alive_timeout", mark("Keep-alive: patience"), mark("Seconds until a missing answer means a loss")),
        ("ping_interval", mark("Ping: interval"), mark("Seconds between two WebSocket pings; 0: none")),
        ("ping_timeout", mark("Ping: patience"), mark("Seconds until a missing pong means a loss")),
        (
            "auth_retry",
            mark("Wrong password: retry"),
            mark("Seconds until a refused password is tried again; 0: never"),
        ),
        ("media_timeout", mark("Silence: patience"), mark("Seconds without sound until the far end is called silent")),
    )
    return tuple(Entry(key=f"resilience.{name}", title=title, help=help) for name, title, help in texts)


def _rest() -> tuple[Entry, ...]:
    return (
        Entry(
            key="log.verbose",
            title=mark("Verbose log"),
            help=mark("Write every message to the log; passwords are never written"),
            default="off",
        ),
        Entry(key="console.language", title=mark("Language"), help=mark("auto follows the system"), default="auto"),
        Entry(key="console.theme", title=mark("Theme"), help=mark("Colours of this screen"), default="auto"),
        Entry(
            key="console.ssh",
            title=mark("Save bytes"),
            help=mark("For slow lines: sixteen colours, no mouse; auto: over SSH"),
            default="auto",
            restart=True,
        ),
        Entry(
            key="console.meters",
            title=mark("Sound meters"),
            help=mark("Show how loud both sides are in a call; auto: not over SSH"),
            default="auto",
        ),
    )


ENTRIES: tuple[Entry, ...] = (*_account(), *_sound(), *_resilience(), *_rest())

_KINDS: dict[Kind, FieldKind] = {
    Kind.TEXT: "text",
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.SERVERS: "servers",
    Kind.ARGV: "command",
}


def schema_key(entry: Entry) -> Key:
    """Type and bounds of an entry."""
    section, _, name = entry.key.partition(".")
    return SCHEMA[section][name]


def blank_field(entry: Entry) -> SettingField:
    """The entry with its bounds and without a value."""
    key = schema_key(entry)
    kind: FieldKind = "choice" if key.choices else "device" if entry.device else _KINDS[key.kind]
    return SettingField(
        key=entry.key,
        title=entry.title,
        help=entry.help,
        kind=kind,
        text=entry.default,
        default=entry.default,
        required=entry.required,
        choices=key.choices,
        minimum=key.minimum,
        above=key.above,
        maximum=key.maximum,
        pattern=entry.pattern,
        example=entry.example,
    )
