"""Settings are checked as a whole before a byte is written, and what a change touches is applied and nothing else."""

from __future__ import annotations

import asyncio
import stat
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from phone.config import Configuration, Options
from phone.config_layers import ConfigError
from phone.config_schema import SCHEMA, Kind
from phone.protocol.commands import CommandRefused
from phone.protocol.settings import SettingField, SettingValue, problem_of
from phone.settings import LiveSettings, Settings
from phone.settings_file import write_text
from phone.settings_table import ENTRIES, blank_field, schema_key
from tests.audio.calling import write_wave

if TYPE_CHECKING:
    from pathlib import Path

FILE = """# my phone
[account]
server = "ws://127.0.0.1:8088"  # the lab
username = "1001"

[resilience]
keep_alive_interval = 60
"""


def settings(tmp_path: Path, text: str = FILE, **environ: str) -> tuple[Settings, Path]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return Settings(Options(config=file), {"HOME": str(tmp_path), **environ}), file


def fields(found: Settings) -> dict[str, SettingField]:
    return {field.key: field for field in found.describe().fields}


class Running:
    """A phone that notes what it is told."""

    def __init__(self) -> None:
        self.busy = False
        self.told: list[str] = []

    async def use_devices(self, configuration: Configuration) -> None:
        self.told.append(f"devices {configuration.audio.input}")

    async def use_tones(self, configuration: Configuration) -> None:
        audio = configuration.audio
        self.told.append(f"tones {audio.country} {audio.key_tones} {audio.ring_file}")

    def use_levels(self, configuration: Configuration) -> None:
        self.told.append(f"volume {configuration.audio.volume}")

    def use_verbose(self, on: bool) -> None:
        self.told.append(f"verbose {on}")

    async def use_password(self, password: str) -> None:
        self.told.append("password")

    async def use_configuration(self, configuration: Configuration) -> None:
        account = configuration.require_account()
        self.told.append(f"configuration {account.address_of_record} {configuration.resilience.keep_alive_interval:g}")


def test_every_field_has_its_value_and_where_it_comes_from(tmp_path: Path) -> None:
    found, file = settings(tmp_path, OFFHOOK_DISPLAY_NAME="Desk")
    shown = fields(found)
    assert shown["account.server"].text == "ws://127.0.0.1:8088"
    assert shown["account.server"].origin == f"{file}, line 3"
    assert shown["resilience.keep_alive_interval"].text == "60"
    assert shown["resilience.keep_alive_interval"].default == "90"
    assert shown["resilience.register_attempts"].text == "3"
    assert shown["account.display_name"].fixed
    assert not shown["account.server"].fixed
    assert shown["log.verbose"].text == "off"


def test_a_preset_shows_in_the_numbers_that_follow_it(tmp_path: Path) -> None:
    found, _ = settings(tmp_path, FILE.replace("keep_alive_interval = 60", 'preset = "unstable"'))
    assert fields(found)["resilience.max_reconnection_attempts"].text == "20"


def test_writing_keeps_comments_and_order(tmp_path: Path) -> None:
    found, file = settings(tmp_path)
    found.write(
        [SettingValue(key="account.display_name", text="Front desk"), SettingValue(key="audio.input", text="USB")]
    )
    text = file.read_text()
    assert text.startswith('# my phone\n[account]\nserver = "ws://127.0.0.1:8088"  # the lab\nusername = "1001"\n')
    assert 'display_name = "Front desk"' in text
    assert '[audio]\ninput = "USB"' in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert fields(found)["audio.input"].text == "USB"


def test_an_empty_text_takes_a_setting_out(tmp_path: Path) -> None:
    found, file = settings(tmp_path)
    found.write([SettingValue(key="resilience.keep_alive_interval", text="")])
    assert "keep_alive_interval" not in file.read_text()


def test_several_servers_become_a_list(tmp_path: Path) -> None:
    found, file = settings(tmp_path)
    found.write([SettingValue(key="account.server", text="wss://a:8089/ws, wss://b:8089/ws")])
    assert 'server = ["wss://a:8089/ws", "wss://b:8089/ws"]' in file.read_text()


