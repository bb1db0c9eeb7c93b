"""Settings: where they come from, what they may be, and how a mistake is told."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from phone.config import ConfigError, Configuration, Options, load
from phone.config_schema import SCHEMA
from sipcore.config import PRESETS, Resilience

if TYPE_CHECKING:
    from pathlib import Path

MINIMAL = '[account]\nserver = "wss://pbx.example.com:8089/ws"\nusername = "1001"\n'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home of its own."""
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "user"),
        "XDG_CONFIG_DIRS": str(tmp_path / "site"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }


def write(directory: Path, text: str, name: str = "config.toml") -> Path:
    file = directory / "offhook" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def load_text(tmp_path: Path, environ: dict[str, str], text: str) -> Configuration:
    write(tmp_path / "user", text)
    return load(Options(), environ)


def refusal(tmp_path: Path, environ: dict[str, str], text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, environ, text).require_account()
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


class TestDefaults:
    def test_two_keys_are_enough(self, tmp_path: Path, environ: dict[str, str]) -> None:
        configuration = load_text(tmp_path, environ, MINIMAL)
        account = configuration.require_account()
        assert str(account.servers[0]) == "wss://pbx.example.com:8089/ws"
        assert (account.username, account.auth_username, account.domain) == ("1001", "1001", "pbx.example.com")
        assert (account.media, account.display_name, account.expires_s) == ("auto", "", 600)
        assert configuration.resilience == Resilience()
        assert configuration.socket == tmp_path / "run/offhook/default.sock"
        assert configuration.log_file == tmp_path / "state/offhook/offhook.log"
        assert configuration.verbose is False

    def test_nothing_at_all_is_no_account(self, environ: dict[str, str]) -> None:
        configuration = load(Options(), environ)
        assert configuration.account is None
        with pytest.raises(ConfigError, match=r"server and username under \[account\] in .*config\.toml"):
            configuration.require_account()

    def test_every_key_of_the_contract(self, tmp_path: Path, environ: dict[str, str]) -> None:
        (tmp_path / "ca.pem").write_text("")
        text = f"""
            [account]
            server = ["wss://a:8089/ws", "udp:b:5060", "bare.example"]
            username = "1001"
            domain = "example.com"
            auth_username = "auth"
            display_name = "Front desk"
            media = "webrtc"
            tls_ca = "{tmp_path}/ca.pem"
            password_command = ["pass", "show", "pbx"]
            [resilience]
            keep_alive_interval = 45
            max_reconnection_attempts = 3
            preset = "mobile"
            register_expires = 120
            [audio]
            input = "none"
            output = "wav:out.wav"
            ring = "Jabra"
            [log]
            verbose = true
            [control]
            socket = "{tmp_path}/engine.sock"
            """
        configuration = load_text(tmp_path, environ, text)
        account = configuration.require_account()
        assert [str(server) for server in account.servers] == [
            "wss://a:8089/ws",
            "udp:b:5060",
            "wss://bare.example:8089/ws",
        ]
        assert (account.domain, account.auth_username, account.media) == ("example.com", "auth", "webrtc")
        assert (account.display_name, account.expires_s) == ("Front desk", 120)
        assert configuration.tls_ca == tmp_path / "ca.pem"
        assert configuration.password_command == ("pass", "show", "pbx")
        assert configuration.resilience.keep_alive_interval == 45
        assert configuration.resilience.max_reconnection_attempts == 3  # above the preset's 15
        assert configuration.audio.input == "none"
        assert configuration.audio.output == f"wav:{tmp_path}/user/offhook/out.wav"
        assert configuration.verbose
        assert configuration.socket == tmp_path / "engine.sock"

    def test_a_preset_gives_its_numbers(self, tmp_path: Path, environ: dict[str, str]) -> None:
        configuration = load_text(tmp_path, environ, MINIMAL + '[resilience]\npreset = "unstable"\n')
        assert configuration.resilience.max_reconnection_attempts == 20
        assert configuration.resilience.keep_alive_interval == 60

    @pytest.mark.parametrize("value", [True, False])
    def test_a_second_flow_is_wanted_or_not(self, tmp_path: Path, environ: dict[str, str], value: bool) -> None:
        text = f"[resilience]\noutbound = {str(value).lower()}\n"
        assert load_text(tmp_path, environ, MINIMAL + text).resilience.outbound is value

    def test_phantom_id_stands_for_the_original_system(self, tmp_path: Path, environ: dict[str, str]) -> None:
        account = load_text(tmp_path, environ, '[account]\nphantom_id = "123"\nusername = "1"\n').require_account()
        assert str(account.servers[0]) == "wss://server1-123.phantomapi.net:8089/ws"
        assert (account.domain, account.media) == ("server1-123.phantomapi.net", "webrtc")

    def test_the_names_are_those_of_the_promises(self) -> None:
        names = {item.name for item in dataclasses.fields(Resilience)}
        assert set(SCHEMA["resilience"]) == names | {"preset", "register_expires"}
        assert SCHEMA["resilience"]["preset"].choices == PRESETS
        for item in dataclasses.fields(Resilience):
            assert SCHEMA["resilience"][item.name].problem(item.default) is None


