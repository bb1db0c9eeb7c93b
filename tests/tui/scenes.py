"""Still pictures of the console: fixed states at a fixed time, for snapshots, the pseudo-locale and the docs."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phone.config import Options
from phone.protocol import commands as cmd
from phone.protocol import events as ev
from phone.protocol.codec import to_json
from phone.protocol.health import HealthReport, Incident
from phone.protocol.phrases import Phrase
from phone.protocol.snapshots import (
    CallMedia,
    CallSlice,
    HistoryEntry,
    Reconnect,
    RegistrationSlice,
    TransportSlice,
    VoicemailSlice,
)
from phone.settings import Settings
from phone.state import PhoneState
from tests.tui.engine import CONFIG, DEVICES
from tui.bridge import Bridge, Viewer
from tui.console import ConsoleApp, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phone.protocol.settings import SettingField, SettingValue

NOW = 1_790_000_000.0
"""Monday 21 September 2026, 14:13:20 UTC."""

CONFIG_PATH = "~/.config/offhook/config.toml"


def freeze_clock() -> None:
    """The same hours and days on every machine."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def _call(**parts: Any) -> CallSlice:
    values: dict[str, Any] = {
        "id": "a",
        "direction": "out",
        "state": "active",
        "peer": "+442079460018",
        "display_name": "Alice Example",
        "started_at": NOW - 260,
        "answered_at": NOW - 252,
        "codec": "PCMU",
        "media": CallMedia(mos=4.3, loss=0.001, jitter_ms=6.2, rtt_ms=38.0),
    }
    return CallSlice(**(values | parts))


HELD = _call(id="b", display_name="Bob Support", peer="1007", held=True, answered_at=NOW - 190)
RINGING = _call(
    id="c", direction="in", state="ringing", peer="1012", display_name="Carol", started_at=NOW - 6, answered_at=None
)


def _over(entry: int, ago_s: float, peer: str, name: str = "", **parts: Any) -> HistoryEntry:
    values: dict[str, Any] = {"direction": "in", "outcome": "answered", "duration_s": 42.0}
    answered = NOW - ago_s if parts.get("outcome", "answered") == "answered" else None
    return HistoryEntry(
        id=entry, peer=peer, display_name=name, started_at=NOW - ago_s, answered_at=answered, **(values | parts)
    )


RECENT = (
    _over(6, 300, "+442079460018", "Alice Example"),
    _over(5, 1900, "+442079460007", outcome="missed"),
    _over(4, 2600, "1007", "Bob Support", direction="out", duration_s=190.0),
    _over(3, 4300, "603", direction="out", outcome="busy"),
    _over(2, 90_000, "1012", "Carol", duration_s=115.0),
    _over(1, 200_000, "600", direction="out", duration_s=3700.0),
)

IDLE = PhoneState(
    registration=RegistrationSlice(state="registered", account="1001@pbx.example.com", expires_at=NOW + 300),
    transport=TransportSlice(state="connected", server="wss://pbx.example.com:8089/ws", rtt_ms=12.0),
    voicemail=VoicemailSlice(waiting=True, new=2),
    recent=RECENT,
)
IN_CALL = replace(IDLE, calls=(_call(), HELD))
BUSY = replace(IDLE, calls=(_call(), HELD, RINGING))
RECONNECTING = replace(
    IDLE,
    registration=RegistrationSlice(
        state="registering",
        account="1001@pbx.example.com",
        reconnect=Reconnect(what="transport", attempt=3, max=10, next_at=NOW + 7.5),
    ),
    transport=TransportSlice(server="wss://pbx.example.com:8089/ws", reason="-"),
)
REFUSED = replace(
    IDLE,
    registration=RegistrationSlice(
        state="failed", account="1001@pbx.example.com", status=401, credentials_refused=True
    ),
)