def test_a_new_file_is_private_and_complete(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    found = Settings(Options(config=file), {"HOME": str(tmp_path)})
    assert fields(found)["account.server"].text == ""
    found.write([SettingValue(key="account.server", text="pbx"), SettingValue(key="account.username", text="1001")])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert found.load().require_account().address_of_record == "sip:1001@pbx"


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("account.server", "", "may not be empty"),
        ("account.server", "http://pbx", "does not fit"),
        ("account.username", "a b", "does not fit"),
        ("account.media", "best", "one of auto"),
        ("resilience.register_attempts", "0", "1 or more"),
        ("resilience.register_attempts", "x", "whole number"),
        ("resilience.keep_alive_interval", "0", "more than 0"),
        ("audio.volume", "151", "150 or less"),
        ("audio.volume", "-1", "0 or more"),
        ("audio.ring_volume", "loud", "whole number"),
        ("audio.microphone_gain", "21", "20 or less"),
        ("audio.recording_beep", "sometimes", "one of start"),
        ("account.tls_ca", "/nowhere/ca.pem", "no file"),
        ("audio.country", "de", "one of auto, us, uk, eu, au, fr, jp"),
        ("audio.key_tones", "loud", "does not fit"),
        ("console.keys", "x", "no setting"),
        ("nothing.at_all", "x", "no setting"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path: Path, key: str, text: str, words: str) -> None:
    found, file = settings(tmp_path)
    with pytest.raises(ConfigError, match=words):
        found.write([SettingValue(key="account.display_name", text="New"), SettingValue(key=key, text=text)])
    assert file.read_text() == FILE


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_the_form_checks_what_the_file_checks(entry: object) -> None:
    """Bounds travel with the field, so that the console refuses while somebody types."""
    assert entry in ENTRIES
    field = blank_field(next(item for item in ENTRIES if item is entry))
    key = schema_key(next(item for item in ENTRIES if item is entry))
    assert (field.minimum, field.above, field.maximum) == (key.minimum, key.above, key.maximum)
    assert not field.default or problem_of(field, field.default) is None
    assert not field.example or problem_of(field, field.example) is None
    if key.kind in (Kind.INTEGER, Kind.NUMBER):
        assert problem_of(field, "many") is not None


def test_every_key_is_in_the_form_or_left_out_on_purpose() -> None:
    hidden = {
        "account.phantom_id",
        "account.password_command",
        "audio.dtx",
        "audio.port_min",
        "audio.port_max",
        "control.socket",
        "console.keys",
        "resilience.register_timeout_max",
        "resilience.auth_retry_max",
        "resilience.fleet_spread",
        "resilience.probe_interval",
        "resilience.outbound",
    }
    known = {f"{section}.{name}" for section, keys in SCHEMA.items() for name in keys}
    assert {entry.key for entry in ENTRIES} == known - hidden


def live(tmp_path: Path) -> tuple[LiveSettings, Running, Path]:
    found, file = settings(tmp_path)
    running = Running()
    return LiveSettings(found, running, found.load()), running, file


def test_only_what_differs_is_applied(tmp_path: Path) -> None:
    changing, running, _ = live(tmp_path)

    async def scenario() -> None:
        values = (SettingValue(key="audio.input", text="USB"), SettingValue(key="log.verbose", text="on"))
        changed = await changing.change(values, password=None, keep_password=False)
        assert changed.applied == ("audio.input", "log.verbose")
        assert running.told == ["devices USB", "verbose True"]
        changed = await changing.change(
            (
                SettingValue(key="resilience.keep_alive_interval", text="45"),
                SettingValue(key="console.ssh", text="yes"),
            ),
            password=None,
            keep_password=False,
        )
        assert changed.restart == ("console.ssh",)
        assert running.told[2:] == ["configuration sip:1001@127.0.0.1 45"]

    asyncio.run(scenario())


def test_tones_and_bells_change_in_the_midst_of_a_call(tmp_path: Path) -> None:
    changing, running, file = live(tmp_path)
    running.busy = True
    write_wave(tmp_path / "bell.wav", np.ones(8000, dtype=np.int16))

    async def scenario() -> None:
        values = (
            SettingValue(key="audio.country", text="jp"),
            SettingValue(key="audio.key_tones", text="off"),
            SettingValue(key="audio.ring_file", text="bell.wav"),
        )
        changed = await changing.change(values, password=None, keep_password=False)
        assert set(changed.applied) == {"audio.country", "audio.key_tones", "audio.ring_file"}
        assert running.told == [f"tones jp False {tmp_path}/bell.wav"]
        assert 'ring_file = "bell.wav"' in file.read_text()

    asyncio.run(scenario())


def test_a_ring_file_that_cannot_be_played_is_refused_before_it_is_written(tmp_path: Path) -> None:
    found, file = settings(tmp_path)
    (tmp_path / "text.wav").write_text("not sound")
    for name, words in (("absent.wav", "there is no such file"), ("text.wav", "not a WAV file")):
        with pytest.raises(ConfigError, match=f"ring file {tmp_path}/{name} cannot be used: {words}"):
            found.write([SettingValue(key="audio.ring_file_internal", text=name)])
    assert file.read_text() == FILE


def test_one_that_was_written_by_hand_does_not_keep_other_settings_from_being_changed(tmp_path: Path) -> None:
    found, file = settings(tmp_path, FILE + '[audio]\nring_file = "absent.wav"\n')
    found.write([SettingValue(key="audio.key_tones", text="off")])
    assert "key_tones = false" in file.read_text()


def test_an_account_changed_in_a_call_waits_for_its_end(tmp_path: Path) -> None:
    changing, running, _ = live(tmp_path)
    running.busy = True

    async def scenario() -> None:
        values = (SettingValue(key="account.username", text="1002"), SettingValue(key="audio.output", text="none"))
        changed = await changing.change(values, password=None, keep_password=False)
        assert changed.after_calls == ("account.username",)
        assert changed.applied == ("audio.output",)

    asyncio.run(scenario())


def test_a_typed_password_stays_in_memory_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    changing, running, file = live(tmp_path)

    async def scenario() -> None:
        changed = await changing.change((), password="s3cret!", keep_password=False)
        assert (running.told, changed.password_kept) == (["password"], "")
        kept = (await changing.change((), password="s3cret!", keep_password=True)).password_kept
        assert kept.endswith("secrets.toml")
        assert "s3cret!" not in file.read_text()
        assert (await changing.describe()).password == "typed"

    asyncio.run(scenario())


def test_a_refusal_is_a_sentence(tmp_path: Path) -> None:
    changing, running, _ = live(tmp_path)
    values = (SettingValue(key="resilience.register_attempts", text="-1"),)
    with pytest.raises(CommandRefused, match="1 or more"):
        asyncio.run(changing.change(values, password=None, keep_password=False))
    assert running.told == []


def test_levels_need_no_new_phone(tmp_path: Path) -> None:
    changing, running, _ = live(tmp_path)

    async def scenario() -> None:
        for key, text in (("audio.volume", "80"), ("audio.microphone_gain", "6"), ("audio.recordings", "/tapes")):
            changed = await changing.change((SettingValue(key=key, text=text),), password=None, keep_password=False)
            assert changed.applied == (key,)
        assert running.told == ["volume 80"] * 3

    asyncio.run(scenario())


def test_a_volume_in_force_is_written_once_and_keeps_comments(tmp_path: Path) -> None:
    """A key held down: the last value counts, and what is asked for in between sees it."""
    changing, running, file = live(tmp_path)

    async def scenario() -> None:
        for percent in range(90, 20, -10):
            changing.keep_soon(SettingValue(key="audio.volume", text=str(percent)))
        assert file.read_text() == FILE
        shown = {field.key: field.text for field in (await changing.describe()).fields}
        assert shown["audio.volume"] == "30"
        assert running.told == []

    asyncio.run(scenario())
    assert file.read_text() == FILE + "\n[audio]\nvolume = 30\n"


def test_a_volume_that_cannot_be_written_is_in_force_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changing, _, file = live(tmp_path)
    file.write_text("[audio")

    async def scenario() -> None:
        changing.keep_soon(SettingValue(key="audio.volume", text="30"))
        await changing.keep()

    asyncio.run(scenario())
    assert "cannot be kept" in caplog.text
    assert file.read_text() == "[audio"


def test_a_setting_saved_while_a_volume_is_written_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read, edited and replaced; two who do that at once would each take the other's line out."""
    changing, _, file = live(tmp_path)
    overtaken = threading.Event()
    order: list[str] = []

    def write(path: Path, text: str) -> None:
        order.append(text)
        if len(order) == 1:
            overtaken.wait(0.2)
        else:
            overtaken.set()
        write_text(path, text)

    monkeypatch.setattr("phone.settings.write_text", write)

    async def scenario() -> None:
        changing.keep_soon(SettingValue(key="audio.volume", text="30"))
        change = changing.change((SettingValue(key="audio.input", text="USB"),), password=None, keep_password=False)
        await asyncio.gather(changing.keep(), change)
        shown = {field.key: field.text for field in (await changing.describe()).fields}
        assert (shown["audio.volume"], shown["audio.input"]) == ("30", "USB")

    asyncio.run(scenario())
    assert "volume = 30" in file.read_text()
    assert 'input = "USB"' in file.read_text()


def test_recordings_have_a_directory_wherever_one_is_named(tmp_path: Path) -> None:
    def directory(text: str) -> str:
        found, _ = settings(tmp_path, FILE + text)
        return found.load().audio.recordings

    assert directory("") == f"{tmp_path}/.local/state/offhook/recordings"
    for empty in ("", "  "):
        assert directory(f'[audio]\nrecordings = "{empty}"\n') == f"{tmp_path}/.local/state/offhook/recordings"
    assert directory('[audio]\nrecordings = "tapes"\n') == f"{tmp_path}/tapes"
    assert directory('[audio]\nrecordings = "/srv/tapes"\n') == "/srv/tapes"