class TestPrecedence:
    def test_each_layer_stands_above_the_one_before(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "site", MINIMAL.replace("1001", "site") + '[audio]\ninput = "site"\noutput = "site"\n')
        assert load(Options(), environ).require_account().username == "site"
        write(tmp_path / "user", '[account]\nusername = "user"\n[audio]\ninput = "user"\n')
        assert load(Options(), environ).require_account().username == "user"
        environ["OFFHOOK_USERNAME"] = "env"
        environ["OFFHOOK_KEEP_ALIVE_INTERVAL"] = "7.5"
        environ["OFFHOOK_VERBOSE"] = "yes"
        configuration = load(Options(), environ)
        assert configuration.require_account().username == "env"
        assert (configuration.audio.input, configuration.audio.output) == ("user", "site")
        assert configuration.resilience.keep_alive_interval == 7.5
        assert configuration.verbose

    def test_the_command_line_is_above_all(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "user", MINIMAL + '[control]\nsocket = "/run/file.sock"\n')
        assert str(load(Options(), environ).socket) == "/run/file.sock"
        environ["OFFHOOK_SOCKET"] = "/run/env.sock"
        assert str(load(Options(), environ).socket) == "/run/env.sock"
        options = Options(socket=tmp_path / "cli.sock", verbose=True, log=tmp_path / "my.log")
        configuration = load(options, environ)
        assert configuration.socket == tmp_path / "cli.sock"
        assert configuration.log_file == tmp_path / "my.log"
        assert configuration.verbose

    def test_an_explicit_file_stands_for_the_users(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "user", "[account\n")
        other = tmp_path / "other.toml"
        other.write_text(MINIMAL)
        assert load(Options(config=other), environ).require_account().username == "1001"

    def test_a_profile_adds_to_the_users_file(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "user", MINIMAL)
        write(tmp_path / "user", '[account]\nusername = "2002"\n', "work.toml")
        configuration = load(Options(profile="work"), environ)
        account = configuration.require_account()
        assert (account.username, account.domain) == ("2002", "pbx.example.com")
        assert configuration.socket.name == "work.sock"

    def test_a_server_from_the_environment_replaces_a_phantom_id(self, tmp_path: Path, environ: dict[str, str]) -> None:
        environ["OFFHOOK_SERVER"] = "ws://a/ws, ws://b/ws"
        account = load_text(tmp_path, environ, '[account]\nphantom_id = "123"\nusername = "1"\n').require_account()
        assert [server.host for server in account.servers] == ["a", "b"]
        assert account.media == "auto"