HEALTH = HealthReport(
    days=12,
    disconnections=3,
    disconnections_per_day=0.25,
    reconnections=3,
    reconnection_success_rate=1.0,
    mean_reconnection_s=1.4,
    keep_alives=11_520,
    keep_alive_failure_rate=0.0003,
    mean_keep_alive_rtt_ms=12.3,
    incidents=(
        Incident(at=NOW - 86_000, kind="reconnected", seconds=1.4, count=1),
        Incident(at=NOW - 86_002, kind="lost", reason=Phrase("{where} broke the connection.", where="1@pbx")),
    ),
)

EVENTS: tuple[ev.Event, ...] = (
    ev.TransportConnected(at=NOW - 900, server="wss://pbx.example.com:8089/ws"),
    ev.Registered(at=NOW - 899, account="1001@pbx.example.com", expires_s=600),
    ev.IncomingCall(at=NOW - 300, call="a", peer="1007"),
)


class StillBridge(Bridge):
    """Shows one state and answers what screens ask; there is no engine."""

    def __init__(self, state: PhoneState) -> None:
        super().__init__(Path("nowhere"))
        self._still = state

    async def run(self, viewer: Viewer) -> None:
        """Show the state, then nothing ever happens."""
        viewer.on_state(self._still, attached=True)
        await asyncio.Event().wait()

    async def send(self, command: cmd.Command) -> Any:
        """What an engine would say."""
        match command:
            case cmd.Settings():
                return to_json(replace(described(), file=CONFIG_PATH))
            case cmd.Devices():
                return DEVICES
            case cmd.Meters():
                return {"levels": {"input_dbfs": -24.0, "output_dbfs": -34.0}}
            case cmd.Stats():
                return {"health": to_json(HEALTH), "calls": {}}
            case cmd.TailLog():
                return {"file": "offhook.log", "lines": ["14:13:19 200 OK (OPTIONS)", "14:13:20 ..."]}
            case _:
                return {}

    async def start_engine(self) -> None:
        """There is none to start."""


def described() -> Any:
    """The settings of a small file, wherever it lies."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "config.toml"
        file.write_text(CONFIG)
        reply = Settings(Options(config=file), {"HOME": directory}).describe()
    return replace(reply, fields=tuple(replace(field, origin="") for field in reply.fields))


class StillSetup:
    """Nothing is configured and nothing is written."""

    file = CONFIG_PATH

    def fields(self) -> Sequence[SettingField]:
        """Blank fields."""
        fields: Sequence[SettingField] = described().fields
        return [replace(field, text=field.default) for field in fields]

    def write(self, values: Sequence[SettingValue], password: str | None) -> None:
        """Nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture: what the phone is doing, and which keys were pressed since."""

    name: str
    state: PhoneState = IDLE
    press: tuple[str, ...] = ()
    setup: bool = False

    def app(self, theme: str = "dark", *, meters: bool = True) -> ConsoleApp:
        """A console that shows it."""
        freeze_clock()
        app = ConsoleApp(
            StillBridge(self.state),
            Profile(theme=theme, default_theme=theme, meters=meters, poll_s=0.02),
            setup=StillSetup() if self.setup else None,
            clock=lambda: NOW,
        )
        for event in EVENTS:
            app.timeline.note(event)
        return app


SCENES: tuple[Scene, ...] = (
    Scene(name="idle"),
    Scene(name="call", state=IN_CALL),
    Scene(name="ringing", state=BUSY),
    Scene(name="reconnecting", state=RECONNECTING),
    Scene(name="refused", state=REFUSED),
    Scene(name="search", press=("slash", "B", "o", "b")),
    Scene(name="settings", press=("ctrl+s",)),
    Scene(name="help", state=IN_CALL, press=("f1",)),
    Scene(name="quit", state=IN_CALL, press=("f10",)),
    Scene(name="transfer", state=IN_CALL, press=("f6",)),
    Scene(name="log", press=("ctrl+l",)),
    Scene(name="health", press=("ctrl+y",)),
    Scene(name="wizard", setup=True),
    Scene(name="wizard-account", setup=True, press=("ctrl+n",)),
)
BY_NAME = {scene.name: scene for scene in SCENES}