class TestRefusals:
    """One plain sentence: file, line, next step."""

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("[account]\nserver = \n", 2, "not valid TOML .*config check"),
            ("[account\n", 1, "not valid TOML"),
            ('[account]\nserver = "a"\nserver = "b"\n', 3, "not valid TOML"),
            ('[account]\nserver = "abc', 2, "not valid TOML"),
            (MINIMAL + 'usernam = "x"\n', 4, r"unknown key 'usernam' in \[account\]; did you mean 'username'\?"),
            (MINIMAL + "\n[resilence]\nx = 1\n", 5, r"unknown section \[resilence\]; did you mean 'resilience'\?"),
            (MINIMAL + "zzz = 1\n", 4, "remove the line, known are server"),
            (MINIMAL + "verbose = true\n", 4, r"it belongs under \[log\]"),
            ('server = "x"\n', 1, r"put it under \[account\]"),
            ("account = 1\n", 1, "is a section"),
            (MINIMAL + 'password = "hunter2"\n', 4, "set-password"),
            (MINIMAL.replace('"1001"', "1001"), 3, "'username' .* must be a text in quotes"),
            (MINIMAL + 'media = "x"\n', 4, "one of auto, rtp, sdes, webrtc"),
            (MINIMAL + "password_command = 'pass show'\n", 4, "a list of texts"),
            (MINIMAL + "[resilience]\nregister_attempts = 0\n", 5, "1 or more"),
            (MINIMAL + "[resilience]\nregister_attempts = 2.5\n", 5, "a whole number"),
            (MINIMAL + "[resilience]\nkeep_alive_interval = 0\n", 5, "more than 0"),
            (MINIMAL + "[resilience]\nkeep_alive_interval = true\n", 5, "a number"),
            (MINIMAL + "[resilience]\nkeep_alive_interval = inf\n", 5, "a number"),
            (MINIMAL + "[log]\nverbose = 1\n", 5, "true or false"),
            (MINIMAL.replace("wss://pbx.example.com:8089/ws", "http://x"), 2, "unknown scheme"),
            (MINIMAL.replace("wss://pbx.example.com:8089/ws", "ws://x:99999"), 2, "port outside"),
            ('[account]\nserver = []\nusername = "1"\n', 2, "a server address or a list of them"),
            (MINIMAL.replace('"1001"', '"a b"'), 3, "not a user name"),
            (MINIMAL + 'domain = "a/b"\n', 4, "not a host name"),
            (MINIMAL + 'display_name = "a\\u0007"\n', 4, "control character"),
            (MINIMAL + 'tls_ca = "missing.pem"\n', 4, "which is no file"),
            (MINIMAL + 'phantom_id = "123"\n', 4, "exclude each other"),
            ('[account]\nphantom_id = "12"\nusername = "1"\n', 2, "3 or 4 digits"),
            ('[account]\nserver = "x"\n', 2, "no username"),
            ('[account]\nusername = "x"\n', 2, "no server"),
            (MINIMAL + "[audio]\nport_min = 2000\nport_max = 2000\n", 6, "above port_min"),
        ],
    )
    def test_names_file_and_line(
        self, tmp_path: Path, environ: dict[str, str], text: str, line: int, words: str
    ) -> None:
        sentence = refusal(tmp_path, environ, text)
        assert sentence.startswith(f"{tmp_path}/user/offhook/config.toml, line {line}: ")
        assert re.search(words, sentence), sentence
        assert "hunter2" not in sentence

    @pytest.mark.parametrize(
        ("section", "setting"),
        [
            ("account", 'tls_ca = "a\\u0000.pem"'),
            ("account", 'password_command = ["pass", "show\\u0000"]'),
            *(("audio", f'{name} = "a\\u0000b"') for name in ("recordings", "ring_file", "ring_file_internal")),
            *(("audio", f'{name} = "wav:a\\u0000b"') for name in ("input", "output", "ring")),
            ("control", 'socket = "a\\u0000.sock"'),
        ],
    )
    def test_no_path_holds_a_nul(self, tmp_path: Path, environ: dict[str, str], section: str, setting: str) -> None:
        """The system would refuse it with something that is no sentence, and only when it is used."""
        text = MINIMAL + (f"[{section}]\n" if section != "account" else "") + setting + "\n"
        name = setting.partition(" ")[0]
        assert f"{name!r} in [{section}] must be without NUL characters; correct" in refusal(tmp_path, environ, text)

    def test_not_utf8(self, tmp_path: Path, environ: dict[str, str]) -> None:
        write(tmp_path / "user", "").write_bytes(b"[account]\n# caf\xe9\n")
        with pytest.raises(ConfigError, match="line 2: this is not UTF-8"):
            load(Options(), environ)

    def test_a_missing_explicit_file(self, tmp_path: Path, environ: dict[str, str]) -> None:
        with pytest.raises(ConfigError, match="does not exist"):
            load(Options(config=tmp_path / "no.toml"), environ)

    def test_a_bad_variable_is_named(self, tmp_path: Path, environ: dict[str, str]) -> None:
        environ["OFFHOOK_KEEP_ALIVE_INTERVAL"] = "often"
        with pytest.raises(ConfigError, match="OFFHOOK_KEEP_ALIVE_INTERVAL must be a number"):
            load_text(tmp_path, environ, MINIMAL)

    def test_other_variables_of_ours_are_nobodys_setting(self, tmp_path: Path, environ: dict[str, str]) -> None:
        environ["OFFHOOK_LAB"] = "required"
        load_text(tmp_path, environ, MINIMAL)
